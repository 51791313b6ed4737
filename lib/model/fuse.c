#include "model/fuse.h"
#include "model/parameters.h"

static int32_t wants_gradient(const jem__plan *plan)
{
    return plan->wants & (JEM__WANT_INPUT | JEM__WANT_PARAMETERS);
}

static int32_t keeps(const jem__plan *plan, const jem__op *op, int32_t what)
{
    return wants_gradient(plan) && op->keeps && (op->keeps(plan) & what);
}

/* The only node that reads a value; -1 if there is none or several. */
static int32_t only_reader(const jem__graph *g, int32_t value)
{
    int32_t reader = -1;
    for (int32_t i = 0; i < g->node_count; i++) {
        if (!jem__node_reads(&g->nodes[i], value)) continue;
        if (reader >= 0) return -1;
        reader = i;
    }
    return reader;
}

static int32_t does_nothing(const jem__plan *plan, const jem__node *node)
{
    return node->op == &jem__op_dropout && !(plan->wants & JEM__TRAINING);
}

int32_t jem__fuse_norm(const jem__plan *plan, int32_t convolution)
{
    const jem__graph *g = plan->graph;
    const int32_t never = JEM__UNFUSED | JEM__TRAINING | JEM__WANT_PARAMETERS | JEM__INITIALISE;
    if (convolution < 0 || g->nodes[convolution].op != &jem__op_convolution) return -1;
    if (jem__model_method(plan->model) != JEM__FAST || plan->wants & never) return -1;
    int32_t reader = only_reader(g, convolution + 1);
    return reader >= 0 && g->nodes[reader].op == &jem__op_batch_norm ? reader : -1;
}

int32_t jem__fuse_activation(const jem__plan *plan, int32_t node)
{
    const jem__graph *g = plan->graph;
    if (plan->wants & JEM__UNFUSED) return -1;
    int32_t reader = only_reader(g, node + 1);
    while (reader >= 0 && does_nothing(plan, &g->nodes[reader]))
        reader = only_reader(g, reader + 1);
    if (reader < 0) return -1;
    /* SiLU's derivative needs its input, which a fused one does not leave. */
    const jem__op *op = g->nodes[reader].op;
    int32_t possible = op == &jem__op_leaky_relu || (op == &jem__op_silu && !wants_gradient(plan));
    return possible ? reader : -1;
}

void jem__fuse_done(jem__plan *plan, int32_t convolution, int32_t activation)
{
    const jem__layout *layout = plan->values[activation + 1].layout;
    /* Values on the way have a layout, but no buffer. */
    for (int32_t i = convolution; i != activation; i = only_reader(plan->graph, i + 1)) {
        plan->values[i + 1].layout = layout;
        plan->values[i + 1].buffer = -1;
    }
}

int32_t jem__fuse_sum(const jem__plan *plan, int32_t add)
{
    const jem__graph *g = plan->graph;
    if (plan->wants & JEM__UNFUSED) return -1;
    for (int32_t i = add + 1; i < g->node_count; i++)
        if (jem__node_reads(&g->nodes[i], add + 1) &&
            (g->nodes[i].op == &jem__op_leaky_relu || g->nodes[i].op == &jem__op_silu))
            return i;
    return -1;
}

int32_t jem__fuse_in_place(const jem__plan *plan, int32_t value, int32_t reader)
{
    const jem__graph *g = plan->graph;
    int32_t buffer = plan->values[value].buffer;
    if ((plan->wants & JEM__UNFUSED) || plan->buffers[buffer].where != JEM__IN_ARENA) return 0;
    for (int32_t v = 1; v <= g->node_count; v++) {
        const struct jem__value *other = &plan->values[v];
        if (!other->layout || other->buffer != buffer) continue;
        if (keeps(plan, g->nodes[v - 1].op, JEM__KEEPS_OUTPUT)) return 0;
        for (int32_t i = 0; i < g->node_count; i++) {
            if (i == reader || !jem__node_reads(&g->nodes[i], v)) continue;
            if (!plan->values[i + 1].layout) return 0; /* has not run yet */
            if (keeps(plan, g->nodes[i].op, JEM__KEEPS_INPUT)) return 0;
        }
    }
    return 1;
}
