/* Tensors that travel in the model file beside the network's own. */
#include "base/memory.h"
#include "base/status.h"
#include "model/internal.h"
#include "model/model.h"
#include <stdio.h>
#include <string.h>

static jem__extra *find(const jem_model *model, const char *name)
{
    for (int64_t i = 0; i < model->extra_count; i++)
        if (strcmp(model->extras[i].name, name) == 0) return &model->extras[i];
    return NULL;
}

int32_t jem__model_extra_get(const jem_model *model, const char *name, jem__tensor_info *tensor)
{
    const jem__extra *e = find(model, name);
    if (!e) return 0;
    *tensor = (jem__tensor_info){.name = e->name,
                                 .dtype = e->dtype,
                                 .dimensions = e->dimensions,
                                 .elements = 1,
                                 .bytes = e->bytes,
                                 .size = e->size};
    for (int64_t i = 0; i < e->dimensions; i++) {
        tensor->shape[i] = e->shape[i];
        tensor->elements *= e->shape[i];
    }
    return 1;
}

static void drop(jem__extra *e)
{
    jem__free(e->name);
    jem__free(e->bytes);
}

void jem__model_extra_remove(jem_model *model, const char *name)
{
    jem__extra *e = find(model, name);
    if (!e) return;
    drop(e);
    model->extra_count--;
    memmove(e, e + 1, (size_t)(model->extras + model->extra_count - e) * sizeof *e);
}

/* One more element; the old ones move over. */
static jem_status grow(jem_model *model)
{
    jem__extra *more;
    JEM__TRY(jem__alloc(&more, model->extra_count + 1, sizeof *more));
    if (model->extra_count) memcpy(more, model->extras, (size_t)model->extra_count * sizeof *more);
    jem__free(model->extras);
    model->extras = more;
    return JEM_OK;
}

jem_status jem__model_extra_set(jem_model *model, const jem__tensor_info *tensor)
{
    jem__extra fresh = {.dimensions = tensor->dimensions, .size = tensor->size};
    memcpy(fresh.shape, tensor->shape, sizeof fresh.shape);
    snprintf(fresh.dtype, sizeof fresh.dtype, "%s", tensor->dtype);
    fresh.name = jem__strdup(tensor->name);
    jem_status status = fresh.name ? jem__alloc(&fresh.bytes, tensor->size, 1) : JEM_ERROR_MEMORY;
    if (!status && !find(model, tensor->name)) status = grow(model);
    if (status) {
        drop(&fresh);
        return status;
    }
    memcpy(fresh.bytes, tensor->bytes, (size_t)tensor->size);
    jem__model_extra_remove(model, tensor->name);
    model->extras[model->extra_count++] = fresh;
    return JEM_OK;
}
