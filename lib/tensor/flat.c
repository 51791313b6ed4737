/* Kernels on float32 arrays; compiled once for each instruction set. */
#include "base/random_parts.h"
#include "tensor/kernels.h"

/* ---- Langevin ---- */

static inline float clamp(float x, float most)
{
    return x > most ? most : x < -most ? -most : x;
}

/* The choices stand outside of the loops: each combination vectorises by itself. */
static void move(float *restrict x, const float *restrict dx, int64_t n, float step, float most)
{
    if (most > 0)
        for (int64_t i = 0; i < n; i++) x[i] -= step * clamp(dx[i], most);
    else
        for (int64_t i = 0; i < n; i++) x[i] -= step * dx[i];
}

static void axpy(float a, const float *restrict x, float *restrict y, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] += a * x[i];
}

static void box(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) x[i] = clamp(x[i], 1);
}

/* x * 0 is 0 for finite x, NaN otherwise; clamps let NaN pass. */
static float finite_sum(const float *x, int64_t n)
{
    float sums[16] = {0}, total = 0;
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (int j = 0; j < 16; j++) sums[j] += x[i + j] * 0;
    for (; i < n; i++) total += x[i] * 0;
    for (int j = 0; j < 16; j++) total += sums[j];
    return total;
}

static float langevin(const jem__langevin *l, float *x, const float *dx, const float *z, int64_t n)
{
    /* An infinite gradient would hide behind the clamps. */
    float bad = finite_sum(dx, n);
    move(x, dx, n, l->step, l->gradient_clamp);
    if (l->noise > 0 && !l->noise_after) axpy(l->noise, z, x, n);
    if (l->box) box(x, n);
    if (l->noise > 0 && l->noise_after) axpy(l->noise, z, x, n);
    return bad + finite_sum(x, n);
}

/* ---- Optimizers ---- */

static void sgd(const jem__update *u, const float *restrict gradient, float *restrict weight,
                float *restrict momentum, int64_t n)
{
    float keep = u->fresh ? 0 : u->momentum;
    if (u->nesterov) {
        for (int64_t i = 0; i < n; i++) {
            float g = gradient[i] * u->factor + weight[i] * u->decay;
            momentum[i] = momentum[i] * keep + g;
            weight[i] -= u->rate * (g + u->momentum * momentum[i]);
        }
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        float g = gradient[i] * u->factor + weight[i] * u->decay;
        momentum[i] = momentum[i] * keep + g;
        weight[i] -= u->rate * momentum[i];
    }
}

static void adam(const jem__update *u, const float *restrict gradient, float *restrict weight,
                 float *restrict mean, float *restrict square, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float g = gradient[i] * u->factor + weight[i] * u->decay;
        mean[i] = mean[i] * u->beta1 + g * u->rest1;
        square[i] = square[i] * u->beta2 + g * g * u->rest2;
        weight[i] -= u->rate * mean[i] / (sqrtf(square[i]) * u->root + u->epsilon);
    }
}

static void ascend(float scale, int32_t adaptive, const float *restrict gradient,
                   float *restrict weight, int64_t n)
{
    if (adaptive)
        for (int64_t i = 0; i < n; i++) weight[i] += weight[i] * weight[i] * gradient[i] * scale;
    else
        for (int64_t i = 0; i < n; i++) weight[i] += gradient[i] * scale;
}

static void approach(float share, const float *restrict x, float *restrict y, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] += share * (x[i] - y[i]);
}

/* ---- Sums ---- */

static void add(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

/* Several sums side by side, so that it vectorises without reordering any. */
static float dot(const float *a, const float *b, int64_t n)
{
    float sums[16] = {0}, total = 0;
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (int j = 0; j < 16; j++) sums[j] += a[i + j] * b[i + j];
    for (; i < n; i++) sums[i % 16] += a[i] * b[i];
    for (int j = 0; j < 16; j++) total += sums[j];
    return total;
}

static void axpy4(const float a[4], const float *restrict x, int64_t step, float *restrict y,
                  int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float sum = y[i] + a[0] * x[i];
        sum += a[1] * x[i + step];
        sum += a[2] * x[i + 2 * step];
        y[i] = sum + a[3] * x[i + 3 * step];
    }
}

