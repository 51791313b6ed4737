/* Which bf16 values keep their rest, and the steps that part a float32 value and join it. */
#include "model/rest.h"
#include "base/status.h"

static int32_t sum_reads(const jem__graph *g, int32_t value)
{
    for (int32_t i = 0; i < g->node_count; i++)
        if (g->nodes[i].op == &jem__op_add && jem__node_reads(&g->nodes[i], value)) return 1;
    return 0;
}

int32_t jem__rest_exact(const jem__plan *plan, const jem__node *convolution)
{
    int32_t value = (int32_t)(convolution - plan->graph->nodes) + 1;
    if (plan->type != JEM__BF16 || convolution->op != &jem__op_convolution) return 0;
    return convolution->input[0] == 0 ||
           (convolution->kernel == 1 && sum_reads(plan->graph, value));
}

int32_t jem__rest_kept(const jem__plan *plan, int32_t value)
{
    const jem__graph *g = plan->graph;
    if (plan->type != JEM__BF16) return 0;
    for (int32_t i = 0; i < g->node_count; i++)
        if (jem__node_reads(&g->nodes[i], value) && jem__rest_exact(plan, &g->nodes[i])) return 1;
    return sum_reads(g, value);
}

static void split_kernel(const jem__step *step, jem__slot *slot)
{
    step->kernels->split(jem__slot_data(slot, step->buffer[0]),
                         jem__slot_data(slot, step->buffer[1]),
                         jem__slot_data(slot, step->buffer[2]), step->block);
}

static void join_kernel(const jem__step *step, jem__slot *slot)
{
    step->kernels->join(jem__slot_data(slot, step->buffer[0]),
                        jem__slot_data(slot, step->buffer[1]),
                        jem__slot_data(slot, step->buffer[2]), step->block);
}

jem_status jem__rest_split(jem__plan *plan, const jem__node *node, int32_t from,
                           const jem__layout *wide, int32_t value)
{
    int64_t block = jem__layout_block(wide);
    const jem__layout *layout = wide;
    struct jem__value *v = &plan->values[value];
    if (!block) {
        block = 1;
        JEM__TRY(jem__plan_plain(plan, JEM__F32, node->shape, &layout));
        JEM__TRY(jem__plan_as(plan, from, wide, layout, &from));
    }
    JEM__TRY(jem__plan_images(plan, plan->type, node->shape, block, &layout));
    JEM__TRY(jem__plan_define(plan, value, layout));
    if (jem__rest_kept(plan, value))
        JEM__TRY(jem__plan_buffer(plan, jem__layout_bytes(layout), &v->rest));
    return jem__plan_kernel(plan, node, split_kernel, jem__plan_elements(plan, layout),
                            (int32_t[]){from, v->buffer, v->rest}, 3);
}

jem_status jem__rest_join(jem__plan *plan, const jem__node *node, int32_t type, int32_t *buffer,
                          const jem__layout **layout)
{
    const struct jem__value *in = &plan->values[node->input[0]];
    *buffer = in->buffer;
    *layout = in->layout;
    if (jem__layout_type(in->layout) == type || type == plan->type) return JEM_OK;
    int64_t block;
    JEM__TRY(jem__plan_blocked(plan, node->input[0], &block));
    JEM__TRY(
        jem__plan_images(plan, type, jem__graph_shape(plan->graph, node->input[0]), block, layout));
    JEM__TRY(jem__plan_buffer(plan, jem__layout_bytes(*layout), buffer));
    return jem__plan_kernel(plan, node, join_kernel, jem__plan_elements(plan, in->layout),
                            (int32_t[]){in->buffer, in->rest, *buffer}, 3);
}
