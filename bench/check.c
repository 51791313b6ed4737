/* check: what is timed against the plain path (one operator a step, float32), on a
   small batch: energies, gradients, and the weights after a training step. */
#include "bench.h"
#include "model/internal.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IMAGES = 16, CLASSES = 10 };

/* Energies, dE/dx and the change of the weights in one step. */
typedef struct answers {
    float *energy, *gradient, *change;
    int64_t image, weights;
} answers;

static jem_status learn(const bench_options *o, jem_context *context, jem_model *model,
                        const float *x, answers *a)
{
    jem_dataset *data = NULL;
    jem_trainer *trainer = NULL;
    jem_config *config = NULL;
    int32_t y[IMAGES];
    for (int i = 0; i < IMAGES; i++) y[i] = i % CLASSES;
    memcpy(a->change, model->values, (size_t)a->weights * sizeof *a->change);
    jem_status status = bench_configure(o, &config);
    if (!status) status = jem_config_parse(config, "loader.shuffle=0 optimizer.name=sgd");
    if (!status) status = jem_dataset_create(&data, context, x, JEM_TYPE_F32, y, IMAGES, 3, 32, 32);
    if (!status) status = jem_trainer_create(&trainer, model, data, config);
    if (!status) status = jem_trainer_step(trainer);
    for (int64_t i = 0; i < a->weights; i++) a->change[i] = model->values[i] - a->change[i];
    jem_trainer_destroy(trainer);
    jem_dataset_destroy(data);
    jem_config_destroy(config);
    return status;
}

static jem_status answer(const bench_options *o, answers *a)
{
    jem_context *context = NULL;
    jem_model *model = NULL;
    float *x = NULL;
    jem_status status = bench_model(o, &context, &model);
    if (!status) {
        const jem__graph *g = &model->graph;
        const jem__parameter *last = &model->parameters[g->parameter_count - 1];
        a->image = g->input.c * g->input.h * g->input.w;
        a->weights = last->value + last->elements - model->values;
        a->energy = calloc(IMAGES, sizeof(float));
        a->gradient = calloc((size_t)(IMAGES * a->image), sizeof(float));
        a->change = calloc((size_t)a->weights, sizeof(float));
        x = bench_images(model, IMAGES, 1);
        if (!x || !a->energy || !a->gradient || !a->change) status = JEM_ERROR_MEMORY;
    }
    if (!status) status = jem_model_energy_gradient(model, x, NULL, IMAGES, a->energy, a->gradient);
    if (!status) status = learn(o, context, model, x, a);
    free(x);
    jem_model_destroy(model);
    jem_context_destroy(context);
    return status;
}

static void drop(answers *a)
{
    free(a->energy);
    free(a->gradient);
    free(a->change);
}

/* Root of the squared differences over that of the squares, about the mean if asked. */
static double error(const float *got, const float *want, int64_t n, int centered)
{
    double mean = 0, sum = 0, size = 0;
    for (int64_t i = 0; centered && i < n; i++) mean += (double)want[i] / (double)n;
    for (int64_t i = 0; i < n; i++) {
        double d = (double)got[i] - (double)want[i], w = (double)want[i] - mean;
        sum += d * d;
        size += w * w;
    }
    return sqrt(sum / size);
}

static double cosine(const float *a, const float *b, int64_t n)
{
    double dot = 0, aa = 0, bb = 0;
    for (int64_t i = 0; i < n; i++) {
        dot += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return dot / sqrt(aa * bb);
}

int bench_check(const bench_options *o)
{
    bench_options small = *o, plain;
    answers got = {0}, want = {0};
    small.batch = IMAGES;
    small.steps = 2;
    plain = small;
    plain.precision = "f32";
    plain.fuse = 0;
    jem_status status = answer(&small, &got);
    if (!status) status = answer(&plain, &want);
    int failed = status ? bench_fail("check") : 0;
    if (!failed)
        printf("{\"what\": \"check\", \"energy_error\": %.2g, \"gradient_error\": %.2g, "
               "\"gradient_cosine\": %.6f, \"weights_error\": %.2g, \"precision\": \"%s\"}\n",
               error(got.energy, want.energy, IMAGES, 1),
               error(got.gradient, want.gradient, IMAGES * want.image, 0),
               cosine(got.gradient, want.gradient, IMAGES * want.image),
               error(got.change, want.change, want.weights, 0), o->runs);
    fflush(stdout);
    drop(&got);
    drop(&want);
    return failed;
}
