/* CIFAR's binary versions: records of label bytes and 3x32x32 bytes.
   https://www.cs.toronto.edu/~kriz/cifar.html */
#include "base/file.h"
#include "base/memory.h"
#include "base/status.h"
#include "format/images.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { IMAGE = 3 * 32 * 32, PATH_ROOM = 4400 };

typedef struct kind {
    const char *folder;      /* that the archive unpacks to */
    const char *files[2][6]; /* to train, to test; NULL ends */
    int64_t labels;          /* bytes before the image; the last one is the label */
    int classes;
    int64_t classes_told; /* 0: from the labels */
    const char *names;
} kind;

static const kind cifar10 = {"cifar-10-batches-bin",
                             {{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                               "data_batch_4.bin", "data_batch_5.bin"},
                              {"test_batch.bin"}},
                             1,
                             10,
                             0,
                             NULL};
static const kind cifar100 = {"cifar-100-binary",    {{"train.bin"}, {"test.bin"}}, 2, 100, 100,
                              "fine_label_names.txt"};

/* Makes room for n more images. */
static jem_status grow(jem__images *out, int64_t n)
{
    uint8_t *pixels;
    int32_t *labels;
    JEM__TRY(jem__alloc(&pixels, out->n + n, IMAGE));
    jem_status status = jem__alloc(&labels, out->n + n, sizeof *labels);
    if (status) {
        jem__free(pixels);
        return status;
    }
    if (out->n) memcpy(pixels, out->pixels, (size_t)(out->n * IMAGE));
    if (out->n) memcpy(labels, out->labels, (size_t)out->n * sizeof *labels);
    jem__free(out->pixels);
    jem__free(out->labels);
    out->pixels = pixels;
    out->labels = labels;
    return JEM_OK;
}

static jem_status take(jem__images *out, const kind *k, const uint8_t *bytes, int64_t n,
                       const char *path)
{
    for (int64_t i = 0; i < n; i++) {
        const uint8_t *record = bytes + i * (k->labels + IMAGE);
        int label = record[k->labels - 1];
        if (label >= k->classes)
            return jem__fail(JEM_ERROR_FORMAT,
                             "%s: record %" PRId64 " has label %d, expected 0..%d", path, i, label,
                             k->classes - 1);
        out->labels[out->n] = label;
        memcpy(out->pixels + out->n++ * IMAGE, record + k->labels, IMAGE);
    }
    return JEM_OK;
}

/* Appends the records of one file. */
static jem_status add_file(jem__images *out, const kind *k, const char *path)
{
    uint8_t *bytes;
    int64_t size, record = k->labels + IMAGE;
    JEM__TRY(jem__file_read(&bytes, &size, path, (int64_t)8 << 30, 1));
    int64_t n = size / record;
    jem_status status = JEM_OK;
    if (size % record != 0 || n == 0)
        status = jem__fail(JEM_ERROR_FORMAT,
                           "%s: %" PRId64 " bytes, expected a multiple of %" PRId64 " (records)",
                           path, size, record);
    if (!status) status = grow(out, n);
    if (!status) status = take(out, k, bytes, n, path);
    jem__free(bytes);
    return status;
}

static jem_status read_folder(jem__images *out, const char *dir, const kind *k, int32_t test)
{
    const char *const *files = k->files[test != 0];
    char path[PATH_ROOM];
    int32_t found = 0;
    for (int i = 0; files[i]; i++) {
        int32_t exists;
        snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        JEM__TRY(jem__file_exists(&exists, path));
        if (!exists) continue;
        found = 1;
        JEM__TRY(add_file(out, k, path));
    }
    if (!found)
        return jem__fail(JEM_ERROR_IO, "%s: no %s%s there", dir, files[0],
                         files[1] ? " to data_batch_5.bin" : "");
    return JEM_OK;
}

/* A line for each class; without the file classes are numbers. */
static jem_status read_names(jem__images *out, const char *dir, const kind *k)
{
    char path[PATH_ROOM];
    uint8_t *text;
    int64_t size, lines = 0, kept = 0;
    int32_t exists;
    snprintf(path, sizeof path, "%s/%s", dir, k->names);
    JEM__TRY(jem__file_exists(&exists, path));
    if (!exists) return JEM_OK;
    JEM__TRY(jem__file_read(&text, &size, path, 1 << 16, 0));
    out->names = (char *)text;
    for (int64_t i = 0; i < size; i++) {
        lines += text[i] == '\n';
        if (!text[i] || lines > k->classes)
            return jem__fail(JEM_ERROR_FORMAT, "%s: byte %" PRId64 ": expected %d lines of text",
                             path, i, k->classes);
        if (text[i] == '\r') continue; /* of a line that ends as in Windows */
        text[kept++] = text[i];
    }
    text[kept] = 0;
    return jem__is_utf8(out->names)
               ? JEM_OK
               : jem__fail(JEM_ERROR_FORMAT, "%s: expected %d lines of UTF-8", path, k->classes);
}

static jem_status read_kind(jem__images *images, const char *dir, const kind *k, int32_t test,
                            int64_t limit)
{
    char inner[PATH_ROOM - 64], probe[PATH_ROOM];
    int32_t unpacked;
    snprintf(inner, sizeof inner, "%s/%s", dir, k->folder);
    snprintf(probe, sizeof probe, "%s/%s", inner, k->files[1][0]);
    *images = (jem__images){.c = 3, .h = 32, .w = 32, .classes = k->classes_told};
    JEM__TRY(jem__file_exists(&unpacked, probe));
    if (unpacked) dir = inner;
    jem_status status = read_folder(images, dir, k, test);
    if (!status && k->names) status = read_names(images, dir, k);
    if (limit > 0 && limit < images->n) images->n = limit;
    if (status) jem__images_clear(images);
    return status;
}

jem_status jem__cifar_read(jem__images *images, const char *dir, int32_t test, int64_t limit)
{
    return read_kind(images, dir, &cifar10, test, limit);
}

jem_status jem__cifar100_read(jem__images *images, const char *dir, int32_t test, int64_t limit)
{
    return read_kind(images, dir, &cifar100, test, limit);
}
