/* jem report: a run's folder, or one of evaluations, as one HTML page. */
#include "html.h"
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct {
    const char *folder, *output, *title, *curves;
} given;

static const option options[] = {
    {"DIR", OPTION_POSITIONAL, 1, &given.folder, NULL,
     "a run's folder, or one with JSON of jem eval"},
    {"output", OPTION_TEXT, 0, &given.output, "FILE", "the page [DIR/report.html]"},
    {"title", OPTION_TEXT, 0, &given.title, "TEXT", "what stands above it [the folder's name]"},
    {"curves", OPTION_TEXT, 0, &given.curves, "FILE",
     "the curves of DIR/metrics.jsonl besides, as .png, .pdf or .svg"},
};

static const command self = {
    "report",
    "Writes one HTML page that holds all of it: results, pictures, curves, roll-backs, model\n"
    "and settings. It loads nothing from elsewhere and can be sent as it is.",
    "Every .json file of the folder becomes a section, with charts of what 'jem eval' writes;\n"
    "every .png and .svg a figure; metrics.jsonl curves; checkpoint and model tables.",
    options,
    COUNT(options),
    NULL,
    NULL};

/* ---- Files of the folder ---- */

typedef struct names {
    char **items;
    int64_t count, room;
} names;

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add_name(names *n, const char *name)
{
    if (n->count == n->room) {
        int64_t room = n->room ? 2 * n->room : 64;
        char **more = realloc(n->items, (size_t)room * sizeof *more);
        if (!more) return fail("out of memory");
        n->items = more;
        n->room = room;
    }
    size_t size = strlen(name) + 1;
    if (!(n->items[n->count] = allocate((int64_t)size, 1))) return CODE_FAILED;
    memcpy(n->items[n->count++], name, size);
    return 0;
}

static int list(names *n, const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    int code = 0;
    if (!dir) return fail("%s: cannot open: %s", folder, strerror(errno));
    while (!code && (entry = readdir(dir)))
        if (entry->d_name[0] != '.') code = add_name(n, entry->d_name);
    closedir(dir);
    if (n->count) qsort(n->items, (size_t)n->count, sizeof *n->items, by_name);
    return code;
}

/* A file proper: a device or a pipe may have no end. */
static int exists(const char *folder, const char *name, char *path, size_t capacity)
{
    struct stat s;
    join(path, capacity, folder, name);
    return !stat(path, &s) && S_ISREG(s.st_mode) && !access(path, R_OK);
}

/* ---- Head: what matters at a glance ---- */

static void card(const html *page, const char *name, double value, const char *format,
                 double factor)
{
    char text[64];
    if (!isfinite(value)) return;
    snprintf(text, sizeof text, format, factor * value);
    fprintf(page->file, "<div class=\"card\"><b>%s</b><span>", text);
    html_text(page, name);
    fputs("</span></div>\n", page->file);
}

static void show_head(const html *page, const char *title, const tree *summary)
{
    const char *data = tree_text(summary, "data"), *test = tree_text(summary, "test");
    const tree *rated = tree_find(summary, "ood_log_px");
    char text[400];
    fputs("<p class=\"soft\">libjem ", page->file);
    html_text(page, jem_version());
    fputs("</p>\n<h1>", page->file);
    html_text(page, title);
    fputs("</h1>\n", page->file);
    if (data) {
        snprintf(text, sizeof text, "Trained on %.150s, tested on %.150s.", data,
                 test ? test : data);
        fputs("<p>", page->file);
        html_text(page, text);
        fputs("</p>\n", page->file);
    }
    fputs("<div class=\"cards\">\n", page->file);
    card(page, "accuracy", tree_number(summary, "accuracy"), "%.2f %%", 100);
    card(page, "calibration error (ECE)", tree_number(summary, "ece"), "%.2f %%", 100);
    card(page, "NLL in nats", tree_number(summary, "nll"), "%.4f", 1);
    for (int64_t i = 0; rated && rated->kind == TREE_OBJECT && i < rated->count && i < 3; i++) {
        snprintf(text, sizeof text, "AUROC of log p(x) against %.80s", rated->items[i].key);
        card(page, text, tree_number(&rated->items[i], "auroc"), "%.4f", 1);
    }
    card(page, "training steps", tree_number(summary, "steps"), "%.0f", 1);
    fputs("</div>\n", page->file);
}

/* ---- Pictures ---- */

/* With the captions of those that do not say themselves how they were made. */
static const char *const known[][2] = {
    {"samples.png",
     "Samples. The file does not say how they were made, nor whether all are shown."},
    {"strip.png", "Chains from their start to their end."},
    {"reliability.png", "Accuracy against confidence on test images, in 20 equal bins."},
    {"roc.png", "Known images accepted against unknown ones, at every threshold of log p(x)."},
    {"scores.png", "log p(x) of test images and of images of another kind."}};

