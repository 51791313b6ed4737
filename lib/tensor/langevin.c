#include "tensor/langevin.h"
#include "tensor/elementwise.h"

static inline float clamp(float x, float most)
{
    return x > most ? most : x < -most ? -most : x;
}

/* The choices stand outside of the loop: each combination vectorises by itself. */
JEM__CLONES
static void move(float *restrict x, const float *restrict dx, int64_t n, float step, float most)
{
    if (most > 0)
        for (int64_t i = 0; i < n; i++) x[i] -= step * clamp(dx[i], most);
    else
        for (int64_t i = 0; i < n; i++) x[i] -= step * dx[i];
}

JEM__CLONES
static void add_noise(float *restrict x, const float *restrict z, int64_t n, float noise)
{
    for (int64_t i = 0; i < n; i++) x[i] += noise * z[i];
}

JEM__CLONES
static void box(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) x[i] = clamp(x[i], 1);
}

/* x * 0 is 0 for finite x, NaN otherwise; clamps let NaN pass. */
JEM__CLONES
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

float jem__langevin_update(const jem__langevin *l, float *x, const float *dx, const float *z,
                           int64_t n)
{
    /* An infinite gradient would hide behind the clamps. */
    float bad = finite_sum(dx, n);
    move(x, dx, n, l->step, l->gradient_clamp);
    if (l->noise > 0 && !l->noise_after) add_noise(x, z, n, l->noise);
    if (l->box) box(x, n);
    if (l->noise > 0 && l->noise_after) add_noise(x, z, n, l->noise);
    return bad + finite_sum(x, n);
}
