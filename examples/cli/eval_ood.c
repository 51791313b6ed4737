/* jem eval ood, roc, histograms: scores that should be higher for the data than for other images.
 */
#include "eval.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SCORES = 8, CURVES = 4, MOST_BINS = 10000 };
static const char all_scores[] = "log_px,max_softmax,max_logit,neg_entropy,mass,refine_log_px,"
                                 "refine_distance,refine_mass";

static struct {
    const char *ood, *scores;
    int64_t bins;
} mine = {.bins = 50};

#define OOD_OPTIONS                                                                                \
    {"ood",     OPTION_TEXT, 1,                                                                    \
     &mine.ood, "SOURCE",    "other data, or uniform, constant or interpolations (of the data)"},  \
    {                                                                                              \
        "score", OPTION_TEXT, 0, &mine.scores, "NAMES",                                            \
            "log_px (the default), max_softmax, max_logit, neg_entropy, mass,\n"                   \
            "                          refine_log_px, refine_distance, refine_mass; several with " \
            "commas,\n"                                                                            \
            "                          or all"                                                     \
    }

static const option rating[] = {EVAL_NEEDS, OOD_OPTIONS, EVAL_CHAIN,
                                EVAL_PICTURE("histograms of the (first) score"), EVAL_TAKES};
static const option tracing[] = {EVAL_NEEDS, OOD_OPTIONS, EVAL_CHAIN,
                                 EVAL_PICTURE("the curves, at most four"), EVAL_TAKES};
static const option counting[] = {
    EVAL_NEEDS,
    OOD_OPTIONS,
    EVAL_CHAIN,
    {"bins", OPTION_INTEGER, 0, &mine.bins, "N", "bins over the range of both sets [50]"},
    EVAL_PICTURE("histograms of the (first) score"),
    EVAL_TAKES};

static const command ood = {
    "eval ood",
    "How well a score, higher for --data than for --ood, tells the two apart: AUROC, AUPR\n"
    "with either as the positives, false positive rate where 95 % of the data pass.",
    EVAL_SOURCES,
    rating,
    COUNT(rating),
    &given.settings,
    "dataset context sampler" NOT_OF_CHAINS};
static const command roc = {"eval roc",
                            "The ROC curve of a score: share of --ood and of --data that pass\n"
                            "each threshold. Straight lines join the points.",
                            EVAL_SOURCES,
                            tracing,
                            COUNT(tracing),
                            &given.settings,
                            "dataset context sampler" NOT_OF_CHAINS};
static const command histograms = {"eval histograms",
                                   "How many images of --data and of --ood have a score in each\n"
                                   "of equal bins.",
                                   EVAL_SOURCES,
                                   counting,
                                   COUNT(counting),
                                   &given.settings,
                                   "dataset context sampler" NOT_OF_CHAINS};

/* One score of both sets. */
typedef struct pair {
    char name[64];
    float *in, *out; /* [n], [m] */
    int64_t n, m;
    double auroc, aupr_in, aupr_out, fpr95;
    double *fpr, *tpr;
    int64_t points;
} pair;

typedef struct comparison {
    eval_work *work;
    images other;
    pair pairs[MOST_SCORES];
    int64_t count;
} comparison;

/* ---- Scoring ---- */

static int score_pair(comparison *c, pair *p)
{
    const images *in = &c->work->set;
    p->n = in->count;
    p->m = c->other.count;
    TRY(images_score(in, c->work->model, p->name, c->work->config, &p->in));
    TRY(images_score(&c->other, c->work->model, p->name, c->work->config, &p->out));
    return check(
        jem_eval_ood(p->in, p->n, p->out, p->m, &p->auroc, &p->aupr_in, &p->aupr_out, &p->fpr95));
}

/* Whether it is one of them. */
static int is_score(const char *name, size_t length)
{
    for (const char *at = all_scores; *at;) {
        size_t n = strcspn(at, ",");
        if (n == length && !strncmp(at, name, n)) return 1;
        at += n + (at[n] == ',');
    }
    return 0;
}

