/* Logits and scores of many images, piece by piece, so that memory stays small
   whatever their number is. */
#include "base/memory.h"
#include "base/status.h"
#include "model/model.h"
#include <inttypes.h>
#include <jem/eval.h>
#include <math.h>
#include <string.h>

enum { PIECE = 256, LARGEST = 1 << 22 }; /* images; values */

static float log_px(const float *logits, int64_t k, double top, double sum)
{
    return (float)(top + log(sum));
}

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

/* A score of one image's logits; top is the largest, sum that of
   exp(logit - top). NULL for the one that needs the gradient. */
typedef float score_function(const float *logits, int64_t k, double top, double sum);

static const struct score {
    const char *name;
    score_function *of_logits;
} table[] = {{"log_px", log_px},
             {"max_softmax", max_softmax},
             {"max_logit", max_logit},
             {"neg_entropy", neg_entropy},
             {"mass", NULL}};

static jem_status find(const struct score **score, const char *function, const char *name)
{
    JEM__REQUIRE(name, function);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (!strcmp(table[i].name, name)) {
            *score = &table[i];
            return JEM_OK;
        }
    return jem__fail(JEM_ERROR_ARGUMENT,
                     "%s: unknown score '%s', expected log_px, max_softmax, max_logit, neg_entropy "
                     "or mass",
                     function, name);
}

typedef struct shape {
    int64_t classes, image, piece; /* values of an image, images of a piece */
} shape;

static jem_status shape_of(shape *s, const jem_model *model)
{
    int64_t c, h, w;
    JEM__TRY(jem_model_info(model, &c, &h, &w, &s->classes, NULL));
    if (!jem__multiply(c, h, &s->image) || !jem__multiply(s->image, w, &s->image))
        return jem__fail(JEM_ERROR_SHAPE,
                         "an image of %" PRId64 "x%" PRId64 "x%" PRId64 " is too large", c, h, w);
    int64_t larger = s->image > s->classes ? s->image : s->classes;
    s->piece = larger > LARGEST / PIECE ? LARGEST / larger : PIECE;
    if (s->piece < 1) s->piece = 1;
    return JEM_OK;
}

/* The images of a dataset have the model's shape and there is room for them. */
static jem_status check_data(const char *function, const jem_model *model, const jem_dataset *data,
                             int64_t capacity, int64_t *count)
{
    int64_t c, h, w, mc, mh, mw;
    JEM__TRY(jem_dataset_info(data, count, &c, &h, &w, NULL));
    JEM__TRY(jem_model_info(model, &mc, &mh, &mw, NULL, NULL));
    if (c != mc || h != mh || w != mw)
        return jem__fail(JEM_ERROR_SHAPE,
                         "%s: images of the dataset are %" PRId64 "x%" PRId64 "x%" PRId64
                         ", expected the model's %" PRId64 "x%" PRId64 "x%" PRId64,
                         function, c, h, w, mc, mh, mw);
    if (capacity < *count)
        return jem__fail(JEM_ERROR_SHAPE,
                         "%s: capacity is %" PRId64 " images, expected at least %" PRId64, function,
                         capacity, *count);
    return JEM_OK;
}

jem_status jem_eval_logits(jem_model *model, const jem_dataset *data, float *logits,
                           int32_t *labels, int64_t capacity)
{
    static const char function[] = "jem_eval_logits";
    float *x = NULL;
    int64_t count;
    shape s;
    JEM__REQUIRE(model, function);
    JEM__REQUIRE(data, function);
    JEM__REQUIRE(logits, function);
    JEM__TRY(check_data(function, model, data, capacity, &count));
    JEM__TRY(shape_of(&s, model));
    JEM__TRY(jem__alloc(&x, s.piece * s.image, sizeof *x));
    jem_status status = JEM_OK;
    for (int64_t i = 0; !status && i < count; i += s.piece) {
        int64_t n = count - i < s.piece ? count - i : s.piece;
        status = jem_dataset_read(data, i, n, x, labels ? labels + i : NULL);
        if (!status) status = jem_model_logits(model, x, n, logits + i * s.classes, n * s.classes);
        if (status < 0) jem__fail_in(status, "%s: images from %" PRId64, function, i);
    }
    jem__free(x);
    return status;
}

