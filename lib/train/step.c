/* One training step (Grathwohl et al. 2019, algorithm 1): load, sample, three
   passes, update. Whatever fails, it is as if the step had not begun: weights
   and optimizer move last, the buffer waits for its commit, loaders are put
   back and running statistics restored. */
#define _POSIX_C_SOURCE 200809L
#include "base/random.h"
#include "base/status.h"
#include "train/optimizer.h"
#include "train/trainer.h"
#include <inttypes.h>
#include <jem/loss.h>
#include <math.h>
#include <string.h>
#include <time.h>

/* The pass's dropout streams, one for each of a step's batches. */
enum { PASS_DATA = 0, PASS_SAMPLE = 1, PASS_LABELLED = 2 };

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

static jem_status load(jem_trainer *t)
{
    int64_t n;
    if (t->px > 0) JEM__TRY(jem_loader_next(t->px_loader, t->x_p, NULL, &n));
    if (t->pyx > 0) JEM__TRY(jem_loader_next(t->labelled_loader, t->x_l, t->y, &n));
    return JEM_OK;
}

/* Class-conditional chains follow E(x,y) with random labels. */
static jem_status sample(jem_trainer *t, double *m)
{
    const int32_t *y = NULL;
    if (t->px <= 0) return JEM_OK;
    if (jem__sampler_conditional(t->sampler)) {
        jem__random random;
        jem__random_at(&random, t->seed, JEM__RANDOM_LABEL, 0, (uint64_t)t->step, UINT32_MAX);
        for (int64_t i = 0; i < t->px_batch; i++)
            t->chain_y[i] = (int32_t)jem__random_below(&random, (uint32_t)t->classes);
        y = t->chain_y;
    }
    jem_status status = jem__sampler_draw_pending(t->sampler, y, t->px_batch, t->x_q);
    if (status == JEM_ERROR_DIVERGED) jem__fail_in(status, "step %" PRId64, t->step);
    if (!status)
        jem__sampler_pending_stats(t->sampler, &m[JEM__METRIC_DISTANCE], &m[JEM__METRIC_CLAMPED],
                                   &m[JEM__METRIC_BUFFER_AGE]);
    return status;
}

static jem_status check_finite(const jem_trainer *t, const char *what, double value)
{
    if (isfinite(value)) return JEM_OK;
    return jem__fail(JEM_ERROR_DIVERGED, "step %" PRId64 ": %s is %g", t->step, what, value);
}

/* ---- Losses of a slice: the mean over its batch, of all of whose images it has n ---- */

static jem_status derive_energy(const jem_trainer *t, double sign, int64_t n, const float *logits,
                                float *dlogits)
{
    double share = t->px * (double)n / (double)t->px_batch;
    memset(dlogits, 0, (size_t)(n * t->classes) * sizeof *dlogits);
    JEM__TRY(jem_loss_energy(logits, NULL, n, t->classes, sign * share, NULL, dlogits));
    if (t->penalty > 0)
        JEM__TRY(jem_loss_energy_penalty(logits, NULL, n, t->classes, share * t->penalty, NULL,
                                         dlogits));
    return JEM_OK;
}

static jem_status derive_data(void *user, int64_t first, int64_t n, const float *logits,
                              float *dlogits)
{
    (void)first;
    return derive_energy(user, 1, n, logits, dlogits);
}

static jem_status derive_samples(void *user, int64_t first, int64_t n, const float *logits,
                                 float *dlogits)
{
    (void)first;
    return derive_energy(user, -1, n, logits, dlogits);
}

static jem_status derive_labelled(void *user, int64_t first, int64_t n, const float *logits,
                                  float *dlogits)
{
    const jem_trainer *t = user;
    double share = t->pyx * (double)n / (double)t->batch;
    memset(dlogits, 0, (size_t)(n * t->classes) * sizeof *dlogits);
    return jem_loss_cross_entropy(logits, t->y + first, n, t->classes, share, NULL, dlogits);
}

/* ---- Metrics from a batch's logits ---- */

/* Mean energy, and mean squared energy, of a batch for p(x). */
static jem_status energies(const jem_trainer *t, const float *logits, const char *what,
                           double *energy, double *squares)
{
    JEM__TRY(jem_loss_energy(logits, NULL, t->px_batch, t->classes, 1, energy, NULL));
    JEM__TRY(jem_loss_energy_penalty(logits, NULL, t->px_batch, t->classes, 1, squares, NULL));
    return check_finite(t, what, *energy);
}

static jem_status measure_px(const jem_trainer *t, const float *data, const float *samples,
                             double *m)
{
    double squares[2];
    JEM__TRY(
        energies(t, data, "the mean energy of the data", &m[JEM__METRIC_ENERGY_DATA], squares));
    JEM__TRY(energies(t, samples, "the mean energy of the samples", &m[JEM__METRIC_ENERGY_SAMPLE],
                      squares + 1));
    double gap = m[JEM__METRIC_ENERGY_DATA] - m[JEM__METRIC_ENERGY_SAMPLE];
    m[JEM__METRIC_GAP] = gap;
    m[JEM__METRIC_LOSS_PX] = gap + t->penalty * (squares[0] + squares[1]);
    m[JEM__METRIC_LOSS] += t->px * m[JEM__METRIC_LOSS_PX];
    if (!(fabs(gap) <= t->gap_limit))
        return jem__fail(JEM_ERROR_DIVERGED,
                         "step %" PRId64
                         ": the energy gap between data and samples is %g, trainer.gap_limit is %g",
                         t->step, gap, t->gap_limit);
    return check_finite(t, "the loss of p(x)", m[JEM__METRIC_LOSS_PX]);
}

