/* jem eval frechet, inception: samples as a whole, judged by a network's features and
   classes, the model's own or those of any other network in .npy files. */
#include "eval.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 256 };

static struct {
    const char *samples, *features, *reference, *probabilities;
    int64_t parts;
} mine = {.parts = 10};

#define SAMPLE_OPTIONS                                                                             \
    {"model", OPTION_TEXT, 0, &given.model, "FILE", "the model whose features or classes judge"},  \
    {                                                                                              \
        "samples", OPTION_TEXT, 0, &mine.samples, "X.npy",                                         \
            "the samples, float32 [n,C,H,W]; or a SOURCE"                                          \
    }

static const option comparing[] = {
    SAMPLE_OPTIONS,
    {"data", OPTION_TEXT, 0, &given.data, "SOURCE", "images to compare with; their test split"},
    {"features", OPTION_TEXT, 0, &mine.features, "F.npy",
     "in place of model and samples: features of samples, float32 [n,d]"},
    {"reference", OPTION_TEXT, 0, &mine.reference, "G.npy",
     "in place of model and data: features to compare with, float32 [m,d]"},
    EVAL_TAKES};
static const option scoring[] = {
    SAMPLE_OPTIONS,
    {"probabilities", OPTION_TEXT, 0, &mine.probabilities, "P.npy",
     "in place of model and samples: class probabilities, float32 [n,k]"},
    {"parts", OPTION_INTEGER, 0, &mine.parts, "N", "parts to take mean and deviation over [10]"},
    EVAL_TAKES};

static const command frechet = {
    "eval frechet",
    "Frechet distance between the Gaussians of two sets of features. With the model's own\n"
    "features it is no FID: that needs the Inception network's, through --features.",
    EVAL_SOURCES,
    comparing,
    COUNT(comparing),
    &given.settings,
    "dataset context"};
static const command inception = {
    "eval inception",
    "exp of the mean divergence of p(y|x) from its mean, over the samples. With the model's\n"
    "own classes it compares runs of one kind, and not with published numbers.",
    EVAL_SOURCES,
    scoring,
    COUNT(scoring),
    &given.settings,
    "dataset context"};

/* n rows of numbers, from a file or computed. */
typedef struct rows {
    jem_array *array;
    float *own;
    const float *values;
    int64_t n, d;
} rows;

static void rows_free(rows *r)
{
    jem_array_destroy(r->array);
    free(r->own);
}

static int rows_load(rows *r, const char *path)
{
    jem_type type;
    int64_t dimensions, shape[8];
    const void *values;
    TRY(check(jem_array_load(&r->array, path)));
    TRY(check(jem_array_info(r->array, &type, &dimensions, shape, &values)));
    if (type != JEM_TYPE_F32 || dimensions != 2)
        return fail("%s: got %" PRId64 " dimensions%s, expected float32 [n,d]", path, dimensions,
                    type == JEM_TYPE_F32 ? "" : " of another type");
    r->values = values;
    r->n = shape[0];
    r->d = shape[1];
    return 0;
}

/* Where images come from: an array, or a set. */
typedef struct source {
    const images *set;
    const float *x;
    int64_t n;
} source;

static int rows_compute(rows *r, eval_work *w, const source *from, int logits)
{
    progress bar;
    TRY(check(jem_model_info(w->model, NULL, NULL, NULL, NULL, &r->d)));
    if (logits) r->d = w->classes;
    r->n = from->n;
    r->own = allocate(r->n * r->d, sizeof *r->own);
    float *x = allocate(PIECE * w->image, sizeof *x);
    int code = r->own && x ? 0 : CODE_FAILED;
    progress_begin(&bar, "images", 0, r->n);
    for (int64_t i = 0; !code && i < r->n; i += PIECE) {
        int64_t n = r->n - i < PIECE ? r->n - i : PIECE;
        const float *at = from->set ? x : from->x + i * w->image;
        float *out = r->own + i * r->d;
        if (from->set) code = images_read(from->set, i, n, x, NULL);
        if (!code)
            code = check_input(from->set ? from->set->name : mine.samples,
                               logits ? jem_model_logits(w->model, at, n, out, n * r->d)
                                      : jem_model_features(w->model, at, n, out, n * r->d));
        progress_update(&bar, i + n, NULL);
    }
    progress_end(&bar);
    free(x);
    r->values = r->own;
    return code;
}

