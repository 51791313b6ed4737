/* Pooling over windows: the largest value, or the average. */
#include "base/status.h"
#include "model/plan.h"

static jem__blocked blocked(const jem__step *step, const jem__slot *slot)
{
    jem__image s = step->node->shape;
    return (jem__blocked){slot->plan->n, s.c, 0, step->block};
}

static jem__windows windows(const jem__step *step, const jem__slot *slot)
{
    const jem__node *node = step->node;
    jem__image in = jem__graph_shape(slot->plan->graph, node->input[0]), out = node->shape;
    return (jem__windows){in.h, in.w, out.h, out.w, node->kernel, node->stride, node->pad};
}

enum { X, Y, INDEX };
static void forward_kernel(const jem__step *step, jem__slot *slot)
{
    jem__blocked m = blocked(step, slot);
    jem__windows w = windows(step, slot);
    const void *x = jem__slot_data(slot, step->buffer[X]);
    void *y = jem__slot_data(slot, step->buffer[Y]);
    if (step->node->op == &jem__op_max_pool)
        step->kernels->max_pool(&m, &w, x, y, jem__slot_data(slot, step->buffer[INDEX]));
    else
        step->kernels->average_pool(&m, &w, x, y);
}

/* The index stays for the way back. */
static jem_status forward(jem__plan *plan, int32_t index)
{
    const jem__node *node = &plan->graph->nodes[index];
    struct jem__value *in = &plan->values[node->input[0]], *out = &plan->values[index + 1];
    const jem__layout *layout;
    int64_t block;
    JEM__TRY(jem__plan_blocked(plan, node->input[0], &block));
    JEM__TRY(jem__plan_images(plan, plan->type, node->shape, block, &layout));
    JEM__TRY(jem__plan_define(plan, index + 1, layout));
    out->extra = -1;
    if (node->op == &jem__op_max_pool && (plan->wants & (JEM__WANT_INPUT | JEM__WANT_PARAMETERS)))
        JEM__TRY(jem__plan_buffer(plan, jem__plan_elements(plan, layout), &out->extra));
    return jem__plan_kernel(plan, node, forward_kernel, block,
                            (int32_t[]){in->buffer, out->buffer, out->extra}, 3);
}

enum { DY, DX, BACK_INDEX };
static void backward_kernel(const jem__step *step, jem__slot *slot)
{
    jem__blocked m = blocked(step, slot);
    jem__windows w = windows(step, slot);
    step->kernels->pool_back(&m, &w, jem__slot_data(slot, step->buffer[DY]),
                             jem__slot_data(slot, step->buffer[BACK_INDEX]),
                             jem__slot_data(slot, step->buffer[DX]));
}

static jem_status backward(jem__plan *plan, int32_t index)
{
    const jem__node *node = &plan->graph->nodes[index];
    const struct jem__value *in = &plan->values[node->input[0]], *out = &plan->values[index + 1];
    int64_t block = jem__layout_block(in->layout);
    const jem__layout *layout;
    int32_t dy, dx;
    if (!jem__plan_wants_gradient(plan, node->input[0])) return JEM_OK;
    /* Readers may have brought the value to a layout of their own. */
    JEM__TRY(jem__plan_images(plan, plan->type, node->shape, block, &layout));
    JEM__TRY(jem__plan_as(plan, out->gradient, out->layout, layout, &dy));
    JEM__TRY(jem__plan_buffer(plan, jem__layout_bytes(in->layout), &dx));
    JEM__TRY(
        jem__plan_kernel(plan, node, backward_kernel, block, (int32_t[]){dy, dx, out->extra}, 3));
    return jem__plan_gradient(plan, node->input[0], dx);
}

const jem__op jem__op_max_pool = {"max_pool", forward, backward, NULL};
const jem__op jem__op_average_pool = {"average_pool", forward, backward, NULL};
