/* What one step can do for the operators that follow, to save sweeps over memory.

   The planner looks ahead over operators, never at architectures. */
#ifndef JEM__MODEL_FUSE_H
#define JEM__MODEL_FUSE_H

#include "model/plan.h"

/* The batch norm on running statistics that alone reads what a convolution node makes, in a
   plan of model.convolution=fast without gradients by parameters: weights can have it in
   them. -1: none, or the node is no convolution. */
int32_t jem__fuse_norm(const jem__plan *plan, int32_t convolution);
/* The activation that alone reads what a convolution, or the norm folded into it, makes, past
   nodes that do nothing in this plan: the convolution can apply it. -1: none. */
int32_t jem__fuse_activation(const jem__plan *plan, int32_t node);
/* Says that the convolution's kernel made the activation's value already. */
void jem__fuse_done(jem__plan *plan, int32_t convolution, int32_t activation);
/* An activation among the readers of a sum, which can be made in the same sweep; -1: none. */
int32_t jem__fuse_sum(const jem__plan *plan, int32_t add);
/* 1 if nothing needs the contents of value's buffer once `reader` has run: the
   reader may write its result there. */
int32_t jem__fuse_in_place(const jem__plan *plan, int32_t value, int32_t reader);

#endif
