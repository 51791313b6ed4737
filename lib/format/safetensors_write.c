/* Writing safetensors, to a file or to memory. */
#include "base/file.h"
#include "base/memory.h"
#include "base/status.h"
#include "format/json.h"
#include "format/safetensors_set.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What the reader would refuse is not written. */
static jem_status check_limits(const jem__safetensors *set)
{
    if (set->count > JEM__TENSOR_LIMIT || set->metadata_count > JEM__TEXT_LIMIT)
        return jem__fail(JEM_ERROR_ARGUMENT,
                         "safetensors: %" PRId64 " tensors and %" PRId64
                         " texts, expected at most %d of each",
                         set->count, set->metadata_count, JEM__TENSOR_LIMIT);
    for (int64_t i = 0; i < set->metadata_count; i++)
        if (strlen(set->metadata[i].key) > JEM__KEY_LIMIT)
            return jem__fail(JEM_ERROR_ARGUMENT,
                             "safetensors: key '%.40s...' is longer than %d bytes",
                             set->metadata[i].key, JEM__KEY_LIMIT);
    for (int64_t i = 0; i < set->count; i++)
        if (strlen(set->tensors[i].name) > JEM__NAME_LIMIT)
            return jem__fail(JEM_ERROR_ARGUMENT,
                             "safetensors: tensor '%.40s...' is longer than %d bytes",
                             set->tensors[i].name, JEM__NAME_LIMIT);
    return JEM_OK;
}

/* The header, padded with blanks so that the data starts at a multiple of 8;
   tensors follow one another without holes, as upstream's reader insists. */
jem_status jem__safetensors_header(const jem__safetensors *set, jem__text *h)
{
    int64_t at = 0;
    JEM__TRY(check_limits(set));
    jem__text_add(h, "--------{"); /* eight bytes for the length */
    if (set->metadata_count) jem__text_add(h, "\"__metadata__\":{");
    for (int64_t i = 0; i < set->metadata_count; i++) {
        if (i) jem__text_add(h, ",");
        jem__text_quote(h, set->metadata[i].key);
        jem__text_add(h, ":");
        jem__text_quote(h, set->metadata[i].value);
    }
    if (set->metadata_count) jem__text_add(h, "}");
    for (int64_t i = 0; i < set->count; i++) {
        const jem__tensor_info *t = &set->tensors[i];
        char text[64];
        if (i || set->metadata_count) jem__text_add(h, ",");
        jem__text_quote(h, t->name);
        jem__text_add(h, ":{\"dtype\":\"");
        jem__text_add(h, t->dtype);
        jem__text_add(h, "\",\"shape\":[");
        for (int64_t j = 0; j < t->dimensions; j++) {
            snprintf(text, sizeof text, "%s%" PRId64, j ? "," : "", t->shape[j]);
            jem__text_add(h, text);
        }
        snprintf(text, sizeof text, "],\"data_offsets\":[%" PRId64 ",%" PRId64 "]}", at,
                 at + t->size);
        jem__text_add(h, text);
        at += t->size;
    }
    jem__text_add(h, "}");
    while (!h->status && h->length % 8) jem__text_add(h, " ");
    if (!h->status && h->length - 8 > JEM__HEADER_LIMIT)
        return jem__fail(JEM_ERROR_ARGUMENT,
                         "safetensors: names and texts of %" PRId64 " bytes, expected at most %d",
                         h->length - 8, JEM__HEADER_LIMIT);
    for (int i = 0; !h->status && i < 8; i++)
        h->bytes[i] = (char)(uint8_t)((uint64_t)(h->length - 8) >> 8 * i);
    return h->status;
}

typedef jem_status put(void *user, const void *bytes, int64_t size);

static jem_status write_set(const jem__safetensors *set, put *sink, void *user)
{
    jem__text h = {0};
    jem_status status = jem__safetensors_header(set, &h);
    if (!status) status = sink(user, h.bytes, h.length);
    for (int64_t i = 0; !status && i < set->count; i++)
        status = sink(user, set->tensors[i].bytes, set->tensors[i].size);
    jem__free(h.bytes);
    return status;
}

static jem_status to_file(void *user, const void *bytes, int64_t size)
{
    return jem__writer_write(user, bytes, size);
}

jem_status jem__safetensors_write(const jem__safetensors *set, jem__writer *writer)
{
    return write_set(set, to_file, writer);
}

jem_status jem__safetensors_save(const jem__safetensors *set, const char *path)
{
    jem__writer *writer;
    JEM__TRY(jem__writer_open(&writer, path));
    jem_status status = jem__safetensors_write(set, writer);
    if (!status) return jem__writer_commit(writer);
    jem__writer_abandon(writer);
    return status;
}

typedef struct memory {
    uint8_t *bytes;
    int64_t capacity, size;
} memory;

static jem_status to_memory(void *user, const void *bytes, int64_t size)
{
    memory *m = user;
    if (m->bytes && size && m->size + size <= m->capacity)
        memcpy(m->bytes + m->size, bytes, (size_t)size);
    m->size += size;
    return JEM_OK;
}

jem_status jem__safetensors_save_memory(const jem__safetensors *set, void *bytes, int64_t capacity,
                                        int64_t *size)
{
    memory m = {bytes, capacity, 0};
    JEM__TRY(write_set(set, to_memory, &m));
    *size = m.size;
    if (bytes && m.size > capacity)
        return jem__fail(JEM_ERROR_SHAPE, "capacity is %" PRId64 " bytes, expected %" PRId64,
                         capacity, m.size);
    return JEM_OK;
}
