/* CIFAR-10's binary version: records of a label byte and 3x32x32 bytes.
   https://www.cs.toronto.edu/~kriz/cifar.html */
#include "base/file.h"
#include "base/memory.h"
#include "base/status.h"
#include "format/images.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { IMAGE = 3 * 32 * 32, RECORD = 1 + IMAGE, LABELS = 10 };

/* Appends the records of one file. */
static jem_status add_file(jem__images *out, int64_t *room, const char *path)
{
    uint8_t *bytes, *pixels;
    int64_t size;
    int32_t *labels;
    JEM__TRY(jem__file_read(&bytes, &size, path, (int64_t)8 << 30, 1));
    int64_t n = size / RECORD;
    jem_status status = JEM_OK;
    if (size % RECORD != 0 || n == 0)
        status = jem__fail(JEM_ERROR_FORMAT,
                           "%s: %" PRId64 " bytes, expected a multiple of %d (records)", path, size,
                           RECORD);
    if (!status && out->n + n > *room) {
        *room = out->n + n;
        status = jem__alloc(&pixels, *room * IMAGE, 1);
        if (!status && (status = jem__alloc(&labels, *room, sizeof *labels))) jem__free(pixels);
        if (!status) {
            if (out->n) memcpy(pixels, out->pixels, (size_t)(out->n * IMAGE));
            if (out->n) memcpy(labels, out->labels, (size_t)out->n * sizeof *labels);
            jem__free(out->pixels);
            jem__free(out->labels);
            out->pixels = pixels;
            out->labels = labels;
        }
    }
    for (int64_t i = 0; !status && i < n; i++) {
        const uint8_t *record = bytes + i * RECORD;
        if (*record >= LABELS)
            status =
                jem__fail(JEM_ERROR_FORMAT, "%s: record %" PRId64 " has label %d, expected 0..%d",
                          path, i, *record, LABELS - 1);
        out->labels[out->n] = *record;
        memcpy(out->pixels + out->n++ * IMAGE, record + 1, IMAGE);
    }
    jem__free(bytes);
    return status;
}

static jem_status read_folder(jem__images *out, const char *dir, int32_t test)
{
    char path[4400];
    int64_t room = 0;
    int found = 0;
    for (int i = 1; i <= (test ? 1 : 5); i++) {
        if (test)
            snprintf(path, sizeof path, "%s/test_batch.bin", dir);
        else
            snprintf(path, sizeof path, "%s/data_batch_%d.bin", dir, i);
        if (!jem__file_exists(path)) continue;
        found = 1;
        JEM__TRY(add_file(out, &room, path));
    }
    if (!found)
        return jem__fail(JEM_ERROR_IO, "%s: no %s there", dir,
                         test ? "test_batch.bin" : "data_batch_1.bin to data_batch_5.bin");
    return JEM_OK;
}

jem_status jem__cifar_read(jem__images *images, const char *dir, int32_t test, int64_t limit)
{
    char inner[4096], probe[4200];
    snprintf(inner, sizeof inner, "%s/cifar-10-batches-bin", dir);
    snprintf(probe, sizeof probe, "%s/test_batch.bin", inner);
    *images = (jem__images){.c = 3, .h = 32, .w = 32};
    jem_status status = read_folder(images, jem__file_exists(probe) ? inner : dir, test);
    if (limit > 0 && limit < images->n) images->n = limit;
    if (status) jem__images_clear(images);
    return status;
}
