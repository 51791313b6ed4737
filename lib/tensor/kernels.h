/* Kernels that oneDNN has not, or not fused as needed: plain C that the compiler
   vectorises, compiled once for each instruction set and chosen at run time.
   The same bits on each of them: no fused multiply-add, no reordered sums.

   flat.c works on float32 arrays, activations.c on the network's images, in
   float32 or bf16. */
#ifndef JEM__TENSOR_KERNELS_H
#define JEM__TENSOR_KERNELS_H

#include "base/isa.h"
#include "base/random.h"

/* ---- Float32 arrays ---- */

/* x <- box(x - step clamp(dx) + noise z), the noise before or after the box. */
typedef struct jem__langevin {
    float step, noise, gradient_clamp; /* gradient_clamp 0: none */
    int32_t box, noise_after;          /* clamp to [-1,1]; noise behind that clamp */
} jem__langevin;

typedef struct jem__update {
    float factor, decay;                       /* g = factor * gradient + decay * weight */
    float rate;                                /* Adam: divided by 1 - beta1^t */
    float momentum;                            /* SGD */
    int32_t fresh;                             /* SGD's first step: the momentum is the gradient */
    int32_t nesterov;                          /* SGD */
    float beta1, beta2, rest1, rest2, epsilon; /* Adam; rest = 1 - beta */
    float root;                                /* 1 / sqrt(1 - beta2^t) */
} jem__update;

typedef struct jem__kernels {
    /* One Langevin step of n elements; z may be NULL when noise is 0. The result
       is 0, or NaN if some dx or new x is not finite. */
    float (*langevin)(const jem__langevin *l, float *x, const float *dx, const float *z, int64_t n);
    void (*sgd)(const jem__update *u, const float *gradient, float *weight, float *momentum,
                int64_t n);
    void (*adam)(const jem__update *u, const float *gradient, float *weight, float *mean,
                 float *square, int64_t n);
    /* weight += scale gradient, times weight^2 if adaptive. */
    void (*ascend)(float scale, int32_t adaptive, const float *gradient, float *weight, int64_t n);
    void (*approach)(float share, const float *x, float *y, int64_t n); /* y += share (x - y) */
    /* n numbers at once, the same as n single draws. */
    void (*fill_normal)(jem__random *r, float *out, int64_t n);
    void (*fill_uniform)(jem__random *r, float low, float high, float *out, int64_t n);
    void (*add)(const float *a, const float *b, float *out, int64_t n); /* out = a + b */
    void (*axpy)(float a, const float *x, float *y, int64_t n);         /* y += a x */
    float (*dot)(const float *a, const float *b, int64_t n);
    /* With four rows that are `step` floats apart, to the bit what these do one after the
       other. */
    void (*axpy4)(const float a[4], const float *x, int64_t step, float *y, int64_t n);
    void (*dot4)(const float *a, const float *b, int64_t step, int64_t n, float out[4]);
    double (*sum_squares)(const float *x, int64_t n);
    double (*sum_product_squares)(const float *a, const float *b, int64_t n); /* sum (a b)^2 */
} jem__kernels;

/* The kernels for this machine; and for one instruction set, NULL if not built. */
const jem__kernels *jem__kernels_here(void);
const jem__kernels *jem__kernels_of(int32_t isa);

/* ---- Activations ---- */

enum { JEM__F32, JEM__BF16, JEM__TYPES };
typedef struct jem__real jem__real; /* one element, float32 or bf16 */

/* Bytes of an element. */
static inline int64_t jem__type_size(int32_t type)
{
    return type == JEM__BF16 ? 2 : 4;
}

/* Images [n][c/b][s][b] of s pixels, channels padded with zeros to a multiple of
   b; b = 1 is NCHW, b = c NHWC. */
typedef struct jem__blocked {
    int64_t n, c, s, b;
} jem__blocked;

/* Windows of kernel x kernel pixels, stride apart, on images with pad pixels around
   that do not exist; pad <= kernel / 2, kernel <= 16. */
typedef struct jem__windows {
    int64_t ih, iw, oh, ow, kernel, stride, pad;
} jem__windows;

