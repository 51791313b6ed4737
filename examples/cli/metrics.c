/* The log of a run, DIR/metrics.jsonl: one JSON object a line. */
#include "cli.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Where the first line begins that is not a whole line of a step up to `step`. */
static long kept(FILE *file, int64_t step)
{
    char *line = NULL;
    size_t room = 0;
    long at = 0;
    for (;;) {
        ssize_t n = getline(&line, &room, file);
        if (n <= 0 || line[n - 1] != '\n' || !(json_find(line, "step") <= (double)step)) break;
        at += (long)n;
    }
    free(line);
    return at;
}

int metrics_open(FILE **file, const char *path, int64_t step)
{
    if (step > 0) {
        FILE *old = fopen(path, "r");
        long size = old ? kept(old, step) : 0;
        if (old) fclose(old);
        if (old && truncate(path, size))
            return fail("%s: cannot shorten: %s", path, strerror(errno));
    }
    *file = fopen(path, step > 0 ? "a" : "w");
    return *file ? 0 : fail("%s: cannot open: %s", path, strerror(errno));
}

int metrics_write(FILE *file, const char *path, const jem_trainer *trainer)
{
    enum { MOST = 64 };
    double values[MOST];
    int64_t n = jem_trainer_metric_count();
    json out;
    if (n > MOST) n = MOST;
    TRY(check(jem_trainer_metrics(trainer, values, MOST)));
    json_open(&out, file, 1);
    json_object(&out, NULL);
    for (int64_t i = 0; i < n; i++) json_number(&out, jem_trainer_metric_name(i), values[i]);
    json_close(&out, '}');
    json_end(&out);
    if (fflush(file) || ferror(file)) return fail("%s: cannot write: %s", path, strerror(errno));
    return 0;
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

static int read_columns(columns_read *c, FILE *file)
{
    char *line = NULL;
    size_t size = 0;
    int code = 0;
    while (!code && getline(&line, &size, file) > 0) {
        if (c->count == c->room) code = grow(c);
        for (int i = 0; !code && i < COLUMNS; i++)
            c->values[i][c->count] = json_find(line, columns[i]);
        if (!code && isfinite(c->values[STEP][c->count])) c->count++;
    }
    free(line);
    return code;
}

/* 1 if the column has a number. */
static int has(const columns_read *c, int column)
{
    for (int64_t i = 0; i < c->count; i++)
        if (isfinite(c->values[column][i])) return 1;
    return 0;
}

int metrics_plot(const char *path, const char *picture)
{
    columns_read c = {.count = 0};
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
    if (!code && c.count) code = plot_lines(picture, "Training", panels, COUNT(panels));
    for (int i = 0; i < COLUMNS; i++) free(c.values[i]);
    return code;
}
