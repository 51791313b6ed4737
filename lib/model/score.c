/* Plain scoring calls: check, borrow a pass, run. Evaluation mode. */
#include "base/memory.h"
#include "base/status.h"
#include "energy/energy.h"
#include "model/internal.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

/* Langevin chains leave [-1,1] by a little, pixels of 0..255 by a lot. */
static const float far_outside = 16;

/* Non-finite if any of n values is: x * 0 is NaN for those, 0 otherwise. */
static int64_t first_bad(const float *x, int64_t n)
{
    float sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i] * 0;
    if (sum == 0) return -1;
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(x[i])) return i;
    return -1;
}

static jem_status check_finite(const char *function, const float *x, int64_t i, int64_t image)
{
    int64_t bad = first_bad(x + i * image, image);
    if (bad < 0) return JEM_OK;
    return jem__fail(JEM_ERROR_ARGUMENT,
                     "%s: image %" PRId64 ", value %" PRId64 " is %g, expected a finite number",
                     function, i, bad, (double)x[i * image + bad]);
}

static jem_status check_range(const char *function, const float *x, int64_t i, int64_t image)
{
    float low = 0, high = 0;
    for (int64_t j = i * image; j < (i + 1) * image; j++) {
        low = x[j] < low ? x[j] : low;
        high = x[j] > high ? x[j] : high;
    }
    if (low >= -far_outside && high <= far_outside) return JEM_OK;
    return jem__fail(JEM_ERROR_ARGUMENT,
                     "%s: image %" PRId64 " got values %g..%g, expected about -1..1 "
                     "(a model made with model.check_input=0 accepts them)",
                     function, i, (double)low, (double)high);
}

static jem_status check_labels(const jem_model *model, const char *function, const int32_t *y,
                               int64_t n)
{
    for (int64_t i = 0; y && i < n; i++)
        if (y[i] < 0 || y[i] >= model->graph.classes)
            return jem__fail(JEM_ERROR_ARGUMENT,
                             "%s: label %" PRId64 " is %d, expected 0..%" PRId64, function, i, y[i],
                             model->graph.classes - 1);
    return JEM_OK;
}

static jem_status check_images(const jem_model *model, const char *function, const float *x,
                               int64_t n, int32_t range)
{
    const jem__image in = model->graph.input;
    int64_t image = in.c * in.h * in.w;
    JEM__TRY(jem__check_count(function, "n", n, image * (int64_t)sizeof *x));
    for (int64_t i = 0; i < n; i++) {
        JEM__TRY(check_finite(function, x, i, image));
        if (range) JEM__TRY(check_range(function, x, i, image));
    }
    return JEM_OK;
}

jem_status jem__model_check(const jem_model *model, const char *function, const float *x,
                            const int32_t *y, int64_t n)
{
    JEM__TRY(check_images(model, function, x, n, model->check_input));
    return check_labels(model, function, y, n);
}

jem_status jem__model_check_chain(const jem_model *model, const char *function, const float *x,
                                  const int32_t *y, int64_t n)
{
    JEM__TRY(check_images(model, function, x, n, 0));
    return check_labels(model, function, y, n);
}

static jem_status check_call(const jem_model *model, const char *function, const float *x,
                             const int32_t *y, int64_t n, const void *out)
{
    JEM__REQUIRE(model, function);
    if (n < 0)
        return jem__fail(JEM_ERROR_ARGUMENT, "%s: n is %" PRId64 ", expected >= 0", function, n);
    if (n == 0) return JEM_OK;
    JEM__REQUIRE(x, function);
    if (!out) return jem__fail(JEM_ERROR_ARGUMENT, "%s: the output is NULL", function);
    return jem__model_check(model, function, x, y, n);
}

static jem_status infer(jem_model *model, const float *x, int64_t n, jem__wanted wanted)
{
    jem_pass *pass = NULL;
    JEM__TRY(jem__pass_borrow(&pass, model, JEM_PASS_INFER));
    jem_status status = jem__pass_infer(pass, x, n, &wanted);
    jem__pass_return(pass);
    return status;
}

jem_status jem_model_logits(jem_model *model, const float *x, int64_t n, float *logits,
                            int64_t capacity)
{
    JEM__TRY(check_call(model, "jem_model_logits", x, NULL, n, logits));
    JEM__ENTER(model->context, "jem_model_logits");
    JEM__TRY(jem__check_capacity("jem_model_logits", "logits", capacity, n, model->graph.classes));
    return infer(model, x, n, (jem__wanted){.logits = logits});
}

jem_status jem_model_features(jem_model *model, const float *x, int64_t n, float *features,
                              int64_t capacity)
{
    int64_t each;
    JEM__TRY(check_call(model, "jem_model_features", x, NULL, n, features));
    JEM__ENTER(model->context, "jem_model_features");
    JEM__TRY(jem_model_info(model, NULL, NULL, NULL, NULL, &each));
    JEM__TRY(jem__check_capacity("jem_model_features", "features", capacity, n, each));
    return infer(model, x, n, (jem__wanted){.features = features});
}

jem_status jem__model_outputs(jem_model *model, const float *x, int64_t n, float *logits,
                              float *energy)
{
    return infer(model, x, n, (jem__wanted){.logits = logits, .energy = energy});
}

jem_status jem_model_energy(jem_model *model, const float *x, const int32_t *y, int64_t n,
                            float *energy)
{
    JEM__TRY(check_call(model, "jem_model_energy", x, y, n, energy));
    JEM__ENTER(model->context, "jem_model_energy");
    return infer(model, x, n, (jem__wanted){.energy = energy, .y = y});
}

typedef struct outputs {
    float *energy, *gradient;
    int64_t image;
} outputs;

static jem_status keep(void *user, int64_t step, int64_t first, int64_t n, float *x,
                       const float *dx, const float *energy)
{
    outputs *out = user;
    (void)step, (void)x;
    memcpy(out->gradient + first * out->image, dx, (size_t)(n * out->image) * sizeof *dx);
    if (out->energy) memcpy(out->energy + first, energy, (size_t)n * sizeof *energy);
    return JEM_OK;
}

jem_status jem_model_energy_gradient(jem_model *model, const float *x, const int32_t *y, int64_t n,
                                     float *energy, float *gradient)
{
    jem_pass *pass = NULL;
    JEM__TRY(check_call(model, "jem_model_energy_gradient", x, y, n, gradient));
    JEM__ENTER(model->context, "jem_model_energy_gradient");
    const jem__image in = model->graph.input;
    outputs out = {energy, gradient, in.c * in.h * in.w};
    jem__walk walk = {.user = &out, .y = y, .steps = 1, .move = keep};
    JEM__TRY(jem__pass_borrow(&pass, model, JEM_PASS_INPUT_GRADIENT));
    jem_status status = jem__pass_walk(pass, (float *)x, n, &walk); /* keep leaves x alone */
    jem__pass_return(pass);
    return status;
}
