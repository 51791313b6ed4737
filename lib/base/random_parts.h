/* The arithmetic of the generator, inline: shared by single draws (random.c) and
   the vectorised fills (lib/tensor/flat.c). */
#ifndef JEM__BASE_RANDOM_PARTS_H
#define JEM__BASE_RANDOM_PARTS_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* One round of Philox 4x32 on the words c. */
static inline void jem__philox_round(uint32_t c[4], uint32_t k0, uint32_t k1)
{
    uint64_t p0 = (uint64_t)0xD2511F53u * c[0], p1 = (uint64_t)0xCD9E8D57u * c[2];
    c[0] = (uint32_t)(p1 >> 32) ^ c[1] ^ k0;
    c[1] = (uint32_t)p1;
    c[2] = (uint32_t)(p0 >> 32) ^ c[3] ^ k1;
    c[3] = (uint32_t)p0;
}

/* What the key grows by after each round. */
static const uint32_t jem__philox_step[2] = {0x9E3779B9u, 0xBB67AE85u};

/* [0,1), 24 bits. */
static inline float jem__unit(uint32_t bits)
{
    return (float)(bits >> 8) * 0x1p-24f;
}

/* ---- Normals: Box and Muller, with own log, sine and cosine ---- */

/* Natural logarithm of a normal float > 0: x = 2^e m with m in [sqrt(1/2), sqrt 2). */
static inline float jem__logarithm(float x)
{
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    int32_t e = (bits - 0x3F3504F3) >> 23;
    bits -= e * (1 << 23);
    float m;
    memcpy(&m, &bits, sizeof m);
    /* log m = 2 atanh(t), t = (m-1)/(m+1), |t| < 0.1716 */
    float t = (m - 1.0f) / (m + 1.0f), s = t * t;
    float p = 0.22222222f;
    p = p * s + 0.28571429f;
    p = p * s + 0.4f;
    p = p * s + 0.66666667f;
    return (float)e * 0.69314718f + (t * 2.0f + t * s * p);
}

/* Two words to two normals: radius from the first, angle from the second. */
static inline void jem__normals(uint32_t a, uint32_t b, float *x, float *y)
{
    float u = ((float)(a >> 8) + 0.5f) * 0x1p-24f;
    float radius = sqrtf(-2.0f * jem__logarithm(u));
    /* Angle in [-pi/4, pi/4) from 22 bits; the two highest bits pick the quarter. */
    float angle =
        ((float)(int32_t)((b >> 8) & 0x3FFFFFu) - 2097151.5f) * (1.57079633f / 4194304.0f);
    float s = angle * angle;
    float sine = angle + angle * s * (-0.16666667f + s * (8.3333310e-3f + s * -1.98412e-4f));
    float cosine = 1.0f + s * (-0.5f + s * (4.1666668e-2f + s * (-1.3888889e-3f + s * 2.48e-5f)));
    uint32_t quarter = b >> 30;
    float p = quarter & 1 ? sine : cosine, q = quarter & 1 ? cosine : sine;
    p = quarter == 1 || quarter == 2 ? -p : p;
    q = quarter & 2 ? -q : q;
    *x = radius * p;
    *y = radius * q;
}

#endif
