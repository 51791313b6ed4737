/* Allocation: 64-byte aligned, zeroed on request, overflow-checked; from the heap of the
   context that the thread works for (base/context.h), C's outside of calls. */
#ifndef JEM__BASE_MEMORY_H
#define JEM__BASE_MEMORY_H

#include <jem/context.h>

/* count * size bytes, uninitialised / zeroed. On failure *out is NULL and the
   status MEMORY with a text. count 0 gives a valid small block. */
jem_status jem__alloc(void *out, int64_t count, int64_t size);
jem_status jem__calloc(void *out, int64_t count, int64_t size);
/* Makes room for `wanted` items of size bytes in *items, a block with room for *room; the first
   `used` of them stay, the rest is zero. On failure *items and *room are as before. */
jem_status jem__grow(void *items, int64_t used, int64_t *room, int64_t wanted, int64_t size);
/* The analyzers see one file at a time: they must know which statuses these return. */
#ifdef __clang_analyzer__
#define jem__alloc(out, count, size) (jem__alloc(out, count, size) ? JEM_ERROR_MEMORY : JEM_OK)
#define jem__calloc(out, count, size) (jem__calloc(out, count, size) ? JEM_ERROR_MEMORY : JEM_OK)
#endif
/* Frees; NULL is fine; any thread. Only for pointers from those above. */
void jem__free(void *pointer);
char *jem__strdup(const char *text); /* NULL on failure (text set); free with jem__free */
/* a * b into *out; 0 if it does not fit int64_t or is negative. */
int32_t jem__multiply(int64_t a, int64_t b, int64_t *out);
/* Refuses (ARGUMENT) a count of things of so many bytes that no address space holds, before
   a caller's array is read to its end. */
jem_status jem__check_count(const char *function, const char *name, int64_t count, int64_t bytes);
/* Refuses (SHAPE) a caller's output of too few elements for n things of `each` elements. */
jem_status jem__check_capacity(const char *function, const char *name, int64_t capacity, int64_t n,
                               int64_t each);

/* Where blocks come from, and go back to; it lives as long as its creator and its last
   block. */
typedef struct jem__heap jem__heap;
/* table may be NULL: C's allocator. */
jem_status jem__heap_create(jem__heap **heap, const jem_allocator *table);
void jem__heap_drop(jem__heap *heap);
/* What this thread allocates from; NULL: the heap of objects without a context. */
void jem__heap_use(jem__heap *heap);
/* What a block of so many bytes adds to those in use. */
int64_t jem__block_bytes(int64_t bytes);
/* Bytes in use, and the most there ever were; NULL as for jem__heap_use. */
void jem__heap_count(const jem__heap *heap, int64_t *bytes, int64_t *peak);

#endif
