/* Many images piece by piece, so that memory stays small whatever their number is. */
#include "base/memory.h"
#include "base/status.h"
#include "eval/eval.h"
#include "model/model.h"
#include <inttypes.h>
#include <jem/eval.h>

enum { PIECE = 256, LARGEST = 1 << 22 }; /* images; values */

jem_status jem__eval_shape_of(jem__eval_shape *s, const jem_model *model)
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

jem_status jem__eval_check_images(const char *function, const jem_model *model, const float *x,
                                  int64_t n, const void *out)
{
    JEM__REQUIRE(model, function);
    if (n < 0)
        return jem__fail(JEM_ERROR_ARGUMENT, "%s: n is %" PRId64 ", expected >= 0", function, n);
    if (n == 0) return JEM_OK;
    JEM__REQUIRE(x, function);
    if (!out) return jem__fail(JEM_ERROR_ARGUMENT, "%s: the output is NULL", function);
    return jem__model_check(model, function, x, NULL, n); /* names images by their own index */
}

jem_status jem__eval_check_reach(const jem_model *model, const float *x, int64_t n, int64_t first)
{
    jem__eval_shape s;
    JEM__TRY(jem__eval_shape_of(&s, model));
    for (int64_t i = 0; i < n; i++)
        if (jem__model_check(model, "refine", x + i * s.image, NULL, 1) != JEM_OK)
            return jem__fail(JEM_ERROR_DIVERGED,
                             "refine: chain %" PRId64 " left the range of images", first + i);
    return JEM_OK;
}

jem_status jem__eval_check_first(const char *function, int64_t first, int64_t n, int64_t chains)
{
    int64_t most = INT64_MAX / chains;
    if (first < 0 || n > most || first > most - n)
        return jem__fail(JEM_ERROR_ARGUMENT,
                         "%s: first is %" PRId64 " of %" PRId64 " images, expected 0..%" PRId64,
                         function, first, n, n > most ? 0 : most - n);
    return JEM_OK;
}

jem_status jem__eval_check_data(const char *function, const jem_model *model,
                                const jem_dataset *data, int64_t *count)
{
    int64_t c, h, w, mc, mh, mw;
    JEM__TRY(jem_dataset_info(data, count, &c, &h, &w, NULL));
    JEM__TRY(jem_model_info(model, &mc, &mh, &mw, NULL, NULL));
    if (c != mc || h != mh || w != mw)
        return jem__fail(JEM_ERROR_SHAPE,
                         "%s: images of the dataset are %" PRId64 "x%" PRId64 "x%" PRId64
                         ", expected the model's %" PRId64 "x%" PRId64 "x%" PRId64,
                         function, c, h, w, mc, mh, mw);
    return JEM_OK;
}

jem_status jem_eval_logits(jem_model *model, const jem_dataset *data, float *logits,
                           int64_t logits_capacity, int32_t *labels, int64_t labels_capacity)
{
    static const char function[] = "jem_eval_logits";
    float *x = NULL;
    int64_t count;
    jem__eval_shape s;
    JEM__REQUIRE(model, function);
    JEM__REQUIRE(data, function);
    JEM__REQUIRE(logits, function);
    JEM__ENTER(jem__model_context(model), function);
    JEM__TRY(jem__eval_check_data(function, model, data, &count));
    JEM__TRY(jem__eval_shape_of(&s, model));
    JEM__TRY(jem__check_capacity(function, "logits", logits_capacity, count, s.classes));
    if (labels) JEM__TRY(jem__check_capacity(function, "labels", labels_capacity, count, 1));
    JEM__TRY(jem__alloc(&x, s.piece * s.image, sizeof *x));
    jem_status status = JEM_OK;
    for (int64_t i = 0; !status && i < count; i += s.piece) {
        int64_t n = count - i < s.piece ? count - i : s.piece;
        status = jem_dataset_read(data, i, n, x, INT64_MAX, labels ? labels + i : NULL);
        if (!status) status = jem_model_logits(model, x, n, logits + i * s.classes, n * s.classes);
        if (status < 0) jem__fail_in(status, "%s: images from %" PRId64, function, i);
    }
    jem__free(x);
    return status;
}
