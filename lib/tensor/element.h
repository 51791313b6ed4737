/* One element of an activation tensor, float32 or bf16: what a kernel file that is compiled
   for each type reads and writes. Arithmetic is float32 whatever the type. */
#ifndef JEM__TENSOR_ELEMENT_H
#define JEM__TENSOR_ELEMENT_H

#include "tensor/kernels.h"
#include <string.h>

#ifdef JEM__BF16_ELEMENTS
struct jem__real {
    uint16_t v;
};

static inline float load(jem__real x)
{
    uint32_t bits = (uint32_t)x.v << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline jem__real store(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    uint32_t rounded = (bits + 0x7FFFu + ((bits >> 16) & 1)) >> 16;
    /* Rounding could carry a NaN's last bits into a number. */
    uint32_t nan = (bits & 0x7FFFFFFFu) > 0x7F800000u;
    return (jem__real){(uint16_t)(nan ? 0x7FC0u : rounded)};
}
#else
struct jem__real {
    float v;
};

static inline float load(jem__real x)
{
    return x.v;
}

static inline jem__real store(float f)
{
    return (jem__real){f};
}
#endif

#endif
