/* Optimizer updates of flat arrays. */
#ifndef JEM__TENSOR_UPDATE_H
#define JEM__TENSOR_UPDATE_H

#include <stdint.h>

typedef struct jem__update {
    float factor, decay;                       /* g = factor * gradient + decay * weight */
    float rate;                                /* Adam: divided by 1 - beta1^t */
    float momentum;                            /* SGD */
    int32_t fresh;                             /* SGD's first step: the momentum is the gradient */
    float beta1, beta2, rest1, rest2, epsilon; /* Adam; rest = 1 - beta */
    float root;                                /* 1 / sqrt(1 - beta2^t) */
} jem__update;

void jem__sgd_update(const jem__update *u, const float *gradient, float *weight, float *momentum,
                     int64_t n);
void jem__adam_update(const jem__update *u, const float *gradient, float *weight, float *mean,
                      float *square, int64_t n);
/* In double, in an order that does not depend on the instruction set. */
double jem__sum_squares(const float *x, int64_t n);

#endif
