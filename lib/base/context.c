#include "base/context.h"
#include "base/config.h"
#include "base/fork.h"
#include "base/status.h"
#include <inttypes.h>

/* ---- Whom a thread works for ---- */

static _Thread_local jem_context *here;
static _Thread_local int32_t depth; /* of calls inside calls */

jem_context *jem__context_here(void)
{
    return here;
}

jem__scope jem__enter(const jem_context *context)
{
    jem__scope scope = {here};
    here = (jem_context *)context; /* its counters and references change */
    jem__heap_use(here ? here->heap : NULL);
    depth++;
    return scope;
}

void jem__restore(jem__scope scope)
{
    here = scope.before;
    jem__heap_use(here ? here->heap : NULL);
    depth--;
}

void jem__leave(jem__scope *scope)
{
    jem__restore(*scope);
    if (depth == 0) jem__log_deliver();
}

/* ---- Forks ---- */

int32_t jem__context_forked(const jem_context *context)
{
    return context->born != jem__forks();
}

jem_status jem__context_check(const jem_context *context, const char *function)
{
    if (!jem__context_forked(context)) return JEM_OK;
    return jem__fail(JEM_ERROR_FORK,
                     "%s: the handle was made before a fork, expected one of this process "
                     "(worker threads stay in the parent)",
                     function);
}

/* ---- Life ---- */

static jem_status check_tables(const char *function, const jem_allocator *allocator,
                               const jem_log *log)
{
    if (allocator && allocator->struct_size < (int64_t)sizeof *allocator)
        return jem__fail(JEM_ERROR_ARGUMENT,
                         "%s: allocator->struct_size is %" PRId64 ", expected at least %zu",
                         function, allocator->struct_size, sizeof *allocator);
    if (allocator && (!allocator->allocate || !allocator->release))
        return jem__fail(JEM_ERROR_ARGUMENT, "%s: allocator->%s is NULL", function,
                         allocator->allocate ? "release" : "allocate");
    if (log && log->struct_size < (int64_t)sizeof *log)
        return jem__fail(JEM_ERROR_ARGUMENT,
                         "%s: log->struct_size is %" PRId64 ", expected at least %zu", function,
                         log->struct_size, sizeof *log);
    if (log && !log->write)
        return jem__fail(JEM_ERROR_ARGUMENT, "%s: log->write is NULL", function);
    return JEM_OK;
}

static jem_status start(jem_context *context, const jem_config *config)
{
    JEM__SCOPE(context);
    int64_t threads = jem__config_i64(config, "context.threads");
    JEM__TRY(jem__pool_create(&context->pool, threads));
    int64_t started = jem__pool_threads(context->pool);
    if (started < threads)
        jem__log(JEM_LOG_WARNING, "context: %" PRId64 " of %" PRId64 " worker threads started",
                 started, threads);
    else
        jem__log(JEM_LOG_INFO, "context: %" PRId64 " worker threads", started);
    return JEM_OK;
}

static jem_status create(jem_context **out, const char *function, const jem_config *config,
                         const jem_allocator *allocator, const jem_log *log)
{
    jem_context *context = NULL;
    *out = NULL;
    JEM__TRY(check_tables(function, allocator, log));
    JEM__TRY(jem__fork_watch());
    JEM__TRY(jem__calloc(&context, 1, sizeof *context));
    if (log) context->log = *log;
    jem__count_init(&context->count);
    context->born = jem__forks();
    jem_status status = jem__heap_create(&context->heap, allocator);
    if (!status) status = start(context, config);
    if (status)
        jem_context_destroy(context);
    else
        *out = context;
    return status;
}

jem_status jem_context_create(jem_context **context, const jem_config *config)
{
    JEM__REQUIRE(context, "jem_context_create");
    return create(context, "jem_context_create", config, NULL, NULL);
}

jem_status jem_context_create_hosted(jem_context **context, const jem_config *config,
                                     const jem_allocator *allocator, const jem_log *log)
{
    JEM__REQUIRE(context, "jem_context_create_hosted");
    return create(context, "jem_context_create_hosted", config, allocator, log);
}

void jem_context_destroy(jem_context *context)
{
    if (!context || !jem__count_drop(&context->count)) return;
    jem__pool_destroy(context->pool, jem__context_forked(context));
    jem__heap_drop(context->heap);
    jem__free(context);
}

/* ---- Looking inside ---- */

jem_status jem_context_threads(const jem_context *context, int64_t *threads)
{
    JEM__REQUIRE(context, "jem_context_threads");
    JEM__REQUIRE(threads, "jem_context_threads");
    *threads = jem__pool_threads(context->pool);
    return JEM_OK;
}

jem_status jem_context_memory(const jem_context *context, int64_t *bytes, int64_t *peak)
{
    JEM__REQUIRE(context, "jem_context_memory");
    jem__heap_count(context->heap, bytes, peak);
    return JEM_OK;
}
