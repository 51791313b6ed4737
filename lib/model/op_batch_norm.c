/* Batch normalisation, eps 1e-5 (Ioffe and Szegedy 2015).

   In training the statistics are the batch's. Each slice leaves its mean and
   squared deviations, one thread combines them in slice order (Chan et al.
   1979), then each slice normalises: the same bits for any number of threads,
   and no kernel that must see the whole batch at once. */
#include "base/status.h"
#include "model/fuse.h"
#include "model/norm.h"
#include "model/parameters.h"
#include <math.h>

static const double epsilon = 1e-5;

/* ---- Forward ---- */

void jem__batch_norm_affine(const jem_model *model, const jem__node *norm, int64_t k, double *scale,
                            double *shift)
{
    enum { WEIGHT, BIAS, MEAN, VAR, ALL };
    double p[ALL];
    for (int i = 0; i < ALL; i++) p[i] = (double)jem__model_master(model, norm->parameter[i])[k];
    *scale = p[WEIGHT] / sqrt(p[VAR] + epsilon);
    *shift = p[BIAS] - p[MEAN] * *scale;
}

/* stats [2,c]: mean and 1/sqrt(var + eps). */
enum { RUNNING_MEAN, RUNNING_VAR, RUNNING_STATS };
static void running_stats(const jem__step *step, jem__slot *slot)
{
    const float *mean = jem__slot_data(slot, step->buffer[RUNNING_MEAN]);
    const float *var = jem__slot_data(slot, step->buffer[RUNNING_VAR]);
    float *stats = jem__slot_data(slot, step->buffer[RUNNING_STATS]);
    int64_t c = step->node->shape.c;
    for (int64_t i = 0; i < c; i++) {
        stats[i] = mean[i];
        stats[c + i] = (float)(1 / sqrt((double)var[i] + epsilon));
    }
}

enum { COMBINE_PARTIAL, COMBINE_STATS, COMBINE_MEAN, COMBINE_VAR };
static void combine_moments(const jem__step *step, jem__slot *const *slots, int64_t count)
{
    int64_t c = step->node->shape.c;
    float momentum = step->node->number;
    float *running_mean = jem__norm_at(slots[0], COMBINE_MEAN);
    float *running_var = jem__norm_at(slots[0], COMBINE_VAR);
    for (int64_t i = 0; i < c; i++) {
        jem__moments all = jem__norm_batch_moments(step, slots, count, COMBINE_PARTIAL, i);
        double n = all.n, mean = all.mean, m2 = all.m2;
        for (int64_t j = 0; j < count; j++) {
            float *stats = jem__norm_at(slots[j], COMBINE_STATS);
            stats[i] = (float)mean;
            stats[c + i] = (float)(1 / sqrt(m2 / n + epsilon));
        }
        if (!slots[0]->moves_statistics) continue;
        double unbiased = n > 1 ? m2 / (n - 1) : m2 / n;
        running_mean[i] += momentum * ((float)mean - running_mean[i]);
        running_var[i] += momentum * ((float)unbiased - running_var[i]);
    }
}

enum { NORM_X, NORM_STATS, NORM_WEIGHT, NORM_BIAS, NORM_SCALE, NORM_Y };
static void normalise(const jem__step *step, jem__slot *slot)
{
    jem__blocked m = jem__norm_images(step, slot);
    const float *stats = jem__slot_data(slot, step->buffer[NORM_STATS]);
    const float *weight = jem__slot_data(slot, step->buffer[NORM_WEIGHT]);
    float *scale = jem__slot_data(slot, step->buffer[NORM_SCALE]);
    for (int64_t i = 0; i < m.c; i++) scale[i] = weight[i] * stats[m.c + i];
    step->kernels->channel_affine(&m, jem__slot_data(slot, step->buffer[NORM_X]), stats, scale,
                                  jem__slot_data(slot, step->buffer[NORM_BIAS]),
                                  jem__slot_data(slot, step->buffer[NORM_Y]));
}

