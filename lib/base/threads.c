/* A queue of jobs; workers take tasks from the oldest job that has some left. A thread that hands
   in a job works on it too: one slice is scored without waking anybody. */
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

/* Of the OpenMP that oneDNN uses; both are about the calling thread. */
void omp_set_num_threads(int threads);
int omp_get_max_threads(void);

/* What a thread has set that computes. */
typedef struct settings {
    unsigned float_mode;
    int threads;
} settings;

/* One OpenMP thread; rounds to nearest whatever the host does, and takes denormals for zero: a
   network that is sure of itself is full of them, and each costs a hundred cycles. */
static settings enter_settings(void)
{
    settings before = {0, omp_get_max_threads()};
#ifdef __SSE__
    before.float_mode = _mm_getcsr();
    _mm_setcsr(0x1f80 | 0x8000 | 0x0040); /* default; flush to zero; denormals are zero */
#endif
    omp_set_num_threads(1);
    return before;
}

static void restore_settings(settings before)
{
#ifdef __SSE__
    _mm_setcsr(before.float_mode);
#endif
    omp_set_num_threads(before.threads);
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

struct jem__pool {
    pthread_mutex_t lock;
    pthread_cond_t work; /* there is a task and a number free */
    job *first;
    int32_t stop;
    int64_t threads;
    pthread_t *workers;
    /* Worker numbers that nobody works under, as many as threads at first. Who takes one may run
       tasks, on our threads or on a caller's: never more than `threads` at once. */
    int64_t *numbers, spare;
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

/* One task of the job, which has some left, under a number, of which one is spare. Locked; not
   while the task runs. */
static void run_task(jem__pool *pool, job *j)
{
    int64_t number = pool->numbers[--pool->spare], index = j->next++;
    j->running++;
    pthread_mutex_unlock(&pool->lock);
    jem__scope scope = jem__enter(j->context);
    jem_status status = j->task(j->user, index, number);
    jem__restore(scope);
    pthread_mutex_lock(&pool->lock);
    pool->numbers[pool->spare++] = number;
    finish_task(j, index, status);
}

static void *work(void *user)
{
    jem__pool *pool = user;
    enter_settings();
    jem__scope idle = jem__enter(NULL); /* never left: lines go to the callers */
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        job *j = pool->spare > 0 ? next_job(pool) : NULL;
        if (j)
            run_task(pool, j);
        else if (pool->stop)
            break;
        else
            pthread_cond_wait(&pool->work, &pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    jem__restore(idle);
    return NULL;
}

/* The calling thread takes part in its own job, then passes its number on. */
static void take_part(jem__pool *pool, job *j)
{
    settings before = enter_settings();
    while (pool->spare > 0 && j->next < j->count) run_task(pool, j);
    restore_settings(before);
    if (next_job(pool)) pthread_cond_signal(&pool->work);
}

static int64_t cpus(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);
}

static void free_pool(jem__pool *pool)
{
    jem__free(pool->workers);
    jem__free(pool->numbers);
    jem__free(pool);
}

jem_status jem__pool_create(jem__pool **out, int64_t threads)
{
    jem__pool *pool = NULL;
    sigset_t all, before;
    *out = NULL;
    if (threads < 1) threads = cpus();
    JEM__TRY(jem__calloc(&pool, 1, sizeof *pool));
    if (jem__calloc(&pool->workers, threads, sizeof *pool->workers) ||
        jem__calloc(&pool->numbers, threads, sizeof *pool->numbers)) {
        free_pool(pool);
        return JEM_ERROR_MEMORY;
    }
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    /* Signals are the host's: workers inherit a mask that blocks them all. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (int64_t i = 0; i < threads; i++) {
        if (pthread_create(&pool->workers[pool->threads], NULL, work, pool)) continue;
        pthread_mutex_lock(&pool->lock);
        pool->numbers[pool->spare++] = pool->threads++;
        pthread_mutex_unlock(&pool->lock);
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
    for (int64_t i = 0; i < pool->threads; i++) pthread_join(pool->workers[i], NULL);
    pthread_mutex_destroy(&pool->lock);
    pthread_cond_destroy(&pool->work);
}

void jem__pool_destroy(jem__pool *pool, int32_t forked)
{
    if (!pool) return;
    /* After a fork nobody is there to join, and a lock may be held for good. */
    if (!forked) end_workers(pool);
    free_pool(pool);
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
    /* Wakes no more workers than there are tasks beyond the caller's first. */
    int32_t self = pool->spare > 0;
    for (int64_t i = self; i < count && i < pool->threads; i++) pthread_cond_signal(&pool->work);
    if (self) take_part(pool, &j);
    while (j.running > 0 || j.next < j.count) pthread_cond_wait(&j.done, &pool->lock);
    for (at = &pool->first; *at != &j; at = &(*at)->after) {
    }
    *at = j.after;
    pthread_mutex_unlock(&pool->lock);
    pthread_cond_destroy(&j.done);
    jem__log_give(j.lines);
    return j.status < 0 ? jem__fail(j.status, "%s", j.text) : JEM_OK;
}
