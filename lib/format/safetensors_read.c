/* Reading safetensors: an 8-byte header length, a JSON header, the data. */
#include "base/memory.h"
#include "base/status.h"
#include "format/bytes.h"
#include "format/json.h"
#include "format/safetensors_set.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct reader {
    jem__json json;
    jem__safetensors *set;
    const char *file;
    const uint8_t *data; /* or NULL: only the header is at hand */
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
    int64_t each = jem__dtype_size(t->dtype), expected;
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
    t->at = offsets[0];
    t->bytes = r->data ? r->data + t->at : NULL;
    return JEM_OK;
}

static jem_status read_tensor(reader *r, const char *name)
{
    char key[32], dtype[16] = "";
    int64_t shape[JEM__TENSOR_DIMENSIONS], dimensions = -1, offsets[2], offset_count = 0;
    if (!jem__json_token(&r->json, '{')) return bad(r, "expected {");
    do {
        if (!jem__json_text(&r->json, key, sizeof key) || !jem__json_token(&r->json, ':'))
            return bad(r, "expected a field");
        if (strcmp(key, "dtype") == 0) {
            if (!jem__json_text(&r->json, dtype, sizeof dtype)) return bad(r, "expected a dtype");
        } else if (strcmp(key, "shape") == 0) {
            JEM__TRY(read_numbers(r, shape, JEM__TENSOR_DIMENSIONS, &dimensions));
        } else if (strcmp(key, "data_offsets") == 0) {
            JEM__TRY(read_numbers(r, offsets, 2, &offset_count));
        } else {
            return bad(r, "unknown field");
        }
    } while (jem__json_token(&r->json, ','));
    if (!jem__json_token(&r->json, '}')) return bad(r, "expected }");
    if (!*dtype || dimensions < 0 || offset_count != 2)
        return bad(r, "a tensor without dtype, shape and two data_offsets");
    if (r->set->count == JEM__TENSOR_LIMIT) return bad(r, "more than 16384 tensors");
    jem__tensor_info *t;
    JEM__TRY(jem__safetensors_append(r->set, name, dtype, &t));
    t->dimensions = dimensions;
    memcpy(t->shape, shape, (size_t)dimensions * sizeof *shape);
    return place(r, t, offsets);
}

static jem_status read_metadata(reader *r)
{
    if (!jem__json_token(&r->json, '{')) return bad(r, "expected {");
    if (jem__json_token(&r->json, '}')) return JEM_OK;
    do {
        char *value = NULL, key[JEM__KEY_LIMIT + 5]; /* the JSON reader asks for five */
        if (r->set->metadata_count == JEM__TEXT_LIMIT) return bad(r, "more than 16384 texts");
        if (!jem__json_text(&r->json, key, sizeof key) || !jem__json_token(&r->json, ':'))
            return bad(r, "expected a metadata key");
        int64_t room = jem__json_text_room(&r->json);
        JEM__TRY(jem__alloc(&value, room, 1));
        jem_status status = jem__json_text(&r->json, value, (size_t)room)
                                ? jem__safetensors_append_metadata(r->set, key, value)
                                : bad(r, "expected a text");
        jem__free(value);
        JEM__TRY(status);
    } while (jem__json_token(&r->json, ','));
    return jem__json_token(&r->json, '}') ? JEM_OK : bad(r, "expected }");
}

static jem_status read_header(reader *r)
{
    char name[JEM__NAME_LIMIT + 5];
    if (!jem__json_token(&r->json, '{')) return bad(r, "expected {");
    if (!jem__json_token(&r->json, '}')) {
        do {
            if (!jem__json_text(&r->json, name, sizeof name) || !jem__json_token(&r->json, ':'))
                return bad(r, "expected a name of at most 507 bytes");
            JEM__TRY(strcmp(name, "__metadata__") == 0 ? read_metadata(r) : read_tensor(r, name));
        } while (jem__json_token(&r->json, ','));
        if (!jem__json_token(&r->json, '}')) return bad(r, "expected }");
    }
    jem__json_blanks(&r->json);
    return r->json.at == r->json.end ? JEM_OK : bad(r, "text after the end");
}

/* ---- Nothing may stand twice ---- */

/* By sorting: a hostile header has as many entries as it may. */

static int by_text(const void *a, const void *b)
{
    return strcmp(((const jem__name *)a)->text, ((const jem__name *)b)->text);
}

static int by_place(const void *a, const void *b)
{
    const jem__tensor_info *const *s = a, *const *t = b;
    return (*s)->at < (*t)->at ? -1 : (*s)->at > (*t)->at;
}

/* Sorts the names; one that stands twice is an error. */
static jem_status check_names(const reader *r, jem__name *names, int64_t count, const char *what)
{
    if (count) qsort(names, (size_t)count, sizeof *names, by_text);
    for (int64_t i = 1; i < count; i++)
        if (strcmp(names[i - 1].text, names[i].text) == 0)
            return jem__fail(JEM_ERROR_FORMAT, "%s: %s %.200s stands twice", r->file, what,
                             names[i].text);
    return JEM_OK;
}

static jem_status check_tensor_names(const reader *r)
{
    jem__safetensors *set = r->set;
    JEM__TRY(jem__alloc(&set->names, set->count, sizeof *set->names));
    for (int64_t i = 0; i < set->count; i++) set->names[i] = (jem__name){set->tensors[i].name, i};
    set->named = set->count;
    return check_names(r, set->names, set->named, "tensor");
}

