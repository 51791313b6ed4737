/* The log of a run, DIR/metrics.jsonl: one JSON object a line. */
#include "cli.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Lines of earlier roll-backs stay, and those of the last one up to the step. */
static int32_t stays(const char *line, int64_t rollbacks, int64_t step)
{
    double r = json_find(line, "rollbacks"), at = json_find(line, "step");
    if (isnan(at)) return 1; /* cut short by a full disk */
    if (isnan(r)) r = 0;
    return r < (double)rollbacks || (r == (double)rollbacks && at <= (double)step);
}

/* Where the first line begins that is not whole, or past the run's state. */
static long kept(FILE *file, int64_t rollbacks, int64_t step)
{
    char *line = NULL;
    size_t room = 0;
    long at = 0;
    for (;;) {
        ssize_t n = getline(&line, &room, file);
        if (n <= 0 || line[n - 1] != '\n' || !stays(line, rollbacks, step)) break;
        at += (long)n;
    }
    free(line);
    return at;
}

/* The first `size` bytes of the old log. */
static void copy(FILE *to, FILE *from, long size)
{
    char bytes[4096];
    rewind(from);
    while (size > 0) {
        size_t part = size < (long)sizeof bytes ? (size_t)size : sizeof bytes;
        size_t n = fread(bytes, 1, part, from);
        if (!n) return;
        fwrite(bytes, 1, n, to);
        size -= (long)n;
    }
}

static FILE *append_to(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0666);
    return fd < 0 ? NULL : fdopen(fd, "a");
}

/* A link gives way to a file with the lines that stay; what it led to keeps all of its own. */
static FILE *open_log(const char *path, int fresh, int64_t rollbacks, int64_t step)
{
    struct stat info;
    FILE *file = NULL, *old = !fresh && is_file(path) ? fopen(path, "r") : NULL;
    long size = old ? kept(old, rollbacks, step) : 0;
    if (!old || lstat(path, &info) || !S_ISREG(info.st_mode)) {
        file = file_create(path);
        if (file && old) copy(file, old, size);
    } else if (!truncate(path, size)) {
        file = append_to(path);
    }
    if (old) fclose(old);
    return file;
}

int metrics_open(metrics *m, const char *folder, const jem_trainer *trainer)
{
    int64_t step, rollbacks;
    m->folder = folder;
    join(m->path, sizeof m->path, folder, "metrics.jsonl");
    TRY(check(jem_trainer_progress(trainer, &step, NULL)));
    TRY(check(jem_trainer_rollbacks(trainer, &rollbacks, NULL, NULL)));
    m->file = open_log(m->path, step == 0 && rollbacks == 0, rollbacks, step);
    return m->file ? 0 : fail("%s: cannot open: %s", m->path, strerror(errno));
}

/* Goes on in a new file where somebody has removed the old one, but in no other run's. */
static void reopen(metrics *m)
{
    struct stat info;
    if (fstat(fileno(m->file), &info) || info.st_nlink > 0 || !folder_is_own(m->folder)) return;
    FILE *fresh = append_to(m->path);
    if (!fresh) return;
    fclose(m->file);
    m->file = fresh;
}

static void end_line(metrics *m, json *out)
{
    json_close(out, '}');
    json_end(out);
    if (!fflush(m->file) && !ferror(m->file)) return;
    if (m->lost++ == 0) warn("%s: cannot write: %s; training goes on", m->path, strerror(errno));
    clearerr(m->file);
}

int metrics_write(metrics *m, const jem_trainer *trainer)
{
    enum { MOST = 64 };
    double values[MOST];
    int64_t n = jem_trainer_metric_count();
    json out;
    if (n > MOST) n = MOST;
    reopen(m);
    TRY(check(jem_trainer_metrics(trainer, values, MOST)));
    json_open(&out, m->file, 1);
    json_object(&out, NULL);
    for (int64_t i = 0; i < n; i++) json_number(&out, jem_trainer_metric_name(i), values[i]);
    end_line(m, &out);
    return 0;
}

int metrics_rollback(metrics *m, const jem_trainer *trainer)
{
    enum { MOST = 64 };
    static const char *const told[] = {"rate_factor", "penalty", "sampler_steps"};
    int64_t count, from, to;
    char reason[512];
    double values[MOST];
    json out;
    reopen(m);
    TRY(check(jem_trainer_metrics(trainer, values, MOST)));
    TRY(check(jem_trainer_rollbacks(trainer, &count, &from, &to)));
    TRY(check(jem_trainer_rollback_reason(trainer, reason, sizeof reason)));
    json_open(&out, m->file, 1);
    json_object(&out, NULL);
    json_text(&out, "event", "rollback");
    json_integer(&out, "step", to);
    json_integer(&out, "rollbacks", count);
    json_integer(&out, "from", from);
    json_text(&out, "reason", reason);
    for (int64_t i = 0; i < jem_trainer_metric_count(); i++)
        for (int k = 0; k < 3; k++)
            if (!strcmp(jem_trainer_metric_name(i), told[k])) json_number(&out, told[k], values[i]);
    end_line(m, &out);
    return 0;
}

