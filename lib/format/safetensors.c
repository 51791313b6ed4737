/* A set of tensors and texts: what safetensors files are read to and written from. */
#include "base/memory.h"
#include "base/status.h"
#include "format/safetensors_set.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

void jem__safetensors_destroy(jem__safetensors *set)
{
    if (!set) return;
    for (int64_t i = 0; i < set->count; i++) {
        jem__free((char *)set->tensors[i].name);
        jem__free((char *)set->tensors[i].dtype);
        jem__free(set->tensors[i].own);
    }
    for (int64_t i = 0; i < set->metadata_count; i++) {
        jem__free(set->metadata[i].key);
        jem__free(set->metadata[i].value);
    }
    jem__free(set->names);
    jem__free(set->tensors);
    jem__free(set->metadata);
    jem__free(set->bytes);
    jem__free(set);
}

int64_t jem__dtype_size(const char *dtype)
{
    static const struct {
        const char *name;
        int64_t size;
    } types[] = {{"F32", 4}, {"F16", 2}, {"BF16", 2}, {"F64", 8}, {"I64", 8},
                 {"U64", 8}, {"I32", 4}, {"U32", 4},  {"I16", 2}, {"U16", 2},
                 {"I8", 1},  {"U8", 1},  {"BOOL", 1}};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(types[i].name, dtype) == 0) return types[i].size;
    return 0;
}

jem_status jem__safetensors_append(jem__safetensors *set, const char *name, const char *dtype,
                                   jem__tensor_info **out)
{
    JEM__TRY(
        jem__grow(&set->tensors, set->count, &set->room, set->count + 1, sizeof *set->tensors));
    jem__tensor_info *t = &set->tensors[set->count];
    *t = (jem__tensor_info){.elements = 1};
    t->name = jem__strdup(name);
    t->dtype = jem__strdup(dtype);
    set->count++;
    *out = t;
    return t->name && t->dtype ? JEM_OK : JEM_ERROR_MEMORY;
}

jem_status jem__safetensors_append_metadata(jem__safetensors *set, const char *key,
                                            const char *value)
{
    char *name = NULL, *copy = NULL;
    if (jem__grow(&set->metadata, set->metadata_count, &set->metadata_room, set->metadata_count + 1,
                  sizeof *set->metadata) ||
        !(name = jem__strdup(key)) || !(copy = jem__strdup(value))) {
        jem__free(name);
        return JEM_ERROR_MEMORY;
    }
    set->metadata[set->metadata_count++] = (jem__metadata){name, copy};
    return JEM_OK;
}

/* ---- Building ---- */

jem_status jem__safetensors_create(jem__safetensors **set)
{
    return jem__calloc(set, 1, sizeof **set);
}

jem_status jem__safetensors_add(jem__safetensors *set, const char *name, const char *dtype,
                                int64_t dimensions, const int64_t *shape, const void *data)
{
    jem__tensor_info *t;
    if (dimensions < 0 || dimensions > JEM__TENSOR_DIMENSIONS || !jem__dtype_size(dtype))
        return jem__fail(JEM_ERROR_ARGUMENT, "tensor %s: dtype %s with %" PRId64 " dimensions",
                         name, dtype, dimensions);
    JEM__TRY(jem__safetensors_append(set, name, dtype, &t));
    t->dimensions = dimensions;
    for (int64_t i = 0; i < dimensions; i++) {
        t->shape[i] = shape[i];
        if (!jem__multiply(t->elements, shape[i], &t->elements))
            return jem__fail(JEM_ERROR_ARGUMENT, "tensor %s: its shape overflows", name);
    }
    if (!jem__multiply(t->elements, jem__dtype_size(dtype), &t->size))
        return jem__fail(JEM_ERROR_ARGUMENT, "tensor %s: its shape overflows", name);
    t->bytes = data;
    return JEM_OK;
}

jem_status jem__safetensors_set_metadata(jem__safetensors *set, const char *key, const char *value)
{
    for (int64_t i = 0; i < set->metadata_count; i++)
        if (strcmp(set->metadata[i].key, key) == 0) {
            char *copy = jem__strdup(value);
            if (!copy) return JEM_ERROR_MEMORY;
            jem__free(set->metadata[i].value);
            set->metadata[i].value = copy;
            return JEM_OK;
        }
    return jem__safetensors_append_metadata(set, key, value);
}

/* ---- Looking ---- */

int64_t jem__safetensors_count(const jem__safetensors *set)
{
    return set->count;
}

