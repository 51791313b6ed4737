/* safetensors: an 8-byte header length, a JSON header, the data. */
#include "format/safetensors.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/status.h"
#include "format/json.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { HEADER_LIMIT = 100 << 20, DIMENSIONS = 8 };

typedef struct entry {
    char *key, *value;
} entry;

struct jem__safetensors {
    uint8_t *bytes; /* the whole file, when read */
    jem__tensor_info *tensors;
    int64_t count, room;
    entry *metadata;
    int64_t metadata_count, metadata_room;
};

void jem__safetensors_destroy(jem__safetensors *set)
{
    if (!set) return;
    for (int64_t i = 0; i < set->count; i++) {
        jem__free((char *)set->tensors[i].name);
        jem__free((char *)set->tensors[i].dtype);
    }
    for (int64_t i = 0; i < set->metadata_count; i++) {
        jem__free(set->metadata[i].key);
        jem__free(set->metadata[i].value);
    }
    jem__free(set->tensors);
    jem__free(set->metadata);
    jem__free(set->bytes);
    jem__free(set);
}

static jem_status grow(void *items, int64_t count, int64_t *room, int64_t size)
{
    void *old, *fresh;
    if (count < *room) return JEM_OK;
    int64_t more = *room ? 2 * *room : 64;
    memcpy(&old, items, sizeof old);
    JEM__TRY(jem__calloc(&fresh, more, size));
    if (old) memcpy(fresh, old, (size_t)(count * size));
    jem__free(old);
    memcpy(items, &fresh, sizeof fresh);
    *room = more;
    return JEM_OK;
}

/* Bytes of an element; 0: unknown. */
static int64_t dtype_size(const char *dtype)
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

/* Adds a tensor without data; takes copies of the texts. */
static jem_status append(jem__safetensors *set, const char *name, const char *dtype,
                         jem__tensor_info **out)
{
    JEM__TRY(grow(&set->tensors, set->count, &set->room, sizeof *set->tensors));
    jem__tensor_info *t = &set->tensors[set->count];
    *t = (jem__tensor_info){.elements = 1};
    t->name = jem__strdup(name);
    t->dtype = jem__strdup(dtype);
    set->count++;
    *out = t;
    return t->name && t->dtype ? JEM_OK : JEM_ERROR_MEMORY;
}

/* ---- Reading ---- */

typedef struct reader {
    jem__json json;
    jem__safetensors *set;
    const char *file;
    const uint8_t *data;
    int64_t data_size;
} reader;

static jem_status bad(const reader *r, const char *what)
{
    return jem__fail(JEM_ERROR_FORMAT, "%s: safetensors header: %s at byte %" PRId64, r->file, what,
                     (int64_t)(r->json.at - r->json.start) + 8);
}

static jem_status read_numbers(reader *r, int64_t *numbers, int64_t most, int64_t *count)
{
    *count = 0;
    if (!jem__json_token(&r->json, '[')) return bad(r, "expected [");
    if (jem__json_token(&r->json, ']')) return JEM_OK;
    do {
        if (*count == most) return bad(r, "too many numbers");
        if (!jem__json_integer(&r->json, &numbers[(*count)++]))
            return bad(r, "expected an integer");
    } while (jem__json_token(&r->json, ','));
    return jem__json_token(&r->json, ']') ? JEM_OK : bad(r, "expected ]");
}

/* Where the tensor's bytes lie, checked against its shape and the file. */
static jem_status place(const reader *r, jem__tensor_info *t, const int64_t *offsets)
{
    int64_t each = dtype_size(t->dtype), expected;
    if (!each)
        return jem__fail(JEM_ERROR_FORMAT, "%s: tensor %.200s: unknown dtype '%.16s'", r->file,
                         t->name, t->dtype);
    for (int64_t i = 0; i < t->dimensions; i++)
        if (!jem__multiply(t->elements, t->shape[i], &t->elements))
            return jem__fail(JEM_ERROR_FORMAT, "%s: tensor %.200s: its shape overflows", r->file,
                             t->name);
    if (offsets[0] > offsets[1] || offsets[1] > r->data_size)
        return jem__fail(JEM_ERROR_FORMAT,
                         "%s: tensor %.200s: data at %" PRId64 "..%" PRId64
                         ", expected within 0..%" PRId64 " (truncated file?)",
                         r->file, t->name, offsets[0], offsets[1], r->data_size);
    t->size = offsets[1] - offsets[0];
    if (!jem__multiply(t->elements, each, &expected) || expected != t->size)
        return jem__fail(JEM_ERROR_FORMAT,
                         "%s: tensor %.200s: %" PRId64 " bytes, expected %" PRId64 " x %" PRId64,
                         r->file, t->name, t->size, t->elements, each);
    t->bytes = r->data + offsets[0];
    return JEM_OK;
}

