/* safetensors: named tensors plus string metadata, in memory and on disk.
   https://github.com/huggingface/safetensors: u64 header length, JSON header,
   then the data. Files are hostile: every offset, shape and type is checked. */
#ifndef JEM__FORMAT_SAFETENSORS_H
#define JEM__FORMAT_SAFETENSORS_H

#include "base/view.h"
#include "format/json.h"

enum {
    JEM__KEY_LIMIT = 251,   /* bytes of a metadata key, written or read */
    JEM__TEXT_LIMIT = 16384 /* entries of metadata */
};

typedef struct jem__safetensors jem__safetensors;

typedef struct jem__tensor_info {
    const char *name;
    const char *dtype; /* "F32", "BF16", "I64", ... as in the file */
    int64_t dimensions, shape[8], elements;
    const uint8_t *bytes; /* NULL in a set being written, or of which only the header was read */
    int64_t at, size;     /* at: where the bytes begin, counted from the end of the header */
    uint8_t *own;         /* the bytes, if they are a block of this tensor alone */
} jem__tensor_info;

/* Reading. `name` stands for the file in error texts. _memory copies. */
jem_status jem__safetensors_load(jem__safetensors **set, const char *path);
jem_status jem__safetensors_load_memory(jem__safetensors **set, const void *bytes, int64_t size,
                                        const char *name);
/* Reads the header alone, of a file of any size: tensors have no bytes. *data is where in the
   file they begin. */
jem_status jem__safetensors_load_header(jem__safetensors **set, int64_t *data,
                                        const jem__view *view);
/* Writing: create, add, save. add copies nothing: data must outlive the save. */
jem_status jem__safetensors_create(jem__safetensors **set);
jem_status jem__safetensors_add(jem__safetensors *set, const char *name, const char *dtype,
                                int64_t dimensions, const int64_t *shape, const void *data);
jem_status jem__safetensors_set_metadata(jem__safetensors *set, const char *key,
                                         const char *value); /* copies; replaces */
/* The same for a key that the set has not: it is not looked for. */
jem_status jem__safetensors_append_metadata(jem__safetensors *set, const char *key,
                                            const char *value);
struct jem__writer;
jem_status jem__safetensors_write(const jem__safetensors *set, struct jem__writer *writer);
jem_status jem__safetensors_save(const jem__safetensors *set, const char *path); /* atomic */
/* bytes NULL: only the size. */
jem_status jem__safetensors_save_memory(const jem__safetensors *set, void *bytes, int64_t capacity,
                                        int64_t *size);
/* The header alone, with the eight bytes before it; the caller writes the tensors after it. Free
   text->bytes. */
jem_status jem__safetensors_header(const jem__safetensors *set, jem__text *text);
/* Adds the metadata "checksum" of all else in the set; last, before the save. */
jem_status jem__safetensors_seal(jem__safetensors *set);
void jem__safetensors_destroy(jem__safetensors *set);

/* Both. */
int64_t jem__safetensors_count(const jem__safetensors *set);
const jem__tensor_info *jem__safetensors_get(const jem__safetensors *set, int64_t index);
const jem__tensor_info *jem__safetensors_find(const jem__safetensors *set, const char *name);
/* The bytes of a tensor for the caller to free, who may find them where they were until then; NULL:
   they are no block of their own. */
uint8_t *jem__safetensors_take(jem__safetensors *set, int64_t index);
const char *jem__safetensors_metadata(const jem__safetensors *set, const char *key); /* or NULL */
int64_t jem__safetensors_metadata_count(const jem__safetensors *set);
void jem__safetensors_metadata_at(const jem__safetensors *set, int64_t index, const char **key,
                                  const char **value);
/* FORMAT unless the set is what was sealed. */
jem_status jem__safetensors_verify(const jem__safetensors *set, const char *file);
/* Converts F32, F16, BF16 (also F64, U8) to float32. FORMAT for other types. */
jem_status jem__safetensors_to_f32(const jem__tensor_info *tensor, float *out);

#endif
