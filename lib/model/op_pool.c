/* Average over all pixels that are left. */
#include "base/status.h"
#include "model/plan.h"
#include "tensor/kernels.h"

static jem__blocked blocked(const jem__step *step, const jem__slot *slot)
{
    jem__image in = jem__graph_shape(slot->plan->graph, step->node->input[0]);
    return (jem__blocked){slot->plan->n, in.c, in.h * in.w, step->block};
}

static void pool_forward(const jem__step *step, jem__slot *slot)
{
    jem__blocked m = blocked(step, slot);
    step->kernels->channel_mean(&m, jem__slot_data(slot, step->buffer[0]),
                                jem__slot_data(slot, step->buffer[1]));
}

static void pool_backward(const jem__step *step, jem__slot *slot)
{
    jem__blocked m = blocked(step, slot);
    step->kernels->channel_mean_back(&m, jem__slot_data(slot, step->buffer[0]),
                                     jem__slot_data(slot, step->buffer[1]));
}

static jem_status forward(jem__plan *plan, int32_t index)
{
    const jem__node *node = &plan->graph->nodes[index];
    const jem__layout *plain;
    int64_t block;
    JEM__TRY(jem__plan_blocked(plan, node->input[0], &block));
    JEM__TRY(jem__plan_plain(plan, JEM__F32, node->shape, &plain));
    JEM__TRY(jem__plan_define(plan, index + 1, plain));
    int32_t buffers[] = {plan->values[node->input[0]].buffer, plan->values[index + 1].buffer};
    return jem__plan_kernel(plan, node, pool_forward, block, buffers, 2);
}

static jem_status backward(jem__plan *plan, int32_t index)
{
    const jem__node *node = &plan->graph->nodes[index];
    const struct jem__value *in = &plan->values[node->input[0]];
    const jem__layout *plain;
    int32_t dy, dx;
    if (!jem__plan_wants_gradient(plan, node->input[0])) return JEM_OK;
    JEM__TRY(jem__plan_buffer(plan, jem__layout_bytes(in->layout), &dx));
    /* A reader may have brought the value to a type of its own. */
    JEM__TRY(jem__plan_plain(plan, JEM__F32, node->shape, &plain));
    JEM__TRY(jem__plan_as(plan, plan->values[index + 1].gradient, plan->values[index + 1].layout,
                          plain, &dy));
    int32_t buffers[] = {dy, dx};
    JEM__TRY(
        jem__plan_kernel(plan, node, pool_backward, jem__layout_block(in->layout), buffers, 2));
    return jem__plan_gradient(plan, node->input[0], dx);
}

const jem__op jem__op_pool = {"pool", forward, backward, NULL};
