/* Group normalisation, eps 1e-5 (Wu and He 2018): each image's channels in equal
   groups, each group by its own mean and variance. As many groups as channels are
   instance norm (Ulyanov et al. 2016), one group is layer norm. Images do not
   depend on each other, and training is no different. */
#include "base/status.h"
#include "model/norm.h"
#include <math.h>

static const double epsilon = 1e-5;

/* One image at a time, which the cache holds from its statistics to its result. */
static jem__blocked one_image(const jem__step *step, const jem__slot *slot)
{
    jem__blocked m = jem__norm_images(step, slot);
    m.n = 1;
    return m;
}

static void *image_at(const jem__slot *slot, int32_t buffer, const jem__blocked *m, int64_t i)
{
    int64_t elements = (m->c + m->b - 1) / m->b * m->b * m->s;
    return (uint8_t *)jem__slot_data(slot, buffer) +
           i * elements * jem__type_size(slot->plan->type);
}

/* ---- Forward ---- */

/* Channels' moments to stats [2,c]: their group's mean and 1/sqrt(var + eps). */
static void group_statistics(const jem__node *node, const jem__blocked *m, const double *mean,
                             const double *m2, float *stats)
{
    int64_t size = m->c / node->groups;
    for (int64_t first = 0; first < m->c; first += size) {
        jem__moments all = {0};
        for (int64_t c = first; c < first + size; c++)
            all = jem__moments_join(all, (jem__moments){(double)m->s, mean[c], m2[c]});
        for (int64_t c = first; c < first + size; c++) {
            stats[c] = (float)all.mean;
            stats[m->c + c] = (float)(1 / sqrt(all.m2 / all.n + epsilon));
        }
    }
}

/* STATS [n,2,c] stay for the way back; PARTIAL [2,c] in double and SCALE [c] are scratch. */
enum { X, WEIGHT, BIAS, PARTIAL, SCALE, STATS, Y };
static void normalise(const jem__step *step, jem__slot *slot)
{
    jem__blocked m = one_image(step, slot);
    const jem__activations *k = step->kernels;
    const float *weight = jem__slot_data(slot, step->buffer[WEIGHT]);
    const float *bias = jem__slot_data(slot, step->buffer[BIAS]);
    double *partial = jem__slot_data(slot, step->buffer[PARTIAL]);
    float *scale = jem__slot_data(slot, step->buffer[SCALE]);
    float *stats = jem__slot_data(slot, step->buffer[STATS]);
    for (int64_t i = 0; i < slot->plan->n; i++, stats += 2 * m.c) {
        const void *x = image_at(slot, step->buffer[X], &m, i);
        k->channel_moments(&m, x, partial, partial + m.c);
        group_statistics(step->node, &m, partial, partial + m.c, stats);
        for (int64_t c = 0; c < m.c; c++) scale[c] = weight[c] * stats[m.c + c];
        k->channel_affine(&m, x, stats, scale, bias, image_at(slot, step->buffer[Y], &m, i));
    }
}

static jem_status forward(jem__plan *plan, int32_t index)
{
    const jem__node *node = &plan->graph->nodes[index];
    struct jem__value *in = &plan->values[node->input[0]], *out = &plan->values[index + 1];
    int64_t block, c = node->shape.c;
    int32_t b[7];
    JEM__TRY(jem__plan_blocked(plan, node->input[0], &block));
    JEM__TRY(jem__plan_define(plan, index + 1, in->layout));
    JEM__TRY(jem__plan_parameter(plan, node->parameter[0], &b[WEIGHT]));
    JEM__TRY(jem__plan_parameter(plan, node->parameter[1], &b[BIAS]));
    JEM__TRY(jem__plan_buffer(plan, 2 * c * 8, &b[PARTIAL]));
    JEM__TRY(jem__plan_buffer(plan, c * 4, &b[SCALE]));
    JEM__TRY(jem__plan_buffer(plan, plan->n * 2 * c * 4, &out->extra));
    b[X] = in->buffer;
    b[STATS] = out->extra;
    b[Y] = out->buffer;
    return jem__plan_kernel(plan, node, normalise, block, b, 7);
}

/* ---- Backward ----
   With a group's N values and xhat = (x - mean) inverse:
     dx = inverse (weight dy - mean(weight dy) - xhat mean(weight dy xhat)) */