static void dot4(const float *a, const float *b, int64_t step, int64_t n, float out[4])
{
    float sums[4][16] = {{0}};
    int64_t i = 0;
    for (; i + 16 <= n; i += 16) {
        const float *x = a + i, *y = b + i;
        for (int j = 0; j < 16; j++) {
            sums[0][j] += x[j] * y[j];
            sums[1][j] += x[j] * y[step + j];
            sums[2][j] += x[j] * y[2 * step + j];
            sums[3][j] += x[j] * y[3 * step + j];
        }
    }
    for (; i < n; i++)
        for (int r = 0; r < 4; r++) sums[r][i % 16] += a[i] * b[r * step + i];
    for (int r = 0; r < 4; r++) {
        out[r] = 0;
        for (int j = 0; j < 16; j++) out[r] += sums[r][j];
    }
}

static double sum_squares(const float *x, int64_t n)
{
    double sums[8] = {0}, total = 0;
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int j = 0; j < 8; j++) sums[j] += (double)x[i + j] * (double)x[i + j];
    for (; i < n; i++) sums[i % 8] += (double)x[i] * (double)x[i];
    for (int j = 0; j < 8; j++) total += sums[j];
    return total;
}

static double sum_product_squares(const float *a, const float *b, int64_t n)
{
    double sums[8] = {0}, total = 0;
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int j = 0; j < 8; j++) {
            double v = (double)a[i + j] * (double)b[i + j];
            sums[j] += v * v;
        }
    for (; i < n; i++) {
        double v = (double)a[i] * (double)b[i];
        sums[i % 8] += v * v;
    }
    for (int j = 0; j < 8; j++) total += sums[j];
    return total;
}

/* ---- Random numbers: Philox on many counters side by side ---- */

enum { LANES = 32, BATCH = 4 * LANES };

/* Blocks first..first+LANES-1 of an address; word w of lane l at out[w][l]. */
static inline void philox(const uint32_t key[2], const uint32_t counter[4], uint32_t first,
                          uint32_t out[4][LANES])
{
    for (int l = 0; l < LANES; l++) {
        out[0][l] = first + (uint32_t)l;
        out[1][l] = counter[1];
        out[2][l] = counter[2];
        out[3][l] = counter[3];
    }
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        for (int l = 0; l < LANES; l++) {
            uint32_t c[4] = {out[0][l], out[1][l], out[2][l], out[3][l]};
            jem__philox_round(c, k0, k1);
            for (int w = 0; w < 4; w++) out[w][l] = c[w];
        }
        k0 += jem__philox_step[0];
        k1 += jem__philox_step[1];
    }
}

/* Block i of an address yields normals 4i..4i+3, from words (0,1) and (2,3); a
   single draw takes the next word of that sequence. */
static inline void batch_of_normals(const jem__random *r, uint32_t first, float out[BATCH])
{
    uint32_t words[4][LANES];
    float n[4][LANES];
    philox(r->key, r->counter, first, words);
    for (int l = 0; l < LANES; l++) jem__normals(words[0][l], words[1][l], &n[0][l], &n[1][l]);
    for (int l = 0; l < LANES; l++) jem__normals(words[2][l], words[3][l], &n[2][l], &n[3][l]);
    for (int l = 0; l < LANES; l++)
        for (int w = 0; w < 4; w++) out[4 * l + w] = n[w][l];
}

static void fill_normal(jem__random *r, float *out, int64_t n)
{
    int64_t i = 0;
    while (i < n && (r->used != 4 || r->half)) out[i++] = jem__random_normal(r);
    for (; n - i >= BATCH; i += BATCH) {
        batch_of_normals(r, r->counter[0], out + i);
        r->counter[0] += LANES;
    }
    while (i < n) out[i++] = jem__random_normal(r);
}

static void fill_uniform(jem__random *r, float low, float high, float *out, int64_t n)
{
    int64_t i = 0;
    float width = high - low;
    while (i < n && r->used != 4) out[i++] = low + width * jem__random_uniform(r);
    for (; n - i >= BATCH; i += BATCH) {
        uint32_t words[4][LANES];
        philox(r->key, r->counter, r->counter[0], words);
        for (int64_t l = 0; l < LANES; l++)
            for (int w = 0; w < 4; w++) out[i + 4 * l + w] = low + width * jem__unit(words[w][l]);
        r->counter[0] += LANES;
    }
    while (i < n) out[i++] = low + width * jem__random_uniform(r);
}

extern const jem__kernels JEM__TABLE;
const jem__kernels JEM__TABLE = {
    langevin, sgd,  adam, ascend, approach, fill_normal, fill_uniform,
    add,      axpy, dot,  axpy4,  dot4,     sum_squares, sum_product_squares};
