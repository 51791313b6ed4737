/* bf16, the upper half of a float32, as a number. */
#ifndef JEM__TENSOR_BF16_H
#define JEM__TENSOR_BF16_H

#include <stdint.h>
#include <string.h>

static inline float jem__bf16_value(uint16_t x)
{
    uint32_t bits = (uint32_t)x << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* To nearest, ties to even. */
static inline uint16_t jem__bf16_round(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    uint32_t rounded = (bits + 0x7FFFu + ((bits >> 16) & 1)) >> 16;
    /* Rounding could carry a NaN's last bits into a number. */
    uint32_t nan = (bits & 0x7FFFFFFFu) > 0x7F800000u;
    return (uint16_t)(nan ? 0x7FC0u : rounded);
}

#endif
