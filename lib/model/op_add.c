/* The sum of a residual block and its shortcut, with the activation that follows. A bf16 sum
   that is summed again keeps what rounding took from it, so that a chain of blocks rounds
   once, not once a block: that moves LeakyReLUs across their kink. */
#include "base/status.h"
#include "model/fuse.h"
#include "model/rest.h"

enum { A, B, A_REST, B_REST, SUM, REST, Y, D, BUFFERS };

/* Piece by piece, so that the sum is in the cache when its activation is taken. That is of the
   stored sum: what a step of its own would read. The step's node is the activation, if one
   is taken. */
static void add_kernel(const jem__step *step, jem__slot *slot)
{
    enum { PIECE = 2048 };
    const jem__activations *k = step->kernels;
    int64_t size = jem__type_size(slot->plan->type);
    for (int64_t from = 0; from < step->block; from += PIECE) {
        int64_t n = step->block - from < PIECE ? step->block - from : PIECE;
        void *at[BUFFERS];
        for (int i = 0; i < BUFFERS; i++) {
            uint8_t *data = jem__slot_data(slot, step->buffer[i]);
            at[i] = data ? data + from * size : NULL;
        }
        if (at[A_REST] || at[B_REST] || at[REST])
            k->add_rests((const jem__real *[]){at[A], at[B], at[A_REST], at[B_REST]}, at[SUM],
                         at[REST], n);
        else
            k->add(at[A], at[B], at[SUM], n);
        if (at[Y]) jem__activation_run(k, step->node, at[SUM], at[Y], at[D], n);
    }
}

/* The sum's own memory, or that of an operand which nothing needs any more. */
static jem_status define(jem__plan *plan, int32_t index, int32_t *buffers)
{
    const jem__node *node = &plan->graph->nodes[index];
    const struct jem__value *a = &plan->values[node->input[0]], *b = &plan->values[node->input[1]];
    struct jem__value *out = &plan->values[index + 1];
    int32_t two = node->input[0] != node->input[1], as_it_is = buffers[B] == b->buffer;
    out->layout = a->layout;
    if (two && jem__fuse_in_place(plan, node->input[0], index)) {
        out->buffer = a->buffer;
        out->rest = a->rest;
    } else if (two && as_it_is && jem__fuse_in_place(plan, node->input[1], index)) {
        out->buffer = b->buffer;
        out->rest = b->rest;
    } else {
        JEM__TRY(jem__plan_define(plan, index + 1, a->layout));
    }
    if (!jem__rest_kept(plan, index + 1))
        out->rest = -1;
    else if (out->rest < 0)
        JEM__TRY(jem__plan_buffer(plan, jem__layout_bytes(a->layout), &out->rest));
    buffers[SUM] = out->buffer;
    buffers[REST] = out->rest;
    return JEM_OK;
}

static jem_status forward(jem__plan *plan, int32_t index)
{
    const jem__node *node = &plan->graph->nodes[index];
    const struct jem__value *a = &plan->values[node->input[0]], *b = &plan->values[node->input[1]];
    int32_t activation = jem__fuse_sum(plan, index);
    JEM__TRY(jem__plan_typed(plan, node->input[0]));
    JEM__TRY(jem__plan_typed(plan, node->input[1]));
    int32_t buffers[] = {a->buffer, -1, a->rest, -1, -1, -1, -1, -1};
    JEM__TRY(jem__plan_as(plan, b->buffer, b->layout, a->layout, &buffers[B]));
    if (b->rest >= 0) JEM__TRY(jem__plan_as(plan, b->rest, b->layout, a->layout, &buffers[B_REST]));
    JEM__TRY(define(plan, index, buffers));
    if (activation >= 0) {
        JEM__TRY(jem__activation_define(plan, activation, a->layout));
        buffers[Y] = plan->values[activation + 1].buffer;
        buffers[D] = plan->values[activation + 1].extra;
        node = &plan->graph->nodes[activation];
    }
    return jem__plan_kernel(plan, node, add_kernel, jem__plan_elements(plan, a->layout), buffers,
                            BUFFERS);
}

static jem_status backward(jem__plan *plan, int32_t index)
{
    const jem__node *node = &plan->graph->nodes[index];
    const struct jem__value *out = &plan->values[index + 1];
    for (int i = 0; i < 2; i++) {
        int32_t as;
        JEM__TRY(jem__plan_as(plan, out->gradient, out->layout, plan->values[node->input[i]].layout,
                              &as));
        if (!jem__plan_wants_gradient(plan, node->input[i])) continue;
        plan->buffers[as].shared = 1; /* both sources have it */
        JEM__TRY(jem__plan_gradient(plan, node->input[i], as));
    }
    return JEM_OK;
}

const jem__op jem__op_add = {"add", forward, backward, NULL};
