/* A state counts as good once `every` more steps went well, since divergence begins
   before it shows. So two copies are kept, `every` steps apart, and a run goes back
   to the older one. Noise then comes from a new seed; a response of 0 or 1 changes
   nothing else. */
#include "train/rollback.h"
#include "base/config.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/status.h"
#include "train/state.h"
#include <inttypes.h>
#include <math.h>

jem_status jem__rollback_read(jem_trainer *t, const jem_config *config)
{
    jem__rollback *r = &t->rollback;
    jem__state state = {0};
    r->retries = jem__config_i64(config, "trainer.retries");
    r->every = jem__config_i64(config, "trainer.snapshot_every");
    r->response_rate = jem__config_f64(config, "trainer.response_rate");
    r->response_penalty = jem__config_f64(config, "trainer.response_penalty");
    r->response_steps = jem__config_i64(config, "trainer.response_steps");
    r->penalty = t->penalty;
    r->steps = r->steps_now = jem__config_i64(config, "sampler.steps");
    r->seed = t->seed;
    r->rate = 1;
    r->good.step = r->candidate.step = -1;
    if (r->retries == 0) return JEM_OK;
    jem_status status = jem__state_of(&state, t);
    if (!status) status = jem__calloc(&r->good.bytes, state.bytes, 1);
    if (!status) status = jem__calloc(&r->candidate.bytes, state.bytes, 1);
    jem__state_clear(&state);
    return status;
}

void jem__rollback_clear(jem__rollback *r)
{
    jem__free(r->good.bytes);
    jem__free(r->candidate.bytes);
    r->good.bytes = r->candidate.bytes = NULL;
}

static jem_status copy_to(jem__snapshot *snapshot, const jem_trainer *t)
{
    jem__state state;
    jem_status status = jem__state_of(&state, t);
    if (!status) {
        jem__state_copy_out(&state, snapshot->bytes);
        snapshot->step = t->step;
    }
    jem__state_clear(&state);
    return status;
}

jem_status jem__rollback_begin(jem_trainer *t)
{
    jem__rollback *r = &t->rollback;
    return r->retries > 0 && r->good.step < 0 ? copy_to(&r->good, t) : JEM_OK;
}

/* A state that is well on its way to the limit is nothing to go back to. */
static int32_t is_calm(const jem_trainer *t)
{
    double gap = t->metrics[JEM__METRIC_GAP], gap_pxy = t->metrics[JEM__METRIC_GAP_PXY];
    return t->guard.alarms == 0 && !(fabs(gap) > t->gap_limit / 2) &&
           !(fabs(gap_pxy) > t->gap_limit / 2);
}

jem_status jem__rollback_keep(jem_trainer *t)
{
    jem__rollback *r = &t->rollback;
    if (r->retries == 0) return JEM_OK;
    int64_t newest = r->candidate.step < 0 ? r->good.step : r->candidate.step;
    if (t->step - newest < r->every || !is_calm(t)) return JEM_OK;
    if (r->candidate.step >= 0) {
        jem__snapshot older = r->good;
        r->good = r->candidate;
        r->candidate = older;
        r->candidate.step = -1; /* until it is written */
    }
    return copy_to(&r->candidate, t);
}

/* The seed of everything that chains draw. */
static uint64_t seed_now(const jem__rollback *r)
{
    jem__random random;
    if (r->count == 0) return r->seed;
    jem__random_at(&random, r->seed, JEM__RANDOM_RETRY, 0, (uint64_t)r->count, 0);
    uint64_t high = jem__random_u32(&random);
    return high << 32 | jem__random_u32(&random);
}

void jem__rollback_respond(jem_trainer *t)
{
    enum { MOST_STEPS = 1000000 }; /* sampler.steps' own limit */
    jem__rollback *r = &t->rollback;
    int64_t room = MOST_STEPS - r->steps, more = r->response_steps;
    r->rate = pow(r->response_rate, (double)r->count);
    t->penalty = r->penalty + r->response_penalty * (double)r->count;
    t->seed = seed_now(r);
    int64_t steps = more > 0 && r->count > room / more ? room : more * r->count;
    r->steps_now = r->steps + steps;
    jem__sampler_set_run(t->sampler, r->steps_now, t->seed);
}

static jem_status return_to_good(jem_trainer *t)
{
    jem__rollback *r = &t->rollback;
    jem__state state;
    jem_status status = jem__state_of(&state, t);
    if (!status) {
        r->from = t->step;
        r->to = r->good.step;
        r->count++;
        r->candidate.step = -1;
        jem__state_copy_in(&state, r->good.bytes);
        t->guard.alarms = 0;
        jem__state_applied(&state, t);
    }
    jem__state_clear(&state);
    return status;
}

jem_status jem__rollback_run(jem_trainer *t)
{
    jem__rollback *r = &t->rollback;
    char reason[sizeof r->reason];
    if (r->retries == 0) return JEM_ERROR_DIVERGED;
    if (r->count >= r->retries)
        return jem__fail_in(JEM_ERROR_DIVERGED, "after %" PRId64 " of %" PRId64 " roll-backs",
                            r->count, r->retries);
    jem_last_error(reason, sizeof reason);
    JEM__TRY(return_to_good(t));
    jem__copy_text(reason, r->reason, sizeof r->reason);
    jem__trainer_forget_metrics(t);
    return JEM_ROLLED_BACK;
}

jem_status jem_trainer_rollbacks(const jem_trainer *trainer, int64_t *count, int64_t *from,
                                 int64_t *to)
{
    JEM__REQUIRE(trainer, "jem_trainer_rollbacks");
    const jem__rollback *r = &trainer->rollback;
    if (count) *count = r->count;
    if (from) *from = r->from;
    if (to) *to = r->to;
    return JEM_OK;
}

int64_t jem_trainer_rollback_reason(const jem_trainer *trainer, char *buffer, int64_t capacity)
{
    if (buffer && capacity > 0) *buffer = 0;
    JEM__REQUIRE(trainer, "jem_trainer_rollback_reason");
    return jem__copy_text(trainer->rollback.reason, buffer, capacity);
}
