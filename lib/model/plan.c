/* Compiling a graph into steps, and laying out the arena. */
#include "model/plan.h"
#include "base/memory.h"
#include "base/status.h"
#include "model/parameters.h"
#include "tensor/kernels.h"
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* One more zeroed item at the end of a growing array. */
static jem_status push(void *items, int32_t *count, int32_t *room, int64_t size, void *item_out)
{
    uint8_t *data;
    memcpy(&data, items, sizeof data);
    if (*count == *room) {
        uint8_t *fresh;
        int32_t more = *room ? *room * 2 : 64;
        JEM__TRY(jem__calloc(&fresh, more, size));
        if (data) memcpy(fresh, data, (size_t)(*count * size));
        jem__free(data);
        data = fresh;
        memcpy(items, &data, sizeof data);
        *room = more;
    }
    uint8_t *item = data + *count * size;
    memset(item, 0, (size_t)size);
    memcpy(item_out, &item, sizeof item);
    (*count)++;
    return JEM_OK;
}

#define PUSH(plan, noun, out)                                                                      \
    push(&(plan)->noun##s, &(plan)->noun##_count, &(plan)->noun##_room, sizeof *(plan)->noun##s,   \
         &(out))

/* ---- Buffers ---- */

static jem_status add_buffer(jem__plan *plan, int64_t bytes, int where, void *memory,
                             int32_t *buffer)
{
    jem__buffer *b;
    JEM__TRY(PUSH(plan, buffer, b));
    b->where = where;
    b->bytes = bytes;
    b->memory = memory;
    b->first = INT32_MAX;
    b->last = -1;
    *buffer = plan->buffer_count - 1;
    return JEM_OK;
}

jem_status jem__plan_buffer(jem__plan *plan, int64_t bytes, int32_t *buffer)
{
    return add_buffer(plan, bytes, JEM__IN_ARENA, NULL, buffer);
}

jem_status jem__plan_define(jem__plan *plan, int32_t value, const jem__layout *layout)
{
    plan->values[value].layout = layout;
    return jem__plan_buffer(plan, jem__layout_bytes(layout), &plan->values[value].buffer);
}

jem_status jem__plan_layout(jem__plan *plan, int32_t type, int32_t dimensions, const int64_t *shape,
                            const jem__layout **layout)
{
    jem__layout **own;
    JEM__TRY(PUSH(plan, layout, own));
    JEM__TRY(jem__layout_create(own, type, dimensions, shape));
    *layout = *own;
    return JEM_OK;
}

jem_status jem__plan_plain(jem__plan *plan, int32_t type, jem__image shape,
                           const jem__layout **layout)
{
    int64_t dims[] = {plan->n, shape.c, shape.h, shape.w};
    return jem__plan_layout(plan, type, 4, dims, layout);
}

jem_status jem__plan_images(jem__plan *plan, int32_t type, jem__image shape, int64_t b,
                            const jem__layout **layout)
{
    jem__layout **own;
    JEM__TRY(PUSH(plan, layout, own));
    JEM__TRY(jem__layout_images(own, type, (int64_t[]){plan->n, shape.c, shape.h, shape.w}, b));
    *layout = *own;
    return JEM_OK;
}

int64_t jem__plan_elements(const jem__plan *plan, const jem__layout *layout)
{
    return jem__layout_bytes(layout) / jem__type_size(plan->type);
}

static void reorder_kernel(const jem__step *step, jem__slot *slot)
{
    jem__reorder_run(step->reorder, jem__slot_data(slot, step->buffer[0]),
                     jem__slot_data(slot, step->buffer[1]));
}

static jem_status add_reorder(jem__plan *plan, int32_t buffer, const jem__layout *from,
                              const jem__layout *to, int32_t out)
{
    jem__reorder **own;
    JEM__TRY(PUSH(plan, reorder, own));
    JEM__TRY(jem__reorder_create(own, from, to));
    JEM__TRY(jem__plan_kernel(plan, NULL, reorder_kernel, 0, (int32_t[]){buffer, out}, 2));
    plan->steps[plan->step_count - 1].reorder = *own;
    return JEM_OK;
}

jem_status jem__plan_as(jem__plan *plan, int32_t buffer, const jem__layout *from,
                        const jem__layout *to, int32_t *out)
{
    *out = buffer;
    if (jem__layout_equal(from, to)) return JEM_OK;
    JEM__TRY(jem__plan_buffer(plan, jem__layout_bytes(to), out));
    return add_reorder(plan, buffer, from, to, *out);
}

