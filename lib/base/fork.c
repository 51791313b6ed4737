#include "base/fork.h"
#include "base/status.h"
#include <pthread.h>

static _Atomic int64_t forks;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int failed;

void jem__fork_hold(void)
{
    pthread_mutex_lock(&lock);
}

void jem__fork_release(void)
{
    pthread_mutex_unlock(&lock);
}

static void in_child(void)
{
    forks++;
    jem__fork_release();
}

static void watch(void)
{
    failed = pthread_atfork(jem__fork_hold, jem__fork_release, in_child);
}

jem_status jem__fork_watch(void)
{
    pthread_once(&once, watch);
    return failed ? jem__fail(JEM_ERROR_MEMORY, "out of memory: watching for forks") : JEM_OK;
}

int64_t jem__forks(void)
{
    return forks;
}
