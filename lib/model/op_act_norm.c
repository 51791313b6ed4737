/* Act norm, scale (x + loc) (Kingma and Dhariwal 2018): once set to normalise the
   first training batch, then learned like weights. Until then the identity. */
#include "base/status.h"
#include "model/norm.h"
#include <math.h>

static const double epsilon = 1e-6;
enum { P_LOC, P_SCALE, P_INITIALIZED }; /* parameters of a node */

/* ---- Initial values: of a plan made for nothing else (initialise.c) ---- */

enum { INIT_PARTIAL, INIT_LOC, INIT_SCALE, INIT_DONE };
static void initialise(const jem__step *step, jem__slot *const *slots, int64_t count)
{
    float *loc = jem__norm_at(slots[0], INIT_LOC), *scale = jem__norm_at(slots[0], INIT_SCALE);
    float *done = jem__norm_at(slots[0], INIT_DONE);
    if (*done != 0) return;
    for (int64_t c = 0; c < step->node->shape.c; c++) {
        jem__moments all = jem__norm_batch_moments(step, slots, count, INIT_PARTIAL, c);
        loc[c] = (float)-all.mean;
        scale[c] = (float)(1 / (sqrt(all.m2 / (all.n - 1)) + epsilon));
    }
    *done = 1;
}

static jem_status plan_initialise(jem__plan *plan, const jem__node *node, int32_t x, int64_t block)
{
    int32_t b[4];
    JEM__TRY(jem__plan_buffer(plan, 2 * node->shape.c * 8, &b[INIT_PARTIAL]));
    for (int i = 0; i < 3; i++)
        JEM__TRY(jem__plan_parameter(plan, node->parameter[i], &b[INIT_LOC + i]));
    JEM__TRY(jem__plan_kernel(plan, node, jem__norm_slice_moments, block,
                              (int32_t[]){x, b[INIT_PARTIAL]}, 2));
    return jem__plan_combine(plan, node, initialise, b, 4);
}

/* ---- Forward ---- */

/* AFFINE [3,c]: -loc, zeros, ones. */
enum { X, LOC, SCALE, AFFINE, Y };
static void forward_kernel(const jem__step *step, jem__slot *slot)
{
    jem__blocked m = jem__norm_images(step, slot);
    const float *loc = jem__slot_data(slot, step->buffer[LOC]);
    float *affine = jem__slot_data(slot, step->buffer[AFFINE]);
    for (int64_t c = 0; c < m.c; c++) {
        affine[c] = -loc[c];
        affine[m.c + c] = 0;
        affine[2 * m.c + c] = 1;
    }
    step->kernels->channel_affine(&m, jem__slot_data(slot, step->buffer[X]), affine,
                                  jem__slot_data(slot, step->buffer[SCALE]), affine + m.c,
                                  jem__slot_data(slot, step->buffer[Y]));
}

static jem_status forward(jem__plan *plan, int32_t index)
{
    const jem__node *node = &plan->graph->nodes[index];
    struct jem__value *in = &plan->values[node->input[0]], *out = &plan->values[index + 1];
    int64_t block;
    int32_t b[5];
    JEM__TRY(jem__plan_blocked(plan, node->input[0], &block));
    JEM__TRY(jem__plan_define(plan, index + 1, in->layout));
    if (plan->wants & JEM__INITIALISE) JEM__TRY(plan_initialise(plan, node, in->buffer, block));
    JEM__TRY(jem__plan_buffer(plan, 3 * node->shape.c * 4, &out->extra));
    JEM__TRY(jem__plan_parameter(plan, node->parameter[P_LOC], &b[LOC]));
    JEM__TRY(jem__plan_parameter(plan, node->parameter[P_SCALE], &b[SCALE]));
    b[X] = in->buffer;
    b[AFFINE] = out->extra;
    b[Y] = out->buffer;
    return jem__plan_kernel(plan, node, forward_kernel, block, b, 5);
}

