/* Parameters: storage, initial values, access by index. */
#include "base/memory.h"
#include "base/random.h"
#include "base/status.h"
#include "model/internal.h"
#include "tensor/kernels.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

static int64_t elements_of(const jem__parameter_info *p)
{
    int64_t elements = 1;
    for (int64_t i = 0; i < p->dimensions; i++) elements *= p->shape[i];
    return elements;
}

jem_status jem__model_store(jem_model *model)
{
    const jem__graph *g = &model->graph;
    int64_t total = 0, at = 0;
    for (int32_t i = 0; i < g->parameter_count; i++)
        total += (elements_of(&g->parameters[i]) + 15) & ~(int64_t)15;
    JEM__TRY(jem__calloc(&model->parameters, g->parameter_count, sizeof *model->parameters));
    JEM__TRY(jem__calloc(&model->values, total, sizeof(float)));
    JEM__TRY(jem__calloc(&model->gradients, total, sizeof(float)));
    for (int32_t i = 0; i < g->parameter_count; i++) {
        const jem__parameter_info *info = &g->parameters[i];
        jem__parameter *p = &model->parameters[i];
        p->name = info->name;
        p->dimensions = info->dimensions;
        memcpy(p->shape, info->shape, sizeof p->shape);
        p->elements = elements_of(info);
        p->kind = info->kind;
        p->moved = info->moved;
        p->value = model->values + at;
        p->gradient = info->kind == JEM_PARAMETER_TRAINABLE ? model->gradients + at : NULL;
        at += (p->elements + 15) & ~(int64_t)15;
    }
    for (int32_t node = jem__graph_classifier(g); node < g->node_count; node++)
        for (int i = 0; i < 2; i++) model->parameters[g->nodes[node].parameter[i]].output = 1;
    return JEM_OK;
}

static jem_status initialise_task(void *user, int64_t index, int64_t worker)
{
    const jem_model *model = user;
    const jem__parameter_info *info = &model->graph.parameters[index];
    jem__parameter *p = &model->parameters[index];
    (void)worker;
    if (info->fan_in > 0) {
        float bound = (float)(1 / sqrt((double)info->fan_in));
        jem__random r;
        jem__random_at(&r, model->seed, JEM__RANDOM_INIT, 0, (uint64_t)index, 0);
        jem__kernels_here()->fill_uniform(&r, -bound, bound, p->value, p->elements);
    } else {
        for (int64_t j = 0; j < p->elements; j++) p->value[j] = info->fill;
    }
    return JEM_OK;
}

jem_status jem__model_initialise(jem_model *model)
{
    jem__model_touch(model);
    return jem__pool_run(model->context->pool, model->graph.parameter_count, initialise_task,
                         model);
}

void jem__model_drop_parameters(jem_model *model)
{
    for (int64_t i = 0; i < model->pack_count; i++) jem__pack_destroy(model->packs[i]);
    jem__free(model->packs);
    jem__free(model->drafts);
    jem__free(model->parameters);
    jem__free(model->values);
    jem__free(model->gradients);
}

/* ---- For plans ---- */

jem__engine *jem__model_engine(const jem_model *model)
{
    return model->engine;
}
jem__method jem__model_method(const jem_model *model)
{
    return model->method;
}

int32_t jem__model_type(const jem_model *model)
{
    return model->type;
}
uint64_t jem__model_seed(const jem_model *model)
{
    return model->seed;
}
int64_t jem__model_version(const jem_model *model)
{
    return model->version;
}
void jem__model_touch_briefly(jem_model *model)
{
    model->version++;
}
void jem__model_touch(jem_model *model)
{
    jem__model_touch_briefly(model);
    jem__metadata_drop(model, "calibration"); /* it was measured on the weights before */
}

float *jem__model_master(const jem_model *model, int32_t parameter)
{
    return model->parameters[parameter].value;
}

/* ---- For the rest of the library ---- */

int64_t jem__model_parameters(jem_model *model, const jem__parameter **list)
{
    *list = model->parameters;
    return model->graph.parameter_count;
}

/* ---- Public ---- */

static jem_status check(const jem_model *model, const char *function, int64_t index)
{
    JEM__REQUIRE(model, function);
    if (index < 0 || index >= model->graph.parameter_count)
        return jem__fail(JEM_ERROR_ARGUMENT, "%s: parameter %" PRId64 ", expected 0..%d", function,
                         index, model->graph.parameter_count - 1);
    return JEM_OK;
}

