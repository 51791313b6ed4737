/* Scores that are higher for images like those of the training data. */
#include "base/config.h"
#include "base/memory.h"
#include "base/status.h"
#include "eval/eval.h"
#include "model/model.h"
#include "sample/sampler.h"
#include <inttypes.h>
#include <jem/eval.h>
#include <math.h>
#include <string.h>

/* ---- Of logits ---- */

static float max_softmax(const float *logits, int64_t k, double top, double sum)
{
    return (float)(1 / sum);
}

static float max_logit(const float *logits, int64_t k, double top, double sum)
{
    return (float)top;
}

/* sum p log p, with log p = (logit - top) - log sum. */
static float neg_entropy(const float *logits, int64_t k, double top, double sum)
{
    double mean = 0;
    for (int64_t j = 0; j < k; j++) mean += exp(logits[j] - top) / sum * (logits[j] - top);
    return (float)(mean - log(sum));
}

/* ---- Of the energy and its gradient ---- */

static jem_status run_logits(jem__scorer *s, const float *x, int64_t n, int64_t number,
                             float *scores);

/* log p(x) + constant. */
static jem_status log_px(jem__scorer *s, const float *x, float *scores, int64_t n)
{
    JEM__TRY(jem_model_energy(s->model, x, NULL, n, scores));
    for (int64_t i = 0; i < n; i++) scores[i] = -scores[i];
    return JEM_OK;
}

static double norm(const float *a, const float *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = b ? (double)a[i] - (double)b[i] : (double)a[i];
        sum += d * d;
    }
    return sqrt(sum);
}

/* -||d log p(x)/dx|| */
static jem_status mass(jem__scorer *s, const float *x, float *scores, int64_t n)
{
    int64_t image = s->shape.image;
    JEM__TRY(jem_model_energy_gradient(s->model, x, NULL, n, NULL, s->scratch));
    for (int64_t i = 0; i < n; i++) scores[i] = (float)-norm(s->scratch + i * image, NULL, image);
    return JEM_OK;
}

static jem_status run_log_px(jem__scorer *s, const float *x, int64_t n, int64_t number,
                             float *scores)
{
    return log_px(s, x, scores, n);
}

static jem_status run_mass(jem__scorer *s, const float *x, int64_t n, int64_t number, float *scores)
{
    return mass(s, x, scores, n);
}

/* ---- Of a short chain that begins at the image ---- */

static jem_status refine(jem__scorer *s, const float *x, int64_t n, int64_t number)
{
    memcpy(s->moved, x, (size_t)(n * s->shape.image) * sizeof *x);
    JEM__TRY(jem_sampler_step(s->sampler, s->moved, NULL, n, number, 0, s->steps));
    return jem__eval_check_reach(s->model, s->moved, n, number);
}

/* The measure before minus after. */
static jem_status difference(jem__scorer *s, const float *x, int64_t n, int64_t number,
                             float *scores,
                             jem_status (*measure)(jem__scorer *, const float *, float *, int64_t))
{
    JEM__TRY(measure(s, x, s->before, n));
    JEM__TRY(refine(s, x, n, number));
    JEM__TRY(measure(s, s->moved, scores, n));
    for (int64_t i = 0; i < n; i++) scores[i] = s->before[i] - scores[i];
    return JEM_OK;
}

static jem_status run_refine_log_px(jem__scorer *s, const float *x, int64_t n, int64_t number,
                                    float *scores)
{
    return difference(s, x, n, number, scores, log_px);
}

static jem_status run_refine_mass(jem__scorer *s, const float *x, int64_t n, int64_t number,
                                  float *scores)
{
    return difference(s, x, n, number, scores, mass);
}

static jem_status run_refine_distance(jem__scorer *s, const float *x, int64_t n, int64_t number,
                                      float *scores)
{
    int64_t image = s->shape.image;
    JEM__TRY(refine(s, x, n, number));
    for (int64_t i = 0; i < n; i++)
        scores[i] = (float)-norm(s->moved + i * image, x + i * image, image);
    return JEM_OK;
}

/* ---- By name ---- */

struct jem__score {
    const char *name;
    /* Of one image; top is the largest logit, sum that of exp(logit - top). */
    float (*of_logits)(const float *logits, int64_t k, double top, double sum);
    jem_status (*run)(jem__scorer *s, const float *x, int64_t n, int64_t number, float *scores);
    int32_t gradient, chain; /* what it needs room for */
};

static const jem__score table[] = {
    {"log_px", NULL, run_log_px, 0, 0},
    {"max_softmax", max_softmax, run_logits, 0, 0},
    {"max_logit", max_logit, run_logits, 0, 0},
    {"neg_entropy", neg_entropy, run_logits, 0, 0},
    {"mass", NULL, run_mass, 1, 0},
    {"refine_log_px", NULL, run_refine_log_px, 0, 1},
    {"refine_distance", NULL, run_refine_distance, 0, 1},
    {"refine_mass", NULL, run_refine_mass, 1, 1},
};

int32_t jem__scorer_of_logits(const jem__scorer *s, const float *logits, float *score)
{
    int64_t k = s->shape.classes;
    if (!s->score->of_logits) return 0;
    double top = logits[jem__eval_largest(logits, k)];
    *score = s->score->of_logits(logits, k, top, jem__eval_exponentials(logits, k, top, 1));
    return 1;
}

