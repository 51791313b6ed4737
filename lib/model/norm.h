/* What the normalisations have in common. (lib/model/op_*_norm.c) */
#ifndef JEM__MODEL_NORM_H
#define JEM__MODEL_NORM_H

#include "model/plan.h"

/* The images that a step on a norm's value works on. */
jem__blocked jem__norm_images(const jem__step *step, const jem__slot *slot);

/* Buffer `which` of the combine step that a slot stands at: slices of different
   size have plans, and so buffer numbers, of their own. */
void *jem__norm_at(const jem__slot *slot, int32_t which);

/* Count, mean and squared distances from it of some values. */
typedef struct jem__moments {
    double n, mean, m2;
} jem__moments;

/* Joins two sets of values (Chan et al. 1979). */
jem__moments jem__moments_join(jem__moments a, jem__moments b);
/* Step on {x, partial [2,c] in double}: mean and squared distances of a slice. */
void jem__norm_slice_moments(const jem__step *step, jem__slot *slot);
/* Those of a channel over all slices, joined in their order; `which` is the buffer
   of the combine step that is their partial. */
jem__moments jem__norm_batch_moments(const jem__step *step, jem__slot *const *slots, int64_t count,
                                     int32_t which, int64_t channel);

/* What a batch norm that follows running statistics does to channel k: scale x + shift. */
void jem__batch_norm_affine(const jem_model *model, const jem__node *norm, int64_t k, double *scale,
                            double *shift);

/* Step on {partial [2,c] in double, dweight, dbias}: dbias from the first row,
   dweight from the second. */
void jem__norm_parameters(const jem__step *step, jem__slot *slot);

#endif