typedef struct jem__activations {
    void (*leaky_relu)(const jem__real *x, jem__real *y, int64_t n, float slope);
    void (*silu)(const jem__real *x, jem__real *y, int64_t n);
    /* The same, keeping the derivative d. */
    void (*silu_keep)(const jem__real *x, jem__real *y, jem__real *d, int64_t n);
    /* dx = dy times LeakyReLU's derivative, from its output y; dx may be dy. */
    void (*leaky_relu_back)(const jem__real *y, const jem__real *dy, jem__real *dx, int64_t n,
                            float slope);
    /* The same plus another gradient g, which may be dx. */
    void (*leaky_relu_back_add)(const jem__real *y, const jem__real *dy, const jem__real *g,
                                jem__real *dx, int64_t n, float slope);
    void (*add)(const jem__real *a, const jem__real *b, jem__real *out, int64_t n);
    /* x[0] + x[1] to nearest; x[2], x[3], where not NULL, are what rounding took from these, and
       rest, where not NULL, gets what it takes from sum. sum may be x[0] or x[1], rest x[2] or
       x[3]. */
    void (*add_rests)(const jem__real *const x[4], jem__real *sum, jem__real *rest, int64_t n);
    /* x to nearest, and what that took from it; and back. rest may be NULL. */
    void (*split)(const float *x, jem__real *y, jem__real *rest, int64_t n);
    void (*join)(const jem__real *x, const jem__real *rest, float *y, int64_t n);
    void (*multiply)(const jem__real *a, const jem__real *b, jem__real *out, int64_t n);
    /* out = a b + g; out may be any of them. */
    void (*multiply_add)(const jem__real *a, const jem__real *b, const jem__real *g, jem__real *out,
                         int64_t n);
    void (*scale)(const jem__real *a, const float *factor, jem__real *out, int64_t n);

    /* mean [n,c] over the pixels; and its transpose: dx = dmean / s everywhere. */
    void (*channel_mean)(const jem__blocked *m, const jem__real *x, float *mean);
    void (*channel_mean_back)(const jem__blocked *m, const float *dmean, jem__real *dx);
    /* y = (x - center[c]) scale[c] + shift[c]; in this order, because a sum folded
       into the shift loses digits where activations change sign. */
    void (*channel_affine)(const jem__blocked *m, const jem__real *x, const float *center,
                           const float *scale, const float *shift, jem__real *y);
    /* Per channel over n and s: mean, and sum of squared distances from it. */
    void (*channel_moments)(const jem__blocked *m, const jem__real *x, double *mean, double *m2);
    /* Per channel: sum dy, and sum dy (x - mean) inverse. */
    void (*channel_sums)(const jem__blocked *m, const jem__real *x, const jem__real *dy,
                         const float *mean, const float *inverse, double *sum, double *dot);
    /* dx = dy a[c] + (x - mean[c]) b[c] + k[c]: the gradient through batch statistics. */
    void (*channel_gradient)(const jem__blocked *m, const jem__real *x, const jem__real *dy,
                             const float *mean, const float *a, const float *b, const float *k,
                             jem__real *dx);
    /* y = the largest of each window, index (NULL: not wanted) = its first place in the
       window; m->s is not used. */
    void (*max_pool)(const jem__blocked *m, const jem__windows *w, const jem__real *x, jem__real *y,
                     uint8_t *index);
    /* y = the sum of each window over kernel^2, however many pixels exist. */
    void (*average_pool)(const jem__blocked *m, const jem__windows *w, const jem__real *x,
                         jem__real *y);
    /* The gradient of either: of the maximum with its index, of the average without. */
    void (*pool_back)(const jem__blocked *m, const jem__windows *w, const jem__real *dy,
                      const uint8_t *index, jem__real *dx);
    void (*widen)(const jem__real *x, float *y, int64_t n);
    void (*narrow)(const float *x, jem__real *y, int64_t n); /* to nearest, ties to even */
} jem__activations;

const jem__activations *jem__activations_here(int32_t type);
const jem__activations *jem__activations_of(int32_t isa, int32_t type);

#endif
