/* Each block knows its heap, so that it can be freed from anywhere: the 64 bytes before
   it hold where it came from. */
#include "base/memory.h"
#include "base/object.h"
#include "base/status.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

#undef jem__alloc
#undef jem__calloc

enum { ALIGNMENT = 64 };

typedef struct header {
    jem__heap *heap;
    int64_t bytes; /* with the header */
} header;

struct jem__heap {
    jem_allocator table; /* allocate NULL: C's */
    jem__count holders;  /* its creator, and each block */
    atomic_int_fast64_t bytes, peak;
};

static jem__heap standard = {.holders = {1}};
static _Thread_local jem__heap *here;

int32_t jem__multiply(int64_t a, int64_t b, int64_t *out)
{
    if (a < 0 || b < 0 || (b && a > INT64_MAX / b)) return 0;
    *out = a * b;
    return 1;
}

jem_status jem__check_count(const char *function, const char *name, int64_t count, int64_t bytes)
{
    const int64_t most = (int64_t)1 << 56;
    int64_t all;
    if (jem__multiply(count, bytes, &all) && all <= most) return JEM_OK;
    return jem__fail(JEM_ERROR_ARGUMENT, "%s: %s is %" PRId64 ", too many: expected 0..%" PRId64,
                     function, name, count, most / (bytes > 0 ? bytes : 1));
}

jem_status jem__check_capacity(const char *function, const char *name, int64_t capacity, int64_t n,
                               int64_t each)
{
    int64_t all;
    if (jem__multiply(n, each, &all) && all <= capacity) return JEM_OK;
    return jem__fail(JEM_ERROR_SHAPE,
                     "%s: capacity of %s is %" PRId64 ", expected at least %" PRId64 " x %" PRId64,
                     function, name, capacity, n, each);
}

/* ---- A heap's blocks, with their headers ---- */

static void count(jem__heap *heap, int64_t bytes)
{
    int64_t now = atomic_fetch_add(&heap->bytes, bytes) + bytes, peak = heap->peak;
    while (now > peak && !atomic_compare_exchange_weak(&heap->peak, &peak, now)) {
    }
}

static void release(jem__heap *heap, void *block, int64_t bytes)
{
    if (heap->table.allocate)
        heap->table.release(heap->table.user, block, bytes);
    else
        free(block);
}

static void *obtain(jem__heap *heap, int64_t bytes)
{
    void *block = NULL;
    if (heap->table.allocate) {
        block = heap->table.allocate(heap->table.user, bytes, ALIGNMENT);
        if (!block || (uintptr_t)block % ALIGNMENT == 0) return block;
        release(heap, block, bytes); /* kernels would fault on it */
        return NULL;
    }
    return posix_memalign(&block, ALIGNMENT, (size_t)bytes) ? NULL : block;
}

/* ---- Heaps ---- */

jem_status jem__heap_create(jem__heap **heap, const jem_allocator *table)
{
    jem__heap *before = here;
    here = NULL;
    jem_status status = jem__calloc(heap, 1, sizeof **heap);
    here = before;
    if (status) return status;
    if (table) (*heap)->table = *table;
    jem__count_init(&(*heap)->holders);
    return JEM_OK;
}

void jem__heap_drop(jem__heap *heap)
{
    if (heap && jem__count_drop(&heap->holders)) jem__free(heap);
}

void jem__heap_use(jem__heap *heap)
{
    here = heap;
}

void jem__heap_count(const jem__heap *heap, int64_t *bytes, int64_t *peak)
{
    if (!heap) heap = &standard;
    if (bytes) *bytes = heap->bytes;
    if (peak) *peak = heap->peak;
}

/* ---- Blocks ---- */

int64_t jem__block_bytes(int64_t bytes)
{
    return ALIGNMENT + (bytes ? bytes : 1);
}

jem_status jem__alloc(void *out, int64_t number, int64_t size)
{
    jem__heap *heap = here ? here : &standard;
    int64_t bytes;
    char *block = NULL;
    memcpy(out, &block, sizeof block);
    if (!jem__multiply(number, size, &bytes) || bytes > INT64_MAX - (int64_t)2 * ALIGNMENT)
        return jem__fail(JEM_ERROR_MEMORY, "out of memory: %" PRId64 " x %" PRId64 " bytes", number,
                         size);
    int64_t whole = jem__block_bytes(bytes);
    if (!(block = obtain(heap, whole)))
        return jem__fail(JEM_ERROR_MEMORY, "out of memory: %" PRId64 " bytes", bytes);
    count(heap, whole);
    jem__count_take(&heap->holders);
    *(header *)(void *)block = (header){heap, whole};
    ASAN_POISON_MEMORY_REGION(block, ALIGNMENT);
    block += ALIGNMENT;
    memcpy(out, &block, sizeof block);
    return JEM_OK;
}

jem_status jem__calloc(void *out, int64_t number, int64_t size)
{
    void *block;
    JEM__TRY(jem__alloc(out, number, size));
    memcpy(&block, out, sizeof block);
    memset(block, 0, (size_t)(number * size));
    return JEM_OK;
}

jem_status jem__grow(void *items, int64_t used, int64_t *room, int64_t wanted, int64_t size)
{
    void *old, *fresh;
    if (wanted <= *room) return JEM_OK;
    int64_t more = wanted < INT64_MAX / 4 ? 2 * wanted + 62 : wanted;
    memcpy(&old, items, sizeof old);
    JEM__TRY(jem__calloc(&fresh, more, size));
    if (used) memcpy(fresh, old, (size_t)(used * size));
    jem__free(old);
    memcpy(items, &fresh, sizeof fresh);
    *room = more;
    return JEM_OK;
}

void jem__free(void *pointer)
{
    if (!pointer) return;
    char *block = (char *)pointer - ALIGNMENT;
    ASAN_UNPOISON_MEMORY_REGION(block, ALIGNMENT);
    header h = *(header *)(void *)block;
    count(h.heap, -h.bytes);
    release(h.heap, block, h.bytes);
    jem__heap_drop(h.heap);
}

char *jem__strdup(const char *text)
{
    char *copy;
    int64_t size = (int64_t)strlen(text) + 1;
    if (jem__alloc(&copy, size, 1)) return NULL;
    memcpy(copy, text, (size_t)size);
    return copy;
}
