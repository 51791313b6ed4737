/* The set's insides: shared by the safetensors files of this room only. */
#ifndef JEM__FORMAT_SAFETENSORS_SET_H
#define JEM__FORMAT_SAFETENSORS_SET_H

#include "format/safetensors.h"

/* Bounds on what a file may hold, far above any network's. */
enum { JEM__HEADER_LIMIT = 100 << 20, JEM__TENSOR_LIMIT = 16384, JEM__TENSOR_DIMENSIONS = 8 };

typedef struct jem__metadata {
    char *key, *value;
} jem__metadata;

struct jem__safetensors {
    uint8_t *bytes; /* the whole file, when read */
    jem__tensor_info *tensors;
    int64_t count, room;
    jem__metadata *metadata;
    int64_t metadata_count, metadata_room;
};

int64_t jem__dtype_size(const char *dtype); /* bytes of an element; 0: unknown */
/* Adds a tensor without data; takes copies of the texts. */
jem_status jem__safetensors_append(jem__safetensors *set, const char *name, const char *dtype,
                                   jem__tensor_info **tensor);

#endif
