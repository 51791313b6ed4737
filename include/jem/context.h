/* jem/context.h: worker threads, allocator, log. */
#ifndef JEM_CONTEXT_H
#define JEM_CONTEXT_H

#include <jem/config.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Owns the worker threads that every model of it computes on. Any number of
   threads may use one context at once. */
typedef struct jem_context jem_context;

/* Where all that is made from a context gets its memory. Both functions may be called
   from any thread, the library's own included, until the last of these handles is
   destroyed; they must not call the library. oneDNN's own memory (compiled kernels) and
   that of objects without a context (config, array, the context itself) is C's. */
typedef struct jem_allocator {
    int64_t struct_size; /* sizeof(jem_allocator) */
    void *user;
    /* size > 0 bytes at a multiple of alignment (a power of two, at most 64); NULL: none left. */
    void *(*allocate)(void *user, int64_t size, int64_t alignment);
    /* Takes back what allocate gave, with the size it was asked for. */
    void (*release)(void *user, void *pointer, int64_t size);
} jem_allocator;

/* How much a log line matters: a sink gets the lines of its level and of those below. */
typedef int32_t jem_log_level;
enum {
    JEM_LOG_WARNING = 1, /* works, but not as asked: fewer threads, another precision */
    JEM_LOG_INFO = 2,    /* what was made, loaded, saved */
    JEM_LOG_DEBUG = 3    /* what was compiled */
};

/* Where a context's log lines go. write is called on the thread that is inside a call of
   the library, just before the call returns (in jem_trainer_run after each step); lines
   of worker threads wait until then. It may call everything, but not destroy what that
   call was given. text is one line of UTF-8, valid until write returns. */
typedef struct jem_log {
    int64_t struct_size; /* sizeof(jem_log) */
    void *user;
    int64_t level; /* a jem_log_level: the most detailed one wanted */
    void (*write)(void *user, jem_log_level level, const char *text);
} jem_log;

/* Makes a context. Keys: context.threads. The workers are the library's own;
   the host's OpenMP settings, affinity and signal mask stay as they are. Nothing is
   logged. After a fork the child's calls on it and on what was made from it return
   JEM_ERROR_FORK; it may destroy them, and make a context of its own.
   Errors: ARGUMENT, MEMORY, also where no thread could be started. */
JEM_API jem_status jem_context_create(jem_context **context, const jem_config *config);

/* The same with the host's allocator and log sink; either may be NULL. Both tables are
   copied; their user pointers must stay valid as long as anything made from the context.
   Errors: those of jem_context_create; ARGUMENT also for a struct_size that is too
   small, or a NULL function. */
JEM_API jem_status jem_context_create_hosted(jem_context **context, const jem_config *config,
                                             const jem_allocator *allocator, const jem_log *log);

/* Lets go of it; freed with the last model or dataset that uses it. NULL is
   fine. Any thread. */
JEM_API void jem_context_destroy(jem_context *context);

/* The number of worker threads. Any thread. Errors: ARGUMENT. */
JEM_API jem_status jem_context_threads(const jem_context *context, int64_t *threads);

/* Bytes that the context and all that was made from it hold now, and the most they ever
   held, without oneDNN's own. Either output may be NULL. Any thread. Errors: ARGUMENT. */
JEM_API jem_status jem_context_memory(const jem_context *context, int64_t *bytes, int64_t *peak);

#ifdef __cplusplus
}
#endif
#endif
