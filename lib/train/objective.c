/* What a step learns from: batches, their losses, and metrics of both. */
#include "train/objective.h"
#include "base/status.h"
#include "energy/energy.h"
#include <inttypes.h>
#include <jem/loss.h>
#include <math.h>

/* The pass's dropout streams, one for each of a step's batches (3: the sampler's). */
enum { PASS_DATA = 0, PASS_SAMPLE = 1, PASS_LABELLED = 2, PASS_JOINT = 4 };

int32_t jem__objective_samples(const jem_trainer *t)
{
    return t->px > 0 || t->pxy > 0;
}

int32_t jem__objective_labels(const jem_trainer *t)
{
    return t->pyx > 0 || t->pxy > 0;
}

static jem_status check_finite(const jem_trainer *t, const char *what, double value)
{
    if (isfinite(value)) return JEM_OK;
    return jem__fail(JEM_ERROR_DIVERGED, "step %" PRId64 ": %s is %g", t->step, what, value);
}

/* ---- Losses of a slice: the mean over its batch, of all of whose images it has n ---- */

/* Adds weight * (sign * mean E + penalty * mean E^2), of E(x) or E(x,y). */
static jem_status add_energy(const jem_trainer *t, double weight, double sign, const int32_t *y,
                             int64_t n, jem__outputs f, jem__derivatives d)
{
    JEM__TRY(jem__loss_energy(f, y, n, t->classes, sign * weight, NULL, d));
    if (t->penalty > 0)
        JEM__TRY(jem__loss_energy_penalty(f, y, n, t->classes, weight * t->penalty, NULL, d));
    return JEM_OK;
}

static jem_status derive_energy(const jem_trainer *t, double sign, int64_t n, jem__outputs f,
                                jem__derivatives d)
{
    return add_energy(t, t->px * (double)n / (double)t->px_batch, sign, NULL, n, f, d);
}

static jem_status derive_data(void *user, int64_t first, int64_t n, jem__outputs f,
                              jem__derivatives d)
{
    (void)first;
    return derive_energy(user, 1, n, f, d);
}

static jem_status derive_samples(void *user, int64_t first, int64_t n, jem__outputs f,
                                 jem__derivatives d)
{
    (void)first;
    return derive_energy(user, -1, n, f, d);
}

static jem_status derive_labelled(void *user, int64_t first, int64_t n, jem__outputs f,
                                  jem__derivatives d)
{
    const jem_trainer *t = user;
    const int32_t *y = t->y + first;
    double share = (double)n / (double)t->batch;
    if (t->pyx > 0)
        JEM__TRY(
            jem_loss_cross_entropy(f.logits, y, n, t->classes, t->pyx * share, NULL, d.logits));
    return t->pxy > 0 ? add_energy(t, t->pxy * share, 1, y, n, f, d) : JEM_OK;
}

static jem_status derive_joint(void *user, int64_t first, int64_t n, jem__outputs f,
                               jem__derivatives d)
{
    const jem_trainer *t = user;
    double share = t->pxy * (double)n / (double)t->batch;
    return add_energy(t, share, -1, t->y + first, n, f, d);
}

/* ---- Metrics from a batch's outputs ---- */

typedef struct contrast {
    double energy[2], gap, loss; /* of data and of samples */
} contrast;

static jem_status check_gap(const jem_trainer *t, double gap)
{
    if (fabs(gap) <= t->gap_limit) return JEM_OK;
    return jem__fail(JEM_ERROR_DIVERGED,
                     "step %" PRId64
                     ": the energy gap between data and samples is %g, trainer.gap_limit is %g",
                     t->step, gap, t->gap_limit);
}

/* The loss of p(x), or of p(x,y) with labels, of n images each. */
static jem_status measure_contrast(const jem_trainer *t, jem__outputs data, jem__outputs sampled,
                                   const int32_t *y, int64_t n, contrast *c)
{
    const jem__outputs f[] = {data, sampled};
    const jem__derivatives none = {NULL, NULL};
    const char *const names[] = {"the mean energy of the data", "the mean energy of the samples"};
    double squares[2];
    for (int i = 0; i < 2; i++) {
        JEM__TRY(jem__loss_energy(f[i], y, n, t->classes, 1, &c->energy[i], none));
        JEM__TRY(jem__loss_energy_penalty(f[i], y, n, t->classes, 1, &squares[i], none));
        JEM__TRY(check_finite(t, names[i], c->energy[i]));
    }
    c->gap = c->energy[0] - c->energy[1];
    c->loss = c->gap + t->penalty * (squares[0] + squares[1]);
    JEM__TRY(check_gap(t, c->gap));
    return check_finite(t, y ? "the loss of p(x,y)" : "the loss of p(x)", c->loss);
}

static jem_status measure_px(const jem_trainer *t, jem__outputs data, jem__outputs sampled,
                             double *m)
{
    contrast c;
    JEM__TRY(measure_contrast(t, data, sampled, NULL, t->px_batch, &c));
    m[JEM__METRIC_ENERGY_DATA] = c.energy[0];
    m[JEM__METRIC_ENERGY_SAMPLE] = c.energy[1];
    m[JEM__METRIC_GAP] = c.gap;
    m[JEM__METRIC_LOSS_PX] = c.loss;
    m[JEM__METRIC_LOSS] += t->px * c.loss;
    return JEM_OK;
}

