/* SVHN's cropped digits: MATLAB 5 files with two arrays of bytes, X [32,32,3,n] and y [n,1],
   http://ufldl.stanford.edu/housenumbers; the format is that of "MAT-File Format", MathWorks.
   Only what these files use is read: uint8 arrays, compressed or not; other MATLAB files by matio,
   where it is built in. */
#include "format/svhn.h"
#include "base/file.h"
#include "base/gzip.h"
#include "base/memory.h"
#include "base/status.h"
#include "format/bytes.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#define ZLIB_CONST
#include <zlib.h>

enum { SIZE = JEM__SVHN_SIZE, PLANES = JEM__SVHN_PLANES, IMAGE = JEM__SVHN_IMAGE, DIGITS = 10 };
enum { HEADER = 128, TAG = 8, DIMENSIONS = 4, NAME_ROOM = 64 };
enum { TYPE_INT8 = 1, TYPE_UINT8 = 2, TYPE_INT32 = 5, TYPE_UINT32 = 6 };
enum { TYPE_MATRIX = 14, TYPE_COMPRESSED = 15 };

/* The bytes of one element of the file, inflated on the way. */
typedef struct stream {
    const char *path;
    int32_t compressed;
    z_stream z;   /* next_in and avail_in also of an element that is not compressed */
    int64_t most; /* bytes that can still come, at the most */
} stream;

static jem_status damaged(const stream *s, const char *what)
{
    return jem__fail(JEM_ERROR_FORMAT, "%s: damaged MATLAB file: %s", s->path, what);
}

static jem_status get(stream *s, void *bytes, int64_t n)
{
    if (n > s->most) return damaged(s, "an array ends early");
    s->most -= n;
    if (!s->compressed) {
        memcpy(bytes, s->z.next_in, (size_t)n);
        s->z.next_in += n;
        return JEM_OK;
    }
    s->z.next_out = bytes;
    s->z.avail_out = (uInt)n;
    while (s->z.avail_out) {
        int result = inflate(&s->z, Z_SYNC_FLUSH);
        if (result == Z_MEM_ERROR) return jem__fail(JEM_ERROR_MEMORY, "%s: out of memory", s->path);
        if (s->z.avail_out && result != Z_OK)
            return damaged(s, s->z.msg ? s->z.msg : "compressed data end early");
    }
    return JEM_OK;
}

static jem_status skip(stream *s, int64_t n)
{
    uint8_t waste[256];
    for (; n > 0; n -= (int64_t)sizeof waste)
        JEM__TRY(get(s, waste, n < (int64_t)sizeof waste ? n : (int64_t)sizeof waste));
    return JEM_OK;
}

/* Reads to the end, where zlib compares its checksum. Nothing is behind the values but zeros up to
   a multiple of eight bytes. */
static jem_status finish(stream *s)
{
    uint8_t padding[8];
    if (!s->compressed) return JEM_OK;
    s->z.next_out = padding;
    s->z.avail_out = sizeof padding;
    int result = inflate(&s->z, Z_SYNC_FLUSH);
    if (!s->z.avail_out) return damaged(s, "more than padding behind an array");
    return result == Z_STREAM_END ? JEM_OK : damaged(s, "compressed data are damaged");
}

/* A sub-element's tag: eight bytes, or four with as many of data behind them (*small). */
static jem_status get_tag(stream *s, uint32_t *type, uint32_t *size, uint8_t small[4],
                          int32_t *is_small)
{
    uint8_t tag[TAG];
    JEM__TRY(get(s, tag, TAG));
    *type = (uint32_t)jem__little_endian(tag, 4);
    *size = (uint32_t)jem__little_endian(tag + 4, 4);
    *is_small = *type >> 16 != 0;
    if (!*is_small) return JEM_OK;
    *size = *type >> 16;
    *type &= 0xffff;
    memcpy(small, tag + 4, 4);
    return *size <= 4 ? JEM_OK : damaged(s, "a small element of more than four bytes");
}

/* A whole sub-element of one type, at most room bytes. */
static jem_status get_part(stream *s, uint32_t wanted, void *bytes, uint32_t room, uint32_t *size)
{
    uint32_t type;
    uint8_t small[4];
    int32_t is_small;
    JEM__TRY(get_tag(s, &type, size, small, &is_small));
    if (type != wanted || *size > room) return damaged(s, "an array's header is not as expected");
    if (is_small)
        memcpy(bytes, small, *size);
    else {
        JEM__TRY(get(s, bytes, *size));
        JEM__TRY(skip(s, -(int64_t)*size & 7));
    }
    return JEM_OK;
}

