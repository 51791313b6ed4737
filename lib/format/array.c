/* NumPy's .npy: magic, version, a Python dictionary as text, the data.
   https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html */
#include "base/file.h"
#include "base/memory.h"
#include "base/status.h"
#include "base/view.h"
#include "format/bytes.h"
#include "format/images.h"
#include <inttypes.h>
#include <jem/array.h>
#include <stdio.h>
#include <string.h>

enum { DIMENSIONS = 8 };

struct jem_array {
    void *data;
    jem_type type;
    int64_t dimensions, shape[DIMENSIONS];
};

static const struct {
    jem_type type;
    int64_t size;
    const char *name;
} types[] = {{JEM_TYPE_U8, 1, "|u1"},
             {JEM_TYPE_F32, 4, "<f4"},
             {JEM_TYPE_I32, 4, "<i4"},
             {JEM_TYPE_I64, 8, "<i8"},
             {JEM_TYPE_F64, 8, "<f8"}};
enum { TYPES = sizeof types / sizeof types[0] };

/* ---- Reading ---- */

static void blanks(const char **at)
{
    while (**at == ' ' || **at == '\n') (*at)++;
}

static int token(const char **at, char c)
{
    blanks(at);
    if (**at != c) return 0;
    (*at)++;
    return 1;
}

static int text(const char **at, char *out, size_t size)
{
    blanks(at);
    char quote = **at;
    size_t n = 0;
    if (quote != '\'' && quote != '"') return 0;
    for ((*at)++; **at && **at != quote && n + 1 < size; (*at)++) out[n++] = **at;
    out[n] = 0;
    return token(at, quote);
}

static int tuple(const char **at, jem_array *a)
{
    if (!token(at, '(')) return 0;
    while (!token(at, ')')) {
        int64_t value = 0;
        blanks(at);
        if (**at < '0' || **at > '9' || a->dimensions == DIMENSIONS) return 0;
        for (; **at >= '0' && **at <= '9'; (*at)++) {
            if (value > (INT64_MAX - 9) / 10) return 0;
            value = value * 10 + (**at - '0');
        }
        a->shape[a->dimensions++] = value;
        if (!token(at, ',')) return token(at, ')');
    }
    return 1;
}

static jem_status parse(jem_array *a, const char *at, const char *path)
{
    char key[32], value[32];
    int seen = 0;
    if (!token(&at, '{')) return jem__fail(JEM_ERROR_FORMAT, "%s: npy header without {", path);
    while (!token(&at, '}')) {
        if (!text(&at, key, sizeof key) || !token(&at, ':'))
            return jem__fail(JEM_ERROR_FORMAT, "%s: npy header is damaged", path);
        if (strcmp(key, "descr") == 0 && text(&at, value, sizeof value) && *value) {
            for (int i = 0; i < TYPES; i++)
                if (strcmp(value + 1, types[i].name + 1) == 0 && value[0] != '>')
                    a->type = types[i].type;
            if (!a->type)
                return jem__fail(JEM_ERROR_FORMAT,
                                 "%s: dtype is '%s', expected u1, i4, i8, f4 or f8, little-endian",
                                 path, value);
            seen |= 1;
        } else if (strcmp(key, "fortran_order") == 0) {
            blanks(&at);
            if (strncmp(at, "False", 5) != 0)
                return jem__fail(JEM_ERROR_FORMAT,
                                 "%s: Fortran order, expected C order (numpy.ascontiguousarray)",
                                 path);
            at += 5;
            seen |= 2;
        } else if (strcmp(key, "shape") == 0 && tuple(&at, a)) {
            seen |= 4;
        } else {
            return jem__fail(JEM_ERROR_FORMAT, "%s: npy header: cannot read '%s'", path, key);
        }
        token(&at, ',');
    }
    if (seen != 7)
        return jem__fail(JEM_ERROR_FORMAT, "%s: npy header lacks descr, fortran_order or shape",
                         path);
    return JEM_OK;
}