static jem_status measure_pxy(const jem_trainer *t, jem__outputs data, jem__outputs sampled,
                              double *m)
{
    contrast c;
    JEM__TRY(measure_contrast(t, data, sampled, t->y, t->batch, &c));
    if (t->px == 0) {
        m[JEM__METRIC_ENERGY_DATA] = c.energy[0];
        m[JEM__METRIC_ENERGY_SAMPLE] = c.energy[1];
    }
    m[JEM__METRIC_ENERGY_DATA_PXY] = c.energy[0];
    m[JEM__METRIC_ENERGY_SAMPLE_PXY] = c.energy[1];
    m[JEM__METRIC_GAP_PXY] = c.gap;
    m[JEM__METRIC_LOSS_PXY] = c.loss;
    m[JEM__METRIC_LOSS] += t->pxy * c.loss;
    return JEM_OK;
}

static jem_status measure_labelled(const jem_trainer *t, jem__outputs f, double *m)
{
    const float *logits = f.logits;
    double *loss = &m[JEM__METRIC_LOSS_PYX];
    int64_t right = jem__count_right(logits, t->y, t->batch, t->classes);
    m[JEM__METRIC_ACCURACY] = (double)right / (double)t->batch;
    if (t->pyx == 0) return JEM_OK;
    JEM__TRY(jem_loss_cross_entropy(logits, t->y, t->batch, t->classes, 1, loss, NULL));
    m[JEM__METRIC_LOSS] += t->pyx * *loss;
    return check_finite(t, "the cross-entropy", *loss);
}

/* ---- The passes ---- */

static jem_status check_samples(const jem_trainer *t, const float *x, int64_t n)
{
    jem_status status = jem__model_check(t->model, "jem_trainer_step", x, NULL, n);
    if (status != JEM_ERROR_ARGUMENT) return status;
    return jem__fail_in(JEM_ERROR_DIVERGED, "step %" PRId64 ": the samples", t->step);
}

jem_status jem__objective_check(const jem_trainer *t)
{
    const char *function = "jem_trainer_step";
    if (t->px > 0) JEM__TRY(check_samples(t, t->x_q, t->px_batch));
    if (t->pxy > 0) JEM__TRY(check_samples(t, t->x_j, t->batch));
    if (t->px > 0) JEM__TRY(jem__model_check(t->model, function, t->x_p, NULL, t->px_batch));
    return jem__objective_labels(t) ? jem__model_check(t->model, function, t->x_l, t->y, t->batch)
                                    : JEM_OK;
}

/* Where the batches' outputs go. */
enum { DATA, SAMPLES, JOINT, LABELLED };

static int64_t first_of(const jem_trainer *t, int32_t part)
{
    int64_t images = part == DATA ? 0 : part == SAMPLES ? t->px_batch : 2 * t->px_batch;
    return images + (part == LABELLED ? t->batch : 0);
}

static jem__outputs outputs_of(const jem_trainer *t, int32_t part)
{
    int64_t first = first_of(t, part);
    return (jem__outputs){t->logits + first * t->classes, t->head ? t->head + first : NULL};
}

static jem__batch batch_of(jem_trainer *t, int32_t part, const float *x, int64_t n, int64_t stream)
{
    int64_t first = first_of(t, part);
    return (jem__batch){.x = x,
                        .n = n,
                        .stream = stream,
                        .number = t->step,
                        .logits = t->logits + first * t->classes,
                        .head = t->head ? t->head + first : NULL,
                        .user = t,
                        .derive = part == DATA      ? derive_data
                                  : part == SAMPLES ? derive_samples
                                  : part == JOINT   ? derive_joint
                                                    : derive_labelled};
}

jem_status jem__objective_learn(jem_trainer *t)
{
    jem__batch batches[4];
    int64_t count = 0;
    if (t->px > 0) {
        batches[count++] = batch_of(t, DATA, t->x_p, t->px_batch, PASS_DATA);
        batches[count++] = batch_of(t, SAMPLES, t->x_q, t->px_batch, PASS_SAMPLE);
    }
    if (t->pxy > 0) batches[count++] = batch_of(t, JOINT, t->x_j, t->batch, PASS_JOINT);
    if (jem__objective_labels(t))
        batches[count++] = batch_of(t, LABELLED, t->x_l, t->batch, PASS_LABELLED);
    JEM__TRY(jem_model_gradient_zero(t->model));
    return jem__pass_learn(t->pass, batches, count, jem__sampler_cancel_flag(t->sampler));
}

jem_status jem__objective_measure(const jem_trainer *t, double *m)
{
    m[JEM__METRIC_LOSS] = 0;
    if (t->px > 0) JEM__TRY(measure_px(t, outputs_of(t, DATA), outputs_of(t, SAMPLES), m));
    if (t->pxy > 0) JEM__TRY(measure_pxy(t, outputs_of(t, LABELLED), outputs_of(t, JOINT), m));
    return jem__objective_labels(t) ? measure_labelled(t, outputs_of(t, LABELLED), m) : JEM_OK;
}
