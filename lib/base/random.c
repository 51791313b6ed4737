#include "base/random.h"
#include "base/random_parts.h"
#include <string.h>

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
            jem__philox_round(c, k0, k1);
            k0 += jem__philox_step[0];
            k1 += jem__philox_step[1];
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

float jem__random_uniform(jem__random *r)
{
    return jem__unit(jem__random_u32(r));
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
    jem__normals(r->block[r->used - 2], r->block[r->used - 1], &x, &y);
    r->half = !r->half;
    return r->half ? x : y;
}
