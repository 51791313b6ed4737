/* The set's insides: shared by the safetensors files of this room only. */
#ifndef JEM__FORMAT_SAFETENSORS_SET_H
#define JEM__FORMAT_SAFETENSORS_SET_H

#include "format/safetensors.h"

/* Bounds on what a file may hold, far above any network's. */
enum {
    JEM__HEADER_LIMIT = 100 << 20, /* bytes */
    JEM__TENSOR_LIMIT = 16384,
    JEM__TENSOR_DIMENSIONS = 8,
    JEM__NAME_LIMIT = 507 /* bytes of a tensor's name */
};

typedef struct jem__metadata {
    char *key, *value;
} jem__metadata;

/* A name and where its entry stands. */
typedef struct jem__name {
    const char *text;
    int64_t index;
} jem__name;

struct jem__safetensors {
    uint8_t *bytes; /* the header's, or the whole file; of a set that was read */
    jem__tensor_info *tensors;
    int64_t count, room;
    jem__name
        *names; /* of a set that was read: its tensors by name; those added later are not in it */
    int64_t named;
    jem__metadata *metadata;
    int64_t metadata_count, metadata_room;
};

int64_t jem__dtype_size(const char *dtype); /* bytes of an element; 0: unknown */
/* Adds a tensor without data; takes copies of the texts. */
jem_status jem__safetensors_append(jem__safetensors *set, const char *name, const char *dtype,
                                   jem__tensor_info **tensor);

#endif
