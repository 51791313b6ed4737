/* The transforms on images, and the adjoints that gradients by weights need; compiled once
   for each instruction set and element type. */
#include "tensor/winograd.h"
#include "tensor/element.h"

/* Channels at once; the most inputs of a tile's side. */
#ifdef __AVX512F__
enum { LANES = 16, MOST = 6 };
#else
enum { LANES = 8, MOST = 6 };
#endif

#define VECTOR(type, alignment)                                                                    \
    __attribute__((vector_size(LANES * sizeof(type)), aligned(alignment), may_alias))
typedef float lanes VECTOR(float, LANES * sizeof(float));
typedef float unaligned VECTOR(float, sizeof(float)); /* as it lies in memory */
typedef int32_t mask VECTOR(int32_t, LANES * sizeof(int32_t));

#define INLINE static inline __attribute__((always_inline))

/* ---- Elements in memory ---- */

#ifdef JEM__BF16_ELEMENTS
typedef uint32_t words VECTOR(uint32_t, LANES * sizeof(uint32_t));
typedef uint16_t halves VECTOR(uint16_t, sizeof(uint16_t));

INLINE lanes load_lanes(const jem__real *x)
{
    return (lanes)(__builtin_convertvector(*(const halves *)x, words) << 16);
}

/* As store of one. */
INLINE void store_lanes(jem__real *y, lanes v)
{
    words bits = (words)v, nan = (words)((bits & 0x7FFFFFFFu) > 0x7F800000u);
    words rounded = (bits + 0x7FFFu + ((bits >> 16) & 1)) >> 16;
    *(halves *)y = __builtin_convertvector((nan & 0x7FC0u) | (~nan & rounded), halves);
}
#else
INLINE lanes load_lanes(const jem__real *x)
{
    return (lanes) * (const unaligned *)x;
}

INLINE void store_lanes(jem__real *y, lanes v)
{
    *(unaligned *)y = (unaligned)v;
}
#endif

/* ---- One dimension ---- */

/* B^T d, in place. */
INLINE void transform_in(int64_t edge, lanes d[MOST])
{
    if (edge == 2) {
        lanes a = d[0] - d[2], b = d[1] + d[2], c = d[2] - d[1], e = d[1] - d[3];
        d[0] = a, d[1] = b, d[2] = c, d[3] = e;
        return;
    }
    lanes even1 = d[4] - 2.25f * d[2], odd1 = 0.5f * d[3] - 1.125f * d[1];
    lanes even3 = d[4] - 0.25f * d[2], odd3 = 1.5f * d[3] - 0.375f * d[1];
    lanes zero = (0.5625f * d[0] - 2.5f * d[2]) + d[4];
    lanes infinity = (0.5625f * d[1] - 2.5f * d[3]) + d[5];
    d[0] = zero;
    d[1] = even1 + odd1;
    d[2] = even1 - odd1;
    d[3] = even3 + odd3;
    d[4] = even3 - odd3;
    d[5] = infinity;
}

/* A^T m, in place; edge results. */
INLINE void transform_out(int64_t edge, lanes m[MOST])
{
    if (edge == 2) {
        lanes a = m[0] + m[1] + m[2], b = m[1] - m[2] - m[3];
        m[0] = a, m[1] = b;
        return;
    }
    lanes sum1 = m[1] + m[2], difference1 = m[1] - m[2];
    lanes sum3 = m[3] + m[4], difference3 = m[3] - m[4];
    lanes a = m[0] + sum1 + sum3;
    lanes b = 0.5f * difference1 + 1.5f * difference3;
    lanes c = 0.25f * sum1 + 2.25f * sum3;
    lanes d = (0.125f * difference1 + 3.375f * difference3) + m[5];
    m[0] = a, m[1] = b, m[2] = c, m[3] = d;
}

/* A d, in place: the adjoint of transform_out. */
INLINE void transform_out_back(int64_t edge, lanes d[MOST])
{
    if (edge == 2) {
        lanes a = d[0], b = d[1];
        d[1] = a + b, d[2] = a - b, d[3] = -b;
        return;
    }
    lanes even1 = d[0] + 0.25f * d[2], odd1 = 0.5f * d[1] + 0.125f * d[3];
    lanes even3 = d[0] + 2.25f * d[2], odd3 = 1.5f * d[1] + 3.375f * d[3];
    d[5] = d[3];
    d[1] = even1 + odd1;
    d[2] = even1 - odd1;
    d[3] = even3 + odd3;
    d[4] = even3 - odd3;
}

