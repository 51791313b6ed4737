#include "train/average.h"
#include "base/config.h"
#include "base/memory.h"
#include "base/status.h"
#include "tensor/kernels.h"
#include <math.h>
#include <string.h>

/* ---- All values of a model ---- */

int64_t jem__model_elements(jem_model *model)
{
    const jem__parameter *list;
    int64_t n = jem__model_parameters(model, &list), total = 0;
    for (int64_t i = 0; i < n; i++) total += list[i].elements;
    return total;
}

void jem__model_copy_out(jem_model *model, float *values)
{
    const jem__parameter *list;
    int64_t n = jem__model_parameters(model, &list);
    for (int64_t i = 0; i < n; values += list[i++].elements)
        memcpy(values, list[i].value, (size_t)list[i].elements * sizeof *values);
}

void jem__model_copy_in(jem_model *model, const float *values)
{
    const jem__parameter *list;
    int64_t n = jem__model_parameters(model, &list);
    for (int64_t i = 0; i < n; values += list[i++].elements)
        memcpy(list[i].value, values, (size_t)list[i].elements * sizeof *values);
    jem__model_touch(model);
}

jem_status jem__model_with(jem_model **copy, const jem_model *model, const float *values)
{
    JEM__TRY(jem_model_clone(copy, model));
    jem__model_copy_in(*copy, values);
    return JEM_OK;
}

/* ---- The average ---- */

jem_status jem__average_read(jem__average *a, const jem_config *config, jem_model *model)
{
    a->decay = jem__config_f64(config, "trainer.ema");
    if (a->decay == 0) return JEM_OK;
    a->elements = jem__model_elements(model);
    JEM__TRY(jem__alloc(&a->values, a->elements, sizeof *a->values));
    jem__model_copy_out(model, a->values);
    return JEM_OK;
}

void jem__average_clear(jem__average *a)
{
    jem__free(a->values);
    a->values = NULL;
}

void jem__average_add(jem__average *a, jem_model *model, int64_t t)
{
    const jem__parameter *list;
    int64_t n = jem__model_parameters(model, &list);
    float *at = a->values;
    if (a->decay == 0) return;
    if (t == 1) {
        jem__model_copy_out(model, a->values);
        return;
    }
    double share = (1 - a->decay) / (1 - pow(a->decay, (double)t));
    for (int64_t i = 0; i < n; at += list[i++].elements)
        jem__kernels_here()->approach((float)share, list[i].value, at, list[i].elements);
}