static jem_status make_plain(jem__plan *plan, int32_t value)
{
    struct jem__value *v = &plan->values[value];
    const jem__layout *plain;
    JEM__TRY(jem__plan_plain(plan, plan->type, jem__graph_shape(plan->graph, value), &plain));
    JEM__TRY(jem__plan_as(plan, v->buffer, v->layout, plain, &v->buffer));
    if (v->rest >= 0) JEM__TRY(jem__plan_as(plan, v->rest, v->layout, plain, &v->rest));
    v->layout = plain;
    return JEM_OK;
}

jem_status jem__plan_typed(jem__plan *plan, int32_t value)
{
    return jem__layout_type(plan->values[value].layout) == plan->type ? JEM_OK
                                                                      : make_plain(plan, value);
}

jem_status jem__plan_blocked(jem__plan *plan, int32_t value, int64_t *block)
{
    JEM__TRY(jem__plan_typed(plan, value));
    *block = jem__layout_block(plan->values[value].layout);
    if (*block) return JEM_OK;
    *block = 1;
    return make_plain(plan, value);
}

jem_status jem__plan_parameter(jem__plan *plan, int32_t parameter, int32_t *buffer)
{
    float *master = jem__model_master(plan->model, parameter);
    return add_buffer(plan, 0, JEM__IN_MEMORY, master, buffer);
}

jem_status jem__plan_packed(jem__plan *plan, int32_t parameter, int32_t form, const jem__node *norm,
                            const jem__layout *layout, int32_t *buffer)
{
    void *packed;
    JEM__TRY(jem__model_pack(plan->model, parameter, form, norm, layout, &packed));
    return add_buffer(plan, 0, JEM__IN_MEMORY, packed, buffer);
}

/* ---- Steps ---- */

static jem_status add_step(jem__plan *plan, const jem__node *node, const int32_t *buffers,
                           int32_t count, jem__step **out)
{
    JEM__TRY(PUSH(plan, step, *out));
    int32_t index = plan->step_count - 1;
    (*out)->node = node;
    for (int32_t i = 0; i < JEM__STEP_BUFFERS; i++) {
        (*out)->buffer[i] = i < count ? buffers[i] : -1;
        if (i >= count || buffers[i] < 0) continue;
        jem__buffer *b = &plan->buffers[buffers[i]];
        if (b->first > index) b->first = index;
        if (b->last < index) b->last = index;
    }
    return JEM_OK;
}

jem_status jem__plan_keep(jem__plan *plan, jem__primitive *primitive)
{
    jem__primitive **own;
    jem_status status = PUSH(plan, primitive, own);
    if (status)
        jem__primitive_destroy(primitive);
    else
        *own = primitive;
    return status;
}

jem_status jem__plan_call(jem__plan *plan, const jem__node *node, const jem__primitive *primitive,
                          const int32_t *buffers)
{
    jem__step *step;
    int32_t all[JEM__STEP_BUFFERS], count = jem__primitive_arguments(primitive);
    memcpy(all, buffers, (size_t)count * sizeof *all);
    int64_t scratch = jem__primitive_scratch(primitive);
    if (scratch > 0) JEM__TRY(jem__plan_buffer(plan, scratch, &all[count++]));
    JEM__TRY(add_step(plan, node, all, count, &step));
    step->primitive = primitive;
    return JEM_OK;
}

jem_status jem__plan_kernel(jem__plan *plan, const jem__node *node,
                            void (*kernel)(const jem__step *, jem__slot *), int64_t block,
                            const int32_t *buffers, int32_t count)
{
    jem__step *step;
    JEM__TRY(add_step(plan, node, buffers, count, &step));
    step->kernel = kernel;
    step->kernels = plan->kernels;
    step->block = block;
    return JEM_OK;
}

jem_status jem__plan_tiled(jem__plan *plan, const jem__node *node,
                           void (*kernel)(const jem__step *, jem__slot *),
                           const jem__primitive *primitive, const jem__tiling *tiling,
                           const int32_t *buffers, int32_t count)
{
    jem__tiling **own;
    jem__step *step;
    JEM__TRY(PUSH(plan, tiling, own));
    JEM__TRY(jem__alloc(own, 1, sizeof **own));
    **own = *tiling;
    JEM__TRY(add_step(plan, node, buffers, count, &step));
    step->kernel = kernel;
    step->kernels = plan->kernels;
    step->primitive = primitive;
    step->tiling = *own;
    return JEM_OK;
}

