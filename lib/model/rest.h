/* The rest of a bf16 value: what rounding took from it, a second bf16 value in the same layout.

   A chain of residual blocks that keeps it rounds once, not once a block; rounding again in
   each decides on which side of their kink LeakyReLUs fall. */
#ifndef JEM__MODEL_REST_H
#define JEM__MODEL_REST_H

#include "model/plan.h"

/* 1 if a bf16 plan computes a convolution in float32: one that reads the input, which is
   float32, or a shortcut of 1x1, which is cheap. */
int32_t jem__rest_exact(const jem__plan *plan, const jem__node *convolution);
/* 1 if value is bf16 and a sum or a shortcut reads it: then what rounding takes is kept, where a
   sum or a direct convolution makes it. */
int32_t jem__rest_kept(const jem__plan *plan, int32_t value);
/* The value of a node, with its rest if that is kept, from float32 in layout wide. */
jem_status jem__rest_split(jem__plan *plan, const jem__node *node, int32_t from,
                           const jem__layout *wide, int32_t value);
/* What node reads, in a type: with its rest where that is float32 and the value is not. */
jem_status jem__rest_join(jem__plan *plan, const jem__node *node, int32_t type, int32_t *buffer,
                          const jem__layout **layout);

#endif