/* ---- The two arrays ---- */

typedef struct array {
    char name[NAME_ROOM];
    int64_t dimensions, shape[DIMENSIONS];
} array;

/* Everything before the values. */
static jem_status get_header(stream *s, array *a)
{
    uint8_t flags[8], shape[4 * DIMENSIONS];
    uint32_t size;
    JEM__TRY(get_part(s, TYPE_UINT32, flags, sizeof flags, &size));
    JEM__TRY(get_part(s, TYPE_INT32, shape, sizeof shape, &size));
    a->dimensions = size / 4;
    for (int64_t i = 0; i < a->dimensions; i++) {
        a->shape[i] = (int64_t)jem__little_endian(shape + 4 * i, 4);
        if (a->shape[i] > INT32_MAX) return damaged(s, "a dimension is negative");
    }
    JEM__TRY(get_part(s, TYPE_INT8, a->name, NAME_ROOM - 1, &size));
    a->name[size] = 0;
    return JEM_OK;
}

/* The tag of n values, which must be bytes. */
static jem_status get_values(stream *s, int64_t n, uint8_t small[4], int32_t *is_small)
{
    uint32_t type, size;
    JEM__TRY(get_tag(s, &type, &size, small, is_small));
    if (type != TYPE_UINT8) return damaged(s, "values are not uint8");
    if (size != n) return damaged(s, "the size of an array does not fit its dimensions");
    return *is_small || n <= s->most ? JEM_OK : damaged(s, "an array ends early");
}

void jem__svhn_turn(uint8_t *to, const uint8_t *image)
{
    for (int64_t c = 0; c < PLANES; c++)
        for (int64_t x = 0; x < SIZE; x++)
            for (int64_t y = 0; y < SIZE; y++)
                to[(c * SIZE + y) * SIZE + x] = image[(c * SIZE + x) * SIZE + y];
}

static jem_status get_images(stream *s, jem__images *out, const array *a, int64_t limit,
                             int64_t *count)
{
    uint8_t small[4], image[IMAGE];
    int32_t is_small;
    int64_t n = a->shape[3];
    if (out->pixels || a->dimensions != 4 || a->shape[0] != SIZE || a->shape[1] != SIZE ||
        a->shape[2] != PLANES || n < 1)
        return damaged(s, "X is not one array [32,32,3,n]");
    JEM__TRY(get_values(s, n * IMAGE, small, &is_small));
    *count = n;
    if (limit > 0 && limit < n) n = limit;
    JEM__TRY(jem__alloc(&out->pixels, n, IMAGE));
    out->n = n;
    for (int64_t i = 0; i < n; i++) {
        JEM__TRY(get(s, image, IMAGE));
        jem__svhn_turn(out->pixels + i * IMAGE, image);
    }
    return n == a->shape[3] ? finish(s) : JEM_OK;
}

jem_status jem__svhn_labels(jem__images *images, const uint8_t *bytes, int64_t n, const char *path)
{
    JEM__TRY(jem__alloc(&images->labels, n, sizeof *images->labels));
    for (int64_t i = 0; i < n; i++) {
        images->labels[i] = bytes[i] % DIGITS;
        if (bytes[i] < 1 || bytes[i] > DIGITS)
            return jem__fail(JEM_ERROR_FORMAT,
                             "%s: label %d of image %" PRId64 ", expected 1..10 (10 is digit 0)",
                             path, bytes[i], i);
    }
    return JEM_OK;
}

/* One for each of the images, of which there are count. */
static jem_status get_labels(stream *s, jem__images *out, const array *a, int64_t count)
{
    uint8_t small[4], *bytes;
    int32_t is_small;
    int64_t n = a->shape[0];
    if (out->labels || a->dimensions != 2 || a->shape[1] != 1 || n < 1)
        return damaged(s, "y is not one array [n,1]");
    if (n != count)
        return jem__fail(JEM_ERROR_FORMAT, "%s: %" PRId64 " labels for %" PRId64 " images", s->path,
                         n, count);
    JEM__TRY(get_values(s, n, small, &is_small));
    JEM__TRY(jem__alloc(&bytes, n, 1));
    jem_status status = JEM_OK;
    if (is_small)
        memcpy(bytes, small, (size_t)n);
    else
        status = get(s, bytes, n);
    if (!status) status = jem__svhn_labels(out, bytes, n, s->path);
    jem__free(bytes);
    return status ? status : finish(s);
}

