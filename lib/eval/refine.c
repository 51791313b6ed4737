/* Images moved by a short chain before they are looked at. */
#include "base/config.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/status.h"
#include "eval/eval.h"
#include "model/model.h"
#include "sample/sampler.h"
#include "tensor/kernels.h"
#include <inttypes.h>
#include <jem/eval.h>
#include <string.h>

jem_status jem__refiner_create(jem__refiner *r, const char *function, jem_model *model,
                               const jem_config *config, int64_t rounds)
{
    int64_t steps;
    *r = (jem__refiner){.model = model};
    r->copies = jem__config_i64(config, "refine.copies");
    r->noise = (float)jem__config_f64(config, "refine.noise");
    r->steps = jem__config_i64(config, "sampler.steps");
    r->seed = (uint64_t)jem__config_i64(config, "sampler.seed");
    r->stream = (uint64_t)jem__config_i64(config, "sampler.stream");
    if (!jem__multiply(rounds, r->steps, &steps) || steps > UINT32_MAX || rounds > UINT32_MAX)
        return jem__fail(JEM_ERROR_CONFIG,
                         "%s: %" PRId64 " evaluations with sampler.steps=%" PRId64
                         ", expected less than 2^32 steps in all",
                         function, rounds, r->steps);
    JEM__TRY(jem__eval_shape_of(&r->shape, model));
    r->room = r->shape.piece / r->copies;
    if (r->room < 1) r->room = 1;
    int64_t images = r->room * r->copies, values;
    if (!jem__multiply(images, r->shape.image, &values))
        return jem__fail(JEM_ERROR_MEMORY, "%s: %" PRId64 " copies are too many", function, images);
    jem_status status = jem__alloc(&r->x, values, sizeof *r->x);
    if (!status) status = jem__alloc(&r->logits, images * r->shape.classes, sizeof *r->logits);
    if (!status) status = jem_sampler_create(&r->sampler, model, config);
    if (status)
        jem__refiner_clear(r);
    else
        jem__sampler_evaluate(r->sampler);
    return status;
}

void jem__refiner_clear(jem__refiner *r)
{
    jem_sampler_destroy(r->sampler);
    jem__free(r->x);
    jem__free(r->logits);
    *r = (jem__refiner){0};
}

static void add_noise(const jem__refiner *r, float *x, int64_t copy, int64_t round)
{
    enum { PART = 1024 };
    const jem__kernels *kernels = jem__kernels_here();
    float normal[PART];
    jem__random random;
    if (!(r->noise > 0)) return;
    jem__random_at(&random, r->seed, JEM__RANDOM_COPY, r->stream, (uint64_t)copy, (uint32_t)round);
    for (int64_t i = 0; i < r->shape.image; i += PART) {
        int64_t n = r->shape.image - i < PART ? r->shape.image - i : PART;
        kernels->fill_normal(&random, normal, n);
        kernels->axpy(r->noise, normal, x + i, n);
    }
}

static void mean_of_copies(const jem__refiner *r, int64_t n, float *logits)
{
    int64_t k = r->shape.classes;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < k; j++) {
            double sum = 0;
            for (int64_t c = 0; c < r->copies; c++) sum += r->logits[(i * r->copies + c) * k + j];
            logits[i * k + j] = (float)(sum / (double)r->copies);
        }
}

jem_status jem__refiner_run(jem__refiner *r, const float *x, int64_t n, int64_t number,
                            int64_t round, float *logits)
{
    int64_t image = r->shape.image, copies = n * r->copies, first = number * r->copies;
    for (int64_t i = 0; i < copies; i++) {
        memcpy(r->x + i * image, x + i / r->copies * image, (size_t)image * sizeof *x);
        add_noise(r, r->x + i * image, first + i, round);
    }
    /* Noise may carry copies beyond the range of images: what counts is where chains end. */
    JEM__TRY(jem__sampler_step_on(r->sampler, r->x, copies, first, round * r->steps, r->steps));
    JEM__TRY(jem__eval_check_reach(r->model, r->x, copies, first));
    JEM__TRY(jem_model_logits(r->model, r->x, copies, r->logits, copies * r->shape.classes));
    mean_of_copies(r, n, logits);
    return JEM_OK;
}

jem_status jem_eval_refined_logits(jem_model *model, const float *x, int64_t n, int64_t first,
                                   const jem_config *config, float *logits, int64_t capacity)
{
    static const char function[] = "jem_eval_refined_logits";
    jem__refiner r;
    JEM__TRY(jem__eval_check_images(function, model, x, n, logits));
    JEM__ENTER(jem__model_context(model), function);
    JEM__TRY(jem__refiner_create(&r, function, model, config, 1));
    jem_status status = jem__eval_check_first(function, first, n, r.copies);
    if (!status) status = jem__check_capacity(function, "logits", capacity, n, r.shape.classes);
    for (int64_t i = 0; !status && i < n; i += r.room)
        status = jem__refiner_run(&r, x + i * r.shape.image, n - i < r.room ? n - i : r.room,
                                  first + i, 0, logits + i * r.shape.classes);
    jem__refiner_clear(&r);
    return status;
}
