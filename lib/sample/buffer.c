/* The replay buffer (Grathwohl et al. 2019, section 4; Du and Mordatch 2019). */
#include "sample/buffer.h"
#include "base/config.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/status.h"
#include <inttypes.h>
#include <string.h>

jem_status jem__buffer_read(jem__buffer *b, const jem_config *config, int64_t image,
                            int64_t classes)
{
    int64_t elements, bytes;
    b->slots = jem__config_i64(config, "sampler.buffer");
    b->image = image;
    b->blocks = 1;
    b->restart = (float)jem__config_f64(config, "sampler.restart");
    b->seed = (uint64_t)jem__config_i64(config, "sampler.seed");
    b->stream = (uint64_t)jem__config_i64(config, "sampler.stream");
    if (!jem__multiply(b->slots, image, &elements) || !jem__multiply(elements, 4, &bytes))
        return jem__fail(JEM_ERROR_MEMORY,
                         "sampler.buffer: %" PRId64 " slots of %" PRId64
                         " values do not fit the address space",
                         b->slots, image);
    return jem__config_i64(config, "sampler.conditional") ? jem__buffer_by_class(b, classes)
                                                          : JEM_OK;
}

jem_status jem__buffer_by_class(jem__buffer *b, int64_t classes)
{
    if (b->slots % classes)
        return jem__fail(JEM_ERROR_CONFIG,
                         "sampler.buffer: %" PRId64 " slots, expected a multiple of the %" PRId64
                         " classes: chains are conditional",
                         b->slots, classes);
    b->blocks = classes;
    return JEM_OK;
}

/* Contents are made when a slot is first drawn, so that a buffer costs nothing
   before it is used. */
jem_status jem__buffer_fill(jem__buffer *b)
{
    float *values = NULL;
    int64_t *age = NULL;
    if (b->values) return JEM_OK;
    jem_status status = jem__calloc(&values, b->slots, b->image * (int64_t)sizeof *values);
    if (!status) status = jem__alloc(&age, b->slots, sizeof *age);
    if (status) {
        jem__free(values);
        return status;
    }
    for (int64_t i = 0; i < b->slots; i++) age[i] = -1;
    b->values = values;
    b->age = age;
    return JEM_OK;
}

void jem__buffer_clear(jem__buffer *b)
{
    jem__free(b->values);
    jem__free(b->age);
    b->values = NULL;
    b->age = NULL;
}

void jem__buffer_choose(const jem__buffer *b, int64_t chain, int32_t y, int64_t *slot,
                        int32_t *restart)
{
    jem__random random;
    int64_t block = y < 0 ? b->slots : b->slots / b->blocks;
    jem__random_at(&random, b->seed, JEM__RANDOM_SLOT, b->stream, (uint64_t)chain, 0);
    *slot = (y > 0 ? y : 0) * block + jem__random_below(&random, (uint32_t)block);
    *restart = jem__random_uniform(&random) < b->restart;
}

int32_t jem__buffer_class(const jem__buffer *b, int64_t slot)
{
    return b->blocks > 1 ? (int32_t)(slot / (b->slots / b->blocks)) : -1;
}

void jem__buffer_put(jem__buffer *b, const int64_t *slot, const int64_t *age, int64_t n,
                     const float *x)
{
    for (int64_t i = 0; i < n; i++) {
        memcpy(b->values + slot[i] * b->image, x + i * b->image, (size_t)b->image * sizeof *x);
        b->age[slot[i]] = age[i];
    }
}