/* The samples through the model. */
static int rows_of_samples(rows *r, eval_work *w, int logits)
{
    int64_t c, h, width;
    images set = {0};
    source from = {0};
    if (has_suffix(mine.samples, ".npy")) {
        jem_array *array;
        TRY(array_images(&array, mine.samples, w->model, &from.x, &from.n));
        int code = rows_compute(r, w, &from, logits);
        jem_array_destroy(array);
        return code;
    }
    TRY(check(jem_model_info(w->model, &c, &h, &width, NULL, NULL)));
    TRY(images_open(&set, w->context, mine.samples, w->config, NULL, c, h, width));
    from.set = &set;
    from.n = set.count;
    int code = rows_compute(r, w, &from, logits);
    images_close(&set);
    return code;
}

/* Options of a model, or of sets, where numbers in files leave nothing for them to do. */
static int check_given(int needs_model, int needs_set, const char *why)
{
    char text[160];
    snprintf(text, sizeof text, "--model has no effect %s", why);
    if (given.model && !needs_model) return options_exclude(text);
    if (!needs_model) TRY(effect_none(&given.settings, "model.", why));
    return needs_set ? 0 : effect_none(&given.settings, "dataset.", why);
}

static int is_set(const char *samples)
{
    return samples && !has_suffix(samples, ".npy");
}

/* ---- frechet ---- */

static int compare(eval_work *w, rows *a, rows *b)
{
    double distance;
    json out;
    const source data = {&w->set, NULL, w->set.count};
    TRY(mine.features ? rows_load(a, mine.features) : rows_of_samples(a, w, 0));
    TRY(mine.reference ? rows_load(b, mine.reference) : rows_compute(b, w, &data, 0));
    if (a->d != b->d)
        return fail("the samples have %" PRId64 " features, the reference %" PRId64, a->d, b->d);
    TRY(check(jem_eval_frechet(a->values, a->n, b->values, b->n, a->d, &distance)));
    json_open(&out, stdout, given.compact);
    json_object(&out, NULL);
    json_text(&out, "samples", mine.features ? mine.features : mine.samples);
    json_text(&out, "reference", mine.reference ? mine.reference : w->set.name);
    json_integer(&out, "images", a->n);
    json_integer(&out, "reference_images", b->n);
    json_integer(&out, "features", a->d);
    json_number(&out, "frechet", distance);
    eval_end(&out);
    return 0;
}

static int run_frechet(eval_work *w)
{
    rows a = {0}, b = {0};
    int needs_model = !mine.features || !mine.reference;
    if (needs_model && !given.model) return options_exclude("eval frechet: --model is missing");
    if (!mine.features == !mine.samples)
        return options_exclude("eval frechet: needs one of --samples and --features");
    if (!mine.reference == !given.data)
        return options_exclude("eval frechet: needs one of --data and --reference");
    TRY(check_given(needs_model, given.data || is_set(mine.samples),
                    needs_model ? "without a SOURCE of images"
                                : "with --features and --reference"));
    int code = compare(w, &a, &b);
    rows_free(&a);
    rows_free(&b);
    return code;
}

/* ---- inception ---- */

static void softmax(float *row, int64_t k)
{
    double sum = 0, top = row[0];
    for (int64_t j = 1; j < k; j++) top = fmax(top, row[j]);
    for (int64_t j = 0; j < k; j++) sum += exp(row[j] - top);
    for (int64_t j = 0; j < k; j++) row[j] = (float)(exp(row[j] - top) / sum);
}

static int score(eval_work *w, rows *p)
{
    double mean, deviation;
    json out;
    int64_t parts = mine.parts;
    TRY(mine.probabilities ? rows_load(p, mine.probabilities) : rows_of_samples(p, w, 1));
    for (int64_t i = 0; !mine.probabilities && i < p->n; i++) softmax(p->own + i * p->d, p->d);
    TRY(check(jem_eval_inception(p->values, p->n, p->d, parts, &mean, &deviation)));
    json_open(&out, stdout, given.compact);
    json_object(&out, NULL);
    json_text(&out, "samples", mine.probabilities ? mine.probabilities : mine.samples);
    json_integer(&out, "images", p->n);
    json_integer(&out, "parts", parts);
    json_number(&out, "inception", mean);
    json_number(&out, "deviation", deviation);
    eval_end(&out);
    return 0;
}

static int run_inception(eval_work *w)
{
    rows p = {0};
    if (!mine.probabilities == !mine.samples)
        return options_exclude("eval inception: needs one of --samples and --probabilities");
    if (mine.samples && !given.model) return options_exclude("eval inception: --model is missing");
    TRY(check_given(mine.samples != NULL, is_set(mine.samples),
                    mine.samples ? "without a SOURCE of images" : "with --probabilities"));
    int code = score(w, &p);
    rows_free(&p);
    return code;
}

int eval_frechet(int argc, char **argv)
{
    return eval_run(&frechet, argc, argv, run_frechet);
}

int eval_inception(int argc, char **argv)
{
    return eval_run(&inception, argc, argv, run_inception);
}
