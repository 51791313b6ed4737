/* What checkpoints need of a sampler. */
#ifndef JEM__SAMPLE_SAMPLER_H
#define JEM__SAMPLE_SAMPLER_H

#include <jem/sampler.h>

/* The state that a continued run depends on: buffer values [slots,C,H,W], steps
   taken by each slot's chain [slots], number of draws so far. Pointers into the
   sampler; restoring is writing through them. */
typedef struct jem__sampler_state {
    int64_t slots, image; /* image = C*H*W */
    float *buffer;
    int64_t *age;
    int64_t *draws;
} jem__sampler_state;
void jem__sampler_state_of(jem_sampler *sampler, jem__sampler_state *state);

#endif
