#ifndef JEM__BASE_CONTEXT_H
#define JEM__BASE_CONTEXT_H

#include "base/object.h"
#include "base/threads.h"
#include <jem/context.h>

struct jem_context {
    jem__count count;
    jem__pool *pool;
};

static inline jem_context *jem__context_take(jem_context *context)
{
    jem__count_take(&context->count);
    return context;
}

#endif
