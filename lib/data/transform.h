/* Augmentation of one image [C,H,W]. */
#ifndef JEM__DATA_TRANSFORM_H
#define JEM__DATA_TRANSFORM_H

#include "base/random.h"

/* What loader.crop, loader.flip and loader.noise ask for. */
typedef struct jem__augmentation {
    int64_t crop; /* pixels of reflection on each side; less than height and width */
    int32_t flip;
    float noise;
} jem__augmentation;

/* The window at (top, left), 0..2*crop, of the image padded by reflection (the
   edge itself is not repeated); mirrored left to right if flip. in != out. */
void jem__crop_flip(const float *in, int64_t c, int64_t h, int64_t w, int64_t crop, int64_t top,
                    int64_t left, int32_t flip, float *out);

/* Augments in place: what happens is a function of (seed, stream, number). spare
   [C,H,W] is overwritten. */
void jem__augment(const jem__augmentation *a, uint64_t seed, uint64_t stream, uint64_t number,
                  int64_t c, int64_t h, int64_t w, float *x, float *spare);

#endif
