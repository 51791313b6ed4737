/* One Langevin step of one chain, with its addressed noise. */
#ifndef JEM__SAMPLE_LANGEVIN_H
#define JEM__SAMPLE_LANGEVIN_H

#include "tensor/kernels.h"
#include <jem/config.h>

typedef struct jem__mover {
    jem__langevin rule;
    uint64_t seed, stream;
} jem__mover;

void jem__mover_read(jem__mover *mover, const jem_config *config);

/* Moves x [size] in place, with the noise of (seed, stream, chain, step).
   DIVERGED, naming chain and step, if energy, dx or the moved x is not finite. */
jem_status jem__mover_step(const jem__mover *mover, uint64_t chain, int64_t step, int64_t size,
                           float *x, const float *dx, float energy);

#endif
