/* The pool: every task once, errors, many callers, settings left alone. */
#include "base/status.h"
#include "base/threads.h"
#include "helpers.h"
#include <pthread.h>
#include <signal.h>

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

START_TEST(many_callers)
{
    jem__pool *pool;
    pthread_t threads[6];
    void *bad;
    OK(jem__pool_create(&pool, 2));
    for (int i = 0; i < 6; i++) ck_assert_int_eq(pthread_create(&threads[i], 0, caller, pool), 0);
    for (int i = 0; i < 6; i++) {
        pthread_join(threads[i], &bad);
        ck_assert_ptr_null(bad);
    }
    jem__pool_destroy(pool, 0);
}
END_TEST

static jem_status mask_task(void *user, int64_t index, int64_t worker)
{
    sigset_t mask;
    (void)user, (void)index, (void)worker;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    return sigismember(&mask, SIGINT) && sigismember(&mask, SIGTERM) ? JEM_OK : JEM_ERROR_STATE;
}

START_TEST(signals_are_the_hosts)
{
    jem__pool *pool;
    sigset_t mask;
    OK(jem__pool_create(&pool, 1));
    OK(jem__pool_run(pool, 1, mask_task, NULL));
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    ck_assert(!sigismember(&mask, SIGINT));
    jem__pool_destroy(pool, 0);
    jem__pool_destroy(NULL, 0);
}
END_TEST

TESTS("threads", each_task_once, lowest_failure_wins, many_callers, signals_are_the_hosts)
