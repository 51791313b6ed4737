/* Energies of logits. E(x) = -logsumexp f(x), E(x,y) = -f(x)[y]. */
#ifndef JEM__ENERGY_ENERGY_H
#define JEM__ENERGY_ENERGY_H

#include <stdint.h>

/* logits [n,k]; y [n] or NULL; energy [n]. Accumulates in double. */
void jem__energy(const float *logits, const int32_t *y, int64_t n, int64_t k, float *energy);
/* dE/dlogits [n,k]: -softmax, or -onehot(y). */
void jem__energy_derivative(const float *logits, const int32_t *y, int64_t n, int64_t k,
                            float *dlogits);
/* logsumexp of one row; p [k] gets the softmax unless NULL. */
double jem__logsumexp(const float *logits, int64_t k, double *p);

/* Images whose largest logit is their label's; of equal ones the first counts. */
int64_t jem__count_right(const float *logits, const int32_t *y, int64_t n, int64_t k);

#endif
