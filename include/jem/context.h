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

/* Makes a context. Keys: context.threads. The workers are the library's own;
   the host's OpenMP settings, affinity and signal mask stay as they are.
   Errors: ARGUMENT, CONFIG, MEMORY, BACKEND (oneDNN at run time is of another
   major version than at build time), IO (no thread could be started). */
JEM_API jem_status jem_context_create(jem_context **context, const jem_config *config);

/* Lets go of it; freed with the last model or dataset that uses it. NULL is
   fine. Any thread, never from inside a callback. */
JEM_API void jem_context_destroy(jem_context *context);

/* The number of worker threads. Errors: ARGUMENT. */
JEM_API jem_status jem_context_threads(const jem_context *context, int64_t *threads);

#ifdef __cplusplus
}
#endif
#endif
