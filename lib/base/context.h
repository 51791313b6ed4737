/* A context, and the scope of a public call: which context a thread works for.

   A public function that computes or allocates for a handle begins with JEM__ENTER: from
   there to its return, on this thread and on the workers it employs, memory comes from
   the context's allocator and log lines go to the context's sink. */
#ifndef JEM__BASE_CONTEXT_H
#define JEM__BASE_CONTEXT_H

#include "base/log.h"
#include "base/memory.h"
#include "base/object.h"
#include "base/threads.h"
#include <jem/context.h>

struct jem_context {
    jem__count count;
    jem__heap *heap;
    jem_log log;
    jem__pool *pool;
    int64_t born; /* jem__forks() when it was made */
};

static inline jem_context *jem__context_take(jem_context *context)
{
    jem__count_take(&context->count);
    return context;
}

/* 1 in a child process for what its parent made: the workers are not there. */
int32_t jem__context_forked(const jem_context *context);
/* Fails with JEM_ERROR_FORK there. */
jem_status jem__context_check(const jem_context *context, const char *function);

/* What a thread worked for before; puts it back, and delivers log lines when the
   outermost call ends. */
typedef struct jem__scope {
    jem_context *before;
} jem__scope;
jem__scope jem__enter(const jem_context *context); /* NULL: the host's own code, a callback */
void jem__leave(jem__scope *scope);
void jem__restore(jem__scope scope); /* without delivery */
jem_context *jem__context_here(void);

#define JEM__SCOPE(context)                                                                        \
    __attribute__((cleanup(jem__leave), unused)) jem__scope scope_ = jem__enter(context)
#define JEM__ENTER(context, function)                                                              \
    JEM__TRY(jem__context_check(context, function));                                               \
    JEM__SCOPE(context)

#endif
