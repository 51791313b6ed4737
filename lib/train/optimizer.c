/* Adam (Kingma and Ba 2014) and SGD with momentum, as PyTorch defines them. */
#include "train/optimizer.h"
#include "base/config.h"
#include "base/memory.h"
#include "base/status.h"
#include "model/model.h"
#include "tensor/kernels.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

struct jem_optimizer {
    jem_model *model;
    const jem__parameter *parameters;
    int64_t count, elements, steps;
    int32_t adam;
    double rate, beta1, beta2, epsilon, momentum, decay, clip;
    float *first, *second;
    int64_t *offset; /* of each parameter in the moments; -1: a statistic */
};

static jem_status prepare(jem_optimizer *o)
{
    JEM__TRY(jem__calloc(&o->offset, o->count, sizeof *o->offset));
    for (int64_t i = 0; i < o->count; i++) {
        int trainable = o->parameters[i].kind == JEM_PARAMETER_TRAINABLE;
        o->offset[i] = trainable ? o->elements : -1;
        if (trainable) o->elements += o->parameters[i].elements;
    }
    JEM__TRY(jem__calloc(&o->first, o->elements, sizeof *o->first));
    return o->adam ? jem__calloc(&o->second, o->elements, sizeof *o->second) : JEM_OK;
}

jem_status jem_optimizer_create(jem_optimizer **optimizer, jem_model *model,
                                const jem_config *config)
{
    jem_optimizer *o = NULL;
    JEM__REQUIRE(optimizer, "jem_optimizer_create");
    *optimizer = NULL;
    JEM__REQUIRE(model, "jem_optimizer_create");
    JEM__TRY(jem__calloc(&o, 1, sizeof *o));
    o->model = jem__model_take(model);
    o->count = jem__model_parameters(model, &o->parameters);
    o->adam = strcmp(jem__config_str(config, "optimizer.name"), "adam") == 0;
    o->rate = jem__config_f64(config, "optimizer.rate");
    o->beta1 = jem__config_f64(config, "optimizer.beta1");
    o->beta2 = jem__config_f64(config, "optimizer.beta2");
    o->epsilon = jem__config_f64(config, "optimizer.epsilon");
    o->momentum = jem__config_f64(config, "optimizer.momentum");
    o->decay = jem__config_f64(config, "optimizer.weight_decay");
    o->clip = jem__config_f64(config, "optimizer.clip");
    jem_status status = prepare(o);
    if (status) {
        jem_optimizer_destroy(o);
        return status;
    }
    *optimizer = o;
    return JEM_OK;
}

void jem_optimizer_destroy(jem_optimizer *optimizer)
{
    if (!optimizer) return;
    jem__free(optimizer->first);
    jem__free(optimizer->second);
    jem__free(optimizer->offset);
    jem_model_destroy(optimizer->model);
    jem__free(optimizer);
}

void jem__optimizer_state_of(jem_optimizer *o, jem__optimizer_state *state)
{
    *state = (jem__optimizer_state){o->elements, o->first, o->second, &o->steps};
}

jem_status jem_optimizer_set_rate(jem_optimizer *optimizer, double rate)
{
    JEM__REQUIRE(optimizer, "jem_optimizer_set_rate");
    if (!isfinite(rate) || rate < 0)
        return jem__fail(JEM_ERROR_ARGUMENT, "jem_optimizer_set_rate: got %g, expected >= 0", rate);
    optimizer->rate = rate;
    return JEM_OK;
}

/* Global L2 norm; the first parameter whose gradient is not finite is named. */
static jem_status gradient_norm(const jem_optimizer *o, double *norm)
{
    double sum = 0;
    for (int64_t i = 0; i < o->count; i++) {
        const jem__parameter *p = &o->parameters[i];
        if (o->offset[i] < 0) continue;
        double squares = jem__kernels_here()->sum_squares(p->gradient, p->elements);
        if (!isfinite(squares))
            return jem__fail(
                JEM_ERROR_DIVERGED,
                "jem_optimizer_step: the gradient of %s is not finite at step %" PRId64, p->name,
                o->steps);
        sum += squares;
    }
    *norm = sqrt(sum);
    return JEM_OK;
}

jem_status jem_optimizer_step(jem_optimizer *optimizer, double *norm)
{
    JEM__REQUIRE(optimizer, "jem_optimizer_step");
    jem_optimizer *o = optimizer;
    double length = 0, factor = 1;
    JEM__TRY(gradient_norm(o, &length));
    if (norm) *norm = length;
    if (o->clip > 0) factor = fmin(1, o->clip / (length + 1e-6));
    o->steps++;
    jem__update u = {.factor = (float)factor,
                     .decay = (float)o->decay,
                     .momentum = (float)o->momentum,
                     .fresh = o->steps == 1,
                     .rate = (float)o->rate};
    if (o->adam) {
        u.beta1 = (float)o->beta1;
        u.beta2 = (float)o->beta2;
        u.rest1 = (float)(1 - o->beta1);
        u.rest2 = (float)(1 - o->beta2);
        u.rate = (float)(o->rate / (1 - pow(o->beta1, (double)o->steps)));
        u.root = (float)(1 / sqrt(1 - pow(o->beta2, (double)o->steps)));
        u.epsilon = (float)o->epsilon;
    }
    for (int64_t i = 0; i < o->count; i++) {
        const jem__parameter *p = &o->parameters[i];
        if (o->offset[i] < 0) continue;
        if (o->adam)
            jem__kernels_here()->adam(&u, p->gradient, p->value, o->first + o->offset[i],
                                      o->second + o->offset[i], p->elements);
        else
            jem__kernels_here()->sgd(&u, p->gradient, p->value, o->first + o->offset[i],
                                     p->elements);
    }
    jem__model_touch(o->model);
    return JEM_OK;
}