/* G^T u, in place; three results. */
INLINE void transform_weights_back(int64_t edge, lanes u[MOST])
{
    if (edge == 2) {
        lanes even = 0.5f * (u[1] + u[2]), odd = 0.5f * (u[1] - u[2]);
        u[0] = u[0] + even, u[1] = odd, u[2] = even + u[3];
        return;
    }
    lanes sum1 = u[1] + u[2], difference1 = u[1] - u[2];
    lanes sum3 = u[3] + u[4], difference3 = u[3] - u[4];
    lanes a = (16.f / 9 * u[0] + 1.f / 9 * sum3) - sum1;
    lanes b = 1.f / 6 * difference3 - 0.5f * difference1;
    lanes c = 0.25f * (sum3 - sum1) + u[5];
    u[0] = a, u[1] = b, u[2] = c;
}

/* ---- A tile ---- */

typedef struct place {
    int64_t image, row, column; /* of the first output */
} place;

INLINE place place_of(const jem__tiling *t, int64_t tile)
{
    int64_t in_image = tile % (t->down * t->across);
    return (place){tile / (t->down * t->across), in_image / t->across * t->edge,
                   in_image % t->across * t->edge};
}

/* x: the image's block of channels. Rows and columns outside it are zero. */
INLINE void tile_in(const jem__tiling *t, int64_t edge, int32_t inside, const jem__real *x,
                    int64_t row, int64_t column, int64_t stride, float *v)
{
    lanes d[MOST][MOST];
    int64_t side = edge + 2;
    for (int64_t i = 0; i < side; i++) {
        for (int64_t j = 0; j < side; j++) {
            int64_t y = row + i, z = column + j;
            if (inside || (y >= 0 && y < t->h && z >= 0 && z < t->w))
                d[i][j] = load_lanes(x + (y * t->w + z) * t->b);
            else
                d[i][j] = (lanes){0};
        }
        transform_in(edge, d[i]);
    }
    for (int64_t j = 0; j < side; j++) {
        lanes column_of[MOST];
        for (int64_t i = 0; i < side; i++) column_of[i] = d[i][j];
        transform_in(edge, column_of);
        for (int64_t i = 0; i < side; i++)
            *(unaligned *)(v + (i * side + j) * stride) = column_of[i];
    }
}

INLINE void images_in(const jem__tiling *t, int64_t edge, const jem__real *x, int64_t first,
                      float *v)
{
    int64_t stride = jem__tiling_stride(t, t->ic), blocks = t->ic / t->b;
    for (int64_t i = 0; i < t->batch; i++) {
        place p = place_of(t, first + i);
        int64_t row = p.row - t->pad, column = p.column - t->pad;
        int32_t inside =
            row >= 0 && column >= 0 && row + edge + 2 <= t->h && column + edge + 2 <= t->w;
        for (int64_t c = 0; c < t->ic; c += LANES) {
            const jem__real *from =
                x + (p.image * blocks + c / t->b) * t->h * t->w * t->b + c % t->b;
            float *to = v + i * t->ic + c;
            if (inside)
                tile_in(t, edge, 1, from, row, column, stride, to);
            else
                tile_in(t, edge, 0, from, row, column, stride, to);
        }
    }
}

static void in(const jem__tiling *t, const jem__real *x, int64_t first, float *v)
{
    if (t->edge == 2)
        images_in(t, 2, x, first, v);
    else
        images_in(t, 4, x, first, v);
}

/* ---- Back ---- */

INLINE lanes activate(const jem__tiling *t, lanes y)
{
    if (!t->leaky) return y;
    mask positive = y > 0;
    return (lanes)((positive & (mask)y) | (~positive & (mask)(t->slope * y)));
}

INLINE void tile_out(const jem__tiling *t, int64_t edge, const float *m, int64_t stride, lanes bias,
                     int64_t rows, int64_t columns, jem__real *y)
{
    lanes d[MOST][MOST];
    int64_t side = edge + 2;
    for (int64_t i = 0; i < side; i++) {
        for (int64_t j = 0; j < side; j++)
            d[i][j] = *(const unaligned *)(m + (i * side + j) * stride);
        transform_out(edge, d[i]);
    }
    for (int64_t j = 0; j < edge; j++) {
        lanes column_of[MOST];
        for (int64_t i = 0; i < side; i++) column_of[i] = d[i][j];
        transform_out(edge, column_of);
        for (int64_t i = 0; i < edge; i++)
            if (i < rows && j < columns)
                store_lanes(y + (i * t->ow + j) * t->b, activate(t, column_of[i] + bias));
    }
}