/* Channels' sums of dy and dy xhat to factors [3,c] of channel_gradient. */
static void group_factors(const jem__node *node, const jem__blocked *m, const float *weight,
                          const float *stats, const double *sums, float *factors)
{
    int64_t size = m->c / node->groups;
    double values = (double)(size * m->s);
    for (int64_t first = 0; first < m->c; first += size) {
        double sum = 0, dot = 0, inverse = (double)stats[m->c + first];
        for (int64_t c = first; c < first + size; c++) {
            sum += (double)weight[c] * sums[c];
            dot += (double)weight[c] * sums[m->c + c];
        }
        for (int64_t c = first; c < first + size; c++) {
            factors[c] = (float)((double)weight[c] * inverse);
            factors[m->c + c] = (float)(-inverse * inverse * dot / values);
            factors[2 * m->c + c] = (float)(-inverse * sum / values);
        }
    }
}

/* SUMS [2,c] of an image and TOTALS [2,c] of the slice, in double. */
enum { BACK_X, DY, BACK_STATS, BACK_WEIGHT, SUMS, FACTORS, DX, TOTALS };
static void gradient(const jem__step *step, jem__slot *slot)
{
    jem__blocked m = one_image(step, slot);
    const jem__activations *k = step->kernels;
    const float *weight = jem__slot_data(slot, step->buffer[BACK_WEIGHT]);
    const float *stats = jem__slot_data(slot, step->buffer[BACK_STATS]);
    double *sums = jem__slot_data(slot, step->buffer[SUMS]);
    double *totals = jem__slot_data(slot, step->buffer[TOTALS]);
    float *factors = jem__slot_data(slot, step->buffer[FACTORS]);
    for (int64_t c = 0; totals && c < 2 * m.c; c++) totals[c] = 0;
    for (int64_t i = 0; i < slot->plan->n; i++, stats += 2 * m.c) {
        const void *x = image_at(slot, step->buffer[BACK_X], &m, i);
        const void *dy = image_at(slot, step->buffer[DY], &m, i);
        k->channel_sums(&m, x, dy, stats, stats + m.c, sums, sums + m.c);
        for (int64_t c = 0; totals && c < 2 * m.c; c++) totals[c] += sums[c];
        group_factors(step->node, &m, weight, stats, sums, factors);
        k->channel_gradient(&m, x, dy, stats, factors, factors + m.c, factors + 2 * m.c,
                            image_at(slot, step->buffer[DX], &m, i));
    }
}

static jem_status parameters(jem__plan *plan, const jem__node *node, int64_t block, int32_t totals)
{
    int64_t c = node->shape.c;
    int32_t b[3] = {totals};
    JEM__TRY(jem__plan_buffer(plan, c * 4, &b[1]));
    JEM__TRY(jem__plan_buffer(plan, c * 4, &b[2]));
    JEM__TRY(jem__plan_kernel(plan, node, jem__norm_parameters, block, b, 3));
    JEM__TRY(jem__plan_gradient_out(plan, node->parameter[0], b[1]));
    return jem__plan_gradient_out(plan, node->parameter[1], b[2]);
}

static jem_status backward(jem__plan *plan, int32_t index)
{
    const jem__node *node = &plan->graph->nodes[index];
    const struct jem__value *in = &plan->values[node->input[0]], *out = &plan->values[index + 1];
    int64_t block = jem__layout_block(in->layout), c = node->shape.c;
    int32_t b[8] = {in->buffer, out->gradient, out->extra, -1, -1, -1, -1, -1};
    JEM__TRY(jem__plan_parameter(plan, node->parameter[0], &b[BACK_WEIGHT]));
    JEM__TRY(jem__plan_buffer(plan, 2 * c * 8, &b[SUMS]));
    JEM__TRY(jem__plan_buffer(plan, 3 * c * 4, &b[FACTORS]));
    JEM__TRY(jem__plan_buffer(plan, jem__layout_bytes(in->layout), &b[DX]));
    if (plan->wants & JEM__WANT_PARAMETERS) JEM__TRY(jem__plan_buffer(plan, 2 * c * 8, &b[TOTALS]));
    JEM__TRY(jem__plan_kernel(plan, node, gradient, block, b, 8));
    if (plan->wants & JEM__WANT_PARAMETERS) JEM__TRY(parameters(plan, node, block, b[TOTALS]));
    return jem__plan_gradient(plan, node->input[0], b[DX]);
}

static int32_t keeps(const jem__plan *plan)
{
    (void)plan;
    return JEM__KEEPS_INPUT;
}

const jem__op jem__op_group_norm = {"group_norm", forward, backward, keeps};
