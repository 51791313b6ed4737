/* LeakyReLU and SiLU. Backward, LeakyReLU needs its output alone, whose sign is
   its input's; SiLU keeps its derivative. */
#include "base/status.h"
#include "model/plan.h"

void jem__activation_run(const jem__activations *k, const jem__node *node, const void *x, void *y,
                         void *d, int64_t n)
{
    if (node->op == &jem__op_leaky_relu)
        k->leaky_relu(x, y, n, node->number);
    else if (d)
        k->silu_keep(x, y, d, n);
    else
        k->silu(x, y, n);
}

static void forward_kernel(const jem__step *step, jem__slot *slot)
{
    jem__activation_run(step->kernels, step->node, jem__slot_data(slot, step->buffer[0]),
                        jem__slot_data(slot, step->buffer[1]),
                        jem__slot_data(slot, step->buffer[2]), step->block);
}

jem_status jem__activation_define(jem__plan *plan, int32_t index, const jem__layout *layout)
{
    const jem__node *node = &plan->graph->nodes[index];
    struct jem__value *out = &plan->values[index + 1];
    JEM__TRY(jem__plan_define(plan, index + 1, layout));
    out->extra = -1;
    if (node->op == &jem__op_leaky_relu ||
        !(plan->wants & (JEM__WANT_INPUT | JEM__WANT_PARAMETERS)) ||
        !jem__plan_wants_gradient(plan, node->input[0]))
        return JEM_OK;
    return jem__plan_buffer(plan, jem__layout_bytes(layout), &out->extra);
}

static jem_status forward(jem__plan *plan, int32_t index)
{
    const jem__node *node = &plan->graph->nodes[index];
    const struct jem__value *in = &plan->values[node->input[0]], *out = &plan->values[index + 1];
    JEM__TRY(jem__plan_typed(plan, node->input[0]));
    JEM__TRY(jem__activation_define(plan, index, in->layout));
    int32_t buffers[] = {in->buffer, out->buffer, out->extra};
    return jem__plan_kernel(plan, node, forward_kernel, jem__plan_elements(plan, in->layout),
                            buffers, 3);
}

enum { KEPT, DY, DX, OTHER };

/* With another gradient of the same value their sum is taken in the same sweep. */
static void leaky_backward(const jem__step *step, jem__slot *slot)
{
    const jem__activations *k = step->kernels;
    const void *y = jem__slot_data(slot, step->buffer[KEPT]);
    const void *dy = jem__slot_data(slot, step->buffer[DY]);
    void *dx = jem__slot_data(slot, step->buffer[DX]);
    if (step->buffer[OTHER] < 0)
        k->leaky_relu_back(y, dy, dx, step->block, step->node->number);
    else
        k->leaky_relu_back_add(y, dy, jem__slot_data(slot, step->buffer[OTHER]), dx, step->block,
                               step->node->number);
}

static void silu_backward(const jem__step *step, jem__slot *slot)
{
    const jem__activations *k = step->kernels;
    const void *d = jem__slot_data(slot, step->buffer[KEPT]);
    const void *dy = jem__slot_data(slot, step->buffer[DY]);
    void *dx = jem__slot_data(slot, step->buffer[DX]);
    if (step->buffer[OTHER] < 0)
        k->multiply(d, dy, dx, step->block);
    else
        k->multiply_add(d, dy, jem__slot_data(slot, step->buffer[OTHER]), dx, step->block);
}

static jem_status backward(jem__plan *plan, int32_t index)
{
    const jem__node *node = &plan->graph->nodes[index];
    struct jem__value *in = &plan->values[node->input[0]], *out = &plan->values[index + 1];
    int32_t silu = node->op == &jem__op_silu, dx = out->gradient;
    if (!jem__plan_wants_gradient(plan, node->input[0])) return JEM_OK;
    if (plan->buffers[dx].shared)
        JEM__TRY(jem__plan_buffer(plan, jem__layout_bytes(in->layout), &dx));
    int32_t buffers[] = {silu ? out->extra : out->buffer, out->gradient, dx, in->gradient};
    in->gradient = dx;
    return jem__plan_kernel(plan, node, silu ? silu_backward : leaky_backward,
                            jem__plan_elements(plan, in->layout), buffers, 4);
}

static int32_t keeps_output(const jem__plan *plan)
{
    return JEM__KEEPS_OUTPUT;
}

const jem__op jem__op_leaky_relu = {"leaky_relu", forward, backward, keeps_output};
const jem__op jem__op_silu = {"silu", forward, backward, NULL};