static jem_status forward(jem__plan *plan, int32_t index)
{
    const jem__node *node = &plan->graph->nodes[index];
    struct jem__value *in = &plan->values[node->input[0]], *out = &plan->values[index + 1];
    int64_t block, c = node->shape.c;
    int32_t p[4], scale, partial;
    JEM__TRY(jem__plan_blocked(plan, node->input[0], &block));
    JEM__TRY(jem__plan_define(plan, index + 1, in->layout));
    for (int i = 0; i < 4; i++) JEM__TRY(jem__plan_parameter(plan, node->parameter[i], &p[i]));
    JEM__TRY(jem__plan_buffer(plan, 2 * c * 4, &out->extra));
    if (plan->wants & JEM__TRAINING) {
        JEM__TRY(jem__plan_buffer(plan, 2 * c * 8, &partial));
        JEM__TRY(jem__plan_kernel(plan, node, jem__norm_slice_moments, block,
                                  (int32_t[]){in->buffer, partial}, 2));
        JEM__TRY(jem__plan_combine(plan, node, combine_moments,
                                   (int32_t[]){partial, out->extra, p[2], p[3]}, 4));
    } else {
        JEM__TRY(jem__plan_kernel(plan, node, running_stats, block,
                                  (int32_t[]){p[2], p[3], out->extra}, 3));
    }
    JEM__TRY(jem__plan_buffer(plan, c * 4, &scale));
    return jem__plan_kernel(plan, node, normalise, block,
                            (int32_t[]){in->buffer, out->extra, p[0], p[1], scale, out->buffer}, 6);
}

/* ---- Backward ----
   With N images x pixels and xhat = (x - mean) inverse:
     d weight = sum dy xhat,  d bias = sum dy,
     dx = weight inverse (dy - d bias / N - xhat d weight / N)
   where the statistics are the batch's, and without the last two terms otherwise. */

enum { SUMS_X, SUMS_DY, SUMS_STATS, SUMS_PARTIAL };
static void slice_sums(const jem__step *step, jem__slot *slot)
{
    jem__blocked m = jem__norm_images(step, slot);
    const float *stats = jem__slot_data(slot, step->buffer[SUMS_STATS]);
    double *partial = jem__slot_data(slot, step->buffer[SUMS_PARTIAL]);
    step->kernels->channel_sums(&m, jem__slot_data(slot, step->buffer[SUMS_X]),
                                jem__slot_data(slot, step->buffer[SUMS_DY]), stats, stats + m.c,
                                partial, partial + m.c);
}

enum { TOTAL_PARTIAL, TOTAL_STATS, TOTAL_WEIGHT, TOTAL_FACTORS, TOTAL_DWEIGHT, TOTAL_DBIAS };
static void combine_sums(const jem__step *step, jem__slot *const *slots, int64_t count)
{
    jem__image shape = step->node->shape;
    int64_t c = shape.c;
    const float *stats = jem__norm_at(slots[0], TOTAL_STATS);
    const float *weight = jem__norm_at(slots[0], TOTAL_WEIGHT);
    for (int64_t i = 0; i < c; i++) {
        double sum = 0, dot = 0, n = 0, inverse = (double)stats[c + i];
        for (int64_t j = 0; j < count; j++) {
            const double *partial = jem__norm_at(slots[j], TOTAL_PARTIAL);
            sum += partial[i];
            dot += partial[c + i];
            n += (double)(slots[j]->n * shape.h * shape.w);
        }
        double scale = (double)weight[i] * inverse;
        for (int64_t j = 0; j < count; j++) {
            float *factors = jem__norm_at(slots[j], TOTAL_FACTORS);
            factors[i] = (float)scale;
            factors[c + i] = (float)(-scale * inverse * dot / n);
            factors[2 * c + i] = (float)(-scale * sum / n);
            if (step->buffer[TOTAL_DWEIGHT] < 0) continue;
            float *dweight = jem__norm_at(slots[j], TOTAL_DWEIGHT);
            float *dbias = jem__norm_at(slots[j], TOTAL_DBIAS);
            dweight[i] = j == 0 ? (float)dot : 0;
            dbias[i] = j == 0 ? (float)sum : 0;
        }
    }
}

