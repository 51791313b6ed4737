/* Element-wise kernels that oneDNN has not, or not fused as needed. Plain C that
   the compiler vectorises for several instruction sets, the same bits on each
   (no fused multiply-add, no reordered sums).

   "Blocked" images are [n][c/b][h*w][b], channels padded with zeros to a
   multiple of b; b = 1 is NCHW, b = c NHWC. */
#ifndef JEM__TENSOR_ELEMENTWISE_H
#define JEM__TENSOR_ELEMENTWISE_H

#include <stdint.h>

/* One function compiled for several instruction sets, chosen at load time. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) &&                             \
    !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
#define JEM__CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define JEM__CLONES
#endif

/* y = x > 0 ? x : slope x, and dx = dy times its derivative at x. */
void jem__leaky_relu(const float *x, float *y, int64_t n, float slope);
void jem__leaky_relu_backward(const float *x, const float *dy, float *dx, int64_t n, float slope);
/* y = x sigmoid(x) (SiLU). Relative error of the exponential below 2e-7. */
void jem__silu(const float *x, float *y, int64_t n);
void jem__silu_backward(const float *x, const float *dy, float *dx, int64_t n);

void jem__add(const float *a, const float *b, float *out, int64_t n);           /* out = a + b */
void jem__multiply_add(const float *a, const float *b, float *out, int64_t n);  /* out += a b */
void jem__multiply_into(const float *a, const float *b, float *out, int64_t n); /* out = a b */

/* A blocked image batch: n images, c channels, s pixels, block b. */
typedef struct jem__blocked {
    int64_t n, c, s, b;
} jem__blocked;

/* mean [n,c] over the pixels; and its transpose: dx = dmean / s everywhere. */
void jem__channel_mean(const jem__blocked *m, const float *x, float *mean);
void jem__channel_mean_backward(const jem__blocked *m, const float *dmean, float *dx);

/* y = (x - center[c]) scale[c] + shift[c]; in this order, because a sum folded
   into the shift loses digits where activations change sign. */
void jem__channel_affine(const jem__blocked *m, const float *x, const float *center,
                         const float *scale, const float *shift, float *y);
/* Per channel over n and s: mean, and sum of squared distances from it. */
void jem__channel_moments(const jem__blocked *m, const float *x, double *mean, double *m2);
/* Per channel: sum dy, and sum dy (x - mean) inverse. */
void jem__channel_sums(const jem__blocked *m, const float *x, const float *dy, const float *mean,
                       const float *inverse, double *sum, double *dot);
/* dx = dy a[c] + (x - mean[c]) b[c] + k[c]: the gradient through batch statistics. */
void jem__channel_gradient(const jem__blocked *m, const float *x, const float *dy,
                           const float *mean, const float *a, const float *b, const float *k,
                           float *dx);

#endif
