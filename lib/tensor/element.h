/* One element of an activation tensor, float32 or bf16: what a kernel file that is compiled
   for each type reads and writes. Arithmetic is float32 whatever the type. */
#ifndef JEM__TENSOR_ELEMENT_H
#define JEM__TENSOR_ELEMENT_H

#include "tensor/bf16.h"
#include "tensor/kernels.h"

#ifdef JEM__BF16_ELEMENTS
struct jem__real {
    uint16_t v;
};

static inline float load(jem__real x)
{
    return jem__bf16_value(x.v);
}

static inline jem__real store(float f)
{
    return (jem__real){jem__bf16_round(f)};
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