static jem_status read_tensor(reader *r, const char *name)
{
    char key[32], dtype[16] = "";
    int64_t shape[DIMENSIONS], dimensions = -1, offsets[2], offset_count = 0;
    if (!jem__json_token(&r->json, '{')) return bad(r, "expected {");
    do {
        if (!jem__json_text(&r->json, key, sizeof key) || !jem__json_token(&r->json, ':'))
            return bad(r, "expected a field");
        if (strcmp(key, "dtype") == 0) {
            if (!jem__json_text(&r->json, dtype, sizeof dtype)) return bad(r, "expected a dtype");
        } else if (strcmp(key, "shape") == 0) {
            JEM__TRY(read_numbers(r, shape, DIMENSIONS, &dimensions));
        } else if (strcmp(key, "data_offsets") == 0) {
            JEM__TRY(read_numbers(r, offsets, 2, &offset_count));
        } else {
            return bad(r, "unknown field");
        }
    } while (jem__json_token(&r->json, ','));
    if (!jem__json_token(&r->json, '}')) return bad(r, "expected }");
    if (!*dtype || dimensions < 0 || offset_count != 2)
        return bad(r, "a tensor without dtype, shape and two data_offsets");
    if (jem__safetensors_find(r->set, name))
        return jem__fail(JEM_ERROR_FORMAT, "%s: tensor %.200s stands twice", r->file, name);
    jem__tensor_info *t;
    JEM__TRY(append(r->set, name, dtype, &t));
    t->dimensions = dimensions;
    memcpy(t->shape, shape, (size_t)dimensions * sizeof *shape);
    return place(r, t, offsets);
}

static jem_status read_metadata(reader *r)
{
    if (!jem__json_token(&r->json, '{')) return bad(r, "expected {");
    if (jem__json_token(&r->json, '}')) return JEM_OK;
    do {
        char *value = NULL, key[256];
        if (!jem__json_text(&r->json, key, sizeof key) || !jem__json_token(&r->json, ':'))
            return bad(r, "expected a metadata key");
        int64_t room = jem__json_text_room(&r->json);
        JEM__TRY(jem__alloc(&value, room, 1));
        jem_status status = jem__json_text(&r->json, value, (size_t)room)
                                ? jem__safetensors_set_metadata(r->set, key, value)
                                : bad(r, "expected a text");
        jem__free(value);
        JEM__TRY(status);
    } while (jem__json_token(&r->json, ','));
    return jem__json_token(&r->json, '}') ? JEM_OK : bad(r, "expected }");
}

static jem_status read_header(reader *r)
{
    char name[512];
    if (!jem__json_token(&r->json, '{')) return bad(r, "expected {");
    if (!jem__json_token(&r->json, '}')) {
        do {
            if (!jem__json_text(&r->json, name, sizeof name) || !jem__json_token(&r->json, ':'))
                return bad(r, "expected a name of at most 511 bytes");
            JEM__TRY(strcmp(name, "__metadata__") == 0 ? read_metadata(r) : read_tensor(r, name));
        } while (jem__json_token(&r->json, ','));
        if (!jem__json_token(&r->json, '}')) return bad(r, "expected }");
    }
    jem__json_blanks(&r->json);
    return r->json.at == r->json.end ? JEM_OK : bad(r, "text after the end");
}

/* No two tensors may share bytes. Headers are written in data order, so most
   files need no more than one look; others are compared in pairs. */
static jem_status check_overlap(const reader *r)
{
    const jem__tensor_info *t = r->set->tensors;
    int sorted = 1;
    for (int64_t i = 1; i < r->set->count; i++)
        sorted &= t[i].bytes >= t[i - 1].bytes + t[i - 1].size;
    for (int64_t i = 0; !sorted && i < r->set->count; i++)
        for (int64_t j = 0; j < i; j++)
            if (t[i].size && t[j].size && t[i].bytes < t[j].bytes + t[j].size &&
                t[j].bytes < t[i].bytes + t[i].size)
                return jem__fail(JEM_ERROR_FORMAT, "%s: tensors %.200s and %.200s overlap", r->file,
                                 t[j].name, t[i].name);
    return JEM_OK;
}

