/* Worker threads: the library's own pthreads, each with one OpenMP thread, so
   that oneDNN makes and runs single-thread primitives there. The calling thread works as one of
   them while it waits, under the same settings, and has its own back afterwards. */
#ifndef JEM__BASE_THREADS_H
#define JEM__BASE_THREADS_H

#include <jem/status.h>

typedef struct jem__pool jem__pool;

/* task index 0..count-1; worker 0..threads-1, under which no other task runs. A negative status
   stops the handing out of further tasks and is returned, with its text, to the caller of run: the
   one of the lowest index that failed. */
typedef jem_status jem__task(void *user, int64_t index, int64_t worker);

jem_status jem__pool_create(jem__pool **pool, int64_t threads); /* 0: one per CPU allowed */
/* forked: in a child of the process that made it, where its threads are not. */
void jem__pool_destroy(jem__pool *pool, int32_t forked);
int64_t jem__pool_threads(const jem__pool *pool);
/* Runs all tasks on the workers and the calling thread, never more at once than threads. Many
   threads may run at once; not from inside a task. Workers work for the caller's context. */
jem_status jem__pool_run(jem__pool *pool, int64_t count, jem__task *task, void *user);

#endif