jem_status jem__plan_combine(jem__plan *plan, const jem__node *node,
                             void (*combine)(const jem__step *, jem__slot *const *, int64_t),
                             const int32_t *buffers, int32_t count)
{
    jem__step *step;
    JEM__TRY(add_step(plan, node, buffers, count, &step));
    step->combine = combine;
    return JEM_OK;
}

/* ---- Gradients ---- */

enum { FRESH, OLD, JOINED };

static void join_kernel(const jem__step *step, jem__slot *slot)
{
    step->kernels->add(jem__slot_data(slot, step->buffer[FRESH]),
                       jem__slot_data(slot, step->buffer[OLD]),
                       jem__slot_data(slot, step->buffer[JOINED]), step->block);
}

jem_status jem__plan_gradient(jem__plan *plan, int32_t value, int32_t buffer)
{
    struct jem__value *v = &plan->values[value];
    int32_t old = v->gradient, sum = buffer;
    v->gradient = buffer;
    if (old < 0) return JEM_OK;
    /* Several values may have a shared one, so that nothing is added to it. */
    if (plan->buffers[buffer].shared)
        JEM__TRY(jem__plan_buffer(plan, jem__layout_bytes(v->layout), &sum));
    /* Gradients of the input and of features are float32 whatever the plan's type. */
    int32_t type = jem__layout_type(v->layout);
    JEM__TRY(jem__plan_kernel(plan, NULL, join_kernel,
                              jem__layout_bytes(v->layout) / jem__type_size(type),
                              (int32_t[]){[FRESH] = buffer, [OLD] = old, [JOINED] = sum}, 3));
    plan->steps[plan->step_count - 1].kernels = jem__activations_here(type);
    v->gradient = sum;
    return JEM_OK;
}

jem_status jem__plan_gradient_out(jem__plan *plan, int32_t parameter, int32_t buffer)
{
    jem__gradient_out *out;
    JEM__TRY(PUSH(plan, gradient, out));
    out->parameter = parameter;
    out->buffer = buffer;
    plan->parameter_count = plan->step_count;
    plan->buffers[buffer].last = INT32_MAX;
    return JEM_OK;
}

int32_t jem__plan_wants_gradient(const jem__plan *plan, int32_t value)
{
    if (plan->wants & JEM__OUTPUTS_ONLY) return 0;
    return value > 0 || (plan->wants & JEM__WANT_INPUT);
}

/* ---- Arena: first fit, in order of creation ---- */

typedef struct placed {
    int64_t offset, end;
} placed;

static int by_offset(const void *a, const void *b)
{
    int64_t x = ((const placed *)a)->offset, y = ((const placed *)b)->offset;
    return (x > y) - (x < y);
}

static jem_status lay_out(jem__plan *plan)
{
    placed *busy;
    JEM__TRY(jem__alloc(&busy, plan->buffer_count, sizeof *busy));
    for (int32_t i = 0; i < plan->buffer_count; i++) {
        jem__buffer *b = &plan->buffers[i];
        int32_t count = 0;
        if (b->where != JEM__IN_ARENA || b->last < 0) continue;
        for (int32_t j = 0; j < i; j++) {
            const jem__buffer *o = &plan->buffers[j];
            if (o->where == JEM__IN_ARENA && o->last >= b->first && b->last >= o->first)
                busy[count++] = (placed){o->offset, o->offset + o->bytes};
        }
        qsort(busy, (size_t)count, sizeof *busy, by_offset);
        int64_t at = 0;
        for (int32_t j = 0; j < count; j++) {
            if (busy[j].offset >= at + b->bytes) break;
            int64_t end = (busy[j].end + 63) & ~(int64_t)63;
            if (end > at) at = end;
        }
        b->offset = at;
        if (at + b->bytes > plan->arena) plan->arena = at + b->bytes;
    }
    jem__free(busy);
    return JEM_OK;
}

/* ---- The whole ---- */

