#include "tensor/elementwise.h"
#include <string.h>

JEM__CLONES
void jem__leaky_relu(const float *restrict x, float *restrict y, int64_t n, float slope)
{
    for (int64_t i = 0; i < n; i++) y[i] = x[i] > 0 ? x[i] : slope * x[i];
}

JEM__CLONES
void jem__leaky_relu_backward(const float *restrict x, const float *restrict dy, float *restrict dx,
                              int64_t n, float slope)
{
    for (int64_t i = 0; i < n; i++) dx[i] = dy[i] * (x[i] > 0 ? 1.0f : slope);
}

/* exp(x) = 2^k e^r with |r| <= ln2/2 and a polynomial for e^r; no libm, so that
   it vectorises and has the same bits everywhere. */
static inline float exponential(float x)
{
    const float low = -87.0f, high = 88.0f, round = 12582912.0f; /* 1.5 * 2^23 */
    x = x < low ? low : x > high ? high : x;
    float k = (x * 1.44269504f + round) - round;
    float r = (x - k * 0.693359375f) - k * -2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    int32_t bits = ((int32_t)k + 127) << 23;
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    return p * scale;
}

static inline float sigmoid(float x)
{
    return 1.0f / (1.0f + exponential(-x));
}

JEM__CLONES
void jem__silu(const float *restrict x, float *restrict y, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = x[i] * sigmoid(x[i]);
}

JEM__CLONES
void jem__silu_backward(const float *restrict x, const float *restrict dy, float *restrict dx,
                        int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float s = sigmoid(x[i]);
        dx[i] = dy[i] * (s + x[i] * s * (1.0f - s));
    }
}

JEM__CLONES
void jem__add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

JEM__CLONES
void jem__multiply_add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] += a[i] * b[i];
}

JEM__CLONES
void jem__multiply_into(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] * b[i];
}

/* Channels of block j that exist: the last block may be padded. */
static int64_t live(const jem__blocked *m, int64_t j)
{
    int64_t left = m->c - j * m->b;
    return left < m->b ? left : m->b;
}

static int64_t blocks(const jem__blocked *m)
{
    return (m->c + m->b - 1) / m->b;
}

JEM__CLONES
void jem__channel_mean(const jem__blocked *m, const float *x, float *mean)
{
    int64_t count = blocks(m);
    for (int64_t i = 0; i < m->n; i++)
        for (int64_t j = 0; j < count; j++) {
            const float *block = x + (i * count + j) * m->s * m->b;
            int64_t here = live(m, j);
            float *out = mean + i * m->c + j * m->b;
            for (int64_t c = 0; c < here; c++) out[c] = 0;
            for (int64_t p = 0; p < m->s; p++)
                for (int64_t c = 0; c < here; c++) out[c] += block[p * m->b + c];
            for (int64_t c = 0; c < here; c++) out[c] /= (float)m->s;
        }
}

JEM__CLONES
void jem__channel_mean_backward(const jem__blocked *m, const float *dmean, float *dx)
{
    int64_t count = blocks(m);
    for (int64_t i = 0; i < m->n; i++)
        for (int64_t j = 0; j < count; j++) {
            float *block = dx + (i * count + j) * m->s * m->b;
            int64_t here = live(m, j);
            const float *in = dmean + i * m->c + j * m->b;
            if (here < m->b) memset(block, 0, (size_t)(m->s * m->b) * sizeof *block);
            for (int64_t p = 0; p < m->s; p++)
                for (int64_t c = 0; c < here; c++) block[p * m->b + c] = in[c] / (float)m->s;
        }
}