/* Takes the bytes. */
static jem_status read_set(jem__safetensors **out, uint8_t *bytes, int64_t size, const char *file)
{
    jem__safetensors *set = NULL;
    uint64_t length = 0;
    jem_status status = jem__calloc(&set, 1, sizeof *set);
    if (status) {
        jem__free(bytes);
        return status;
    }
    set->bytes = bytes;
    for (int i = 7; i >= 0 && size >= 8; i--) length = length << 8 | bytes[i];
    if (size < 8 || length > HEADER_LIMIT || (int64_t)length > size - 8) {
        status = jem__fail(JEM_ERROR_FORMAT,
                           "%s: not a safetensors file: %" PRId64 " bytes, header of %" PRIu64,
                           file, size, length);
    } else {
        const char *text = (const char *)bytes + 8;
        reader r = {.json = {text, text, text + length},
                    .set = set,
                    .file = file,
                    .data = bytes + 8 + length,
                    .data_size = size - 8 - (int64_t)length};
        status = read_header(&r);
        if (!status) status = check_overlap(&r);
    }
    if (status)
        jem__safetensors_destroy(set);
    else
        *out = set;
    return status;
}

jem_status jem__safetensors_load(jem__safetensors **set, const char *path)
{
    uint8_t *bytes;
    int64_t size;
    *set = NULL;
    JEM__TRY(jem__file_read(&bytes, &size, path, (int64_t)64 << 30, 0));
    return read_set(set, bytes, size, path);
}

jem_status jem__safetensors_load_memory(jem__safetensors **set, const void *bytes, int64_t size,
                                        const char *name)
{
    uint8_t *copy;
    *set = NULL;
    JEM__TRY(jem__alloc(&copy, size, 1));
    memcpy(copy, bytes, (size_t)size);
    return read_set(set, copy, size, name);
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

const jem__tensor_info *jem__safetensors_find(const jem__safetensors *set, const char *name)
{
    for (int64_t i = 0; i < set->count; i++)
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
    int bf16 = strcmp(t->dtype, "BF16") == 0, f16 = strcmp(t->dtype, "F16") == 0;
    if (!bf16 && !f16 && strcmp(t->dtype, "F64") != 0)
        return jem__fail(JEM_ERROR_FORMAT, "dtype is %s, expected F32, F16, BF16 or F64", t->dtype);
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

/* ---- Writing ---- */

jem_status jem__safetensors_create(jem__safetensors **set)
{
    return jem__calloc(set, 1, sizeof **set);
}

jem_status jem__safetensors_add(jem__safetensors *set, const char *name, const char *dtype,
                                int64_t dimensions, const int64_t *shape, const void *data)
{
    jem__tensor_info *t;
    if (dimensions < 0 || dimensions > DIMENSIONS || !dtype_size(dtype))
        return jem__fail(JEM_ERROR_ARGUMENT, "tensor %s: dtype %s with %" PRId64 " dimensions",
                         name, dtype, dimensions);
    JEM__TRY(append(set, name, dtype, &t));
    t->dimensions = dimensions;
    for (int64_t i = 0; i < dimensions; i++) {
        t->shape[i] = shape[i];
        if (!jem__multiply(t->elements, shape[i], &t->elements))
            return jem__fail(JEM_ERROR_ARGUMENT, "tensor %s: its shape overflows", name);
    }
    if (!jem__multiply(t->elements, dtype_size(dtype), &t->size))
        return jem__fail(JEM_ERROR_ARGUMENT, "tensor %s: its shape overflows", name);
    t->bytes = data;
    return JEM_OK;
}

jem_status jem__safetensors_set_metadata(jem__safetensors *set, const char *key, const char *value)
{
    char *copy = jem__strdup(value), *name;
    if (!copy) return JEM_ERROR_MEMORY;
    for (int64_t i = 0; i < set->metadata_count; i++)
        if (strcmp(set->metadata[i].key, key) == 0) {
            jem__free(set->metadata[i].value);
            set->metadata[i].value = copy;
            return JEM_OK;
        }
    if (grow(&set->metadata, set->metadata_count, &set->metadata_room, sizeof *set->metadata) ||
        !(name = jem__strdup(key))) {
        jem__free(copy);
        return JEM_ERROR_MEMORY;
    }
    set->metadata[set->metadata_count++] = (entry){name, copy};
    return JEM_OK;
}

/* The header, padded with blanks so that the data starts at a multiple of 8;
   tensors follow one another without holes, as upstream's reader insists. */
static jem_status header(const jem__safetensors *set, jem__text *h)
{
    int64_t at = 0;
    jem__text_add(h, "{");
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
    while (h->length % 8) jem__text_add(h, " ");
    return h->status;
}

typedef jem_status put(void *user, const void *bytes, int64_t size);

static jem_status write_set(const jem__safetensors *set, put *sink, void *user)
{
    jem__text h = {0};
    uint8_t length[8];
    jem_status status = header(set, &h);
    for (int i = 0; i < 8; i++) length[i] = (uint8_t)((uint64_t)h.length >> 8 * i);
    if (!status) status = sink(user, length, 8);
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

jem_status jem__safetensors_save(const jem__safetensors *set, const char *path)
{
    jem__writer *writer;
    JEM__TRY(jem__writer_open(&writer, path));
    jem_status status = write_set(set, to_file, writer);
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
