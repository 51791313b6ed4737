/* The sum of a residual block and its shortcut, with the activation that follows. */
#include "base/status.h"
#include "model/fuse.h"

static void add_kernel(const jem__step *step, jem__slot *slot)
{
    step->kernels->add(jem__slot_data(slot, step->buffer[0]), jem__slot_data(slot, step->buffer[1]),
                       jem__slot_data(slot, step->buffer[2]), step->block);
}

enum { A, B, SUM, Y, D };

/* The step's node is the activation, whose slope it needs. */
static void add_activation_kernel(const jem__step *step, jem__slot *slot)
{
    const jem__activations *k = step->kernels;
    const void *a = jem__slot_data(slot, step->buffer[A]),
               *b = jem__slot_data(slot, step->buffer[B]);
    void *sum = jem__slot_data(slot, step->buffer[SUM]), *y = jem__slot_data(slot, step->buffer[Y]);
    if (step->node->op == &jem__op_leaky_relu)
        k->add_leaky_relu(a, b, sum, y, step->block, step->node->number);
    else if (step->buffer[D] < 0)
        k->add_silu(a, b, sum, y, step->block);
    else
        k->add_silu_keep(a, b, sum, y, jem__slot_data(slot, step->buffer[D]), step->block);
}

/* The sum's own memory, or that of an operand which nothing needs any more. */
static jem_status define(jem__plan *plan, int32_t index, int32_t other)
{
    const jem__node *node = &plan->graph->nodes[index];
    const struct jem__value *a = &plan->values[node->input[0]];
    struct jem__value *out = &plan->values[index + 1];
    int32_t same = other == plan->values[node->input[1]].buffer;
    out->layout = a->layout;
    if (node->input[0] != node->input[1] && jem__fuse_in_place(plan, node->input[0], index))
        out->buffer = a->buffer;
    else if (node->input[0] != node->input[1] && same &&
             jem__fuse_in_place(plan, node->input[1], index))
        out->buffer = other;
    else
        return jem__plan_define(plan, index + 1, a->layout);
    return JEM_OK;
}

static jem_status forward(jem__plan *plan, int32_t index)
{
    const jem__node *node = &plan->graph->nodes[index];
    const struct jem__value *a = &plan->values[node->input[0]], *b = &plan->values[node->input[1]];
    const struct jem__value *out = &plan->values[index + 1];
    int32_t other, activation = jem__fuse_sum(plan, index);
    JEM__TRY(jem__plan_typed(plan, node->input[0]));
    JEM__TRY(jem__plan_typed(plan, node->input[1]));
    int64_t elements = jem__plan_elements(plan, a->layout);
    JEM__TRY(jem__plan_as(plan, b->buffer, b->layout, a->layout, &other));
    JEM__TRY(define(plan, index, other));
    int32_t buffers[] = {a->buffer, other, out->buffer, -1, -1};
    if (activation < 0) return jem__plan_kernel(plan, node, add_kernel, elements, buffers, 3);
    JEM__TRY(jem__activation_define(plan, activation, a->layout));
    buffers[Y] = plan->values[activation + 1].buffer;
    buffers[D] = plan->values[activation + 1].extra;
    return jem__plan_kernel(plan, &plan->graph->nodes[activation], add_activation_kernel, elements,
                            buffers, 5);
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
    plan->buffers[gradient].shared = 1;
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

const jem__op jem__op_add = {"add", forward, backward, NULL};
