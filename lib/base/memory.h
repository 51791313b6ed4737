/* Allocation: 64-byte aligned, zeroed on request, overflow-checked. */
#ifndef JEM__BASE_MEMORY_H
#define JEM__BASE_MEMORY_H

#include <jem/status.h>

/* count * size bytes, uninitialised / zeroed. On failure *out is NULL and the
   status MEMORY with a text. count 0 gives a valid small block. */
jem_status jem__alloc(void *out, int64_t count, int64_t size);
jem_status jem__calloc(void *out, int64_t count, int64_t size);
/* Frees; NULL is fine. Only for pointers from the two above. */
void jem__free(void *pointer);
char *jem__strdup(const char *text); /* NULL on failure (text set); free with jem__free */
/* a * b into *out; 0 if it does not fit int64_t or is negative. */
int32_t jem__multiply(int64_t a, int64_t b, int64_t *out);

#endif
