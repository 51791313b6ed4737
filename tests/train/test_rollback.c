/* Guards and roll-backs: silent on a healthy run, a way out of a diverging one, and
   the same bits with an interruption anywhere. */
#include "train/tiny.h"
#include "train/trainer.h"
#include <math.h>

/* SGD at a rate that no run survives; the second roll-back brings one that does. */
static const char wild[] = "optimizer.name=sgd optimizer.rate=3 trainer.iterations=24 "
                           "trainer.snapshot_every=3 trainer.retries=4 trainer.response_rate=0.05 "
                           "trainer.response_steps=1 trainer.response_penalty=0.01";

static void rolled(const tiny *t, int64_t *count, int64_t *from, int64_t *to)
{
    OK(jem_trainer_rollbacks(t->trainer, count, from, to));
}

static tiny tiny_with(const char *a, const char *b)
{
    char text[1024];
    snprintf(text, sizeof text, "%s %s", a, b);
    return tiny_of(1, text);
}

START_TEST(healthy_runs_do_not_change)
{
    const char *const settings[] = {"trainer.iterations=12",
                                    "trainer.iterations=12 model.norm=batch model.dropout=0.2 "
                                    "sampler.mode=training sampler.conditional=1 sampler.clamp=1"};
    for (int s = 0; s < 2; s++) {
        tiny plain = tiny_of(1, settings[s]);
        tiny guarded = tiny_with(settings[s], "trainer.retries=3 trainer.snapshot_every=2 "
                                              "trainer.guard_energy=1e3 trainer.guard_gradient=1e6 "
                                              "trainer.guard_clamped=1 trainer.guard_distance=1e3");
        OK(jem_trainer_run(plain.trainer, NULL));
        OK(jem_trainer_run(guarded.trainer, NULL));
        ck_assert(tiny_equal(&plain, &guarded));
        ck_assert(tiny_metric(&guarded, "rollbacks") == 0);
        static const char *const names[] = {"loss", "gradient_norm", "distance", "clamped", "rate"};
        for (int i = 0; i < 5; i++)
            ck_assert(tiny_metric(&plain, names[i]) == tiny_metric(&guarded, names[i]));
        tiny_end(&plain);
        tiny_end(&guarded);
    }
}
END_TEST

START_TEST(goes_back_and_finishes)
{
    int64_t step = 0, count, from, to, seen = 0;
    char reason[200];
    tiny t = tiny_with(wild, "trainer.retries=0");
    FAILS(JEM_ERROR_DIVERGED, jem_trainer_run(t.trainer, NULL), "step");
    OK(jem_trainer_progress(t.trainer, &step, NULL));
    tiny_end(&t);
    ck_assert_int_lt(step, 24);
    t = tiny_of(2, wild);
    rolled(&t, &count, &from, &to);
    ck_assert(count == 0 && from == 0 && to == 0);
    jem_status status;
    while ((status = jem_trainer_step(t.trainer)) == JEM_OK || status == JEM_ROLLED_BACK) {
        OK(jem_trainer_progress(t.trainer, &step, NULL));
        if (status == JEM_OK) continue;
        rolled(&t, &count, &from, &to);
        ck_assert(jem_trainer_rollback_reason(t.trainer, reason, sizeof reason) > 0);
        ck_assert_int_eq(count, ++seen);
        ck_assert_int_eq(step, to);
        /* To a state that a whole interval of good steps followed, or to the start. */
        ck_assert(to % 3 == 0 && (to == 0 || from - to >= 3));
        ck_assert(strstr(reason, "step ") == reason);
        ck_assert(isnan(tiny_metric(&t, "loss")) && tiny_metric(&t, "rollbacks") == (double)seen);
    }
    ck_assert_int_eq(status, JEM_END);
    ck_assert_int_ge(seen, 1);
    ck_assert_int_eq(step, 24);
    ck_assert_double_eq_tol(tiny_metric(&t, "rate"), 3 * pow(0.05, (double)seen), 1e-12);
    tiny_end(&t);
    FAILS(JEM_ERROR_ARGUMENT, jem_trainer_rollbacks(NULL, NULL, NULL, NULL), "trainer");
    FAILS(JEM_ERROR_ARGUMENT, jem_trainer_rollback_reason(NULL, NULL, 0), "trainer");
    ck_assert_str_eq(jem_status_name(JEM_ROLLED_BACK), "JEM_ROLLED_BACK");
}
END_TEST

