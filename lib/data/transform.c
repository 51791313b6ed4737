#include "data/transform.h"
#include "tensor/kernels.h"
#include <string.h>

enum { MOVE_STEP = 0, NOISE_STEP = 1, NOISE_TILE = 1024 };

/* Index i of a reflected axis of n: ..2 1 0 1 2.. n-2 n-1 n-2.. */
static int64_t reflect(int64_t i, int64_t n)
{
    return i < 0 ? -i : i < n ? i : 2 * (n - 1) - i;
}

void jem__crop_flip(const float *in, int64_t c, int64_t h, int64_t w, int64_t crop, int64_t top,
                    int64_t left, int32_t flip, float *out)
{
    for (int64_t k = 0; k < c; k++)
        for (int64_t y = 0; y < h; y++) {
            const float *from = in + (k * h + reflect(y + top - crop, h)) * w;
            float *to = out + (k * h + y) * w;
            for (int64_t x = 0; x < w; x++)
                to[flip ? w - 1 - x : x] = from[reflect(x + left - crop, w)];
        }
}

static void add_noise(jem__random *r, float sigma, float *x, int64_t n)
{
    float noise[NOISE_TILE];
    for (int64_t at = 0; at < n; at += NOISE_TILE) {
        int64_t some = n - at < NOISE_TILE ? n - at : NOISE_TILE;
        jem__kernels_here()->fill_normal(r, noise, some);
        for (int64_t i = 0; i < some; i++) x[at + i] += sigma * noise[i];
    }
}

void jem__augment(const jem__augmentation *a, uint64_t seed, uint64_t stream, uint64_t number,
                  int64_t c, int64_t h, int64_t w, float *x, float *spare)
{
    jem__random r;
    if (a->crop || a->flip) {
        uint32_t places = (uint32_t)(2 * a->crop + 1);
        jem__random_at(&r, seed, JEM__RANDOM_AUGMENT, stream, number, MOVE_STEP);
        int32_t flip = a->flip && (jem__random_u32(&r) & 1);
        int64_t top = jem__random_below(&r, places), left = jem__random_below(&r, places);
        memcpy(spare, x, (size_t)(c * h * w) * sizeof *x);
        jem__crop_flip(spare, c, h, w, a->crop, top, left, flip, x);
    }
    if (a->noise > 0) {
        jem__random_at(&r, seed, JEM__RANDOM_AUGMENT, stream, number, NOISE_STEP);
        add_noise(&r, a->noise, x, c * h * w);
    }
}
