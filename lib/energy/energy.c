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

double jem__minus_energy(jem__outputs f, const int32_t *y, int64_t i, int64_t k)
{
    if (y) return (double)f.logits[i * k + y[i]];
    return f.head ? (double)f.head[i] : jem__logsumexp(f.logits + i * k, k, 0);
}

void jem__energy(jem__outputs f, const int32_t *y, int64_t n, int64_t k, float *energy)
{
    for (int64_t i = 0; i < n; i++) energy[i] = (float)-jem__minus_energy(f, y, i, k);
}

void jem__energy_derivative(jem__outputs f, const int32_t *y, int64_t n, int64_t k,
                            jem__derivatives d)
{
    for (int64_t i = 0; i < n; i++) {
        const float *row = f.logits + i * k;
        float *out = d.logits + i * k;
        double total = y || f.head ? 0 : jem__logsumexp(row, k, 0);
        for (int64_t j = 0; j < k; j++)
            out[j] = y        ? (j == y[i] ? -1.0f : 0.0f)
                     : f.head ? 0.0f
                              : (float)-exp((double)row[j] - total);
        if (f.head) d.head[i] = y ? 0.0f : -1.0f;
    }
}

void jem__energy_chain(jem__outputs f, const float *denergy, int64_t n, int64_t k,
                       jem__derivatives d)
{
    for (int64_t i = 0; i < n; i++) {
        const float *row = f.logits + i * k;
        if (f.head) {
            d.head[i] -= denergy[i];
            continue;
        }
        double total = jem__logsumexp(row, k, 0);
        for (int64_t j = 0; j < k; j++)
            d.logits[i * k + j] -= (float)((double)denergy[i] * exp((double)row[j] - total));
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