static double accuracy(const jem_trainer *t, const float *logits)
{
    int64_t right = 0;
    for (int64_t i = 0; i < t->batch; i++) {
        const float *row = logits + i * t->classes;
        int64_t best = 0;
        for (int64_t j = 1; j < t->classes; j++)
            if (row[j] > row[best]) best = j;
        right += best == t->y[i];
    }
    return (double)right / (double)t->batch;
}

static jem_status measure_labelled(const jem_trainer *t, const float *logits, double *m)
{
    double *loss = &m[JEM__METRIC_LOSS_PYX];
    JEM__TRY(jem_loss_cross_entropy(logits, t->y, t->batch, t->classes, 1, loss, NULL));
    m[JEM__METRIC_LOSS] += t->pyx * *loss;
    m[JEM__METRIC_ACCURACY] = accuracy(t, logits);
    return check_finite(t, "the cross-entropy", *loss);
}

/* ---- The passes ---- */

/* Chains may have left the range of images; loaders' images are what they are. */
static jem_status check_images(const jem_trainer *t)
{
    jem_status status = JEM_OK;
    if (t->px > 0) {
        status = jem__model_check(t->model, "jem_trainer_step", t->x_q, NULL, t->px_batch);
        if (status == JEM_ERROR_ARGUMENT)
            return jem__fail_in(JEM_ERROR_DIVERGED, "step %" PRId64 ": the samples", t->step);
        if (!status)
            status = jem__model_check(t->model, "jem_trainer_step", t->x_p, NULL, t->px_batch);
    }
    if (!status && t->pyx > 0)
        status = jem__model_check(t->model, "jem_trainer_step", t->x_l, t->y, t->batch);
    return status;
}

static jem_status passes(jem_trainer *t, double *m)
{
    jem__batch batches[3];
    int64_t count = 0, n = t->px_batch, px_logits = n * t->classes;
    float *labelled = t->logits + (t->px > 0 ? 2 * px_logits : 0);
    JEM__TRY(check_images(t));
    if (t->px > 0) {
        batches[count++] = (jem__batch){t->x_p, n, PASS_DATA, t->step, t->logits, t, derive_data};
        batches[count++] =
            (jem__batch){t->x_q, n, PASS_SAMPLE, t->step, t->logits + px_logits, t, derive_samples};
    }
    if (t->pyx > 0)
        batches[count++] =
            (jem__batch){t->x_l, t->batch, PASS_LABELLED, t->step, labelled, t, derive_labelled};
    JEM__TRY(jem_model_gradient_zero(t->model));
    jem_status status =
        jem__pass_learn(t->pass, batches, count, jem__sampler_cancel_flag(t->sampler));
    if (status) return status;
    m[JEM__METRIC_LOSS] = 0;
    if (t->px > 0) JEM__TRY(measure_px(t, t->logits, t->logits + px_logits, m));
    return t->pyx > 0 ? measure_labelled(t, labelled, m) : JEM_OK;
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
    jem_status status = jem_optimizer_step(t->optimizer, &m[JEM__METRIC_GRADIENT_NORM]);
    if (status == JEM_ERROR_DIVERGED) jem__fail_in(status, "step %" PRId64, t->step);
    return status;
}

static jem_status attempt(jem_trainer *t, double *m)
{
    double at = now();
    jem_status status = jem__sampler_cancelled(t->sampler) ? JEM_CANCELLED : load(t);
    m[JEM__METRIC_SECONDS_LOAD] = lap(&at);
    if (!status) status = sample(t, m);
    m[JEM__METRIC_SECONDS_SAMPLE] = t->px > 0 ? lap(&at) : NAN;
    if (!status) status = passes(t, m);
    m[JEM__METRIC_SECONDS_PASS] = lap(&at);
    if (!status) status = update(t, m);
    m[JEM__METRIC_SECONDS_UPDATE] = lap(&at);
    return status;
}

static void finish(jem_trainer *t, double *m, double seconds)
{
    int64_t images = (t->px > 0 ? t->px_batch : 0) + (t->pyx > 0 ? t->batch : 0);
    if (t->px > 0) jem__sampler_commit(t->sampler, t->x_q);
    jem__guard_commit(&t->guard);
    t->step++;
    m[JEM__METRIC_STEP] = (double)t->step;
    m[JEM__METRIC_ROLLBACKS] = (double)t->rollback.count;
    m[JEM__METRIC_IMAGES_PER_SECOND] = (double)images / seconds;
    memcpy(t->metrics, m, sizeof t->metrics);
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
