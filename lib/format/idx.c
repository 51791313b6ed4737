/* idx: MNIST's format. http://yann.lecun.com/exdb/mnist: big-endian magic
   0x00000800 | dimensions, the dimensions, then bytes. */
#include "base/file.h"
#include "base/memory.h"
#include "base/status.h"
#include "format/bytes.h"
#include "format/images.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define HEADER(dimensions) (4 + 4 * (dimensions))
static const int64_t most_bytes = (int64_t)8 << 30;

void jem__images_clear(jem__images *images)
{
    jem__free(images->pixels);
    jem__free(images->labels);
    jem__free(images->names);
    *images = (jem__images){0};
}

/* The first existing spelling of DIR/PART-KIND[.-]idxN-ubyte[.gz]. */
static jem_status find(char *path, size_t size, const char *dir, const char *part, const char *kind,
                       int dimensions)
{
    int32_t exists;
    for (int i = 0; i < 4; i++) {
        snprintf(path, size, "%s/%s-%s%cidx%d-ubyte%s", dir, part, kind, i & 2 ? '.' : '-',
                 dimensions, i & 1 ? ".gz" : "");
        JEM__TRY(jem__file_exists(&exists, path));
        if (exists) return JEM_OK;
    }
    return jem__fail(JEM_ERROR_IO, "%s: no %s-%s-idx%d-ubyte or .gz there", dir, part, kind,
                     dimensions);
}

/* The shape that a file's header states; *bytes: its size then, header included. */
static jem_status read_shape(int64_t *shape, int64_t *bytes, int dimensions, const char *path)
{
    uint8_t head[HEADER(3)];
    int64_t header = HEADER(dimensions), got = header, values = 1;
    JEM__TRY(jem__file_head(head, &got, path));
    if (got < header || jem__big_endian(head, 4) != (0x800u | (uint32_t)dimensions))
        return jem__fail(JEM_ERROR_FORMAT, "%s: not an idx%d file of bytes (magic %08x)", path,
                         dimensions, got >= 4 ? (uint32_t)jem__big_endian(head, 4) : 0);
    for (int64_t i = 0; i < dimensions; i++) {
        shape[i] = (int64_t)jem__big_endian(head + 4 + 4 * i, 4);
        if (!jem__multiply(values, shape[i], &values))
            return jem__fail(JEM_ERROR_FORMAT, "%s: its dimensions overflow", path);
    }
    if (shape[0] > INT32_MAX)
        return jem__fail(JEM_ERROR_FORMAT, "%s: states %" PRId64 " entries, expected at most %d",
                         path, shape[0], INT32_MAX);
    if (values > most_bytes - header)
        return jem__fail(JEM_ERROR_FORMAT,
                         "%s: states %" PRId64 " bytes, expected at most %" PRId64, path, values,
                         most_bytes);
    *bytes = header + values;
    return JEM_OK;
}

/* Reads one file, of as many bytes as its header says; *bytes is the caller's. */
static jem_status read_one(uint8_t **bytes, int64_t expected, const char *path)
{
    int64_t size;
    JEM__TRY(jem__file_read(bytes, &size, path, expected, 1));
    if (size != expected)
        return jem__fail(JEM_ERROR_FORMAT,
                         "%s: has %" PRId64 " bytes, expected %" PRId64 " by its header", path,
                         size, expected);
    return JEM_OK;
}

static jem_status read_pixels(jem__images *out, int64_t bytes, const char *path)
{
    uint8_t *file = NULL;
    int64_t size = out->n * out->h * out->w;
    jem_status status = read_one(&file, bytes, path);
    if (!status) status = jem__alloc(&out->pixels, size, 1);
    if (!status) memcpy(out->pixels, file + HEADER(3), (size_t)size);
    jem__free(file);
    return status;
}

static jem_status read_labels(jem__images *out, int64_t bytes, const char *path)
{
    uint8_t *file = NULL;
    jem_status status = read_one(&file, bytes, path);
    if (!status) status = jem__alloc(&out->labels, out->n, sizeof *out->labels);
    for (int64_t i = 0; !status && i < out->n; i++) out->labels[i] = file[HEADER(1) + i];
    jem__free(file);
    return status;
}

jem_status jem__idx_read(jem__images *images, const char *dir, int32_t test, int64_t limit)
{
    char image_path[4096], label_path[4096];
    const char *part = test ? "t10k" : "train";
    int64_t shape[3] = {0}, count = 0, image_bytes = 0, label_bytes = 0;
    *images = (jem__images){0};
    JEM__TRY(find(image_path, sizeof image_path, dir, part, "images", 3));
    JEM__TRY(find(label_path, sizeof label_path, dir, part, "labels", 1));
    JEM__TRY(read_shape(shape, &image_bytes, 3, image_path));
    JEM__TRY(read_shape(&count, &label_bytes, 1, label_path));
    if (count != shape[0])
        return jem__fail(JEM_ERROR_FORMAT,
                         "%s: %" PRId64 " labels, expected one for each of %" PRId64 " images",
                         label_path, count, shape[0]);
    if (shape[0] < 1 || shape[1] < 1 || shape[2] < 1)
        return jem__fail(JEM_ERROR_FORMAT, "%s: holds no pixels", image_path);
    if (limit > 0 && limit < count) count = limit;
    *images = (jem__images){.n = count, .c = 1, .h = shape[1], .w = shape[2]};
    jem_status status = read_pixels(images, image_bytes, image_path);
    if (!status) status = read_labels(images, label_bytes, label_path);
    if (status) jem__images_clear(images);
    return status;
}