static int is_known(const char *name)
{
    for (int i = 0; i < COUNT(known); i++)
        if (!strcmp(known[i][0], name)) return 1;
    return !strcmp(name, "curves.png");
}

static int is_picture(const char *name)
{
    return has_suffix(name, ".png") || has_suffix(name, ".svg");
}

static void show_known(const html *page, const char *folder)
{
    char path[4300], made[9000];
    int shown = 0;
    for (int i = 0; i < COUNT(known); i++) {
        if (!exists(folder, known[i][0], path, sizeof path)) continue;
        if (!shown++) {
            html_section(page, "Pictures");
            fputs("<div class=\"figures\">\n", page->file);
        }
        const char *caption = comment_read(path, made, sizeof made) ? made : known[i][1];
        html_picture(page, path, caption, !strcmp(known[i][0], "scores.png"));
    }
    if (shown) fputs("</div>\n", page->file);
}

/* Eight moments at most, evenly, the last among them; and it says so. */
static void show_buffers(const html *page, const char *folder, const names *n)
{
    enum { SHOWN = 8 };
    int64_t total = 0, seen = 0;
    char path[4300], caption[96];
    for (int64_t i = 0; i < n->count; i++) total += folder_buffer_step(n->items[i]) >= 0;
    if (!total) return;
    fprintf(page->file, "<h3>Replay buffer during training</h3>\n");
    if (total > SHOWN)
        fprintf(page->file, "<p class=\"soft\">%d of %" PRId64 " pictures, evenly chosen.</p>\n",
                SHOWN, total);
    fputs("<div class=\"figures\">\n", page->file);
    for (int64_t i = 0; i < n->count; i++) {
        int64_t step = folder_buffer_step(n->items[i]), before = seen * SHOWN / total;
        if (step < 0) continue;
        seen++;
        if (total > SHOWN && seen * SHOWN / total == before) continue;
        join(path, sizeof path, folder, n->items[i]);
        snprintf(caption, sizeof caption, "step %" PRId64, step);
        html_picture(page, path, caption, -1);
    }
    fputs("</div>\n", page->file);
}

static void show_others(const html *page, const char *folder, const names *n)
{
    char path[4300];
    int shown = 0;
    for (int64_t i = 0; i < n->count; i++) {
        if (!is_picture(n->items[i]) || is_known(n->items[i]) ||
            folder_buffer_step(n->items[i]) >= 0)
            continue;
        if (!shown++) {
            html_section(page, "More pictures");
            fputs("<div class=\"figures\">\n", page->file);
        }
        join(path, sizeof path, folder, n->items[i]);
        html_picture(page, path, n->items[i], 0);
    }
    if (shown) fputs("</div>\n", page->file);
}

/* ---- Training ---- */

/* Lines that tell of an event in place of a step, the first `most` of `count`, and the last line of
   a step. */
static void read_log(const char *path, tree *events, int64_t most, int64_t *count, tree *last)
{
    FILE *file = is_file(path) ? fopen(path, "r") : NULL;
    char line[METRICS_LINE];
    *count = 0;
    *last = (tree){0};
    while (file && metrics_line(file, line)) {
        tree t;
        int is_event = strstr(line, "\"event\"") != NULL;
        if (!tree_parse(&t, line)) continue;
        if (is_event && (*count)++ < most) {
            events[*count - 1] = t;
        } else if (!is_event) {
            tree_clear(last);
            *last = t;
        } else {
            tree_clear(&t);
        }
    }
    if (file) fclose(file);
}

static void show_events(const html *page, const tree *events, int64_t most, int64_t count)
{
    int64_t shown = count < most ? count : most;
    fputs("<h3>Divergence</h3>\n", page->file);
    if (!count) {
        fputs("<p>No roll-back: no step of this run had to be taken again.</p>\n", page->file);
        return;
    }
    fprintf(page->file,
            "<p class=\"alarm\">Roll-backs to the last good state, each on with another noise "
            "seed: %" PRId64 "</p>\n",
            count);
    if (count > shown)
        fprintf(page->file, "<p class=\"soft\">The first %" PRId64 " of them.</p>\n", shown);
    fputs("<table><tr><th>event</th><th class=\"n\">diverged at step</th><th class=\"n\">back to "
          "step</th><th>reason</th></tr>\n",
          page->file);
    for (int64_t i = 0; i < shown; i++) {
        const char *what = tree_text(&events[i], "event"), *why = tree_text(&events[i], "reason");
        fputs("<tr><td>", page->file);
        html_text(page, what ? what : "");
        fprintf(page->file,
                "</td><td class=\"n\">%.0f</td><td class=\"n\">%.0f</td><td class=\"w\">",
                tree_number(&events[i], "from"), tree_number(&events[i], "step"));
        html_text(page, why ? why : "");
        fputs("</td></tr>\n", page->file);
    }
    fputs("</table>\n", page->file);
}

