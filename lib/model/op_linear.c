/* y = W x + b on plain [n,c*h*w] rows, whatever shape the images have. Small: own loops,
   sums in a fixed order. */
#include "base/status.h"
#include "model/plan.h"
#include "tensor/kernels.h"
#include <string.h>

enum { X, W, B, Y };      /* forward */
enum { DY, BW, DX };      /* backward to the input */
enum { PX, PDY, DW, DB }; /* backward to the parameters */

static int64_t inputs(const jem__step *step, const jem__slot *slot)
{
    jem__image s = jem__graph_shape(slot->plan->graph, step->node->input[0]);
    return s.c * s.h * s.w;
}

static void linear_forward(const jem__step *step, jem__slot *slot)
{
    int64_t c = inputs(step, slot), k = step->node->shape.c;
    const float *x = jem__slot_data(slot, step->buffer[X]);
    const float *w = jem__slot_data(slot, step->buffer[W]);
    const float *b = jem__slot_data(slot, step->buffer[B]);
    float *y = jem__slot_data(slot, step->buffer[Y]);
    for (int64_t i = 0; i < slot->plan->n; i++)
        for (int64_t j = 0; j < k; j++)
            y[i * k + j] = b[j] + jem__kernels_here()->dot(x + i * c, w + j * c, c);
}

static void linear_data(const jem__step *step, jem__slot *slot)
{
    int64_t c = inputs(step, slot), k = step->node->shape.c, n = slot->plan->n;
    const float *dy = jem__slot_data(slot, step->buffer[DY]);
    const float *w = jem__slot_data(slot, step->buffer[BW]);
    float *dx = jem__slot_data(slot, step->buffer[DX]);
    memset(dx, 0, (size_t)(n * c) * sizeof *dx);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < k; j++)
            jem__kernels_here()->axpy(dy[i * k + j], w + j * c, dx + i * c, c);
}

static void linear_weights(const jem__step *step, jem__slot *slot)
{
    int64_t c = inputs(step, slot), k = step->node->shape.c, n = slot->plan->n;
    const float *x = jem__slot_data(slot, step->buffer[PX]);
    const float *dy = jem__slot_data(slot, step->buffer[PDY]);
    float *dw = jem__slot_data(slot, step->buffer[DW]),
          *db = jem__slot_data(slot, step->buffer[DB]);
    memset(dw, 0, (size_t)(k * c) * sizeof *dw);
    memset(db, 0, (size_t)k * sizeof *db);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < k; j++) {
            jem__kernels_here()->axpy(dy[i * k + j], x + i * c, dw + j * c, c);
            db[j] += dy[i * k + j];
        }
}

/* The input as plain float32 rows. */
static jem_status rows(jem__plan *plan, const jem__node *node, const jem__layout **plain,
                       int32_t *buffer)
{
    const struct jem__value *in = &plan->values[node->input[0]];
    JEM__TRY(jem__plan_plain(plan, JEM__F32, jem__graph_shape(plan->graph, node->input[0]), plain));
    return jem__plan_as(plan, in->buffer, in->layout, *plain, buffer);
}

static jem_status forward(jem__plan *plan, int32_t index)
{
    const jem__node *node = &plan->graph->nodes[index];
    const jem__layout *plain;
    int32_t b[4];
    JEM__TRY(jem__plan_plain(plan, JEM__F32, node->shape, &plain));
    JEM__TRY(jem__plan_define(plan, index + 1, plain));
    JEM__TRY(rows(plan, node, &plain, &b[X]));
    plan->values[index + 1].extra = b[X];
    JEM__TRY(jem__plan_parameter(plan, node->parameter[0], &b[W]));
    JEM__TRY(jem__plan_parameter(plan, node->parameter[1], &b[B]));
    b[Y] = plan->values[index + 1].buffer;
    return jem__plan_kernel(plan, node, linear_forward, 1, b, 4);
}

static jem_status backward(jem__plan *plan, int32_t index)
{
    const jem__node *node = &plan->graph->nodes[index];
    jem__image s = jem__graph_shape(plan->graph, node->input[0]);
    const struct jem__value *out = &plan->values[index + 1];
    int64_t c = s.c * s.h * s.w, k = node->shape.c;
    const jem__layout *plain;
    int32_t b[4], dy, dx;
    /* A reader may have brought the value to a type of its own. */
    JEM__TRY(jem__plan_plain(plan, JEM__F32, node->shape, &plain));
    JEM__TRY(jem__plan_as(plan, out->gradient, out->layout, plain, &dy));
    if (plan->wants & JEM__WANT_PARAMETERS) {
        b[PX] = out->extra;
        b[PDY] = dy;
        JEM__TRY(jem__plan_buffer(plan, c * k * 4, &b[DW]));
        JEM__TRY(jem__plan_buffer(plan, k * 4, &b[DB]));
        JEM__TRY(jem__plan_kernel(plan, node, linear_weights, 1, b, 4));
        JEM__TRY(jem__plan_gradient_out(plan, node->parameter[0], b[DW]));
        JEM__TRY(jem__plan_gradient_out(plan, node->parameter[1], b[DB]));
    }
    if (!jem__plan_wants_gradient(plan, node->input[0])) return JEM_OK;
    b[DY] = dy;
    JEM__TRY(jem__plan_parameter(plan, node->parameter[0], &b[BW]));
    JEM__TRY(jem__plan_buffer(plan, plan->n * c * 4, &b[DX]));
    JEM__TRY(jem__plan_kernel(plan, node, linear_data, 1, b, 3));
    const jem__layout *to = plan->values[node->input[0]].layout;
    JEM__TRY(jem__plan_plain(plan, JEM__F32, s, &plain));
    JEM__TRY(jem__plan_as(plan, b[DX], plain, to, &dx));
    return jem__plan_gradient(plan, node->input[0], dx);
}

/* Parameter gradients need the input again. */
static int32_t keeps(const jem__plan *plan)
{
    return plan->wants & JEM__WANT_PARAMETERS ? JEM__KEEPS_INPUT : 0;
}

const jem__op jem__op_linear = {"linear", forward, backward, keeps};
