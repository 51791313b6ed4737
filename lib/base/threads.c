/* A queue of jobs; workers take tasks from the oldest job that has some left. */
#define _GNU_SOURCE
#include "base/threads.h"
#include "base/context.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>

#ifdef __SSE__
#include <xmmintrin.h>
#endif

void omp_set_num_threads(int threads); /* of the OpenMP that oneDNN uses */

/* Rounds to nearest whatever the host does, and takes denormals for zero: a network
   that is sure of itself is full of them, and each costs a hundred cycles. */
static void set_float_mode(void)
{
#ifdef __SSE__
    _mm_setcsr(0x1f80 | 0x8000 | 0x0040); /* default; flush to zero; denormals are zero */
#endif
}

typedef struct job {
    jem__task *task;
    void *user;
    int64_t count, next, running; /* tasks; next to hand out; handed out, not done */
    int64_t failed;               /* index of the failure kept; -1: none */
    jem_status status;
    char text[1024];
    jem_context *context; /* that the caller works for */
    jem__lines lines;     /* that workers logged */
    pthread_cond_t done;
    struct job *after;
} job;

typedef struct worker {
    struct jem__pool *pool;
    int64_t number;
    pthread_t thread;
} worker;

struct jem__pool {
    pthread_mutex_t lock;
    pthread_cond_t work;
    job *first;
    int32_t stop;
    int64_t threads;
    worker *workers;
};

static void finish_task(job *j, int64_t index, jem_status status)
{
    if (status < 0 && (j->failed < 0 || index < j->failed)) {
        j->failed = index;
        j->status = status;
        jem_last_error(j->text, sizeof j->text);
    }
    if (j->status < 0) j->next = j->count;
    jem__log_append(&j->lines, jem__log_take());
    if (--j->running == 0 && j->next >= j->count) pthread_cond_signal(&j->done);
}

static job *next_job(jem__pool *pool)
{
    for (job *j = pool->first; j; j = j->after)
        if (j->next < j->count) return j;
    return NULL;
}

static void *work(void *user)
{
    worker *self = user;
    jem__pool *pool = self->pool;
    omp_set_num_threads(1);
    set_float_mode();
    jem__scope idle = jem__enter(NULL); /* never left: lines go to the callers */
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        job *j = next_job(pool);
        if (!j) {
            if (pool->stop) break;
            pthread_cond_wait(&pool->work, &pool->lock);
            continue;
        }
        int64_t index = j->next++;
        j->running++;
        pthread_mutex_unlock(&pool->lock);
        jem__scope scope = jem__enter(j->context);
        jem_status status = j->task(j->user, index, self->number);
        jem__restore(scope);
        pthread_mutex_lock(&pool->lock);
        finish_task(j, index, status);
    }
    pthread_mutex_unlock(&pool->lock);
    jem__restore(idle);
    return NULL;
}

static int64_t cpus(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);
}

jem_status jem__pool_create(jem__pool **out, int64_t threads)
{
    jem__pool *pool = NULL;
    sigset_t all, before;
    *out = NULL;
    if (threads < 1) threads = cpus();
    JEM__TRY(jem__calloc(&pool, 1, sizeof *pool));
    if (jem__calloc(&pool->workers, threads, sizeof *pool->workers)) {
        jem__free(pool);
        return JEM_ERROR_MEMORY;
    }
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    /* Signals are the host's: workers inherit a mask that blocks them all. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (int64_t i = 0; i < threads; i++) {
        worker *w = &pool->workers[pool->threads];
        *w = (worker){.pool = pool, .number = pool->threads};
        if (pthread_create(&w->thread, NULL, work, w) == 0) pool->threads++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (pool->threads == 0) {
        jem__pool_destroy(pool, 0);
        return jem__fail(JEM_ERROR_MEMORY, "no worker thread could be started");
    }
    *out = pool;
    return JEM_OK;
}

static void end_workers(jem__pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->stop = 1;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (int64_t i = 0; i < pool->threads; i++) pthread_join(pool->workers[i].thread, NULL);
    pthread_mutex_destroy(&pool->lock);
    pthread_cond_destroy(&pool->work);
}

void jem__pool_destroy(jem__pool *pool, int32_t forked)
{
    if (!pool) return;
    /* After a fork nobody is there to join, and a lock may be held for good. */
    if (!forked) end_workers(pool);
    jem__free(pool->workers);
    jem__free(pool);
}

int64_t jem__pool_threads(const jem__pool *pool)
{
    return pool->threads;
}

jem_status jem__pool_run(jem__pool *pool, int64_t count, jem__task *task, void *user)
{
    job j = {
        .task = task, .user = user, .count = count, .failed = -1, .context = jem__context_here()};
    if (count < 1) return JEM_OK;
    pthread_cond_init(&j.done, NULL);
    pthread_mutex_lock(&pool->lock);
    job **at = &pool->first;
    while (*at) at = &(*at)->after;
    *at = &j;
    pthread_cond_broadcast(&pool->work);
    while (j.running > 0 || j.next < j.count) pthread_cond_wait(&j.done, &pool->lock);
    for (at = &pool->first; *at != &j; at = &(*at)->after) {
    }
    *at = j.after;
    pthread_mutex_unlock(&pool->lock);
    pthread_cond_destroy(&j.done);
    jem__log_give(j.lines);
    return j.status < 0 ? jem__fail(j.status, "%s", j.text) : JEM_OK;
}
