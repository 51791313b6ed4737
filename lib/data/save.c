/* jem_dataset_save: writes a packed file in one pass over the images. */
#include "base/file.h"
#include "base/memory.h"
#include "base/status.h"
#include "data/dataset.h"
#include "data/packed.h"
#include "format/safetensors.h"
#include <inttypes.h>
#include <string.h>

enum { MOST_IMAGES = 64, PIECE_BYTES = 1 << 20 };

typedef struct packing {
    const jem_dataset *dataset;
    int64_t size;   /* bytes of an image */
    uint8_t *piece; /* images on their way */
    int64_t piece_images;
    int32_t *labels;     /* [n] */
    uint32_t *checksums; /* [n] */
    uint32_t header;     /* its checksum */
} packing;

/* ---- Header ---- */

static jem_status add_names(jem__safetensors *set, const jem_dataset *dataset)
{
    const jem__store *s = dataset->store;
    jem__text lines = {0};
    if (!s->name && !s->names) return JEM_OK;
    for (int64_t k = 0; k < s->classes; k++) {
        char name[JEM__PACKED_NAME];
        jem_dataset_class_name(dataset, k, name, sizeof name);
        jem__text_add(&lines, name);
        jem__text_add(&lines, "\n");
    }
    jem_status status = lines.status;
    if (!status && lines.bytes)
        status = jem__safetensors_set_metadata(set, "class_names", lines.bytes);
    jem__free(lines.bytes);
    return status;
}

static int64_t padding_of(const packing *p)
{
    return -(p->dataset->n * p->size) & 7;
}

static jem_status describe(jem__safetensors *set, const packing *p)
{
    const jem__store *s = p->dataset->store;
    const int64_t n = p->dataset->n, shape[] = {n, s->c, s->h, s->w}, two = 2,
                  padding = padding_of(p);
    char classes[32];
    jem__format(classes, sizeof classes, "%" PRId64, s->classes);
    JEM__TRY(jem__safetensors_set_metadata(set, "format", JEM__PACKED_FORMAT));
    JEM__TRY(jem__safetensors_set_metadata(set, "version", JEM__PACKED_VERSION));
    JEM__TRY(jem__safetensors_set_metadata(set, "classes", classes));
    JEM__TRY(add_names(set, p->dataset));
    JEM__TRY(
        jem__safetensors_add(set, "images", s->type == JEM_TYPE_U8 ? "U8" : "F32", 4, shape, NULL));
    if (padding) JEM__TRY(jem__safetensors_add(set, "padding", "U8", 1, &padding, NULL));
    JEM__TRY(jem__safetensors_add(set, "labels", "I32", 1, &n, NULL));
    JEM__TRY(jem__safetensors_add(set, "checksums", "U32", 1, &n, NULL));
    return jem__safetensors_add(set, "seal", "U32", 1, &two, NULL);
}

static jem_status write_header(jem__writer *writer, packing *p)
{
    jem__safetensors *set;
    jem__text text = {0};
    JEM__TRY(jem__safetensors_create(&set));
    jem_status status = describe(set, p);
    if (!status) status = jem__safetensors_header(set, &text);
    if (!status) {
        p->header = jem__packed_sum(0, text.bytes, text.length);
        status = jem__writer_write(writer, text.bytes, text.length);
    }
    jem__free(text.bytes);
    jem__safetensors_destroy(set);
    return status;
}

/* ---- Images, then what was learnt on the way ---- */

static jem_status write_images(jem__writer *writer, packing *p)
{
    int64_t at[MOST_IMAGES];
    for (int64_t i = 0; i < p->dataset->n; i += p->piece_images) {
        int64_t some = p->dataset->n - i < p->piece_images ? p->dataset->n - i : p->piece_images;
        for (int64_t j = 0; j < some; j++) at[j] = i + j;
        JEM__TRY(jem__dataset_raw(p->dataset, at, some, p->piece, p->labels + i));
        for (int64_t j = 0; j < some; j++)
            p->checksums[i + j] = jem__packed_sum(0, p->piece + j * p->size, p->size);
        JEM__TRY(jem__writer_write(writer, p->piece, some * p->size));
    }
    return JEM_OK;
}

static jem_status write_tables(jem__writer *writer, const packing *p)
{
    static const uint8_t zeros[8];
    int64_t size = p->dataset->n * 4;
    uint32_t tables = jem__packed_sum(jem__packed_sum(0, p->labels, size), p->checksums, size);
    const uint32_t seal[] = {p->header, tables};
    JEM__TRY(jem__writer_write(writer, zeros, padding_of(p)));
    JEM__TRY(jem__writer_write(writer, p->labels, size));
    JEM__TRY(jem__writer_write(writer, p->checksums, size));
    return jem__writer_write(writer, seal, sizeof seal);
}

static jem_status allocate(packing *p)
{
    int64_t n = p->dataset->n;
    p->piece_images = PIECE_BYTES / p->size;
    if (p->piece_images < 1) p->piece_images = 1;
    if (p->piece_images > MOST_IMAGES) p->piece_images = MOST_IMAGES;
    if (p->piece_images > n) p->piece_images = n;
    JEM__TRY(jem__alloc(&p->piece, p->piece_images, p->size));
    JEM__TRY(jem__alloc(&p->labels, n, sizeof *p->labels));
    return jem__alloc(&p->checksums, n, sizeof *p->checksums);
}

static jem_status write_file(packing *p, const char *path)
{
    jem__writer *writer;
    JEM__TRY(allocate(p));
    JEM__TRY(jem__writer_open(&writer, path));
    jem_status status = write_header(writer, p);
    if (!status) status = write_images(writer, p);
    if (!status) status = write_tables(writer, p);
    if (!status) return jem__writer_commit(writer);
    jem__writer_abandon(writer);
    return status;
}

jem_status jem_dataset_save(const jem_dataset *dataset, const char *path)
{
    JEM__REQUIRE(dataset, "jem_dataset_save");
    JEM__REQUIRE(path, "jem_dataset_save");
    JEM__ENTER(dataset->context, "jem_dataset_save");
    if (dataset->store->classes > JEM__PACKED_CLASSES)
        return jem__fail(JEM_ERROR_ARGUMENT,
                         "jem_dataset_save: %" PRId64 " classes, expected at most %d",
                         dataset->store->classes, JEM__PACKED_CLASSES);
    packing p = {.dataset = dataset, .size = jem__store_image_bytes(dataset->store)};
    jem_status status = write_file(&p, path);
    jem__free(p.piece);
    jem__free(p.labels);
    jem__free(p.checksums);
    return status;
}