const jem__tensor_info *jem__safetensors_get(const jem__safetensors *set, int64_t index)
{
    return &set->tensors[index];
}

uint8_t *jem__safetensors_take(jem__safetensors *set, int64_t index)
{
    uint8_t *bytes = set->tensors[index].own;
    set->tensors[index].own = NULL;
    return bytes;
}

const jem__tensor_info *jem__safetensors_find(const jem__safetensors *set, const char *name)
{
    int64_t low = 0, high = set->named;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        int order = strcmp(name, set->names[middle].text);
        if (!order) return &set->tensors[set->names[middle].index];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    for (int64_t i = set->named; i < set->count; i++)
        if (strcmp(set->tensors[i].name, name) == 0) return &set->tensors[i];
    return NULL;
}

const char *jem__safetensors_metadata(const jem__safetensors *set, const char *key)
{
    for (int64_t i = 0; i < set->metadata_count; i++)
        if (strcmp(set->metadata[i].key, key) == 0) return set->metadata[i].value;
    return NULL;
}

int64_t jem__safetensors_metadata_count(const jem__safetensors *set)
{
    return set->metadata_count;
}

void jem__safetensors_metadata_at(const jem__safetensors *set, int64_t index, const char **key,
                                  const char **value)
{
    *key = set->metadata[index].key;
    *value = set->metadata[index].value;
}

static float from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static float from_half(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 1023;
    if (exponent == 31) return from_bits(sign | 0x7f800000 | fraction << 13);
    if (exponent) return from_bits(sign | (exponent + 112) << 23 | fraction << 13);
    float tiny = (float)fraction * 0x1p-24f; /* subnormal */
    return sign ? -tiny : tiny;
}

jem_status jem__safetensors_to_f32(const jem__tensor_info *t, float *out)
{
    uint16_t half;
    double wide;
    if (strcmp(t->dtype, "F32") == 0) {
        memcpy(out, t->bytes, (size_t)t->size);
        return JEM_OK;
    }
    if (strcmp(t->dtype, "U8") == 0) {
        for (int64_t i = 0; i < t->elements; i++) out[i] = t->bytes[i];
        return JEM_OK;
    }
    int bf16 = strcmp(t->dtype, "BF16") == 0, f16 = strcmp(t->dtype, "F16") == 0;
    if (!bf16 && !f16 && strcmp(t->dtype, "F64") != 0)
        return jem__fail(JEM_ERROR_FORMAT, "dtype is %s, expected F32, F16, BF16, F64 or U8",
                         t->dtype);
    for (int64_t i = 0; i < t->elements; i++)
        if (bf16 || f16) {
            memcpy(&half, t->bytes + 2 * i, 2);
            out[i] = bf16 ? from_bits((uint32_t)half << 16) : from_half(half);
        } else {
            memcpy(&wide, t->bytes + 8 * i, 8);
            out[i] = (float)wide;
        }
    return JEM_OK;
}

/* ---- Checksum: a sum over entries, so that their order does not matter ---- */

static uint64_t entry_sum(const char *name, const void *bytes, int64_t size)
{
    uLong crc = crc32_z(0, (const Bytef *)name, strlen(name));
    return crc32_z(crc, bytes, (z_size_t)size);
}

static void print_sum(const jem__safetensors *set, char *text, size_t size)
{
    uint64_t sum = 0;
    for (int64_t i = 0; i < set->count; i++)
        sum += entry_sum(set->tensors[i].name, set->tensors[i].bytes, set->tensors[i].size);
    for (int64_t i = 0; i < set->metadata_count; i++) {
        const jem__metadata *m = &set->metadata[i];
        if (strcmp(m->key, "checksum") != 0)
            sum += entry_sum(m->key, m->value, (int64_t)strlen(m->value));
    }
    snprintf(text, size, "%016" PRIx64, sum);
}

jem_status jem__safetensors_seal(jem__safetensors *set)
{
    char sum[32];
    print_sum(set, sum, sizeof sum);
    return jem__safetensors_set_metadata(set, "checksum", sum);
}

jem_status jem__safetensors_verify(const jem__safetensors *set, const char *file)
{
    char sum[32];
    const char *stored = jem__safetensors_metadata(set, "checksum");
    print_sum(set, sum, sizeof sum);
    if (stored && strcmp(stored, sum) == 0) return JEM_OK;
    return jem__fail(JEM_ERROR_FORMAT,
                     "%s: checksum is %s, metadata says '%.32s': the file is damaged, or another "
                     "program changed it and kept the old checksum",
                     file, sum, stored ? stored : "");
}