/* ---- The file ---- */

/* Reads one element if it is the wanted one, X or y. */
static jem_status read_matrix(stream *s, jem__images *out, const char *wanted, int64_t limit,
                              int64_t *count)
{
    uint8_t tag[TAG];
    array a = {0};
    if (s->compressed) {
        JEM__TRY(get(s, tag, TAG));
        if (jem__little_endian(tag, 4) != TYPE_MATRIX) return JEM_OK;
    }
    JEM__TRY(get_header(s, &a));
    if (strcmp(a.name, wanted) != 0) return JEM_OK;
    return *wanted == 'X' ? get_images(s, out, &a, limit, count) : get_labels(s, out, &a, *count);
}

static jem_status read_element(const char *path, uint32_t type, const uint8_t *bytes, int64_t size,
                               jem__images *out, const char *wanted, int64_t limit, int64_t *count)
{
    stream s = {.path = path, .compressed = type == TYPE_COMPRESSED, .most = size};
    s.z.next_in = bytes;
    s.z.avail_in = (uInt)size;
    if (type != TYPE_COMPRESSED && type != TYPE_MATRIX) return JEM_OK;
    if (!s.compressed) return read_matrix(&s, out, wanted, limit, count);
    s.most = size * JEM__MOST_INFLATION;
    jem__inflate_memory(&s.z);
    if (inflateInit(&s.z) != Z_OK) return jem__fail(JEM_ERROR_MEMORY, "%s: out of memory", path);
    jem_status status = read_matrix(&s, out, wanted, limit, count);
    inflateEnd(&s.z);
    return status;
}

static int32_t is_own(const uint8_t *bytes, int64_t size)
{
    return size >= HEADER && bytes[126] == 'I' && bytes[127] == 'M' && bytes[125] == 1;
}

static jem_status read_elements(const char *path, const uint8_t *bytes, int64_t size,
                                jem__images *out, const char *wanted, int64_t limit, int64_t *count)
{
    for (int64_t at = HEADER; at + TAG <= size;) {
        uint32_t type = (uint32_t)jem__little_endian(bytes + at, 4),
                 length = (uint32_t)jem__little_endian(bytes + at + 4, 4);
        at += TAG;
        if (length > size - at)
            return jem__fail(JEM_ERROR_FORMAT,
                             "%s: an element of %" PRIu32 " bytes at byte %" PRId64
                             " of a file of %" PRId64,
                             path, length, at, size);
        JEM__TRY(read_element(path, type, bytes + at, length, out, wanted, limit, count));
        at += length;
    }
    if (*wanted == 'X' ? !out->pixels : !out->labels)
        return jem__fail(JEM_ERROR_FORMAT, "%s: holds no array %s", path, wanted);
    return JEM_OK;
}

static jem_status read_other(jem__images *images, const char *path, int64_t size, int64_t limit)
{
#ifdef JEM__MATIO
    return jem__svhn_matio(images, path, size, limit);
#else
    return jem__fail(JEM_ERROR_FORMAT,
                     "%s: not a little-endian MATLAB 5 file; others need a libjem built with matio",
                     path);
#endif
}

jem_status jem__svhn_read(jem__images *images, const char *dir, int32_t test, int64_t limit)
{
    char path[4400];
    uint8_t *bytes;
    int64_t size, count = 0;
    *images = (jem__images){.c = PLANES, .h = SIZE, .w = SIZE, .classes = DIGITS};
    snprintf(path, sizeof path, "%s/%s_32x32.mat", dir, test ? "test" : "train");
    JEM__TRY(jem__file_read(&bytes, &size, path, (int64_t)4 << 30, 0));
    int32_t own = is_own(bytes, size);
    /* Whatever their order: how many images there are bounds the labels. */
    jem_status status = own ? read_elements(path, bytes, size, images, "X", limit, &count) : JEM_OK;
    if (own && !status) status = read_elements(path, bytes, size, images, "y", limit, &count);
    jem__free(bytes);
    if (!own) status = read_other(images, path, size, limit);
    if (status) jem__images_clear(images);
    return status;
}