static jem_status check_size(const jem_array *a, int64_t size, const char *path)
{
    int64_t bytes = 1;
    for (int i = 0; i < TYPES; i++)
        if (types[i].type == a->type) bytes = types[i].size;
    for (int64_t i = 0; i < a->dimensions; i++)
        if (!jem__multiply(bytes, a->shape[i], &bytes))
            return jem__fail(JEM_ERROR_FORMAT, "%s: its shape overflows", path);
    if (bytes != size)
        return jem__fail(JEM_ERROR_FORMAT, "%s: %" PRId64 " bytes of data, expected %" PRId64, path,
                         size, bytes);
    return JEM_OK;
}

/* The header, and whether the file has what it says; *start: where the numbers begin. */
static jem_status read_header(jem_array *a, const jem__view *view, int64_t *start)
{
    enum { LONGEST = 1 << 20 };
    const char *path = jem__view_path(view);
    int64_t size = jem__view_size(view);
    uint8_t b[12];
    char *header;
    if (size >= 12) JEM__TRY(jem__view_read(view, b, 12, 0));
    if (size < 12 || memcmp(b, "\x93NUMPY", 6) != 0 || b[6] < 1 || b[6] > 3)
        return jem__fail(JEM_ERROR_FORMAT, "%s: not an npy file of version 1 to 3", path);
    int64_t from = b[6] == 1 ? 10 : 12;
    int64_t length = (int64_t)jem__little_endian(b + 8, (int)from - 8);
    if (length < 1 || length > size - from || length > LONGEST)
        return jem__fail(JEM_ERROR_FORMAT,
                         "%s: npy header of %" PRId64 " bytes in a file of %" PRId64, path, length,
                         size);
    JEM__TRY(jem__alloc(&header, length, 1));
    jem_status status = jem__view_read(view, header, length, from);
    header[length - 1] = 0; /* a line break, by the format */
    if (!status) status = parse(a, header, path);
    jem__free(header);
    *start = from + length;
    return status ? status : check_size(a, size - *start, path);
}

static jem_status read_array(jem_array *a, const char *path)
{
    jem__view *view;
    int64_t start = 0, size;
    JEM__TRY(jem__view_open(&view, path, 0));
    jem_status status = read_header(a, view, &start);
    size = jem__view_size(view) - start;
    if (!status) status = jem__alloc(&a->data, size, 1);
    if (!status && size) status = jem__view_read(view, a->data, size, start);
    jem__view_close(view);
    return status;
}

jem_status jem_array_load(jem_array **array, const char *path)
{
    jem_array *a;
    JEM__REQUIRE(array, "jem_array_load");
    *array = NULL;
    JEM__REQUIRE(path, "jem_array_load");
    JEM__TRY(jem__calloc(&a, 1, sizeof *a));
    jem_status status = read_array(a, path);
    if (status) {
        jem_array_destroy(a);
        return status;
    }
    *array = a;
    return JEM_OK;
}

void jem_array_destroy(jem_array *array)
{
    if (!array) return;
    jem__free(array->data);
    jem__free(array);
}

jem_status jem_array_info(const jem_array *array, jem_type *type, int64_t *dimensions,
                          int64_t *shape, const void **data)
{
    JEM__REQUIRE(array, "jem_array_info");
    if (type) *type = array->type;
    if (dimensions) *dimensions = array->dimensions;
    if (shape) memcpy(shape, array->shape, sizeof array->shape);
    if (data) *data = array->data;
    return JEM_OK;
}

/* ---- Writing ---- */

