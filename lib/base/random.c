#include "base/random.h"
#include <math.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) &&                             \
    !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
#define CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define CLONES
#endif

/* ---- Philox 4x32-10 on many counters side by side ---- */

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
            uint64_t p0 = (uint64_t)0xD2511F53u * out[0][l], p1 = (uint64_t)0xCD9E8D57u * out[2][l];
            uint32_t a = (uint32_t)(p1 >> 32) ^ out[1][l] ^ k0;
            uint32_t b = (uint32_t)(p0 >> 32) ^ out[3][l] ^ k1;
            out[0][l] = a;
            out[1][l] = (uint32_t)p1;
            out[2][l] = b;
            out[3][l] = (uint32_t)p0;
        }
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

static uint64_t mix(uint64_t x) /* splitmix64's finaliser */
{
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

void jem__random_at(jem__random *r, uint64_t seed, uint32_t purpose, uint64_t stream,
                    uint64_t index, uint32_t step)
{
    uint64_t key = mix(seed + 0x9E3779B97F4A7C15u);
    key = mix(key ^ (stream * 0xD1342543DE82EF95u + purpose));
    r->key[0] = (uint32_t)key;
    r->key[1] = (uint32_t)(key >> 32);
    r->counter[0] = 0;
    r->counter[1] = step;
    r->counter[2] = (uint32_t)index;
    r->counter[3] = (uint32_t)(index >> 32);
    r->used = 4;
    r->half = 0;
}

/* One block at a time for single draws. */
uint32_t jem__random_u32(jem__random *r)
{
    r->half = 0;
    if (r->used == 4) {
        uint32_t c[4] = {r->counter[0]++, r->counter[1], r->counter[2], r->counter[3]};
        uint32_t k0 = r->key[0], k1 = r->key[1];
        for (int round = 0; round < 10; round++) {
            uint64_t p0 = (uint64_t)0xD2511F53u * c[0], p1 = (uint64_t)0xCD9E8D57u * c[2];
            c[0] = (uint32_t)(p1 >> 32) ^ c[1] ^ k0;
            c[1] = (uint32_t)p1;
            c[2] = (uint32_t)(p0 >> 32) ^ c[3] ^ k1;
            c[3] = (uint32_t)p0;
            k0 += 0x9E3779B9u;
            k1 += 0xBB67AE85u;
        }
        memcpy(r->block, c, sizeof c);
        r->used = 0;
    }
    return r->block[r->used++];
}

uint32_t jem__random_below(jem__random *r, uint32_t n)
{
    uint32_t limit = UINT32_MAX - UINT32_MAX % n, x;
    do x = jem__random_u32(r);
    while (x >= limit);
    return x % n;
}

static inline float unit(uint32_t bits)
{
    return (float)(bits >> 8) * 0x1p-24f;
} /* [0,1) */

float jem__random_uniform(jem__random *r)
{
    return unit(jem__random_u32(r));
}

/* ---- Normals: Box and Muller, with own log, sine and cosine ---- */

/* Natural logarithm of a normal float > 0: x = 2^e m with m in [sqrt(1/2), sqrt 2). */
static inline float logarithm(float x)
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
static inline void normals(uint32_t a, uint32_t b, float *x, float *y)
{
    float u = ((float)(a >> 8) + 0.5f) * 0x1p-24f;
    float radius = sqrtf(-2.0f * logarithm(u));
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

/* Block i of an address yields normals 4i..4i+3, from words (0,1) and (2,3); a
   single draw takes the next word of that sequence. */
static inline void batch_of_normals(const jem__random *r, uint32_t first, float out[BATCH])
{
    uint32_t words[4][LANES];
    float n[4][LANES];
    philox(r->key, r->counter, first, words);
    for (int l = 0; l < LANES; l++) normals(words[0][l], words[1][l], &n[0][l], &n[1][l]);
    for (int l = 0; l < LANES; l++) normals(words[2][l], words[3][l], &n[2][l], &n[3][l]);
    for (int l = 0; l < LANES; l++)
        for (int w = 0; w < 4; w++) out[4 * l + w] = n[w][l];
}

/* Pairs start at an even word, so that other draws in between share no bits. */
float jem__random_normal(jem__random *r)
{
    float x, y;
    if (!r->half) {
        if (r->used & 1) r->used++;
        jem__random_u32(r);
        jem__random_u32(r);
    }
    normals(r->block[r->used - 2], r->block[r->used - 1], &x, &y);
    r->half = !r->half;
    return r->half ? x : y;
}

CLONES
void jem__random_fill_normal(jem__random *r, float *out, int64_t n)
{
    int64_t i = 0;
    while (i < n && (r->used != 4 || r->half)) out[i++] = jem__random_normal(r);
    for (; n - i >= BATCH; i += BATCH) {
        batch_of_normals(r, r->counter[0], out + i);
        r->counter[0] += LANES;
    }
    while (i < n) out[i++] = jem__random_normal(r);
}

CLONES
void jem__random_fill_uniform(jem__random *r, float low, float high, float *out, int64_t n)
{
    int64_t i = 0;
    float width = high - low;
    while (i < n && r->used != 4) out[i++] = low + width * jem__random_uniform(r);
    for (; n - i >= BATCH; i += BATCH) {
        uint32_t words[4][LANES];
        philox(r->key, r->counter, r->counter[0], words);
        for (int l = 0; l < LANES; l++)
            for (int w = 0; w < 4; w++) out[i + 4 * l + w] = low + width * unit(words[w][l]);
        r->counter[0] += LANES;
    }
    while (i < n) out[i++] = low + width * jem__random_uniform(r);
}
