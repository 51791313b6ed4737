/* "packed:FILE": reads images where they lie in the file. */
#include "data/packed.h"
#include "base/config.h"
#include "base/memory.h"
#include "base/status.h"
#include "base/view.h"
#include "data/dataset.h"
#include "format/safetensors.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

typedef struct packed {
    jem__view *view;
    int64_t images;      /* where they begin in the file */
    uint32_t *checksums; /* [n] */
} packed;

/* ---- Images ---- */

/* How many of the indices follow one another. */
static int64_t run_length(const int64_t *indices, int64_t n)
{
    int64_t length = 1;
    while (length < n && indices[length] == indices[0] + length) length++;
    return length;
}

static jem_status check_image(const packed *p, jem_type type, int64_t index, const uint8_t *bytes,
                              int64_t size)
{
    if (jem__packed_sum(0, bytes, size) != p->checksums[index])
        return jem__fail(JEM_ERROR_FORMAT,
                         "%s: image %" PRId64 " is damaged (its checksum differs)",
                         jem__view_path(p->view), index);
    for (int64_t i = 0; type == JEM_TYPE_F32 && i < size / 4; i++) {
        float value;
        memcpy(&value, bytes + 4 * i, sizeof value);
        if (!isfinite(value))
            return jem__fail(JEM_ERROR_FORMAT,
                             "%s: image %" PRId64 " has a non-finite value at index %" PRId64,
                             jem__view_path(p->view), index, i);
    }
    return JEM_OK;
}

static jem_status fetch(const jem__store *s, const int64_t *indices, int64_t n, void *pixels,
                        int32_t *labels)
{
    const packed *p = s->opened;
    int64_t size = jem__store_image_bytes(s);
    uint8_t *to = pixels;
    (void)labels; /* are in memory */
    for (int64_t i = 0; to && i < n;) {
        int64_t some = run_length(indices + i, n - i);
        JEM__TRY(jem__view_read(p->view, to, some * size, p->images + indices[i] * size));
        for (int64_t j = 0; j < some; j++, to += size)
            JEM__TRY(check_image(p, s->type, indices[i + j], to, size));
        i += some;
    }
    return JEM_OK;
}

static void close_packed(jem__store *s)
{
    packed *p = s->opened;
    jem__view_close(p->view);
    jem__free(p->checksums);
    jem__free(p);
    s->opened = NULL;
}

static const jem__source source = {fetch, close_packed, 0};

/* ---- Opening: everything but the images is checked ---- */

static jem_status find(const jem__tensor_info **out, const jem__safetensors *set, const char *name,
                       const char *dtype, int64_t dimensions, int64_t first, const char *path)
{
    const jem__tensor_info *t = jem__safetensors_find(set, name);
    *out = t;
    if (t && strcmp(t->dtype, dtype) == 0 && t->dimensions == dimensions && t->shape[0] == first)
        return JEM_OK;
    return jem__fail(JEM_ERROR_FORMAT, "%s: expected a tensor %s of %s, %" PRId64 " dimensions",
                     path, name, dtype, dimensions);
}

static jem_status read_shape(jem__store *s, const jem__safetensors *set, const char *path)
{
    const char *format = jem__safetensors_metadata(set, "format");
    const char *version = jem__safetensors_metadata(set, "version");
    const jem__tensor_info *t = jem__safetensors_find(set, "images");
    int64_t image;
    if (!format || strcmp(format, JEM__PACKED_FORMAT) != 0)
        return jem__fail(JEM_ERROR_FORMAT,
                         "%s: metadata format is '%.32s', expected '" JEM__PACKED_FORMAT "'", path,
                         format ? format : "");
    if (!version || strcmp(version, JEM__PACKED_VERSION) != 0)
        return jem__fail(JEM_ERROR_FORMAT,
                         "%s: version is '%.32s', expected '" JEM__PACKED_VERSION "'", path,
                         version ? version : "");
    s->type = t && strcmp(t->dtype, "F32") == 0 ? JEM_TYPE_F32 : JEM_TYPE_U8;
    if (!t || t->dimensions != 4 || (s->type == JEM_TYPE_U8 && strcmp(t->dtype, "U8") != 0))
        return jem__fail(JEM_ERROR_FORMAT, "%s: expected a tensor images of U8 or F32, [n,c,h,w]",
                         path);
    s->n = t->shape[0];
    s->c = t->shape[1];
    s->h = t->shape[2];
    s->w = t->shape[3];
    return jem__store_check(path, s->type, s->n, s->c, s->h, s->w, &image);
}

