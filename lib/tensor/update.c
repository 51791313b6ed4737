#include "tensor/update.h"
#include "tensor/elementwise.h"
#include <math.h>

JEM__CLONES
void jem__sgd_update(const jem__update *u, const float *restrict gradient, float *restrict weight,
                     float *restrict momentum, int64_t n)
{
    float keep = u->fresh ? 0 : u->momentum;
    for (int64_t i = 0; i < n; i++) {
        float g = gradient[i] * u->factor + weight[i] * u->decay;
        momentum[i] = momentum[i] * keep + g;
        weight[i] -= u->rate * momentum[i];
    }
}

JEM__CLONES
void jem__adam_update(const jem__update *u, const float *restrict gradient, float *restrict weight,
                      float *restrict mean, float *restrict square, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float g = gradient[i] * u->factor + weight[i] * u->decay;
        mean[i] = mean[i] * u->beta1 + g * u->rest1;
        square[i] = square[i] * u->beta2 + g * g * u->rest2;
        weight[i] -= u->rate * mean[i] / (sqrtf(square[i]) * u->root + u->epsilon);
    }
}

JEM__CLONES
double jem__sum_squares(const float *x, int64_t n)
{
    double sums[8] = {0}, total = 0;
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int j = 0; j < 8; j++) sums[j] += (double)x[i + j] * (double)x[i + j];
    for (; i < n; i++) sums[i % 8] += (double)x[i] * (double)x[i];
    for (int j = 0; j < 8; j++) total += sums[j];
    return total;
}
