#include "base/memory.h"
#include "base/status.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int32_t jem__multiply(int64_t a, int64_t b, int64_t *out)
{
    if (a < 0 || b < 0 || (b && a > INT64_MAX / b)) return 0;
    *out = a * b;
    return 1;
}

jem_status jem__alloc(void *out, int64_t count, int64_t size)
{
    int64_t bytes;
    void *block = NULL;
    memcpy(out, &block, sizeof block);
    if (!jem__multiply(count, size, &bytes) || bytes > INT64_MAX - 64)
        return jem__fail(JEM_ERROR_MEMORY, "out of memory: %" PRId64 " x %" PRId64 " bytes", count,
                         size);
    if (posix_memalign(&block, 64, (size_t)(bytes ? bytes : 1)))
        return jem__fail(JEM_ERROR_MEMORY, "out of memory: %" PRId64 " bytes", bytes);
    memcpy(out, &block, sizeof block);
    return JEM_OK;
}

jem_status jem__calloc(void *out, int64_t count, int64_t size)
{
    void *block;
    JEM__TRY(jem__alloc(out, count, size));
    memcpy(&block, out, sizeof block);
    memset(block, 0, (size_t)(count * size));
    return JEM_OK;
}

void jem__free(void *pointer)
{
    free(pointer);
}

char *jem__strdup(const char *text)
{
    char *copy;
    int64_t size = (int64_t)strlen(text) + 1;
    if (jem__alloc(&copy, size, 1)) return NULL;
    memcpy(copy, text, (size_t)size);
    return copy;
}