/* scratch holds a piece of logits, or for the gradient a piece of images. */
static jem_status score_piece(jem_model *model, const struct score *score, const shape *s,
                              const float *x, int64_t n, float *scratch, float *scores)
{
    if (!score->of_logits) {
        JEM__TRY(jem_model_energy_gradient(model, x, NULL, n, NULL, scratch));
        for (int64_t i = 0; i < n; i++) {
            double sum = 0;
            for (int64_t j = 0; j < s->image; j++) {
                double d = scratch[i * s->image + j];
                sum += d * d;
            }
            scores[i] = (float)-sqrt(sum);
        }
        return JEM_OK;
    }
    JEM__TRY(jem_model_logits(model, x, n, scratch, n * s->classes));
    for (int64_t i = 0; i < n; i++) {
        const float *row = scratch + i * s->classes;
        double top = row[0], sum = 0;
        for (int64_t j = 1; j < s->classes; j++) top = row[j] > top ? row[j] : top;
        for (int64_t j = 0; j < s->classes; j++) sum += exp(row[j] - top);
        scores[i] = score->of_logits(row, s->classes, top, sum);
    }
    return JEM_OK;
}

static int64_t scratch_size(const struct score *score, const shape *s)
{
    return s->piece * (score->of_logits ? s->classes : s->image);
}

jem_status jem_eval_score(jem_model *model, const char *score_name, const float *x, int64_t n,
                          float *scores)
{
    static const char function[] = "jem_eval_score";
    const struct score *score = NULL;
    float *scratch = NULL;
    shape s;
    JEM__REQUIRE(model, function);
    JEM__TRY(find(&score, function, score_name));
    if (n < 0)
        return jem__fail(JEM_ERROR_ARGUMENT, "%s: n is %" PRId64 ", expected >= 0", function, n);
    if (n == 0) return JEM_OK;
    JEM__REQUIRE(x, function);
    JEM__REQUIRE(scores, function);
    JEM__TRY(jem__model_check(model, function, x, NULL, n)); /* names images by their own index */
    JEM__TRY(shape_of(&s, model));
    JEM__TRY(jem__alloc(&scratch, scratch_size(score, &s), sizeof *scratch));
    jem_status status = JEM_OK;
    for (int64_t i = 0; !status && i < n; i += s.piece) {
        int64_t here = n - i < s.piece ? n - i : s.piece;
        status = score_piece(model, score, &s, x + i * s.image, here, scratch, scores + i);
    }
    jem__free(scratch);
    return status;
}

jem_status jem_eval_score_data(jem_model *model, const char *score_name, const jem_dataset *data,
                               float *scores, int64_t capacity)
{
    static const char function[] = "jem_eval_score_data";
    const struct score *score = NULL;
    float *x = NULL, *scratch = NULL;
    int64_t count;
    shape s;
    JEM__REQUIRE(model, function);
    JEM__REQUIRE(data, function);
    JEM__REQUIRE(scores, function);
    JEM__TRY(find(&score, function, score_name));
    JEM__TRY(check_data(function, model, data, capacity, &count));
    JEM__TRY(shape_of(&s, model));
    JEM__TRY(jem__alloc(&x, s.piece * s.image, sizeof *x));
    jem_status status = jem__alloc(&scratch, scratch_size(score, &s), sizeof *scratch);
    for (int64_t i = 0; !status && i < count; i += s.piece) {
        int64_t n = count - i < s.piece ? count - i : s.piece;
        status = jem_dataset_read(data, i, n, x, NULL);
        if (!status) status = score_piece(model, score, &s, x, n, scratch, scores + i);
        if (status < 0) jem__fail_in(status, "%s: images from %" PRId64, function, i);
    }
    jem__free(x);
    jem__free(scratch);
    return status;
}