jem_status jem_array_save(const char *path, const void *data, jem_type type, int64_t dimensions,
                          const int64_t *shape)
{
    char header[512] = "\x93NUMPY\x01";
    int64_t bytes = 0, at = 10;
    const char *name = NULL;
    jem__writer *writer;
    JEM__REQUIRE(path, "jem_array_save");
    JEM__REQUIRE(data, "jem_array_save");
    if (dimensions != 0) JEM__REQUIRE(shape, "jem_array_save");
    for (int i = 0; i < TYPES; i++)
        if (types[i].type == type) {
            name = types[i].name;
            bytes = types[i].size;
        }
    if (!name || dimensions < 0 || dimensions > DIMENSIONS)
        return jem__fail(JEM_ERROR_ARGUMENT,
                         "jem_array_save: type %d, %" PRId64 " dimensions, expected a known type "
                         "and at most %d",
                         type, dimensions, DIMENSIONS);
    header[7] = 0;
    at += snprintf(header + at, sizeof header - (size_t)at,
                   "{'descr': '%s', 'fortran_order': False, 'shape': (", name);
    for (int64_t i = 0; i < dimensions; i++) {
        if (!jem__multiply(bytes, shape[i], &bytes))
            return jem__fail(JEM_ERROR_SHAPE, "jem_array_save: the shape overflows");
        at += snprintf(header + at, sizeof header - (size_t)at, "%" PRId64 "%s", shape[i],
                       dimensions == 1      ? ","
                       : i + 1 < dimensions ? ", "
                                            : "");
    }
    at += snprintf(header + at, sizeof header - (size_t)at, "), }");
    while ((at + 1) % 64) header[at++] = ' ';
    header[at++] = '\n';
    header[8] = (char)((at - 10) & 255);
    header[9] = (char)((at - 10) >> 8);
    JEM__TRY(jem__writer_open(&writer, path));
    jem_status status = jem__writer_write(writer, header, at);
    if (!status) status = jem__writer_write(writer, data, bytes);
    if (!status) return jem__writer_commit(writer);
    jem__writer_abandon(writer);
    return status;
}

/* ---- Picture grids ---- */

static uint8_t to_byte(float v)
{
    float scaled = (v + 1) * 127.5f + 0.5f;
    return scaled >= 255 ? 255 : scaled > 0 ? (uint8_t)scaled : 0; /* NaN: 0 */
}

jem_status jem_array_save_png(const char *path, const float *x, int64_t n, int64_t c, int64_t h,
                              int64_t w, int64_t columns, int64_t scale, int64_t gap)
{
    uint8_t *canvas;
    JEM__REQUIRE(path, "jem_array_save_png");
    JEM__REQUIRE(x, "jem_array_save_png");
    if (n < 1 || (c != 1 && c != 3) || h < 1 || w < 1 || columns < 1 || scale < 1 || gap < 0 ||
        n > 1 << 20 || h > 1 << 16 || w > 1 << 16 || columns > 1 << 16 || scale > 64 || gap > 1024)
        return jem__fail(JEM_ERROR_ARGUMENT,
                         "jem_array_save_png: n %" PRId64 ", c %" PRId64 ", h %" PRId64
                         ", w %" PRId64 ", columns %" PRId64 ", scale %" PRId64 ", gap %" PRId64
                         ", expected c 1 or 3 and the others positive and moderate",
                         n, c, h, w, columns, scale, gap);
    if (columns > n) columns = n;
    int64_t rows = (n + columns - 1) / columns;
    int64_t width = columns * (w * scale + gap) + gap, height = rows * (h * scale + gap) + gap;
    if (width > 1 << 20 || height > 1 << 20)
        return jem__fail(JEM_ERROR_ARGUMENT,
                         "jem_array_save_png: a picture of %" PRId64 "x%" PRId64 " is too large",
                         width, height);
    JEM__TRY(jem__alloc(&canvas, width * height, c));
    memset(canvas, 96, (size_t)(width * height * c));
    for (int64_t i = 0; i < n; i++) {
        int64_t left = i % columns * (w * scale + gap) + gap;
        int64_t top = i / columns * (h * scale + gap) + gap;
        for (int64_t k = 0; k < c; k++)
            for (int64_t r = 0; r < h * scale; r++)
                for (int64_t s = 0; s < w * scale; s++)
                    canvas[((top + r) * width + left + s) * c + k] =
                        to_byte(x[((i * c + k) * h + r / scale) * w + s / scale]);
    }
    jem_status status = jem__png_write(path, canvas, width, height, c);
    jem__free(canvas);
    return status;
}