/* Before minutes of work. */
static int read_names(comparison *c, const char *names)
{
    for (const char *at = names; *at || !c->count;) {
        size_t length = strcspn(at, ",");
        if (!is_score(at, length)) {
            fail("--score: got '%.*s', expected %s, or all", (int)length, at, all_scores);
            return CODE_USAGE;
        }
        if (c->count == MOST_SCORES) {
            fail("--score: got more than %d names", MOST_SCORES);
            return CODE_USAGE;
        }
        snprintf(c->pairs[c->count++].name, sizeof c->pairs[0].name, "%.*s", (int)length, at);
        at += length + (at[length] == ',');
    }
    return 0;
}

static int prepare(comparison *c, int64_t drawn)
{
    const eval_work *w = c->work;
    const char *names = mine.scores ? mine.scores : "log_px";
    if (!strcmp(names, "all")) names = all_scores;
    TRY(read_names(c, names));
    if (given.picture && c->count > drawn) {
        fail("--picture: draws at most %" PRId64 " scores, got %" PRId64, drawn, c->count);
        return CODE_USAGE;
    }
    TRY(effect_chain(&given.settings, w->config, given.as_trained, names));
    return images_open_ood(&c->other, w->context, mine.ood, w->config, NULL, &w->set);
}

/* drawn: the most scores that a picture shows. */
static int with_scores(eval_work *w, int64_t drawn, int (*then)(comparison *))
{
    comparison c = {.work = w};
    int code = prepare(&c, drawn);
    for (int64_t i = 0; !code && i < c.count; i++) code = score_pair(&c, &c.pairs[i]);
    if (!code) code = then(&c);
    for (int64_t i = 0; i < c.count; i++) {
        free(c.pairs[i].in);
        free(c.pairs[i].out);
        free(c.pairs[i].fpr);
        free(c.pairs[i].tpr);
    }
    images_close(&c.other);
    return code;
}

/* What all of them print; several scores make a list. */
static void print_pairs(const comparison *c, void (*more)(json *, const comparison *, const pair *))
{
    json out;
    json_open(&out, stdout, given.compact);
    if (c->count > 1) json_array(&out, NULL);
    for (int64_t i = 0; i < c->count; i++) {
        const pair *p = &c->pairs[i];
        json_object(&out, NULL);
        json_text(&out, "data", c->work->set.name);
        json_text(&out, "ood", c->other.name);
        json_text(&out, "score", p->name);
        json_integer(&out, "images", p->n);
        json_integer(&out, "ood_images", p->m);
        if (!strncmp(p->name, "refine_", 7)) eval_sampler(&out, c->work->config);
        more(&out, c, p);
        json_close(&out, '}');
    }
    if (c->count > 1) json_close(&out, ']');
    json_end(&out);
}

static const char *title_of(const char *score)
{
    return strcmp(score, "log_px") ? score : "log p(x)";
}

static int draw_histograms(const comparison *c)
{
    const pair *p = &c->pairs[0];
    char names[2][300], title[96], label[96];
    if (!given.picture) return 0;
    snprintf(names[0], sizeof names[0], "%.200s (%" PRId64 " images)", c->work->set.name, p->n);
    snprintf(names[1], sizeof names[1], "%.200s (%" PRId64 " images, AUROC %.3f)", c->other.name,
             p->m, p->auroc);
    const plot_set sets[] = {{names[0], p->in, p->n}, {names[1], p->out, p->m}};
    snprintf(title, sizeof title, "Scores: %.60s", title_of(p->name));
    snprintf(label, sizeof label, "%.60s%s", title_of(p->name),
             strcmp(p->name, "log_px") ? "" : " + constant");
    return plot_histograms(given.picture, title, label, sets, 2);
}

/* ---- ood ---- */

static void print_rates(json *out, const comparison *c, const pair *p)
{
    json_number(out, "auroc", p->auroc);
    json_number(out, "aupr_in", p->aupr_in);
    json_number(out, "aupr_out", p->aupr_out);
    json_number(out, "fpr95", p->fpr95);
}

static int rate(comparison *c)
{
    print_pairs(c, print_rates);
    return draw_histograms(c);
}

static int run_ood(eval_work *w)
{
    return with_scores(w, MOST_SCORES, rate);
}