/* ---- Backward: d loc = scale sum dy,  d scale = sum dy (x + loc) ---- */

enum { PX, PDY, PAFFINE, PSCALE, PARTIAL, DLOC, DSCALE };
static void parameters_kernel(const jem__step *step, jem__slot *slot)
{
    jem__blocked m = jem__norm_images(step, slot);
    const float *affine = jem__slot_data(slot, step->buffer[PAFFINE]);
    const float *scale = jem__slot_data(slot, step->buffer[PSCALE]);
    double *partial = jem__slot_data(slot, step->buffer[PARTIAL]);
    float *dloc = jem__slot_data(slot, step->buffer[DLOC]);
    float *dscale = jem__slot_data(slot, step->buffer[DSCALE]);
    step->kernels->channel_sums(&m, jem__slot_data(slot, step->buffer[PX]),
                                jem__slot_data(slot, step->buffer[PDY]), affine, affine + 2 * m.c,
                                partial, partial + m.c);
    for (int64_t c = 0; c < m.c; c++) {
        dloc[c] = (float)((double)scale[c] * partial[c]);
        dscale[c] = (float)partial[m.c + c];
    }
}

static jem_status parameters(jem__plan *plan, int32_t index, int64_t block, int32_t scale)
{
    const jem__node *node = &plan->graph->nodes[index];
    const struct jem__value *in = &plan->values[node->input[0]], *out = &plan->values[index + 1];
    int32_t b[7] = {in->buffer, out->gradient, out->extra, scale};
    int64_t c = node->shape.c;
    JEM__TRY(jem__plan_buffer(plan, 2 * c * 8, &b[PARTIAL]));
    JEM__TRY(jem__plan_buffer(plan, c * 4, &b[DLOC]));
    JEM__TRY(jem__plan_buffer(plan, c * 4, &b[DSCALE]));
    JEM__TRY(jem__plan_kernel(plan, node, parameters_kernel, block, b, 7));
    JEM__TRY(jem__plan_gradient_out(plan, node->parameter[P_LOC], b[DLOC]));
    return jem__plan_gradient_out(plan, node->parameter[P_SCALE], b[DSCALE]);
}

enum { DY, DAFFINE, BACK_SCALE, DX };
static void gradient(const jem__step *step, jem__slot *slot)
{
    jem__blocked m = jem__norm_images(step, slot);
    const float *zero = (const float *)jem__slot_data(slot, step->buffer[DAFFINE]) + m.c;
    step->kernels->channel_affine(&m, jem__slot_data(slot, step->buffer[DY]), zero,
                                  jem__slot_data(slot, step->buffer[BACK_SCALE]), zero,
                                  jem__slot_data(slot, step->buffer[DX]));
}

static jem_status backward(jem__plan *plan, int32_t index)
{
    const jem__node *node = &plan->graph->nodes[index];
    const struct jem__value *in = &plan->values[node->input[0]], *out = &plan->values[index + 1];
    int64_t block = jem__layout_block(in->layout);
    int32_t b[4] = {out->gradient, out->extra};
    JEM__TRY(jem__plan_parameter(plan, node->parameter[P_SCALE], &b[BACK_SCALE]));
    if (plan->wants & JEM__WANT_PARAMETERS) JEM__TRY(parameters(plan, index, block, b[BACK_SCALE]));
    JEM__TRY(jem__plan_buffer(plan, jem__layout_bytes(in->layout), &b[DX]));
    JEM__TRY(jem__plan_kernel(plan, node, gradient, block, b, 4));
    return jem__plan_gradient(plan, node->input[0], b[DX]);
}

static int32_t keeps(const jem__plan *plan)
{
    return plan->wants & JEM__WANT_PARAMETERS ? JEM__KEEPS_INPUT : 0;
}

const jem__op jem__op_act_norm = {"act_norm", forward, backward, keeps};
