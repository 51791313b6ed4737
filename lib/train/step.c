/* One training step (Grathwohl et al. 2019, algorithm 1): load, sample, the passes,
   with SAM all of them twice, update. Whatever fails, it is as if the step had not begun: weights
   and optimizer move last, the buffer waits for its commit, loaders are put
   back and running statistics restored. */
#define _POSIX_C_SOURCE 200809L
#include "base/random.h"
#include "base/status.h"
#include "energy/energy.h"
#include "train/optimizer.h"
#include "train/trainer.h"
#include <inttypes.h>
#include <jem/loss.h>
#include <math.h>
#include <string.h>
#include <time.h>

/* The pass's dropout streams, one for each of a step's batches (3: the sampler's). */
enum { PASS_DATA = 0, PASS_SAMPLE = 1, PASS_LABELLED = 2, PASS_JOINT = 4 };

static int32_t samples(const jem_trainer *t)
{
    return t->px > 0 || t->pxy > 0;
}

static int32_t labels(const jem_trainer *t)
{
    return t->pyx > 0 || t->pxy > 0;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Seconds since *from, which moves to now. */
static double lap(double *from)
{
    double at = now(), seconds = at - *from;
    *from = at;
    return seconds;
}

/* ---- Running statistics ---- */

static void move_statistics(jem_trainer *t, int32_t restore)
{
    const jem__parameter *list;
    int64_t n = jem__model_parameters(t->model, &list), at = 0;
    for (int64_t i = 0; i < n; i++) {
        if (!list[i].moved) continue;
        float *kept = t->statistics + at;
        at += list[i].elements;
        memcpy(restore ? list[i].value : kept, restore ? kept : list[i].value,
               (size_t)list[i].elements * sizeof *kept);
    }
    if (restore && at) jem__model_touch(t->model);
}

void jem__trainer_keep_statistics(jem_trainer *t)
{
    move_statistics(t, 0);
}

void jem__trainer_restore_statistics(jem_trainer *t)
{
    move_statistics(t, 1);
}

/* ---- Parts of a step ---- */

static jem_status at_step(const jem_trainer *t, jem_status status)
{
    if (status == JEM_ERROR_DIVERGED) jem__fail_in(status, "step %" PRId64, t->step);
    return status;
}

static jem_status load(jem_trainer *t)
{
    int64_t n;
    if (t->px > 0) JEM__TRY(jem_loader_next(t->px_loader, t->x_p, NULL, &n));
    if (labels(t)) JEM__TRY(jem_loader_next(t->labelled_loader, t->x_l, t->y, &n));
    return JEM_OK;
}

/* Class-conditional chains follow E(x,y) with random labels. */
static jem_status sample_px(jem_trainer *t)
{
    const int32_t *y = NULL;
    if (jem__sampler_conditional(t->sampler)) {
        jem__random random;
        jem__random_at(&random, t->seed, JEM__RANDOM_LABEL, 0, (uint64_t)t->step, UINT32_MAX);
        for (int64_t i = 0; i < t->px_batch; i++)
            t->chain_y[i] = (int32_t)jem__random_below(&random, (uint32_t)t->classes);
        y = t->chain_y;
    }
    return jem__sampler_draw_pending(t->sampler, y, t->px_batch, t->x_q);
}

/* Chains for p(x,y) follow E(x,y) with the labels of the labelled batch. */
static jem_status sample(jem_trainer *t, double *m)
{
    jem_status status = JEM_OK;
    if (!samples(t)) return JEM_OK;
    jem__sampler_forget(t->sampler);
    if (t->px > 0) status = sample_px(t);
    if (!status && t->pxy > 0)
        status = jem__sampler_draw_pending(t->sampler, t->y, t->batch, t->x_j);
    if (!status)
        jem__sampler_pending_stats(t->sampler, &m[JEM__METRIC_DISTANCE], &m[JEM__METRIC_CLAMPED],
                                   &m[JEM__METRIC_BUFFER_AGE]);
    return at_step(t, status);
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
    if (t->px == 0) { /* guards watch these */
        m[JEM__METRIC_ENERGY_DATA] = c.energy[0];
        m[JEM__METRIC_ENERGY_SAMPLE] = c.energy[1];
    }
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

/* Chains may have left the range of images; loaders' images are what they are. */
static jem_status check_images(const jem_trainer *t)
{
    const char *function = "jem_trainer_step";
    if (t->px > 0) JEM__TRY(check_samples(t, t->x_q, t->px_batch));
    if (t->pxy > 0) JEM__TRY(check_samples(t, t->x_j, t->batch));
    if (t->px > 0) JEM__TRY(jem__model_check(t->model, function, t->x_p, NULL, t->px_batch));
    return labels(t) ? jem__model_check(t->model, function, t->x_l, t->y, t->batch) : JEM_OK;
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

/* Gradients of the whole loss. The labelled batch comes last: running statistics are
   mostly its own. */
static jem_status learn(jem_trainer *t)
{
    jem__batch batches[4];
    int64_t count = 0;
    if (t->px > 0) {
        batches[count++] = batch_of(t, DATA, t->x_p, t->px_batch, PASS_DATA);
        batches[count++] = batch_of(t, SAMPLES, t->x_q, t->px_batch, PASS_SAMPLE);
    }
    if (t->pxy > 0) batches[count++] = batch_of(t, JOINT, t->x_j, t->batch, PASS_JOINT);
    if (labels(t)) batches[count++] = batch_of(t, LABELLED, t->x_l, t->batch, PASS_LABELLED);
    JEM__TRY(jem_model_gradient_zero(t->model));
    return jem__pass_learn(t->pass, batches, count, jem__sampler_cancel_flag(t->sampler));
}

static jem_status measure(const jem_trainer *t, double *m)
{
    m[JEM__METRIC_LOSS] = 0;
    if (t->px > 0) JEM__TRY(measure_px(t, outputs_of(t, DATA), outputs_of(t, SAMPLES), m));
    if (t->pxy > 0) JEM__TRY(measure_pxy(t, outputs_of(t, LABELLED), outputs_of(t, JOINT), m));
    return labels(t) ? measure_labelled(t, outputs_of(t, LABELLED), m) : JEM_OK;
}

/* SAM: gradients at w + e of the same batches, with the same dropout, while running
   statistics stay. The weights are w again, whatever happens. */
static jem_status learn_above(jem_trainer *t)
{
    JEM__TRY(at_step(t, jem_optimizer_ascend(t->optimizer)));
    jem_pass_hold_statistics(t->pass, 1);
    jem_status status = learn(t);
    jem_pass_hold_statistics(t->pass, 0);
    jem_optimizer_restore(t->optimizer);
    return status;
}

static jem_status passes(jem_trainer *t, double *m)
{
    JEM__TRY(check_images(t));
    jem_status status = learn(t);
    if (!status) status = measure(t, m);
    return !status && t->sam ? learn_above(t) : status;
}

/* The last thing that can fail; it changes nothing when it does. */
static jem_status update(jem_trainer *t, double *m)
{
    if (jem__sampler_cancelled(t->sampler)) return JEM_CANCELLED;
    if (t->guard.gradient > 0)
        JEM__TRY(jem__optimizer_norm(t->optimizer, &m[JEM__METRIC_GRADIENT_NORM]));
    JEM__TRY(jem__guard_check(&t->guard, m, t->step));
    m[JEM__METRIC_RATE] = jem__schedule_rate(&t->schedule, t->step) * t->rollback.rate;
    JEM__TRY(jem_optimizer_set_rate(t->optimizer, m[JEM__METRIC_RATE]));
    return at_step(t, jem_optimizer_step(t->optimizer, &m[JEM__METRIC_GRADIENT_NORM]));
}

static jem_status attempt(jem_trainer *t, double *m)
{
    double at = now();
    jem_status status = jem__sampler_cancelled(t->sampler) ? JEM_CANCELLED : load(t);
    m[JEM__METRIC_SECONDS_LOAD] = lap(&at);
    if (!status) status = sample(t, m);
    m[JEM__METRIC_SECONDS_SAMPLE] = samples(t) ? lap(&at) : NAN;
    if (!status) status = passes(t, m);
    m[JEM__METRIC_SECONDS_PASS] = lap(&at);
    if (!status) status = update(t, m);
    m[JEM__METRIC_SECONDS_UPDATE] = lap(&at);
    return status;
}

/* ---- Validation ---- */

static void tell_validation(jem_trainer *t)
{
    const jem__validation *v = &t->validation;
    double *m = t->metrics;
    if (v->step == 0) return;
    m[JEM__METRIC_VALID_STEP] = (double)v->step;
    m[JEM__METRIC_VALID_ACCURACY] = v->results[JEM__ACCURACY];
    m[JEM__METRIC_VALID_NLL] = v->results[JEM__NLL];
    if (v->best_step == 0) return;
    m[JEM__METRIC_BEST_STEP] = (double)v->best_step;
    m[JEM__METRIC_BEST_ACCURACY] = v->results[JEM__BEST_ACCURACY];
    m[JEM__METRIC_BEST_NLL] = v->results[JEM__BEST_NLL];
}

/* Of the average, if there is one. */
jem_status jem__trainer_validate(jem_trainer *t)
{
    const volatile int32_t *cancel = jem__sampler_cancel_flag(t->sampler);
    jem_model *model = t->model;
    if (!jem__validation_due(&t->validation, t->step)) return JEM_OK;
    if (t->average.values) JEM__TRY(jem__model_with(&model, t->model, t->average.values));
    jem_status status = jem__validation_run(&t->validation, model, t->step, cancel);
    if (model != t->model) jem_model_destroy(model);
    if (status) return status;
    tell_validation(t);
    jem__log(JEM_LOG_INFO, "step %" PRId64 ": validation: accuracy %.4f, NLL %.4f%s", t->step,
             t->validation.results[JEM__ACCURACY], t->validation.results[JEM__NLL],
             t->validation.best_step == t->step ? ", the best so far" : "");
    return JEM_OK;
}

/* ---- The whole ---- */

static void finish(jem_trainer *t, double *m, double seconds)
{
    int64_t images = (t->px > 0 ? t->px_batch : 0) + (labels(t) ? t->batch : 0);
    if (samples(t)) jem__sampler_commit(t->sampler, t->x_q);
    jem__guard_commit(&t->guard);
    t->step++;
    jem__average_add(&t->average, t->model, t->step);
    m[JEM__METRIC_STEP] = (double)t->step;
    m[JEM__METRIC_ROLLBACKS] = (double)t->rollback.count;
    m[JEM__METRIC_IMAGES_PER_SECOND] = (double)images / seconds;
    memcpy(t->metrics, m, sizeof t->metrics);
    tell_validation(t);
}

jem_status jem__trainer_advance(jem_trainer *t)
{
    double m[JEM__METRIC_COUNT], from = now();
    int64_t px_position, labelled_position;
    for (int i = 0; i < JEM__METRIC_COUNT; i++) m[i] = NAN;
    JEM__TRY(jem_loader_tell(t->px_loader, &px_position));
    JEM__TRY(jem_loader_tell(t->labelled_loader, &labelled_position));
    jem__trainer_keep_statistics(t);
    jem_status status = attempt(t, m);
    if (status == JEM_OK) {
        finish(t, m, lap(&from));
    } else {
        jem__trainer_restore_statistics(t);
        jem_loader_seek(t->px_loader, px_position);
        jem_loader_seek(t->labelled_loader, labelled_position);
    }
    return status;
}
