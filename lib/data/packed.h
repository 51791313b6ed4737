/* The packed dataset file, "packed:FILE": images that need not fit in memory.

   A safetensors file. Metadata: format "jem-images", version "1", classes (a number), and, where
   classes have names, class_names (a line each, of less than
   JEM__PACKED_NAME bytes). Tensors, in this order:

     images     U8 or F32 [n,c,h,w]
     padding    U8, fewer than 8, where the images' bytes are no multiple of 8
     labels     I32 [n]
     checksums  U32 [n]: CRC-32 of each image's bytes
     seal       U32 [2]: CRC-32 of the header with its length; of labels, then checksums */
#ifndef JEM__DATA_PACKED_H
#define JEM__DATA_PACKED_H

#include <jem/status.h>
#include <zlib.h>

#define JEM__PACKED_FORMAT "jem-images"
#define JEM__PACKED_VERSION "1"
enum {
    JEM__PACKED_CLASSES = 65536, /* at most, as model.classes */
    JEM__PACKED_NAME = 1024      /* bytes of a class name with its end */
};

static inline uint32_t jem__packed_sum(uint32_t sum, const void *bytes, int64_t size)
{
    return (uint32_t)crc32_z(sum, bytes, (z_size_t)size);
}

#endif