/* ---- roc ---- */

static int trace(pair *p)
{
    int64_t room = p->n + p->m + 1;
    float *threshold = allocate(room, sizeof *threshold);
    p->fpr = allocate(room, sizeof *p->fpr);
    p->tpr = allocate(room, sizeof *p->tpr);
    int code = !threshold || !p->fpr || !p->tpr
                   ? CODE_FAILED
                   : check(jem_eval_roc(p->in, p->n, p->out, p->m, p->fpr, p->tpr, threshold, room,
                                        &p->points));
    free(threshold);
    return code;
}

static void print_points(json *out, const comparison *c, const pair *p)
{
    json_number(out, "auroc", p->auroc);
    json_array(out, "points");
    for (int64_t i = 0; i < p->points; i++) {
        json_array(out, NULL);
        out->compact = 1; /* a point a line: false, true positive rate */
        json_number(out, NULL, p->fpr[i]);
        json_number(out, NULL, p->tpr[i]);
        json_close(out, ']');
        out->compact = given.compact;
    }
    json_close(out, ']');
}

static int draw_curves(const comparison *c)
{
    plot_series curves[CURVES];
    char names[CURVES][160], title[400];
    if (!given.picture) return 0;
    for (int64_t i = 0; i < c->count; i++) {
        const pair *p = &c->pairs[i];
        snprintf(names[i], sizeof names[i], "%.60s (AUROC %.3f)", title_of(p->name), p->auroc);
        curves[i] = (plot_series){names[i], p->fpr, p->tpr, p->points};
    }
    snprintf(title, sizeof title, "%.150s against %.150s", c->work->set.name, c->other.name);
    return plot_roc(given.picture, title, curves, c->count);
}

static int trace_all(comparison *c)
{
    for (int64_t i = 0; i < c->count; i++) TRY(trace(&c->pairs[i]));
    print_pairs(c, print_points);
    return draw_curves(c);
}

static int run_roc(eval_work *w)
{
    return with_scores(w, CURVES, trace_all);
}

/* ---- histograms ---- */

static void range_of(const float *scores, int64_t n, double *low, double *high)
{
    for (int64_t i = 0; i < n; i++) {
        *low = fmin(*low, scores[i]);
        *high = fmax(*high, scores[i]);
    }
}

static void print_counts(json *out, const char *key, const int64_t *count, int64_t bins)
{
    json_array(out, key);
    out->compact = 1;
    for (int64_t b = 0; b < bins; b++) json_integer(out, NULL, count[b]);
    json_close(out, ']');
    out->compact = given.compact;
}

static void print_bins(json *out, const comparison *c, const pair *p)
{
    double low = INFINITY, high = -INFINITY;
    int64_t bins = mine.bins, count[MOST_BINS];
    range_of(p->in, p->n, &low, &high);
    range_of(p->out, p->m, &low, &high);
    if (!(high > low)) high = low + 1; /* one value only */
    json_number(out, "low", low);
    json_number(out, "high", high);
    if (!check(jem_eval_histogram(p->in, p->n, low, high, bins, count)))
        print_counts(out, "in_counts", count, bins);
    if (!check(jem_eval_histogram(p->out, p->m, low, high, bins, count)))
        print_counts(out, "ood_counts", count, bins);
}

static int count_all(comparison *c)
{
    print_pairs(c, print_bins);
    return draw_histograms(c);
}

static int run_histograms(eval_work *w)
{
    if (mine.bins < 1 || mine.bins > MOST_BINS) {
        fail("--bins: got %" PRId64 ", expected 1..%d", mine.bins, MOST_BINS);
        return CODE_USAGE;
    }
    return with_scores(w, MOST_SCORES, count_all);
}

/* ---- Commands ---- */

int eval_ood(int argc, char **argv)
{
    return eval_run(&ood, argc, argv, run_ood);
}

int eval_roc(int argc, char **argv)
{
    return eval_run(&roc, argc, argv, run_roc);
}

int eval_histograms(int argc, char **argv)
{
    return eval_run(&histograms, argc, argv, run_histograms);
}
