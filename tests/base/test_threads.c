/* The pool: every task once, errors, many callers, the callers' settings left alone. */
#include "base/status.h"
#include "base/threads.h"
#include "helpers.h"
#include <fenv.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <xmmintrin.h>

enum { N = 1000 };

static jem_status count_task(void *user, int64_t index, int64_t worker)
{
    int *counts = user;
    counts[index]++;
    return worker < 0 || worker > 2 ? JEM_ERROR_STATE : JEM_OK;
}

START_TEST(each_task_once)
{
    jem__pool *pool;
    OK(jem__pool_create(&pool, 3));
    ck_assert_int_eq(jem__pool_threads(pool), 3);
    int counts[N] = {0};
    OK(jem__pool_run(pool, N, count_task, counts));
    OK(jem__pool_run(pool, 0, count_task, counts));
    for (int i = 0; i < N; i++) ck_assert_int_eq(counts[i], 1);
    jem__pool_destroy(pool, 0);
}
END_TEST

static jem_status failing_task(void *user, int64_t index, int64_t worker)
{
    (void)user, (void)worker;
    return index >= 5 ? jem__fail(JEM_ERROR_BACKEND, "task %d", (int)index) : JEM_OK;
}

START_TEST(lowest_failure_wins)
{
    jem__pool *pool;
    OK(jem__pool_create(&pool, 2));
    for (int i = 0; i < 50; i++)
        FAILS(JEM_ERROR_BACKEND, jem__pool_run(pool, N, failing_task, NULL), "task 5");
    jem__pool_destroy(pool, 0);
}
END_TEST

static void *caller(void *user)
{
    int counts[N] = {0};
    intptr_t bad = 0;
    for (int i = 0; i < 20; i++) bad |= jem__pool_run(user, N, count_task, counts);
    for (int i = 0; i < N; i++) bad |= counts[i] != 20;
    return (void *)bad;
}

/* On six threads at once, with a pool of two workers; each returns NULL if all is well. */
static void from_six_threads(void *(*run)(void *))
{
    jem__pool *pool;
    pthread_t threads[6];
    void *bad;
    OK(jem__pool_create(&pool, 2));
    for (int i = 0; i < 6; i++) ck_assert_int_eq(pthread_create(&threads[i], 0, run, pool), 0);
    for (int i = 0; i < 6; i++) {
        pthread_join(threads[i], &bad);
        ck_assert_ptr_null(bad);
    }
    jem__pool_destroy(pool, 0);
}

START_TEST(many_callers)
{
    from_six_threads(caller);
}
END_TEST

/* ---- The host's thread takes part, and is left as it was ---- */

int omp_get_max_threads(void);
void omp_set_num_threads(int threads);

typedef struct seen {
    pthread_t caller;
    int64_t here, there; /* tasks on the caller's thread and on others */
    pthread_barrier_t both;
    int32_t wait, modes;
} seen;

/* Whether denormals are off when the processor is told so. Valgrind's heeds no modes. */
static int32_t heeds_modes(void)
{
    enum { DENORMALS_OFF = 0x8040 };
    unsigned before = _mm_getcsr();
    volatile float tiny = 1e-38f, less;
    _mm_setcsr(before | DENORMALS_OFF);
    less = tiny * 0.1f;
    _mm_setcsr(before);
    return less == 0;
}

static int masked(int signal)
{
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    return sigismember(&mask, signal);
}

static jem_status look_task(void *user, int64_t index, int64_t worker)
{
    seen *s = user;
    volatile float tiny = 1e-38f, one = 1, zero = tiny * 0.1f; /* a denormal, but they are off */
    int mine = pthread_equal(pthread_self(), s->caller);
    (void)index, (void)worker;
    if (s->wait) pthread_barrier_wait(&s->both);
    __atomic_fetch_add(mine ? &s->here : &s->there, 1, __ATOMIC_RELAXED);
    if (s->modes && (zero != 0 || one + tiny != 1)) return jem__fail(JEM_ERROR_STATE, "mode");
    if (omp_get_max_threads() != 1) return jem__fail(JEM_ERROR_STATE, "OpenMP");
    if (masked(SIGINT) == mine) return jem__fail(JEM_ERROR_STATE, "mask");
    return JEM_OK;
}

START_TEST(caller_takes_part)
{
    jem__pool *pool;
    seen s = {.caller = pthread_self(), .modes = heeds_modes()};
    pthread_barrier_init(&s.both, NULL, 2);
    OK(jem__pool_create(&pool, 2));
    omp_set_num_threads(5);
    fesetround(FE_UPWARD);
    OK(jem__pool_run(pool, 1, look_task, &s)); /* one task: nobody else is woken */
    ck_assert(s.here == 1 && s.there == 0);
    s.wait = 1; /* two at once: one each */
    OK(jem__pool_run(pool, 2, look_task, &s));
    ck_assert(s.here == 2 && s.there == 1);
    volatile float tiny = 1e-38f, one = 1, denormal = tiny * 0.1f;
    ck_assert(!s.modes || (denormal != 0 && one + tiny > 1));
    ck_assert_int_eq(omp_get_max_threads(), 5);
    ck_assert(!masked(SIGINT));
    fesetround(FE_TONEAREST);
    jem__pool_destroy(pool, 0);
    jem__pool_destroy(NULL, 0);
    pthread_barrier_destroy(&s.both);
}
END_TEST

/* However many callers: no more tasks at once than threads, each under a number of its own. */
static int64_t at_once, holders[2];

static jem_status crowd_task(void *user, int64_t index, int64_t worker)
{
    (void)user, (void)index;
    int64_t now = __atomic_add_fetch(&at_once, 1, __ATOMIC_SEQ_CST);
    int64_t held = __atomic_add_fetch(&holders[worker], 1, __ATOMIC_SEQ_CST);
    sched_yield();
    __atomic_sub_fetch(&holders[worker], 1, __ATOMIC_SEQ_CST);
    __atomic_sub_fetch(&at_once, 1, __ATOMIC_SEQ_CST);
    return now > 2 || held != 1 ? jem__fail(JEM_ERROR_STATE, "a crowd") : JEM_OK;
}

static void *crowd(void *user)
{
    intptr_t bad = 0;
    for (int i = 0; i < 300; i++) bad |= jem__pool_run(user, 1 + i % 3, crowd_task, NULL);
    return (void *)bad;
}

START_TEST(callers_are_counted)
{
    from_six_threads(crowd);
}
END_TEST

TESTS("threads", each_task_once, lowest_failure_wins, many_callers, caller_takes_part,
      callers_are_counted)
