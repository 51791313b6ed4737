/* Integers of 1 to 8 bytes as files hold them. */
#ifndef JEM__FORMAT_BYTES_H
#define JEM__FORMAT_BYTES_H

#include <stdint.h>

static inline uint64_t jem__big_endian(const uint8_t *b, int size)
{
    uint64_t value = 0;
    for (int i = 0; i < size; i++) value = value << 8 | b[i];
    return value;
}

static inline uint64_t jem__little_endian(const uint8_t *b, int size)
{
    uint64_t value = 0;
    for (int i = size; i > 0; i--) value = value << 8 | b[i - 1];
    return value;
}

#endif