INLINE void images_out(const jem__tiling *t, int64_t edge, const float *m, int64_t first,
                       int64_t skip, const float *bias, jem__real *y)
{
    int64_t stride = jem__tiling_stride(t, t->oc), blocks = t->oc / t->b;
    for (int64_t i = skip; i < t->batch; i++) {
        place p = place_of(t, first + i);
        int64_t rows = t->oh - p.row, columns = t->ow - p.column;
        for (int64_t c = 0; c < t->oc; c += LANES) {
            lanes shift = bias ? (lanes) * (const unaligned *)(bias + c) : (lanes){0};
            jem__real *to =
                y +
                ((p.image * blocks + c / t->b) * t->oh * t->ow + p.row * t->ow + p.column) * t->b +
                c % t->b;
            if (rows >= edge && columns >= edge)
                tile_out(t, edge, m + i * t->oc + c, stride, shift, edge, edge, to);
            else
                tile_out(t, edge, m + i * t->oc + c, stride, shift, rows, columns, to);
        }
    }
}

static void out(const jem__tiling *t, const float *m, int64_t first, int64_t skip,
                const float *bias, jem__real *y)
{
    if (t->edge == 2)
        images_out(t, 2, m, first, skip, bias, y);
    else
        images_out(t, 4, m, first, skip, bias, y);
}

/* ---- The adjoints ---- */

/* Returns the sum of the tile's numbers. */
INLINE lanes tile_out_back(const jem__tiling *t, int64_t edge, const jem__real *dy, int64_t rows,
                           int64_t columns, int64_t stride, float *m)
{
    lanes d[MOST][MOST], sum = {0};
    int64_t side = edge + 2;
    for (int64_t i = 0; i < edge; i++) {
        for (int64_t j = 0; j < edge; j++) {
            d[i][j] = (lanes){0};
            if (i < rows && j < columns) d[i][j] = load_lanes(dy + (i * t->ow + j) * t->b);
            sum += d[i][j];
        }
        transform_out_back(edge, d[i]);
    }
    for (int64_t j = 0; j < side; j++) {
        lanes column_of[MOST];
        for (int64_t i = 0; i < edge; i++) column_of[i] = d[i][j];
        transform_out_back(edge, column_of);
        for (int64_t i = 0; i < side; i++)
            *(unaligned *)(m + (i * side + j) * stride) = column_of[i];
    }
    return sum;
}

INLINE void images_out_back(const jem__tiling *t, int64_t edge, const jem__real *dy, int64_t first,
                            int64_t skip, float *m, float *sums)
{
    int64_t stride = jem__tiling_stride(t, t->oc), blocks = t->oc / t->b;
    for (int64_t c = 0; c < t->oc; c++) sums[c] = 0;
    for (int64_t i = 0; i < t->batch; i++) {
        place p = place_of(t, first + i);
        int64_t rows = i < skip ? 0 : t->oh - p.row, columns = t->ow - p.column;
        for (int64_t c = 0; c < t->oc; c += LANES) {
            const jem__real *from =
                dy +
                ((p.image * blocks + c / t->b) * t->oh * t->ow + p.row * t->ow + p.column) * t->b +
                c % t->b;
            float *to = m + i * t->oc + c;
            *(unaligned *)(sums + c) +=
                rows >= edge && columns >= edge
                    ? tile_out_back(t, edge, from, edge, edge, stride, to)
                    : tile_out_back(t, edge, from, rows, columns, stride, to);
        }
    }
}

static void out_back(const jem__tiling *t, const jem__real *dy, int64_t first, int64_t skip,
                     float *m, float *sums)
{
    if (t->edge == 2)
        images_out_back(t, 2, dy, first, skip, m, sums);
    else
        images_out_back(t, 4, dy, first, skip, m, sums);
}

/* Kernels of LANES input channels: step floats from one place to the next. */
INLINE void kernels_back(int64_t edge, const float *u, int64_t step, float *dw)
{
    lanes d[MOST][MOST], taps[9];
    int64_t side = edge + 2;
    for (int64_t i = 0; i < side; i++) {
        for (int64_t j = 0; j < side; j++)
            d[i][j] = *(const unaligned *)(u + (i * side + j) * step);
        transform_weights_back(edge, d[i]);
    }
    for (int64_t j = 0; j < 3; j++) {
        lanes column_of[MOST];
        for (int64_t i = 0; i < side; i++) column_of[i] = d[i][j];
        transform_weights_back(edge, column_of);
        for (int64_t i = 0; i < 3; i++) taps[3 * i + j] = column_of[i];
    }
    for (int64_t l = 0; l < LANES; l++)
        for (int64_t k = 0; k < 9; k++) dw[9 * l + k] = taps[k][l];
}

static void weights_back(const jem__tiling *t, const float *u, float *dw)
{
    int64_t all = t->oc * t->ic;
    for (int64_t i = 0; i < all; i += LANES)
        if (t->edge == 2)
            kernels_back(2, u + i, all, dw + 9 * i);
        else
            kernels_back(4, u + i, all, dw + 9 * i);
}

const jem__winograd JEM__TABLE = {in, out, out_back, weights_back};
