/* What checkpoints need of an optimizer. */
#ifndef JEM__TRAIN_OPTIMIZER_H
#define JEM__TRAIN_OPTIMIZER_H

#include <jem/optimizer.h>

/* State that a continued run depends on: one or two moments [elements] over all
   trainable parameters in order, and the number of steps. Pointers into the
   optimizer; restoring is writing through them. */
typedef struct jem__optimizer_state {
    int64_t elements;
    float *first, *second; /* SGD: momentum, NULL; Adam: mean, mean square */
    int64_t *steps;
} jem__optimizer_state;
void jem__optimizer_state_of(jem_optimizer *optimizer, jem__optimizer_state *state);
/* Global L2 norm of the gradients; DIVERGED, naming the parameter, if one is not finite. */
jem_status jem__optimizer_norm(const jem_optimizer *optimizer, double *norm);

#endif
