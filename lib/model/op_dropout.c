/* Dropout: in training each element is kept with probability 1-p and scaled by
   1/(1-p); otherwise nothing. The mask of an image is addressed by (seed, stream,
   node, image, forward number): slices and layouts do not change it. */
#include "base/random.h"
#include "base/status.h"
#include "model/parameters.h"
#include "model/plan.h"
#include "tensor/kernels.h"

static void draw_mask(const jem__step *step, const jem__slot *slot, float *mask)
{
    const jem__plan *plan = slot->plan;
    jem__image shape = step->node->shape;
    int64_t block = step->block, pixels = shape.h * shape.w;
    int64_t blocks = (shape.c + block - 1) / block;
    float p = step->node->number, keep = 1.0f / (1.0f - p);
    uint64_t node = (uint64_t)(step->node - plan->graph->nodes);
    uint64_t stream = (uint64_t)slot->dropout_stream * 65536 + node;
    for (int64_t i = 0; i < plan->n; i++) {
        jem__random r;
        jem__random_at(&r, jem__model_seed(plan->model), JEM__RANDOM_DROPOUT, stream,
                       (uint64_t)(slot->first + i), (uint32_t)slot->dropout_number);
        float *image = mask + i * blocks * pixels * block;
        for (int64_t c = 0; c < blocks * block; c++)
            for (int64_t s = 0; s < pixels; s++) {
                float *at = image + (c / block * pixels + s) * block + c % block;
                *at = c < shape.c && jem__random_uniform(&r) >= p ? keep : 0;
            }
    }
}

static void dropout_forward(const jem__step *step, jem__slot *slot)
{
    float *mask = jem__slot_data(slot, step->buffer[1]);
    draw_mask(step, slot, mask);
    step->kernels->scale(jem__slot_data(slot, step->buffer[0]), mask,
                         jem__slot_data(slot, step->buffer[2]),
                         slot->plan->buffers[step->buffer[1]].bytes / 4);
}

static void dropout_backward(const jem__step *step, jem__slot *slot)
{
    step->kernels->scale(jem__slot_data(slot, step->buffer[0]),
                         jem__slot_data(slot, step->buffer[1]),
                         jem__slot_data(slot, step->buffer[2]), step->block);
}

static jem_status forward(jem__plan *plan, int32_t index)
{
    const jem__node *node = &plan->graph->nodes[index];
    struct jem__value *in = &plan->values[node->input[0]], *out = &plan->values[index + 1];
    int64_t block;
    if (!(plan->wants & JEM__TRAINING)) {
        *out = *in;
        return JEM_OK;
    }
    JEM__TRY(jem__plan_blocked(plan, node->input[0], &block));
    JEM__TRY(jem__plan_define(plan, index + 1, in->layout));
    JEM__TRY(jem__plan_buffer(plan, jem__plan_elements(plan, in->layout) * 4, &out->extra));
    int32_t buffers[] = {in->buffer, out->extra, out->buffer};
    return jem__plan_kernel(plan, node, dropout_forward, block, buffers, 3);
}

static jem_status backward(jem__plan *plan, int32_t index)
{
    const jem__node *node = &plan->graph->nodes[index];
    struct jem__value *in = &plan->values[node->input[0]], *out = &plan->values[index + 1];
    int32_t dx;
    if (!(plan->wants & JEM__TRAINING)) {
        /* A reader may have brought the value to a layout of its own. */
        JEM__TRY(jem__plan_as(plan, out->gradient, out->layout, in->layout, &dx));
        return jem__plan_gradient(plan, node->input[0], dx);
    }
    JEM__TRY(jem__plan_buffer(plan, jem__layout_bytes(in->layout), &dx));
    int32_t buffers[] = {out->gradient, out->extra, dx};
    JEM__TRY(jem__plan_kernel(plan, node, dropout_backward, jem__plan_elements(plan, in->layout),
                              buffers, 3));
    return jem__plan_gradient(plan, node->input[0], dx);
}

const jem__op jem__op_dropout = {"dropout", forward, backward, NULL};
