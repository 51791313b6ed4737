/* Winograd's minimal filtering for 3x3 convolutions of stride 1 (Lavin and Gray
   2016, "Fast algorithms for convolutional neural networks").

   An image is cut into tiles of edge x edge outputs. A tile reads
   (edge + 2)^2 inputs, which a transform turns into as many numbers per channel;
   those of one place in all tiles, times the transformed weights of that place,
   are one matrix product; a transform back gives the outputs. edge 4: 36
   products for 16 outputs that 144 would take directly; edge 2: 16 for 36.
   The gradient by the weights takes the same steps backwards, and as many products.

   The interpolation points of edge 4 are 0, 1/2, -1/2, 3/2, -3/2 and infinity:
   the rounding error is about twice that of the direct sum, a third of that of
   the usual points 0, 1, -1, 2, -2. Edge 2 (0, 1, -1) rounds less than it. */
#ifndef JEM__TENSOR_WINOGRAD_H
#define JEM__TENSOR_WINOGRAD_H

#include "tensor/kernels.h"

/* Images [n][c/b][h][w][b], float32 or bf16, in, of ic channels, and out, of oc; b a multiple of 8
   that divides both. */
typedef struct jem__tiling {
    int64_t edge; /* 2 or 4 */
    int64_t n, ic, oc, b;
    int64_t h, w, pad, oh, ow; /* source, zeros around it, destination */
    int64_t down, across;      /* tiles of an image */
    int64_t batch;             /* tiles at a time */
    int32_t leaky;             /* outputs go through LeakyReLU */
    float slope;
} jem__tiling;

typedef struct jem__winograd {
    /* Tiles first..first+batch-1 of x into v [(edge+2)^2][batch][ic]. */
    void (*in)(const jem__tiling *t, const jem__real *x, int64_t first, float *v);
    /* Products m [(edge+2)^2][batch][oc] into y, plus bias [oc] or NULL: tiles
       first+skip..first+batch-1. */
    void (*out)(const jem__tiling *t, const float *m, int64_t first, int64_t skip,
                const float *bias, jem__real *y);
    /* For the gradient by the weights, a sum over tiles of products in place of a sum over
       channels: dy into m [(edge+2)^2][batch][oc], zeros for the tiles before first+skip,
       and the sum of each channel over the others into sums [oc]; */
    void (*out_back)(const jem__tiling *t, const jem__real *dy, int64_t first, int64_t skip,
                     float *m, float *sums);
    /* and the sums of products u [(edge+2)^2][oc][ic] into dw [oc][ic][3][3]. */
    void (*weights_back)(const jem__tiling *t, const float *u, float *dw);
} jem__winograd;

/* For images of an element type in blocks of b channels. */
const jem__winograd *jem__winograd_here(int32_t type, int64_t b);
const jem__winograd *jem__winograd_of(int32_t isa, int32_t type, int64_t b);

/* Floats from one place's matrix to the next's: not a multiple of a page, whose
   lines would all fall into one set of the cache. */
int64_t jem__tiling_stride(const jem__tiling *t, int64_t channels);
int64_t jem__tiling_tiles(const jem__tiling *t);  /* of all images */
int64_t jem__tiling_places(const jem__tiling *t); /* (edge + 2)^2 */

/* Weights [o][i][3][3] to [places][i][o]; turned: to [places][o][i] with the
   kernels turned by half a circle. In double. */
void jem__winograd_weights(int64_t edge, const float *weights, int64_t o, int64_t i, int32_t turned,
                           float *out);

#endif
