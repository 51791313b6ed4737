/* Energies of a network's outputs.

   E(x,y) = -f(x)[y]. E(x) = -logsumexp f(x), or, of a network with an energy head,
   minus that head's output. */
#ifndef JEM__ENERGY_ENERGY_H
#define JEM__ENERGY_ENERGY_H

#include <jem/status.h>
#include <stdint.h>

/* What a network makes of n images: logits [n,k]; head [n], or NULL if there is none. */
typedef struct jem__outputs {
    const float *logits, *head;
} jem__outputs;

/* Derivatives by them. */
typedef struct jem__derivatives {
    float *logits, *head;
} jem__derivatives;

/* -E(x_i,y_i), or -E(x_i). */
double jem__minus_energy(jem__outputs f, const int32_t *y, int64_t i, int64_t k);
/* y [n] or NULL; energy [n]. Accumulates in double. */
void jem__energy(jem__outputs f, const int32_t *y, int64_t n, int64_t k, float *energy);
/* dE by the outputs: -softmax, or -onehot(y), or -1 by the head. */
void jem__energy_derivative(jem__outputs f, const int32_t *y, int64_t n, int64_t k,
                            jem__derivatives d);
/* d += denergy[i] dE(x_i): the chain rule for a loss that depends on E(x). */
void jem__energy_chain(jem__outputs f, const float *denergy, int64_t n, int64_t k,
                       jem__derivatives d);
/* logsumexp of one row; p [k] gets the softmax unless NULL. */
double jem__logsumexp(const float *logits, int64_t k, double *p);

/* Images whose largest logit is their label's; of equal ones the first counts. */
int64_t jem__count_right(const float *logits, const int32_t *y, int64_t n, int64_t k);

/* As jem_loss_energy and jem_loss_energy_penalty (jem/loss.h), of either E(x). The
   derivatives' logits are NULL if not wanted, their head is there if the network has one. */
jem_status jem__loss_energy(jem__outputs f, const int32_t *y, int64_t n, int64_t k, double weight,
                            double *loss, jem__derivatives d);
jem_status jem__loss_energy_penalty(jem__outputs f, const int32_t *y, int64_t n, int64_t k,
                                    double weight, double *loss, jem__derivatives d);

#endif