enum { DATA_X, DATA_DY, DATA_STATS, DATA_FACTORS, DATA_DX };
static void batch_gradient(const jem__step *step, jem__slot *slot)
{
    jem__blocked m = jem__norm_images(step, slot);
    const float *factors = jem__slot_data(slot, step->buffer[DATA_FACTORS]);
    step->kernels->channel_gradient(
        &m, jem__slot_data(slot, step->buffer[DATA_X]), jem__slot_data(slot, step->buffer[DATA_DY]),
        jem__slot_data(slot, step->buffer[DATA_STATS]), factors, factors + m.c, factors + 2 * m.c,
        jem__slot_data(slot, step->buffer[DATA_DX]));
}

enum { RUN_DY, RUN_STATS, RUN_WEIGHT, RUN_AFFINE, RUN_DX };
static void running_gradient(const jem__step *step, jem__slot *slot)
{
    jem__blocked m = jem__norm_images(step, slot);
    const float *stats = jem__slot_data(slot, step->buffer[RUN_STATS]);
    const float *weight = jem__slot_data(slot, step->buffer[RUN_WEIGHT]);
    float *affine = jem__slot_data(slot, step->buffer[RUN_AFFINE]);
    for (int64_t i = 0; i < m.c; i++) {
        affine[i] = weight[i] * stats[m.c + i];
        affine[m.c + i] = 0;
    }
    const float *zero = affine + m.c;
    step->kernels->channel_affine(&m, jem__slot_data(slot, step->buffer[RUN_DY]), zero, affine,
                                  zero, jem__slot_data(slot, step->buffer[RUN_DX]));
}

static jem_status backward(jem__plan *plan, int32_t index)
{
    const jem__node *node = &plan->graph->nodes[index];
    const struct jem__value *in = &plan->values[node->input[0]], *out = &plan->values[index + 1];
    int64_t block = jem__layout_block(in->layout), c = node->shape.c;
    int32_t training = plan->wants & JEM__TRAINING, parameters = plan->wants & JEM__WANT_PARAMETERS;
    int32_t weight, partial, factors, dx, dweight = -1, dbias = -1;
    if (jem__fuse_norm(plan, node->input[0] - 1) == index) /* the convolution's weights have it */
        return jem__plan_gradient(plan, node->input[0], out->gradient);
    JEM__TRY(jem__plan_parameter(plan, node->parameter[0], &weight));
    if (parameters) {
        JEM__TRY(jem__plan_buffer(plan, c * 4, &dweight));
        JEM__TRY(jem__plan_buffer(plan, c * 4, &dbias));
    }
    if (training || parameters) {
        JEM__TRY(jem__plan_buffer(plan, 2 * c * 8, &partial));
        JEM__TRY(jem__plan_kernel(plan, node, slice_sums, block,
                                  (int32_t[]){in->buffer, out->gradient, out->extra, partial}, 4));
    }
    JEM__TRY(jem__plan_buffer(plan, 3 * c * 4, &factors));
    JEM__TRY(jem__plan_buffer(plan, jem__layout_bytes(in->layout), &dx));
    if (training) {
        int32_t b[] = {partial, out->extra, weight, factors, dweight, dbias};
        JEM__TRY(jem__plan_combine(plan, node, combine_sums, b, 6));
        JEM__TRY(jem__plan_kernel(plan, node, batch_gradient, block,
                                  (int32_t[]){in->buffer, out->gradient, out->extra, factors, dx},
                                  5));
    } else {
        if (parameters)
            JEM__TRY(jem__plan_kernel(plan, node, jem__norm_parameters, block,
                                      (int32_t[]){partial, dweight, dbias}, 3));
        JEM__TRY(jem__plan_kernel(plan, node, running_gradient, block,
                                  (int32_t[]){out->gradient, out->extra, weight, factors, dx}, 5));
    }
    if (parameters) {
        JEM__TRY(jem__plan_gradient_out(plan, node->parameter[0], dweight));
        JEM__TRY(jem__plan_gradient_out(plan, node->parameter[1], dbias));
    }
    return jem__plan_gradient(plan, node->input[0], dx);
}

static int32_t keeps(const jem__plan *plan)
{
    return plan->wants & (JEM__WANT_PARAMETERS | JEM__TRAINING) ? JEM__KEEPS_INPUT : 0;
}

const jem__op jem__op_batch_norm = {"batch_norm", forward, backward, keeps};