int metrics_close(metrics *m)
{
    int code = m->file && fclose(m->file) ? fail("%s: cannot close", m->path) : 0;
    m->file = NULL;
    if (code || !m->lost) return code;
    return fail("%s: cannot write: %" PRId64 " lines are lost", m->path, m->lost);
}

/* ---- Curves ---- */

static const char *const columns[] = {"step",     "loss",          "loss_px",       "loss_pyx",
                                      "loss_pxy", "energy_data",   "energy_sample", "gap",
                                      "accuracy", "valid_accuracy"};
enum { STEP, LOSS, LOSS_PX, LOSS_PYX, LOSS_PXY, DATA, SAMPLE, GAP, ACCURACY, VALID, COLUMNS };

typedef struct columns_read {
    double *values[COLUMNS];
    int64_t count, room;
} columns_read;

static int grow(columns_read *c)
{
    int64_t room = c->room ? 2 * c->room : 1024;
    for (int i = 0; i < COLUMNS; i++) {
        double *more = realloc(c->values[i], (size_t)room * sizeof *more);
        if (!more) return fail("out of memory for the curves");
        c->values[i] = more;
    }
    c->room = room;
    return 0;
}

/* A roll-back takes the steps after it back. */
static void go_back(columns_read *c, double step)
{
    while (c->count && c->values[STEP][c->count - 1] > step) c->count--;
}

int metrics_line(FILE *file, char *line)
{
    if (!fgets(line, METRICS_LINE, file)) return 0;
    return strlen(line) < METRICS_LINE - 1 || line[METRICS_LINE - 2] == '\n';
}

static int read_columns(columns_read *c, FILE *file)
{
    char line[METRICS_LINE];
    int code = 0;
    while (!code && metrics_line(file, line)) {
        if (strstr(line, "\"event\"")) {
            go_back(c, json_find(line, "step"));
            continue;
        }
        if (c->count == c->room) code = grow(c);
        for (int i = 0; !code && i < COLUMNS; i++)
            c->values[i][c->count] = json_find(line, columns[i]);
        if (!code && isfinite(c->values[STEP][c->count])) c->count++;
    }
    return code;
}

/* 1 if the column has a number. */
static int has(const columns_read *c, int column)
{
    for (int64_t i = 0; i < c->count; i++)
        if (isfinite(c->values[column][i])) return 1;
    return 0;
}

int metrics_plot(const char *path, const char *picture, int *drawn)
{
    columns_read c = {.count = 0};
    *drawn = 0;
    if (!is_file(path)) return fail("%s: there is no such file", path);
    FILE *file = fopen(path, "r");
    if (!file) return fail("%s: cannot open: %s", path, strerror(errno));
    int code = read_columns(&c, file);
    fclose(file);
#define SERIES(name, column)                                                                       \
    {                                                                                              \
        name, c.values[STEP], c.values[column], c.count                                            \
    }
    const plot_panel panels[] = {
        {"Losses",
         "step",
         "loss",
         {SERIES("total", LOSS), SERIES("of p(x)", LOSS_PX), SERIES("of p(y|x)", LOSS_PYX),
          SERIES("of p(x,y)", LOSS_PXY)},
         3 + has(&c, LOSS_PXY),
         0,
         0},
        {"Mean energies",
         "step",
         "E(x)",
         {SERIES("data", DATA), SERIES("samples", SAMPLE)},
         2,
         0,
         0},
        {"Energy gap, data minus samples", "step", "gap", {SERIES(NULL, GAP)}, 1, 0, 0},
        {has(&c, VALID) ? "Accuracy" : "Accuracy on training batches",
         "step",
         "accuracy",
         {SERIES(has(&c, VALID) ? "training batches" : NULL, ACCURACY),
          SERIES("validation", VALID)},
         1 + has(&c, VALID),
         0,
         1.02},
    };
#undef SERIES
    if (!code && c.count) {
        code = plot_lines(picture, "Training", panels, COUNT(panels));
        *drawn = !code;
    }
    for (int i = 0; i < COLUMNS; i++) free(c.values[i]);
    return code;
}