/* A state whose gap is beyond half its limit is not kept. */
START_TEST(keeps_calm_states)
{
    const char *settings = "trainer.iterations=6 trainer.retries=1 trainer.snapshot_every=1";
    tiny plain = tiny_of(1, settings), t = tiny_of(1, settings);
    for (int i = 0; i < 3; i++) OK(jem_trainer_step(plain.trainer));
    ck_assert_int_eq(plain.trainer->rollback.candidate.step, 3);
    double gap = fabs(tiny_metric(&plain, "gap"));
    for (int i = 0; i < 2; i++) OK(jem_trainer_step(t.trainer));
    t.trainer->gap_limit = 1.5 * gap;
    OK(jem_trainer_step(t.trainer));
    ck_assert_double_eq(fabs(tiny_metric(&t, "gap")), gap);
    ck_assert_int_eq(t.trainer->rollback.candidate.step, 2);
    t.trainer->gap_limit = 1e-12;
    ck_assert_int_eq(jem_trainer_step(t.trainer), JEM_ROLLED_BACK);
    ck_assert_int_eq(t.trainer->rollback.to, 1);
    tiny_end(&plain);
    tiny_end(&t);
}
END_TEST

START_TEST(gives_up)
{
    int64_t count, from, to, step;
    tiny t = tiny_with(wild, "trainer.retries=2 trainer.response_rate=1");
    FAILS(JEM_ERROR_DIVERGED, jem_trainer_run(t.trainer, NULL), "after 2 of 2 roll-backs: step");
    rolled(&t, &count, &from, &to);
    OK(jem_trainer_progress(t.trainer, &step, NULL));
    ck_assert(count == 2 && step >= to);
    ck_assert_int_eq(jem_trainer_step(t.trainer), JEM_ERROR_DIVERGED);
    tiny_end(&t);
}
END_TEST

typedef struct watch {
    int64_t steps, rollbacks, from, to;
    int32_t stop;
} watch;

static int32_t on_step(void *user, jem_trainer *trainer, int64_t step)
{
    (void)trainer, (void)step;
    ((watch *)user)->steps++;
    return 0;
}

static int32_t on_rollback(void *user, jem_trainer *trainer, int64_t from, int64_t to,
                           const char *reason)
{
    watch *w = user;
    int64_t step;
    OK(jem_trainer_progress(trainer, &step, NULL));
    ck_assert(step == to && *reason);
    w->rollbacks++;
    w->from += from;
    w->to += to;
    return w->stop;
}

START_TEST(callbacks_hear_of_it)
{
    watch w = {0};
    int64_t count, from, to;
    tiny t = tiny_of(1, wild), old = tiny_of(1, wild);
    jem_trainer_callbacks callbacks = {sizeof callbacks, &w, on_step, on_rollback};
    OK(jem_trainer_run(t.trainer, &callbacks));
    rolled(&t, &count, &from, &to);
    ck_assert_int_eq(w.rollbacks, count);
    ck_assert_int_eq(w.steps, 24 + w.from - w.to);
    /* The table of a program that was built before there was a second callback. */
    callbacks.struct_size = 24;
    OK(jem_trainer_run(old.trainer, &callbacks));
    ck_assert_int_eq(w.rollbacks, count);
    ck_assert(tiny_equal(&t, &old));
    tiny_end(&t);
    tiny_end(&old);
    t = tiny_of(1, wild);
    callbacks.struct_size = sizeof callbacks;
    w.stop = 1;
    ck_assert_int_eq(jem_trainer_run(t.trainer, &callbacks), JEM_CANCELLED);
    w.stop = 0;
    OK(jem_trainer_run(t.trainer, &callbacks));
    tiny_end(&t);
}
END_TEST

/* From a checkpoint of any step, on either side of a roll-back, the run ends in the
   same bits. */
START_TEST(resumed_is_unbroken)
{
    enum { MOST = 64 };
    char path[MOST][4300];
    int64_t saved = 0, count, again, from, to;
    jem_status status = JEM_OK;
    tiny whole = tiny_of(1, wild);
    while (status != JEM_END && saved < MOST) {
        snprintf(path[saved], sizeof path[0], "%s-%d", test_path("step"), (int)saved);
        OK(jem_trainer_save(whole.trainer, path[saved++]));
        status = jem_trainer_step(whole.trainer);
        ck_assert_int_ge(status, 0);
    }
    ck_assert_int_eq(status, JEM_END);
    rolled(&whole, &count, &from, &to);
    ck_assert_int_ge(count, 1);
    for (int64_t i = 0; i < saved; i++) {
        tiny t = tiny_of(1 + i % 2, wild);
        if (i % 3 == 0) OK(jem_trainer_step(t.trainer));
        OK(jem_trainer_resume(t.trainer, path[i]));
        OK(jem_trainer_run(t.trainer, NULL));
        ck_assert_msg(tiny_equal(&whole, &t), "resumed from save %d of %d", (int)i, (int)saved);
        rolled(&t, &again, &from, &to);
        ck_assert_int_eq(again, count);
        tiny_end(&t);
    }
    tiny_end(&whole);
}
END_TEST