/* A buffer for the derivative by an output, which the caller fills in before the backward steps. */
static jem_status start_from(jem__plan *plan, int32_t value, int32_t *gradient)
{
    JEM__TRY(jem__plan_buffer(plan, plan->buffers[plan->values[value].buffer].bytes, gradient));
    plan->buffers[*gradient].first = plan->forward_count;
    plan->values[value].gradient = *gradient;
    return JEM_OK;
}

/* The outputs and their derivatives are plain [n,classes] and, of the head, [n]. */
static jem_status compile(jem__plan *plan)
{
    const jem__graph *g = plan->graph;
    int32_t classifier = jem__graph_classifier(g), final;
    JEM__TRY(add_buffer(plan, 0, JEM__IN_X, NULL, &plan->values[0].buffer));
    JEM__TRY(jem__plan_plain(plan, JEM__F32, g->input, &plan->values[0].layout));
    /* A value with a layout is there already: a convolution before it made it. */
    for (int32_t i = 0; i < g->node_count; i++)
        if (!plan->values[i + 1].layout) JEM__TRY(g->nodes[i].op->forward(plan, i));
    plan->forward_count = plan->step_count;
    plan->logits = plan->values[classifier + 1].buffer;
    plan->features = plan->values[classifier + 1].extra; /* the rows that it reads */
    plan->buffers[plan->logits].last = plan->buffers[plan->features].last = INT32_MAX;
    if (g->head) {
        plan->head = plan->values[g->node_count].buffer;
        plan->buffers[plan->head].last = INT32_MAX;
    }
    if (!(plan->wants & (JEM__WANT_INPUT | JEM__WANT_PARAMETERS))) return lay_out(plan);

    JEM__TRY(start_from(plan, classifier + 1, &plan->dlogits));
    if (g->head) JEM__TRY(start_from(plan, g->node_count, &plan->dhead));
    int32_t stop = plan->wants & JEM__OUTPUTS_ONLY ? classifier : 0;
    for (int32_t i = g->node_count - 1; i >= stop; i--) JEM__TRY(g->nodes[i].op->backward(plan, i));
    if (plan->wants & JEM__WANT_INPUT) {
        /* Into the caller's plain array: a reorder, or a copy of equal layouts. */
        const jem__layout *plain;
        JEM__TRY(jem__plan_plain(plan, JEM__F32, g->input, &plain));
        JEM__TRY(add_buffer(plan, 0, JEM__IN_DX, NULL, &final));
        JEM__TRY(add_reorder(plan, plan->values[0].gradient, plan->values[0].layout, plain, final));
    }
    return lay_out(plan);
}

jem_status jem__plan_create(jem__plan **out, jem_model *model, const jem__graph *graph, int64_t n,
                            int32_t wants)
{
    jem__plan *plan = NULL;
    *out = NULL;
    JEM__TRY(jem__calloc(&plan, 1, sizeof *plan));
    plan->model = model;
    plan->graph = graph;
    plan->n = n;
    plan->wants = wants;
    plan->type = jem__model_type(model);
    plan->kernels = jem__activations_here(plan->type);
    plan->head = plan->dlogits = plan->dhead = -1;
    jem_status status = jem__calloc(&plan->values, graph->node_count + 1, sizeof *plan->values);
    if (!status) {
        for (int32_t i = 0; i <= graph->node_count; i++)
            plan->values[i].gradient = plan->values[i].rest = -1;
        status = compile(plan);
    }
    if (status < 0) {
        jem__plan_destroy(plan);
        return status;
    }
    *out = plan;
    return JEM_OK;
}

void jem__plan_destroy(jem__plan *plan)
{
    if (!plan) return;
    for (int32_t i = 0; i < plan->primitive_count; i++) jem__primitive_destroy(plan->primitives[i]);
    for (int32_t i = 0; i < plan->layout_count; i++) jem__layout_destroy(plan->layouts[i]);
    for (int32_t i = 0; i < plan->tiling_count; i++) jem__free(plan->tilings[i]);
    for (int32_t i = 0; i < plan->reorder_count; i++) jem__reorder_destroy(plan->reorders[i]);
    jem__free(plan->tilings);
    jem__free(plan->reorders);
    jem__free(plan->primitives);
    jem__free(plan->layouts);
    jem__free(plan->steps);
    jem__free(plan->buffers);
    jem__free(plan->gradients);
    jem__free(plan->values);
    jem__free(plan);
}
