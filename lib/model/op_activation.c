/* LeakyReLU and SiLU. */
#include "base/status.h"
#include "model/plan.h"
#include "tensor/elementwise.h"

static void leaky_forward(const jem__step *step, jem__slot *slot)
{
    jem__leaky_relu(jem__slot_data(slot, step->buffer[0]), jem__slot_data(slot, step->buffer[1]),
                    step->block, step->node->number);
}

static void leaky_backward(const jem__step *step, jem__slot *slot)
{
    jem__leaky_relu_backward(
        jem__slot_data(slot, step->buffer[0]), jem__slot_data(slot, step->buffer[1]),
        jem__slot_data(slot, step->buffer[2]), step->block, step->node->number);
}

static void silu_forward(const jem__step *step, jem__slot *slot)
{
    jem__silu(jem__slot_data(slot, step->buffer[0]), jem__slot_data(slot, step->buffer[1]),
              step->block);
}

static void silu_backward(const jem__step *step, jem__slot *slot)
{
    jem__silu_backward(jem__slot_data(slot, step->buffer[0]), jem__slot_data(slot, step->buffer[1]),
                       jem__slot_data(slot, step->buffer[2]), step->block);
}

static jem_status forward(jem__plan *plan, int32_t index)
{
    const jem__node *node = &plan->graph->nodes[index];
    const struct jem__value *in = &plan->values[node->input[0]];
    JEM__TRY(jem__plan_define(plan, index + 1, in->layout));
    int32_t buffers[] = {in->buffer, plan->values[index + 1].buffer};
    return jem__plan_kernel(plan, node, node->op == &jem__op_silu ? silu_forward : leaky_forward,
                            jem__layout_bytes(in->layout) / 4, buffers, 2);
}

/* Both derivatives come from the input, which is kept for it. */
static jem_status backward(jem__plan *plan, int32_t index)
{
    const jem__node *node = &plan->graph->nodes[index];
    const struct jem__value *in = &plan->values[node->input[0]];
    int32_t dx;
    if (!jem__plan_wants_gradient(plan, node->input[0])) return JEM_OK;
    JEM__TRY(jem__plan_buffer(plan, jem__layout_bytes(in->layout), &dx));
    int32_t buffers[] = {in->buffer, plan->values[index + 1].gradient, dx};
    JEM__TRY(jem__plan_kernel(plan, node,
                              node->op == &jem__op_silu ? silu_backward : leaky_backward,
                              jem__layout_bytes(in->layout) / 4, buffers, 3));
    return jem__plan_gradient(plan, node->input[0], dx);
}

const jem__op jem__op_leaky_relu = {"leaky_relu", forward, backward};
const jem__op jem__op_silu = {"silu", forward, backward};
