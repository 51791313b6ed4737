/* The sum of a residual block and its shortcut. */
#include "base/status.h"
#include "model/plan.h"
#include "tensor/kernels.h"

static void add_kernel(const jem__step *step, jem__slot *slot)
{
    slot->plan->kernels->add(jem__slot_data(slot, step->buffer[0]),
                             jem__slot_data(slot, step->buffer[1]),
                             jem__slot_data(slot, step->buffer[2]), step->block);
}

static jem_status forward(jem__plan *plan, int32_t index)
{
    const jem__node *node = &plan->graph->nodes[index];
    const struct jem__value *a = &plan->values[node->input[0]], *b = &plan->values[node->input[1]];
    int32_t other;
    JEM__TRY(jem__plan_as(plan, b->buffer, b->layout, a->layout, &other));
    JEM__TRY(jem__plan_define(plan, index + 1, a->layout));
    int32_t buffers[] = {a->buffer, other, plan->values[index + 1].buffer};
    return jem__plan_kernel(plan, node, add_kernel, jem__plan_elements(plan, a->layout), buffers,
                            3);
}

/* Hands the gradient on as it is; a value that has one already gets a new sum,
   because the handed-on buffer may serve several values. */
static jem_status hand_on(jem__plan *plan, const jem__node *node, int32_t value, int32_t gradient)
{
    struct jem__value *v = &plan->values[value];
    int32_t sum;
    if (!jem__plan_wants_gradient(plan, value)) return JEM_OK;
    if (v->gradient >= 0) {
        JEM__TRY(jem__plan_buffer(plan, jem__layout_bytes(v->layout), &sum));
        int32_t buffers[] = {v->gradient, gradient, sum};
        JEM__TRY(jem__plan_kernel(plan, node, add_kernel, jem__plan_elements(plan, v->layout),
                                  buffers, 3));
        gradient = sum;
    }
    v->gradient = gradient;
    return JEM_OK;
}

static jem_status backward(jem__plan *plan, int32_t index)
{
    const jem__node *node = &plan->graph->nodes[index];
    const struct jem__value *out = &plan->values[index + 1];
    for (int i = 0; i < 2; i++) {
        int32_t as;
        JEM__TRY(jem__plan_as(plan, out->gradient, out->layout, plan->values[node->input[i]].layout,
                              &as));
        JEM__TRY(hand_on(plan, node, node->input[i], as));
    }
    return JEM_OK;
}

const jem__op jem__op_add = {"add", forward, backward};
