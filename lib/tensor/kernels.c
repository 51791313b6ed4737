/* Chooses among the variants that meson.build compiles. */
#include "tensor/kernels.h"
#include <stddef.h>

extern const jem__kernels jem__kernels_plain;
extern const jem__activations jem__activations_plain_f32, jem__activations_plain_bf16;
#ifdef __x86_64__
extern const jem__kernels jem__kernels_avx2, jem__kernels_avx512;
extern const jem__activations jem__activations_avx2_f32, jem__activations_avx2_bf16,
    jem__activations_avx512_f32, jem__activations_avx512_bf16;
#endif

/* Of what the activations' exponential takes: beyond it the result is neither 0 nor finite. */
extern const float jem__exponential_range[2];
const float jem__exponential_range[2] = {-87, 88};

const jem__kernels *jem__kernels_of(int32_t isa)
{
    static const jem__kernels *const table[JEM__ISA_COUNT] = {
        &jem__kernels_plain,
#ifdef __x86_64__
        &jem__kernels_avx2,
        &jem__kernels_avx512,
#endif
    };
    return table[isa];
}

const jem__activations *jem__activations_of(int32_t isa, int32_t type)
{
    static const jem__activations *const table[JEM__ISA_COUNT][JEM__TYPES] = {
        {&jem__activations_plain_f32, &jem__activations_plain_bf16},
#ifdef __x86_64__
        {&jem__activations_avx2_f32, &jem__activations_avx2_bf16},
        {&jem__activations_avx512_f32, &jem__activations_avx512_bf16},
#endif
    };
    return table[isa][type];
}

const jem__kernels *jem__kernels_here(void)
{
    return jem__kernels_of(jem__isa());
}

const jem__activations *jem__activations_here(int32_t type)
{
    return jem__activations_of(jem__isa(), type);
}
