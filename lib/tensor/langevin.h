/* One Langevin step of one chain, element by element. */
#ifndef JEM__TENSOR_LANGEVIN_H
#define JEM__TENSOR_LANGEVIN_H

#include <stdint.h>

typedef struct jem__langevin {
    float step, noise, gradient_clamp; /* gradient_clamp 0: none */
    int32_t box, noise_after;          /* clamp to [-1,1]; noise behind that clamp */
} jem__langevin;

/* x <- box(x - step clamp(dx) + noise z); z may be NULL when noise is 0. The
   result is 0, or NaN if some new x is not finite. */
float jem__langevin_update(const jem__langevin *l, float *x, const float *dx, const float *z,
                           int64_t n);

#endif
