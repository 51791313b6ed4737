/* One training step (Grathwohl et al. 2019, algorithm 1): load, sample, the passes
   (with SAM all of them twice), update. Whatever fails, it is as if the step had not
   begun: weights and optimizer move last, the buffer waits for its commit, loaders are
   put back and running statistics restored. */
#define _POSIX_C_SOURCE 200809L
#include "base/random.h"
#include "base/status.h"
#include "train/objective.h"
#include "train/optimizer.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <time.h>

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
    if (restore && at) jem__model_touch_briefly(t->model);
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
    if (t->px > 0) JEM__TRY(jem_loader_next(t->px_loader, t->x_p, INT64_MAX, NULL, 0, &n));
    if (jem__objective_labels(t))
        JEM__TRY(jem_loader_next(t->labelled_loader, t->x_l, INT64_MAX, t->y, INT64_MAX, &n));
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
    if (!jem__objective_samples(t)) return JEM_OK;
    jem__sampler_forget(t->sampler);
    if (t->px > 0) status = sample_px(t);
    if (!status && t->pxy > 0)
        status = jem__sampler_draw_pending(t->sampler, t->y, t->batch, t->x_j);
    if (!status)
        jem__sampler_pending_stats(t->sampler, &m[JEM__METRIC_DISTANCE], &m[JEM__METRIC_CLAMPED],
                                   &m[JEM__METRIC_BUFFER_AGE]);
    return at_step(t, status);
}

/* SAM: gradients at w + e of the same batches, with the same dropout, while running
   statistics stay. The weights are w again, whatever happens. */
static jem_status learn_above(jem_trainer *t)
{
    JEM__TRY(at_step(t, jem_optimizer_ascend(t->optimizer)));
    jem_pass_hold_statistics(t->pass, 1);
    jem_status status = jem__objective_learn(t);
    jem_pass_hold_statistics(t->pass, 0);
    jem_optimizer_restore(t->optimizer);
    return status;
}

static jem_status passes(jem_trainer *t, double *m)
{
    JEM__TRY(jem__objective_check(t));
    jem_status status = jem__objective_learn(t);
    if (!status) status = jem__objective_measure(t, m);
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
    m[JEM__METRIC_SECONDS_SAMPLE] = jem__objective_samples(t) ? lap(&at) : NAN;
    if (!status) status = passes(t, m);
    m[JEM__METRIC_SECONDS_PASS] = lap(&at);
    if (!status) status = update(t, m);
    m[JEM__METRIC_SECONDS_UPDATE] = lap(&at);
    return status;
}

/* ---- The whole ---- */

static void finish(jem_trainer *t, double *m, double seconds)
{
    int64_t images = (t->px > 0 ? t->px_batch : 0) + (jem__objective_labels(t) ? t->batch : 0);
    if (jem__objective_samples(t)) jem__sampler_commit(t->sampler, t->x_q);
    jem__guard_commit(&t->guard);
    t->step++;
    jem__average_add(&t->average, t->model, t->step);
    m[JEM__METRIC_STEP] = (double)t->step;
    jem__trainer_tell_policy(t, m);
    m[JEM__METRIC_IMAGES_PER_SECOND] = (double)images / seconds;
    memcpy(t->metrics, m, sizeof t->metrics);
    jem__trainer_tell_validation(t);
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