static jem_status check_array(const jem_model *model, const char *function, int64_t index,
                              const void *values, int64_t elements)
{
    JEM__TRY(check(model, function, index));
    JEM__REQUIRE(values, function);
    if (elements != model->parameters[index].elements)
        return jem__fail(JEM_ERROR_SHAPE, "%s: %s: got %" PRId64 " elements, expected %" PRId64,
                         function, model->parameters[index].name, elements,
                         model->parameters[index].elements);
    return JEM_OK;
}

static jem_status check_gradient(const jem_model *model, const char *function, int64_t index)
{
    if (!model->parameters[index].gradient)
        return jem__fail(JEM_ERROR_STATE, "%s: %s is a statistic and has no gradient", function,
                         model->parameters[index].name);
    return JEM_OK;
}

int64_t jem_model_parameter_count(const jem_model *model)
{
    JEM__REQUIRE(model, "jem_model_parameter_count");
    return model->graph.parameter_count;
}

jem_status jem_model_parameter_info(const jem_model *model, int64_t index, const char **name,
                                    int64_t *dimensions, int64_t *shape, int64_t *elements,
                                    jem_parameter_kind *kind)
{
    JEM__TRY(check(model, "jem_model_parameter_info", index));
    const jem__parameter *p = &model->parameters[index];
    if (name) *name = p->name;
    if (dimensions) *dimensions = p->dimensions;
    if (shape) memcpy(shape, p->shape, (size_t)p->dimensions * sizeof *shape);
    if (elements) *elements = p->elements;
    if (kind) *kind = p->kind;
    return JEM_OK;
}

int64_t jem__parameter_find(const jem_model *model, const char *name)
{
    for (int32_t i = 0; i < model->graph.parameter_count; i++)
        if (strcmp(model->parameters[i].name, name) == 0) return i;
    return -1;
}

int64_t jem_model_parameter_find(const jem_model *model, const char *name)
{
    JEM__REQUIRE(model, "jem_model_parameter_find");
    JEM__REQUIRE(name, "jem_model_parameter_find");
    int64_t index = jem__parameter_find(model, name);
    if (index >= 0) return index;
    return jem__fail(JEM_ERROR_ARGUMENT, "jem_model_parameter_find: no parameter '%.64s'", name);
}

jem_status jem_model_parameter_get(const jem_model *model, int64_t index, float *values,
                                   int64_t elements)
{
    JEM__TRY(check_array(model, "jem_model_parameter_get", index, values, elements));
    memcpy(values, model->parameters[index].value, (size_t)elements * sizeof *values);
    return JEM_OK;
}

jem_status jem_model_parameter_set(jem_model *model, int64_t index, const float *values,
                                   int64_t elements)
{
    JEM__TRY(check_array(model, "jem_model_parameter_set", index, values, elements));
    memcpy(model->parameters[index].value, values, (size_t)elements * sizeof *values);
    jem__model_touch(model);
    return JEM_OK;
}

jem_status jem_model_parameter_map(jem_model *model, int64_t index, float **values)
{
    JEM__REQUIRE(values, "jem_model_parameter_map");
    *values = NULL;
    JEM__TRY(check(model, "jem_model_parameter_map", index));
    *values = model->parameters[index].value;
    return JEM_OK;
}

jem_status jem_model_parameter_unmap(jem_model *model, int64_t index)
{
    JEM__TRY(check(model, "jem_model_parameter_unmap", index));
    jem__model_touch(model);
    return JEM_OK;
}

jem_status jem_model_gradient_get(const jem_model *model, int64_t index, float *values,
                                  int64_t elements)
{
    JEM__TRY(check_array(model, "jem_model_gradient_get", index, values, elements));
    JEM__TRY(check_gradient(model, "jem_model_gradient_get", index));
    memcpy(values, model->parameters[index].gradient, (size_t)elements * sizeof *values);
    return JEM_OK;
}

jem_status jem_model_gradient_map(jem_model *model, int64_t index, float **values)
{
    JEM__REQUIRE(values, "jem_model_gradient_map");
    *values = NULL;
    JEM__TRY(check(model, "jem_model_gradient_map", index));
    JEM__TRY(check_gradient(model, "jem_model_gradient_map", index));
    *values = model->parameters[index].gradient;
    return JEM_OK;
}

jem_status jem_model_gradient_zero(jem_model *model)
{
    JEM__REQUIRE(model, "jem_model_gradient_zero");
    JEM__ENTER(model->context, "jem_model_gradient_zero");
    for (int32_t i = 0; i < model->graph.parameter_count; i++)
        if (model->parameters[i].gradient)
            memset(model->parameters[i].gradient, 0,
                   (size_t)model->parameters[i].elements * sizeof(float));
    return JEM_OK;
}