static jem_status read_names(jem__store *s, const char *names, const char *path)
{
    int64_t count;
    if (!(s->names = jem__strdup(names))) return JEM_ERROR_MEMORY;
    JEM__TRY(jem__store_find_names(s, &count));
    if (count != s->classes)
        return jem__fail(JEM_ERROR_FORMAT,
                         "%s: metadata class_names has %" PRId64 " lines, expected %" PRId64
                         ", one for each class",
                         path, count, s->classes);
    for (int64_t k = 0; k < count; k++)
        if (strcspn(s->lines[k], "\n") >= JEM__PACKED_NAME)
            return jem__fail(JEM_ERROR_FORMAT,
                             "%s: the name of class %" PRId64 " is longer than expected, %d bytes",
                             path, k, JEM__PACKED_NAME - 1);
    return JEM_OK;
}

static jem_status read_classes(jem__store *s, const jem__safetensors *set, const char *path)
{
    const char *count = jem__safetensors_metadata(set, "classes");
    const char *names = jem__safetensors_metadata(set, "class_names");
    jem__json json = {count, count, count ? count + strlen(count) : NULL};
    if (!count || !jem__json_integer(&json, &s->classes) || json.at != json.end || s->classes < 1 ||
        s->classes > JEM__PACKED_CLASSES)
        return jem__fail(JEM_ERROR_FORMAT,
                         "%s: metadata classes is '%.32s', expected a number in 1..%d", path,
                         count ? count : "", JEM__PACKED_CLASSES);
    for (int64_t i = 0; i < s->n; i++)
        if (s->labels[i] < 0 || s->labels[i] >= s->classes)
            return jem__fail(JEM_ERROR_FORMAT,
                             "%s: label %" PRId32 " of image %" PRId64 ", expected 0..%" PRId64,
                             path, s->labels[i], i, s->classes - 1);
    return names ? read_names(s, names, path) : JEM_OK;
}

static jem_status sum_header(uint32_t *sum, const jem__view *view, int64_t size)
{
    uint8_t piece[4096];
    *sum = 0;
    for (int64_t at = 0; at < size; at += (int64_t)sizeof piece) {
        int64_t some = size - at < (int64_t)sizeof piece ? size - at : (int64_t)sizeof piece;
        JEM__TRY(jem__view_read(view, piece, some, at));
        *sum = jem__packed_sum(*sum, piece, some);
    }
    return JEM_OK;
}

static jem_status read_tables(jem__store *s, const jem__safetensors *set, int64_t data)
{
    packed *p = s->opened;
    const jem__tensor_info *labels, *checksums, *seal;
    const char *path = jem__view_path(p->view);
    uint32_t stored[2], header;
    JEM__TRY(find(&labels, set, "labels", "I32", 1, s->n, path));
    JEM__TRY(find(&checksums, set, "checksums", "U32", 1, s->n, path));
    JEM__TRY(find(&seal, set, "seal", "U32", 1, 2, path));
    JEM__TRY(jem__alloc(&s->labels, s->n, sizeof *s->labels));
    JEM__TRY(jem__alloc(&p->checksums, s->n, sizeof *p->checksums));
    JEM__TRY(jem__view_read(p->view, s->labels, labels->size, data + labels->at));
    JEM__TRY(jem__view_read(p->view, p->checksums, checksums->size, data + checksums->at));
    JEM__TRY(jem__view_read(p->view, stored, sizeof stored, data + seal->at));
    JEM__TRY(sum_header(&header, p->view, data));
    uint32_t tables =
        jem__packed_sum(jem__packed_sum(0, s->labels, labels->size), p->checksums, checksums->size);
    if (stored[0] != header || stored[1] != tables)
        return jem__fail(JEM_ERROR_FORMAT, "%s: is damaged (the checksum of its %s differs)", path,
                         stored[0] != header ? "header" : "labels");
    return JEM_OK;
}

static jem_status read_file(jem__store *s, const jem__safetensors *set, int64_t data,
                            const jem_config *config)
{
    packed *p = s->opened;
    const char *path = jem__view_path(p->view);
    int64_t limit = jem__config_i64(config, "dataset.limit");
    JEM__TRY(read_shape(s, set, path));
    JEM__TRY(read_tables(s, set, data));
    JEM__TRY(read_classes(s, set, path));
    p->images = data + jem__safetensors_find(set, "images")->at;
    if (limit > 0 && limit < s->n) s->n = limit;
    return JEM_OK;
}

jem_status jem__packed_open(jem__store *store, const char *path, const jem_config *config)
{
    packed *p;
    jem__safetensors *set;
    int64_t data;
    JEM__TRY(jem__calloc(&p, 1, sizeof *p));
    store->source = &source;
    store->opened = p;
    JEM__TRY(jem__view_open(&p->view, path, jem__config_i64(config, "dataset.map") != 0));
    JEM__TRY(jem__safetensors_load_header(&set, &data, p->view));
    jem_status status = read_file(store, set, data, config);
    jem__safetensors_destroy(set);
    return status;
}
