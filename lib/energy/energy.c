#include "energy/energy.h"
#include <math.h>

double jem__logsumexp(const float *logits, int64_t k, double *p)
{
    double most = (double)logits[0], sum = 0;
    for (int64_t j = 1; j < k; j++)
        if ((double)logits[j] > most) most = (double)logits[j];
    for (int64_t j = 0; j < k; j++) {
        double e = exp((double)logits[j] - most);
        if (p) p[j] = e;
        sum += e;
    }
    for (int64_t j = 0; p && j < k; j++) p[j] /= sum;
    return most + log(sum);
}

void jem__energy(const float *logits, const int32_t *y, int64_t n, int64_t k, float *energy)
{
    for (int64_t i = 0; i < n; i++)
        energy[i] = y ? -logits[i * k + y[i]] : (float)-jem__logsumexp(logits + i * k, k, 0);
}

void jem__energy_derivative(const float *logits, const int32_t *y, int64_t n, int64_t k,
                            float *dlogits)
{
    for (int64_t i = 0; i < n; i++) {
        const float *row = logits + i * k;
        float *out = dlogits + i * k;
        double total = y ? 0 : jem__logsumexp(row, k, 0);
        for (int64_t j = 0; j < k; j++)
            out[j] = y ? (j == y[i] ? -1.0f : 0.0f) : (float)-exp((double)row[j] - total);
    }
}

int64_t jem__count_right(const float *logits, const int32_t *y, int64_t n, int64_t k)
{
    int64_t right = 0;
    for (int64_t i = 0; i < n; i++) {
        const float *row = logits + i * k;
        int64_t best = 0;
        for (int64_t j = 1; j < k; j++)
            if (row[j] > row[best]) best = j;
        right += best == y[i];
    }
    return right;
}