/* Noise comes from a new seed, so that the way is another one even without a response. */
START_TEST(another_seed)
{
    const char *same = "trainer.retries=5 trainer.response_rate=1 trainer.response_penalty=0 "
                       "trainer.snapshot_every=100";
    tiny t = tiny_with(same, "trainer.guard_patience=4 trainer.guard_distance=1e-9"),
         plain = tiny_of(1, "");
    for (int i = 0; i < 3; i++) OK(jem_trainer_step(t.trainer));
    for (int i = 0; i < 3; i++) OK(jem_trainer_step(plain.trainer));
    ck_assert(tiny_equal(&t, &plain));
    ck_assert_int_eq(jem_trainer_step(t.trainer), JEM_ROLLED_BACK);
    for (int i = 0; i < 3; i++) OK(jem_trainer_step(t.trainer));
    ck_assert(!tiny_equal(&t, &plain));
    ck_assert(tiny_metric(&t, "rate") == tiny_metric(&plain, "rate"));
    tiny_end(&t);
    tiny_end(&plain);
}
END_TEST

START_TEST(each_guard)
{
    static const char *const guards[][2] = {
        {"trainer.guard_energy=1e-6", "the mean energy of the data"},
        {"trainer.guard_energy=1e-6 trainer.px=0 trainer.pxy=1", "the mean energy of the data"},
        {"trainer.guard_gradient=1e-6", "the gradient norm"},
        {"trainer.guard_clamped=1e-6 sampler.clamp=1 sampler.noise=1", "pixels at the box"},
        {"trainer.guard_distance=1e-6", "the mean distance"}};
    for (int i = 0; i < 4; i++) {
        tiny t = tiny_of(1, guards[i][0]), plain = tiny_of(1, guards[i][0]);
        FAILS(JEM_ERROR_DIVERGED, jem_trainer_step(t.trainer), guards[i][1]);
        ck_assert(tiny_equal(&t, &plain)); /* and nothing was learned */
        tiny_end(&t);
        tiny_end(&plain);
        /* Three in a row. */
        t = tiny_with(guards[i][0], "trainer.guard_patience=3");
        for (int j = 0; j < 2; j++) OK(jem_trainer_step(t.trainer));
        FAILS(JEM_ERROR_DIVERGED, jem_trainer_step(t.trainer), "3 in a row");
        FAILS(JEM_ERROR_DIVERGED, jem_trainer_step(t.trainer), "3 in a row");
        tiny_end(&t);
    }
}
END_TEST

/* The policy may be taken up or dropped where a run is resumed. */
START_TEST(policy_may_change)
{
    char path[4300];
    snprintf(path, sizeof path, "%s", test_path("other"));
    tiny without = tiny_with(wild, "trainer.retries=0"), t = tiny_of(1, wild);
    OK(jem_trainer_step(without.trainer));
    OK(jem_trainer_save(without.trainer, path));
    OK(jem_trainer_resume(t.trainer, path));
    OK(jem_trainer_run(t.trainer, NULL));
    tiny_end(&t);
    t = tiny_of(1, wild);
    jem_status status;
    while ((status = jem_trainer_step(t.trainer)) == JEM_OK) {
    }
    ck_assert_int_eq(status, JEM_ROLLED_BACK);
    OK(jem_trainer_save(t.trainer, path));
    OK(jem_trainer_resume(without.trainer, path));
    int64_t count, from, to;
    rolled(&without, &count, &from, &to);
    ck_assert_int_eq(count, 1);
    /* The response stays. */
    status = jem_trainer_step(without.trainer);
    ck_assert(status == JEM_OK || status == JEM_ERROR_DIVERGED);
    if (status == JEM_OK) ck_assert_double_eq_tol(tiny_metric(&without, "rate"), 3 * 0.05, 1e-12);
    tiny_end(&without);
    tiny_end(&t);
}
END_TEST

TESTS("rollback", healthy_runs_do_not_change, goes_back_and_finishes, keeps_calm_states, gives_up,
      callbacks_hear_of_it, resumed_is_unbroken, another_seed, each_guard, policy_may_change)
