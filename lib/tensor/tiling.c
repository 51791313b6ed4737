/* Winograd's tiles: sizes, transformed weights, and the transforms for this machine. */
#include "base/isa.h"
#include "tensor/winograd.h"
#include <string.h>

extern const jem__winograd jem__winograd_plain_f32, jem__winograd_plain_bf16;
#ifdef __x86_64__
extern const jem__winograd jem__winograd_avx2_f32, jem__winograd_avx2_bf16,
    jem__winograd_avx512_f32, jem__winograd_avx512_bf16;
#endif

const jem__winograd *jem__winograd_of(int32_t isa, int32_t type, int64_t b)
{
    static const jem__winograd *const table[JEM__ISA_COUNT][JEM__TYPES] = {
        {&jem__winograd_plain_f32, &jem__winograd_plain_bf16},
#ifdef __x86_64__
        {&jem__winograd_avx2_f32, &jem__winograd_avx2_bf16},
        {&jem__winograd_avx512_f32, &jem__winograd_avx512_bf16},
#endif
    };
    /* The widest takes 16 channels at once. */
    if (isa > JEM__ISA_AVX2 && b % 16) isa = JEM__ISA_AVX2;
    return table[isa][type];
}

const jem__winograd *jem__winograd_here(int32_t type, int64_t b)
{
    return jem__winograd_of(jem__isa(), type, b);
}

int64_t jem__tiling_stride(const jem__tiling *t, int64_t channels)
{
    return t->batch * channels + 16;
}

int64_t jem__tiling_tiles(const jem__tiling *t)
{
    return t->n * t->down * t->across;
}

int64_t jem__tiling_places(const jem__tiling *t)
{
    return (t->edge + 2) * (t->edge + 2);
}

/* G: a filter's three taps at each interpolation point, over the product of the
   point's distances from the others; the last one is infinity. */
static const double filters2[4][3] = {{1, 0, 0}, {.5, .5, .5}, {.5, -.5, .5}, {0, 0, 1}};
static const double filters4[6][3] = {{16. / 9, 0, 0},       {-1, -.5, -.25},        {-1, .5, -.25},
                                      {1. / 9, 1. / 6, .25}, {1. / 9, -1. / 6, .25}, {0, 0, 1}};

/* Kernels at once: a line of memory of each place's matrix. */
enum { TOGETHER = 16 };

/* G w G^T of some kernels w into every `step`-th line of `count` numbers of out. */
static void transform(const double (*g)[3], int64_t side, const double w[9][TOGETHER],
                      int64_t count, int64_t step, float *out)
{
    double half[6][3][TOGETHER];
    for (int64_t i = 0; i < side; i++)
        for (int b = 0; b < 3; b++)
            for (int l = 0; l < TOGETHER; l++)
                half[i][b][l] = g[i][0] * w[b][l] + g[i][1] * w[3 + b][l] + g[i][2] * w[6 + b][l];
    for (int64_t i = 0; i < side; i++)
        for (int64_t j = 0; j < side; j++) {
            float line[TOGETHER];
            for (int l = 0; l < TOGETHER; l++)
                line[l] = (float)(half[i][0][l] * g[j][0] + half[i][1][l] * g[j][1] +
                                  half[i][2][l] * g[j][2]);
            memcpy(out + (i * side + j) * step, line, (size_t)count * sizeof *line);
        }
}

void jem__winograd_weights(int64_t edge, const float *weights, int64_t o, int64_t i, int32_t turned,
                           float *out)
{
    const double(*g)[3] = edge == 2 ? filters2 : filters4;
    int64_t rows = turned ? o : i, columns = turned ? i : o; /* of each place's matrix */
    for (int64_t first = 0; first < columns; first += TOGETHER) {
        int64_t count = first + TOGETHER < columns ? TOGETHER : columns - first;
        double w[9][TOGETHER] = {0};
        for (int64_t r = 0; r < rows; r++) {
            for (int64_t l = 0; l < count; l++) {
                int64_t c = first + l;
                const float *from = weights + (turned ? r * i + c : c * i + r) * 9;
                for (int a = 0; a < 9; a++) w[a][l] = (double)from[turned ? 8 - a : a];
            }
            transform(g, edge + 2, w, count, o * i, out + r * columns + first);
        }
    }
}