static void show_training(html *page, const char *folder)
{
    enum { MOST = 200 };
    char log[4300], curves[4400];
    tree *events = allocate(MOST, sizeof *events), last;
    int64_t count;
    int drawn;
    if (!events || !exists(folder, "metrics.jsonl", log, sizeof log)) {
        free(events);
        return;
    }
    html_section(page, "Training");
    html_drawing(page, curves, sizeof curves);
    if (!metrics_plot(log, curves, &drawn) && drawn)
        html_picture(page, curves, "Faint: single steps; strong: their running mean.", 1);
    read_log(log, events, MOST, &count, &last);
    show_events(page, events, MOST, count);
    if (last.kind == TREE_OBJECT) {
        fputs("<details><summary>Metrics of the last step</summary>\n", page->file);
        show_tree(page, &last);
        fputs("</details>\n", page->file);
    }
    tree_clear(&last);
    for (int64_t i = 0; i < MOST; i++) tree_clear(&events[i]);
    free(events);
}

/* ---- Evaluations ---- */

static void show_evaluations(html *page, const char *folder, const names *n)
{
    char path[4300];
    for (int64_t i = 0; i < n->count; i++) {
        tree t;
        if (!has_suffix(n->items[i], ".json") || !strcmp(n->items[i], "summary.json")) continue;
        join(path, sizeof path, folder, n->items[i]);
        html_section(page, n->items[i]);
        if (tree_read(&t, path))
            show_tree(page, &t);
        else
            fputs("<p class=\"alarm\">This file is not JSON.</p>\n", page->file);
        tree_clear(&t);
    }
}

/* ---- The page ---- */

/* "run" for "runs/run/". */
static void name_of(const char *folder, char *name, size_t capacity)
{
    char whole[4096];
    const char *path = realpath(folder, whole) ? whole : folder, *slash = strrchr(path, '/');
    snprintf(name, capacity, "%.200s", slash && slash[1] ? slash + 1 : path);
}

static int write_page(const char *folder, const names *n, const char *path, const char *title)
{
    html page;
    tree summary;
    char file[4300];
    int has_summary =
        exists(folder, "summary.json", file, sizeof file) && tree_read(&summary, file);
    if (!has_summary) summary = (tree){0};
    int code = html_begin(&page, path, title);
    if (!code) {
        show_head(&page, title, &summary);
        if (has_summary) {
            html_section(&page, "Results");
            show_tree(&page, &summary);
        }
        show_known(&page, folder);
        show_buffers(&page, folder, n);
        show_training(&page, folder);
        show_evaluations(&page, folder, n);
        show_others(&page, folder, n);
        show_model(&page, folder);
        show_settings(&page, folder);
        code = html_end(&page, path);
    }
    tree_clear(&summary);
    return code;
}

/* Is there anything to tell of? */
static int worth(const names *n)
{
    for (int64_t i = 0; i < n->count; i++)
        if (has_suffix(n->items[i], ".json") || has_suffix(n->items[i], ".jsonl") ||
            is_picture(n->items[i]) || !strcmp(n->items[i], "model.safetensors"))
            return 1;
    return 0;
}

int report_page(const char *folder, const char *title, const char *output)
{
    names n = {0};
    char path[4300], name[256];
    name_of(folder, name, sizeof name);
    if (!output) join_new(path, sizeof path, folder, "report.html");
    int code = list(&n, folder);
    if (!code && !worth(&n))
        code = fail("%s: holds nothing to report: no metrics, JSON, pictures or model", folder);
    if (!code) code = write_page(folder, &n, output ? output : path, title ? title : name);
    for (int64_t i = 0; i < n.count; i++) free(n.items[i]);
    free(n.items);
    return code;
}

static int draw_curves(void)
{
    char log[4300];
    int drawn;
    const char *of = given.curves;
    if (!has_suffix(of, ".png") && !has_suffix(of, ".pdf") && !has_suffix(of, ".svg")) {
        fail("--curves: got '%s', expected a name that ends in .png, .pdf or .svg", given.curves);
        return CODE_USAGE;
    }
    join(log, sizeof log, given.folder, "metrics.jsonl");
    TRY(metrics_plot(log, given.curves, &drawn));
    if (!drawn) return fail("--curves: %s holds no steps", log);
    printf("Written to %s\n", given.curves);
    return 0;
}

int run_report(int argc, char **argv)
{
    int code = options_parse(&self, argc, argv);
    if (code) return code < 0 ? 0 : code;
    if (given.curves) TRY(draw_curves());
    TRY(report_page(given.folder, given.title, given.output));
    printf("Written to %s%s\n", given.output ? given.output : given.folder,
           given.output ? "" : "/report.html");
    return 0;
}
