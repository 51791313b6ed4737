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

/* Outputs outside: a row of weights, which may be long, is read once for all images. */
static void linear_forward(const jem__step *step, jem__slot *slot)
{
    int64_t c = inputs(step, slot), k = step->node->shape.c, n = slot->plan->n, j = 0;
    const jem__kernels *kernels = jem__kernels_here();
    const float *x = jem__slot_data(slot, step->buffer[X]);
    const float *w = jem__slot_data(slot, step->buffer[W]);
    const float *b = jem__slot_data(slot, step->buffer[B]);
    float *y = jem__slot_data(slot, step->buffer[Y]), sums[4];
    for (; j + 4 <= k; j += 4)
        for (int64_t i = 0; i < n; i++) {
            kernels->dot4(x + i * c, w + j * c, c, c, sums);
            for (int64_t r = 0; r < 4; r++) y[i * k + j + r] = b[j + r] + sums[r];
        }
    for (; j < k; j++)
        for (int64_t i = 0; i < n; i++) y[i * k + j] = b[j] + kernels->dot(x + i * c, w + j * c, c);
}

/* rows x inner numbers, `down` and `across` floats apart. */
typedef struct matrix {
    const float *a;
    int64_t rows, inner, down, across;
} matrix;

/* y = A x for rows of c floats, piece by piece: pieces stay in the cache. */
static void combine(const matrix *m, const float *x, float *y, int64_t c)
{
    enum { PIECE = 512 };
    const jem__kernels *kernels = jem__kernels_here();
    memset(y, 0, (size_t)(m->rows * c) * sizeof *y);
    for (int64_t at = 0, size; at < c; at += size) {
        int64_t j = 0;
        size = c - at < PIECE ? c - at : PIECE;
        for (; j + 4 <= m->inner; j += 4)
            for (int64_t i = 0; i < m->rows; i++) {
                const float *a = m->a + i * m->down + j * m->across;
                float four[] = {a[0], a[m->across], a[2 * m->across], a[3 * m->across]};
                kernels->axpy4(four, x + j * c + at, c, y + i * c + at, size);
            }
        for (; j < m->inner; j++)
            for (int64_t i = 0; i < m->rows; i++)
                kernels->axpy(m->a[i * m->down + j * m->across], x + j * c + at, y + i * c + at,
                              size);
    }
}

static void linear_data(const jem__step *step, jem__slot *slot)
{
    int64_t k = step->node->shape.c;
    matrix dy = {jem__slot_data(slot, step->buffer[DY]), slot->plan->n, k, k, 1};
    combine(&dy, jem__slot_data(slot, step->buffer[BW]), jem__slot_data(slot, step->buffer[DX]),
            inputs(step, slot));
}

static void linear_weights(const jem__step *step, jem__slot *slot)
{
    int64_t k = step->node->shape.c, n = slot->plan->n;
    const float *dy = jem__slot_data(slot, step->buffer[PDY]);
    float *db = jem__slot_data(slot, step->buffer[DB]);
    matrix turned = {dy, k, n, 1, k};
    combine(&turned, jem__slot_data(slot, step->buffer[PX]), jem__slot_data(slot, step->buffer[DW]),
            inputs(step, slot));
    memset(db, 0, (size_t)k * sizeof *db);
    for (int64_t i = 0; i < n; i++) jem__kernels_here()->add(db, dy + i * k, db, k);
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