static jem_status check_metadata_names(const reader *r)
{
    jem__name *names;
    const jem__safetensors *set = r->set;
    JEM__TRY(jem__alloc(&names, set->metadata_count, sizeof *names));
    for (int64_t i = 0; i < set->metadata_count; i++)
        names[i] = (jem__name){set->metadata[i].key, i};
    jem_status status = check_names(r, names, set->metadata_count, "text");
    jem__free(names);
    return status;
}

/* Tensors share no bytes and leave none over, as in upstream's reader: a hole would be room that
   no name and no checksum speaks of. */
static jem_status check_places(const reader *r)
{
    const jem__tensor_info **places;
    int64_t count = 0, end = 0;
    jem_status status = JEM_OK;
    JEM__TRY(jem__alloc(&places, r->set->count, sizeof *places));
    for (int64_t i = 0; i < r->set->count; i++)
        if (r->set->tensors[i].size) places[count++] = &r->set->tensors[i];
    if (count) qsort(places, (size_t)count, sizeof *places, by_place);
    for (int64_t i = 0; !status && i < count; end = places[i]->at + places[i]->size, i++)
        if (places[i]->at < end)
            status = jem__fail(JEM_ERROR_FORMAT, "%s: tensors %.200s and %.200s overlap", r->file,
                               places[i - 1]->name, places[i]->name);
        else if (places[i]->at > end)
            status = jem__fail(JEM_ERROR_FORMAT,
                               "%s: no tensor has the bytes %" PRId64 "..%" PRId64
                               " before tensor %.200s",
                               r->file, end, places[i]->at, places[i]->name);
    if (!status && end != r->data_size)
        status = jem__fail(JEM_ERROR_FORMAT,
                           "%s: tensors end at byte %" PRId64 ", the file has %" PRId64
                           " after the header",
                           r->file, end, r->data_size);
    jem__free(places);
    return status;
}

/* Takes the bytes: the whole file, or its first part of which `size` is the whole. */
static jem_status read_set(jem__safetensors **out, uint8_t *bytes, int64_t length, int64_t size,
                           int32_t has_data, const char *file)
{
    jem__safetensors *set = NULL;
    jem_status status = jem__calloc(&set, 1, sizeof *set);
    if (status) {
        jem__free(bytes);
        return status;
    }
    set->bytes = bytes;
    const char *text = (const char *)bytes + 8;
    reader r = {.json = {text, text, text + length},
                .set = set,
                .file = file,
                .data = has_data ? bytes + 8 + length : NULL,
                .data_size = size - 8 - length};
    status = read_header(&r);
    if (!status) status = check_tensor_names(&r);
    if (!status) status = check_metadata_names(&r);
    if (!status) status = check_places(&r);
    if (status)
        jem__safetensors_destroy(set);
    else
        *out = set;
    return status;
}

/* The header's length, from the first bytes of a file. */
static jem_status read_length(int64_t *length, const uint8_t *bytes, int64_t size, const char *file)
{
    uint64_t value = size < 8 ? 0 : jem__little_endian(bytes, 8);
    *length = (int64_t)value;
    if (size < 8 || value > JEM__HEADER_LIMIT || *length > size - 8)
        return jem__fail(JEM_ERROR_FORMAT,
                         "%s: not a safetensors file: %" PRId64 " bytes, header of %" PRIu64, file,
                         size, value);
    return JEM_OK;
}

/* Takes the bytes. */
static jem_status read_all(jem__safetensors **out, uint8_t *bytes, int64_t size, const char *file)
{
    int64_t length;
    jem_status status = read_length(&length, bytes, size, file);
    if (!status) return read_set(out, bytes, length, size, 1, file);
    jem__free(bytes);
    return status;
}

jem_status jem__safetensors_load_header(jem__safetensors **set, int64_t *data,
                                        const jem__view *view)
{
    const char *file = jem__view_path(view);
    int64_t length, size = jem__view_size(view);
    uint8_t start[8] = {0}, *bytes;
    *set = NULL;
    if (size >= 8) JEM__TRY(jem__view_read(view, start, 8, 0));
    JEM__TRY(read_length(&length, start, size, file));
    JEM__TRY(jem__alloc(&bytes, 8 + length, 1));
    jem_status status = jem__view_read(view, bytes, 8 + length, 0);
    if (status) {
        jem__free(bytes);
        return status;
    }
    *data = 8 + length;
    return read_set(set, bytes, length, size, 0, file);
}

/* The tensors' bytes, of a set whose header was read: a block each, so that who keeps one need not
   hold it twice. */
static jem_status read_data(jem__safetensors *set, int64_t at, const jem__view *view)
{
    jem__free(set->bytes);
    set->bytes = NULL;
    for (int64_t i = 0; i < set->count; i++) {
        jem__tensor_info *t = &set->tensors[i];
        JEM__TRY(jem__alloc(&t->own, t->size, 1));
        JEM__TRY(jem__view_read(view, t->own, t->size, at + t->at));
        t->bytes = t->own;
    }
    return JEM_OK;
}

/* The header first: a file that is not what it says costs no more memory than that. */
jem_status jem__safetensors_load(jem__safetensors **set, const char *path)
{
    jem__view *view;
    int64_t data;
    *set = NULL;
    JEM__TRY(jem__view_open(&view, path, 0));
    jem_status status = jem__safetensors_load_header(set, &data, view);
    if (!status) status = read_data(*set, data, view);
    jem__view_close(view);
    if (status) {
        jem__safetensors_destroy(*set);
        *set = NULL;
    }
    return status;
}

jem_status jem__safetensors_load_memory(jem__safetensors **set, const void *bytes, int64_t size,
                                        const char *name)
{
    uint8_t *copy;
    *set = NULL;
    JEM__TRY(jem__alloc(&copy, size, 1));
    memcpy(copy, bytes, (size_t)size);
    return read_all(set, copy, size, name);
}
