/* Adam (Kingma and Ba 2014) and SGD with momentum, as PyTorch defines them, and
   SAM's ascent around either. */
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
    int32_t adam, nesterov, head_only, adaptive, ascended;
    double rate, beta1, beta2, epsilon, momentum, decay, clip, rho;
    float *first, *second;
    float *kept;     /* SAM: the weights while the model has ascended ones */
    int64_t *offset; /* of each parameter in the moments; -1: it does not move */
};

/* ---- Life ---- */

static int32_t moves(const jem_optimizer *o, const jem__parameter *p)
{
    return p->kind == JEM_PARAMETER_TRAINABLE && (p->output || !o->head_only);
}

static jem_status prepare(jem_optimizer *o)
{
    JEM__TRY(jem__calloc(&o->offset, o->count, sizeof *o->offset));
    for (int64_t i = 0; i < o->count; i++) {
        int32_t mobile = moves(o, &o->parameters[i]);
        o->offset[i] = mobile ? o->elements : -1;
        if (mobile) o->elements += o->parameters[i].elements;
    }
    JEM__TRY(jem__calloc(&o->first, o->elements, sizeof *o->first));
    if (o->rho > 0) JEM__TRY(jem__alloc(&o->kept, o->elements, sizeof *o->kept));
    return o->adam ? jem__calloc(&o->second, o->elements, sizeof *o->second) : JEM_OK;
}

static jem_status read_settings(jem_optimizer *o, const jem_config *config)
{
    o->adam = strcmp(jem__config_str(config, "optimizer.name"), "adam") == 0;
    o->rate = jem__config_f64(config, "optimizer.rate");
    o->beta1 = jem__config_f64(config, "optimizer.beta1");
    o->beta2 = jem__config_f64(config, "optimizer.beta2");
    o->epsilon = jem__config_f64(config, "optimizer.epsilon");
    o->momentum = jem__config_f64(config, "optimizer.momentum");
    o->nesterov = jem__config_i64(config, "optimizer.nesterov") != 0;
    o->decay = jem__config_f64(config, "optimizer.weight_decay");
    o->clip = jem__config_f64(config, "optimizer.clip");
    o->head_only = jem__config_i64(config, "optimizer.head_only") != 0;
    o->rho = jem__config_f64(config, "optimizer.sam_rho");
    o->adaptive = jem__config_i64(config, "optimizer.sam_adaptive") != 0;
    if (o->nesterov && (o->adam || !(o->momentum > 0)))
        return jem__fail(JEM_ERROR_CONFIG,
                         "optimizer.nesterov: got 1 with optimizer.name=%s and "
                         "optimizer.momentum=%g, expected sgd and a momentum above 0",
                         o->adam ? "adam" : "sgd", o->momentum);
    return JEM_OK;
}

jem_status jem_optimizer_create(jem_optimizer **optimizer, jem_model *model,
                                const jem_config *config)
{
    jem_optimizer *o = NULL;
    JEM__REQUIRE(optimizer, "jem_optimizer_create");
    *optimizer = NULL;
    JEM__REQUIRE(model, "jem_optimizer_create");
    JEM__ENTER(jem__model_context(model), "jem_optimizer_create");
    JEM__TRY(jem__calloc(&o, 1, sizeof *o));
    o->model = jem__model_take(model);
    o->count = jem__model_parameters(model, &o->parameters);
    jem_status status = read_settings(o, config);
    if (!status) status = prepare(o);
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
    jem__free(optimizer->kept);
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

/* ---- The gradient's length ---- */

/* Global L2 norm, of gradients times weights if weighted; the first parameter for
   which it is not finite is named. */
static jem_status gradient_norm(const jem_optimizer *o, const char *function, int32_t weighted,
                                double *norm)
{
    double sum = 0;
    for (int64_t i = 0; i < o->count; i++) {
        const jem__parameter *p = &o->parameters[i];
        if (o->offset[i] < 0) continue;
        double squares =
            weighted ? jem__kernels_here()->sum_product_squares(p->value, p->gradient, p->elements)
                     : jem__kernels_here()->sum_squares(p->gradient, p->elements);
        if (!isfinite(squares))
            return jem__fail(JEM_ERROR_DIVERGED,
                             "%s: the gradient of %s is not finite at step %" PRId64, function,
                             p->name, o->steps);
        sum += squares;
    }
    *norm = sqrt(sum);
    return JEM_OK;
}

/* ---- Updates ---- */

jem_status jem__optimizer_norm(const jem_optimizer *o, double *norm)
{
    return gradient_norm(o, "jem_optimizer_step", 0, norm);
}

jem_status jem_optimizer_step(jem_optimizer *optimizer, double *norm)
{
    JEM__REQUIRE(optimizer, "jem_optimizer_step");
    JEM__ENTER(jem__model_context(optimizer->model), "jem_optimizer_step");
    jem_optimizer *o = optimizer;
    double length = 0, factor = 1;
    if (o->ascended)
        return jem__fail(JEM_ERROR_STATE,
                         "jem_optimizer_step: the weights are those of "
                         "jem_optimizer_ascend, expected jem_optimizer_restore first");
    JEM__TRY(gradient_norm(o, "jem_optimizer_step", 0, &length));
    if (norm) *norm = length;
    if (o->clip > 0) factor = fmin(1, o->clip / (length + 1e-6));
    o->steps++;
    jem__update u = {.factor = (float)factor,
                     .decay = (float)o->decay,
                     .momentum = (float)o->momentum,
                     .nesterov = o->nesterov,
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

/* ---- SAM ---- */

static jem_status check_turn(const jem_optimizer *o, const char *function, int32_t ascended)
{
    JEM__REQUIRE(o, function);
    if (o->rho > 0 && o->ascended == ascended) return JEM_OK;
    return jem__fail(JEM_ERROR_STATE, "%s: %s", function,
                     o->rho > 0 ? (ascended ? "expected jem_optimizer_ascend first"
                                            : "the weights have ascended already")
                                : "optimizer.sam_rho is 0, expected above 0");
}

jem_status jem_optimizer_ascend(jem_optimizer *optimizer)
{
    jem_optimizer *o = optimizer;
    double norm = 0;
    JEM__TRY(check_turn(o, "jem_optimizer_ascend", 0));
    JEM__ENTER(jem__model_context(o->model), "jem_optimizer_ascend");
    JEM__TRY(gradient_norm(o, "jem_optimizer_ascend", o->adaptive, &norm));
    float scale = (float)(o->rho / (norm + 1e-12));
    for (int64_t i = 0; i < o->count; i++) {
        const jem__parameter *p = &o->parameters[i];
        if (o->offset[i] < 0) continue;
        memcpy(o->kept + o->offset[i], p->value, (size_t)p->elements * sizeof *o->kept);
        jem__kernels_here()->ascend(scale, o->adaptive, p->gradient, p->value, p->elements);
    }
    o->ascended = 1;
    jem__model_touch_briefly(o->model);
    return JEM_OK;
}

jem_status jem_optimizer_restore(jem_optimizer *optimizer)
{
    jem_optimizer *o = optimizer;
    JEM__TRY(check_turn(o, "jem_optimizer_restore", 1));
    JEM__ENTER(jem__model_context(o->model), "jem_optimizer_restore");
    for (int64_t i = 0; i < o->count; i++) {
        const jem__parameter *p = &o->parameters[i];
        if (o->offset[i] < 0) continue;
        memcpy(p->value, o->kept + o->offset[i], (size_t)p->elements * sizeof *o->kept);
    }
    o->ascended = 0;
    jem__model_touch_briefly(o->model);
    return JEM_OK;
}