static jem_status run_logits(jem__scorer *s, const float *x, int64_t n, int64_t number,
                             float *scores)
{
    int64_t k = s->shape.classes;
    JEM__TRY(jem_model_logits(s->model, x, n, s->scratch, n * k));
    for (int64_t i = 0; i < n; i++) jem__scorer_of_logits(s, s->scratch + i * k, &scores[i]);
    return JEM_OK;
}

static jem_status find(const jem__score **score, const char *function, const char *name)
{
    char names[256] = "";
    size_t at = 0;
    JEM__REQUIRE(name, function);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        *score = &table[i];
        if (!strcmp(table[i].name, name)) return JEM_OK;
        if (at < sizeof names)
            at += (size_t)jem__format(names + at, sizeof names - at, "%s%s", i ? ", " : "",
                                      table[i].name);
    }
    return jem__fail(JEM_ERROR_ARGUMENT, "%s: unknown score '%.64s', expected one of %s", function,
                     name, names);
}

int32_t jem__scorer_is(const jem__scorer *s, const char *name)
{
    return !strcmp(s->score->name, name);
}

jem_status jem__scorer_create(jem__scorer *s, const char *function, const char *name,
                              jem_model *model, const jem_config *config)
{
    *s = (jem__scorer){.model = model};
    JEM__TRY(find(&s->score, function, name));
    JEM__TRY(jem__eval_shape_of(&s->shape, model));
    int64_t each = s->score->gradient ? s->shape.image : s->score->of_logits ? s->shape.classes : 0;
    jem_status status = jem__alloc(&s->scratch, s->shape.piece * each, sizeof *s->scratch);
    if (!status && s->score->chain) {
        s->steps = jem__config_i64(config, "sampler.steps");
        status = jem__alloc(&s->moved, s->shape.piece * s->shape.image, sizeof *s->moved);
        if (!status) status = jem__alloc(&s->before, s->shape.piece, sizeof *s->before);
        if (!status) status = jem_sampler_create(&s->sampler, model, config);
        if (!status) jem__sampler_evaluate(s->sampler);
    }
    if (status) jem__scorer_clear(s);
    return status;
}

void jem__scorer_clear(jem__scorer *s)
{
    jem_sampler_destroy(s->sampler);
    jem__free(s->scratch);
    jem__free(s->moved);
    jem__free(s->before);
    *s = (jem__scorer){0};
}

void jem__scorer_alone(jem__scorer *s)
{
    s->alone = 1;
    if (s->sampler) jem__sampler_share_number(s->sampler);
}

jem_status jem__scorer_run(jem__scorer *s, const float *x, int64_t n, int64_t number, float *scores)
{
    return s->score->run(s, x, n, s->alone ? 0 : number, scores);
}

jem_status jem__scorer_run_data(jem__scorer *s, const char *function, const jem_dataset *data,
                                int64_t count, float *scores)
{
    float *x = NULL;
    jem_status status = jem__alloc(&x, s->shape.piece * s->shape.image, sizeof *x);
    for (int64_t i = 0; !status && i < count; i += s->shape.piece) {
        int64_t n = count - i < s->shape.piece ? count - i : s->shape.piece;
        status = jem_dataset_read(data, i, n, x, INT64_MAX, NULL);
        if (!status) status = jem__scorer_run(s, x, n, i, scores + i);
        if (status < 0) jem__fail_in(status, "%s: images from %" PRId64, function, i);
    }
    jem__free(x);
    return status;
}

/* ---- Calls ---- */

jem_status jem_eval_score(jem_model *model, const char *score, const float *x, int64_t n,
                          int64_t first, const jem_config *config, float *scores)
{
    static const char function[] = "jem_eval_score";
    jem__scorer s;
    JEM__TRY(jem__eval_check_images(function, model, x, n, scores));
    JEM__ENTER(jem__model_context(model), function);
    JEM__TRY(jem__eval_check_first(function, first, n, 1));
    JEM__TRY(jem__scorer_create(&s, function, score, model, config));
    jem_status status = JEM_OK;
    for (int64_t i = 0; !status && i < n; i += s.shape.piece) {
        int64_t here = n - i < s.shape.piece ? n - i : s.shape.piece;
        status = jem__scorer_run(&s, x + i * s.shape.image, here, first + i, scores + i);
    }
    jem__scorer_clear(&s);
    return status;
}

jem_status jem_eval_score_data(jem_model *model, const char *score, const jem_dataset *data,
                               const jem_config *config, float *scores, int64_t capacity)
{
    static const char function[] = "jem_eval_score_data";
    int64_t count;
    jem__scorer s;
    JEM__REQUIRE(model, function);
    JEM__REQUIRE(data, function);
    JEM__REQUIRE(scores, function);
    JEM__ENTER(jem__model_context(model), function);
    JEM__TRY(jem__eval_check_data(function, model, data, &count));
    JEM__TRY(jem__check_capacity(function, "scores", capacity, count, 1));
    JEM__TRY(jem__scorer_create(&s, function, score, model, config));
    jem_status status = jem__scorer_run_data(&s, function, data, count, scores);
    jem__scorer_clear(&s);
    return status;
}