JEM__CLONES
void jem__channel_affine(const jem__blocked *m, const float *restrict x,
                         const float *restrict center, const float *restrict scale,
                         const float *restrict shift, float *restrict y)
{
    int64_t count = blocks(m);
    for (int64_t i = 0; i < m->n; i++)
        for (int64_t j = 0; j < count; j++) {
            int64_t here = live(m, j), at = (i * count + j) * m->s * m->b;
            const float *o = center + j * m->b, *a = scale + j * m->b, *k = shift + j * m->b;
            if (here < m->b) memset(y + at, 0, (size_t)(m->s * m->b) * sizeof *y);
            if (m->b == 1)
                for (int64_t p = 0; p < m->s; p++) y[at + p] = (x[at + p] - o[0]) * a[0] + k[0];
            else
                for (int64_t p = 0; p < m->s; p++, at += m->b)
                    for (int64_t c = 0; c < here; c++) y[at + c] = (x[at + c] - o[c]) * a[c] + k[c];
        }
}

/* Sums of up to 64 channels at a time in double: enough for any layout's block,
   NHWC in pieces. */
enum { LANES = 64 };

JEM__CLONES
void jem__channel_moments(const jem__blocked *m, const float *x, double *mean, double *m2)
{
    int64_t count = blocks(m);
    double total = (double)(m->n * m->s);
    for (int64_t j = 0; j < count; j++)
        for (int64_t from = 0; from < live(m, j); from += LANES) {
            int64_t here = live(m, j) - from < LANES ? live(m, j) - from : LANES;
            double sum[LANES] = {0}, squares[LANES] = {0}, *center = mean + j * m->b + from;
            for (int64_t i = 0; i < m->n; i++) {
                const float *at = x + (i * count + j) * m->s * m->b + from;
                for (int64_t p = 0; p < m->s; p++, at += m->b)
                    for (int64_t c = 0; c < here; c++) sum[c] += (double)at[c];
            }
            for (int64_t c = 0; c < here; c++) center[c] = sum[c] / total;
            for (int64_t i = 0; i < m->n; i++) {
                const float *at = x + (i * count + j) * m->s * m->b + from;
                for (int64_t p = 0; p < m->s; p++, at += m->b)
                    for (int64_t c = 0; c < here; c++) {
                        double d = (double)at[c] - center[c];
                        squares[c] += d * d;
                    }
            }
            for (int64_t c = 0; c < here; c++) m2[j * m->b + from + c] = squares[c];
        }
}

JEM__CLONES
void jem__channel_sums(const jem__blocked *m, const float *x, const float *dy, const float *mean,
                       const float *inverse, double *sum, double *dot)
{
    int64_t count = blocks(m);
    for (int64_t j = 0; j < count; j++)
        for (int64_t from = 0; from < live(m, j); from += LANES) {
            int64_t here = live(m, j) - from < LANES ? live(m, j) - from : LANES;
            int64_t first = j * m->b + from;
            double s[LANES] = {0}, d[LANES] = {0};
            for (int64_t i = 0; i < m->n; i++) {
                int64_t at = (i * count + j) * m->s * m->b + from;
                for (int64_t p = 0; p < m->s; p++, at += m->b)
                    for (int64_t c = 0; c < here; c++) {
                        s[c] += (double)dy[at + c];
                        d[c] += (double)dy[at + c] * ((double)x[at + c] - (double)mean[first + c]);
                    }
            }
            for (int64_t c = 0; c < here; c++) {
                sum[first + c] = s[c];
                dot[first + c] = d[c] * (double)inverse[first + c];
            }
        }
}

JEM__CLONES
void jem__channel_gradient(const jem__blocked *m, const float *restrict x, const float *restrict dy,
                           const float *restrict mean, const float *restrict a,
                           const float *restrict b, const float *restrict k, float *restrict dx)
{
    int64_t count = blocks(m);
    for (int64_t i = 0; i < m->n; i++)
        for (int64_t j = 0; j < count; j++) {
            int64_t here = live(m, j), at = (i * count + j) * m->s * m->b, first = j * m->b;
            if (here < m->b) memset(dx + at, 0, (size_t)(m->s * m->b) * sizeof *dx);
            for (int64_t p = 0; p < m->s; p++, at += m->b)
                for (int64_t c = 0; c < here; c++)
                    dx[at + c] = dy[at + c] * a[first + c] +
                                 (x[at + c] - mean[first + c]) * b[first + c] + k[first + c];
        }
}
