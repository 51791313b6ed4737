/* Winograd's transforms, with matrix products in double between them, against direct
   sums in double; and every instruction set's bits against the plain ones. */
#include "base/random.h"
#include "helpers.h"
#include "tensor/kernels.h"
#include "tensor/winograd.h"
#include <math.h>

static const struct shape {
    int64_t edge, n, ic, oc, b, h, w, pad, batch;
} shapes[] = {{2, 1, 8, 8, 8, 4, 4, 1, 4},     {4, 1, 8, 8, 8, 4, 4, 1, 1},
              {2, 3, 16, 8, 8, 7, 5, 1, 5},    {4, 3, 16, 24, 8, 7, 5, 1, 5},
              {4, 2, 16, 32, 16, 13, 9, 1, 7}, {2, 2, 32, 16, 16, 9, 13, 1, 64},
              {4, 2, 8, 8, 8, 10, 11, 0, 3},   {2, 2, 8, 8, 8, 10, 11, 0, 3},
              {4, 1, 8, 16, 8, 6, 6, 2, 2},    {2, 1, 8, 16, 8, 3, 3, 2, 2}};
#define REAL(x) ((jem__real *)(x))

enum { SHAPES = sizeof shapes / sizeof shapes[0] };

static jem__tiling tiling_of(const struct shape *s, int32_t leaky)
{
    int64_t oh = s->h + 2 * s->pad - 2, ow = s->w + 2 * s->pad - 2;
    jem__tiling t = {.edge = s->edge,
                     .n = s->n,
                     .ic = s->ic,
                     .oc = s->oc,
                     .b = s->b,
                     .h = s->h,
                     .w = s->w,
                     .pad = s->pad,
                     .oh = oh,
                     .ow = ow,
                     .down = (oh + s->edge - 1) / s->edge,
                     .across = (ow + s->edge - 1) / s->edge,
                     .leaky = leaky,
                     .slope = 0.2f};
    int64_t all = jem__tiling_tiles(&t);
    t.batch = s->batch < all ? s->batch : all;
    return t;
}

static float *random_floats(int64_t n, uint64_t index)
{
    float *x = calloc((size_t)n, sizeof *x);
    jem__random r;
    jem__random_at(&r, 5, 99, 0, index, 0);
    for (int64_t i = 0; i < n; i++) x[i] = 2 * jem__random_uniform(&r) - 1;
    return x;
}

/* Where channel c of pixel (y, x) of image i lies. */
static int64_t at(int64_t channels, int64_t b, int64_t h, int64_t w, int64_t i, int64_t c,
                  int64_t y, int64_t x)
{
    return (((i * (channels / b) + c / b) * h + y) * w + x) * b + c % b;
}

/* The products in double, rounded once: what is left is the transforms' own error. */
static void multiply(const jem__tiling *t, const float *v, const float *u, float *m)
{
    int64_t from = jem__tiling_stride(t, t->ic), to = jem__tiling_stride(t, t->oc);
    for (int64_t g = 0; g < jem__tiling_places(t); g++)
        for (int64_t i = 0; i < t->batch; i++)
            for (int64_t k = 0; k < t->oc; k++) {
                double sum = 0;
                for (int64_t c = 0; c < t->ic; c++)
                    sum += (double)v[g * from + i * t->ic + c] *
                           (double)u[(g * t->ic + c) * t->oc + k];
                m[g * to + i * t->oc + k] = (float)sum;
            }
}

static float *convolve(const jem__winograd *k, const jem__tiling *t, const float *x, const float *u,
                       const float *bias)
{
    int64_t places = jem__tiling_places(t), all = jem__tiling_tiles(t);
    float *y = calloc((size_t)(t->n * t->oc * t->oh * t->ow), sizeof *y);
    float *v = calloc((size_t)(places * jem__tiling_stride(t, t->ic)), sizeof *v);
    float *m = calloc((size_t)(places * jem__tiling_stride(t, t->oc)), sizeof *m);
    for (int64_t i = 0; i < all; i += t->batch) {
        int64_t first = i + t->batch <= all ? i : all - t->batch;
        k->in(t, REAL(x), first, v);
        multiply(t, v, u, m);
        k->out(t, m, first, i - first, bias, REAL(y));
    }
    free(v);
    free(m);
    return y;
}

/* weights [oc][ic][3][3] as the convolution uses them. */
static double direct(const jem__tiling *t, const float *x, const float *weights, const float *bias,
                     int64_t i, int64_t k, int64_t row, int64_t column)
{
    double sum = bias ? (double)bias[k] : 0;
    for (int64_t c = 0; c < t->ic; c++)
        for (int64_t a = 0; a < 9; a++) {
            int64_t y = row + a / 3 - t->pad, z = column + a % 3 - t->pad;
            if (y < 0 || y >= t->h || z < 0 || z >= t->w) continue;
            sum += (double)x[at(t->ic, t->b, t->h, t->w, i, c, y, z)] *
                   (double)weights[(k * t->ic + c) * 9 + a];
        }
    return t->leaky && sum < 0 ? 0.2f * sum : sum;
}

static void compare(const struct shape *s, int32_t leaky, int32_t turned)
{
    jem__tiling t = tiling_of(s, leaky);
    float *x = random_floats(t.n * t.ic * t.h * t.w, 1), *bias = random_floats(t.oc, 2);
    float *weights = random_floats(t.oc * t.ic * 9, 3), *stored = weights, *plain = NULL;
    float *u = calloc((size_t)(jem__tiling_places(&t) * t.ic * t.oc), sizeof *u);
    if (turned) { /* stored the other way round: [ic][oc], kernels turned */
        stored = calloc((size_t)(t.oc * t.ic * 9), sizeof *stored);
        for (int64_t i = 0; i < t.oc * t.ic * 9; i++) {
            int64_t k = i / 9 / t.ic, c = i / 9 % t.ic;
            stored[(c * t.oc + k) * 9 + 8 - i % 9] = weights[i];
        }
    }
    jem__winograd_weights(t.edge, stored, turned ? t.ic : t.oc, turned ? t.oc : t.ic, turned, u);
    for (int32_t isa = 0; isa < JEM__ISA_COUNT; isa++) {
        if (!jem__isa_runs(isa)) continue;
        float *y = convolve(jem__winograd_of(isa, JEM__F32, t.b), &t, x, u, turned ? NULL : bias);
        if (!plain) plain = y;
        ck_assert_mem_eq(y, plain, (size_t)(t.n * t.oc * t.oh * t.ow) * sizeof *y);
        for (int64_t i = 0; i < t.n * t.oc * t.oh * t.ow; i++) {
            int64_t column = i % t.ow, row = i / t.ow % t.oh, k = i / t.ow / t.oh % t.oc;
            int64_t image = i / t.ow / t.oh / t.oc;
            double want = direct(&t, x, weights, turned ? NULL : bias, image, k, row, column);
            double got = (double)y[at(t.oc, t.b, t.oh, t.ow, image, k, row, column)];
            ck_assert_double_eq_tol(got, want, t.edge == 2 ? 1e-5 : 3e-5);
        }
        if (y != plain) free(y);
    }
    free(plain);
    free(x);
    free(bias);
    free(u);
    if (stored != weights) free(stored);
    free(weights);
}

START_TEST(direct_sums_agree)
{
    for (int i = 0; i < SHAPES; i++)
        for (int leaky = 0; leaky < 2; leaky++)
            for (int turned = 0; turned < 2; turned++) compare(&shapes[i], leaky, turned);
}
END_TEST

static double dot(const float *a, const float *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

/* <out(m), dy> = <m, out_back(dy)>, batch by batch; sums are those of dy. */
static void check_out_back(const jem__winograd *k, const jem__tiling *t, const jem__winograd *plain)
{
    int64_t all = jem__tiling_tiles(t), size = t->n * t->oc * t->oh * t->ow;
    int64_t stride = jem__tiling_stride(t, t->oc), products = jem__tiling_places(t) * stride;
    float *dy = random_floats(size, 1), *m = random_floats(products, 2);
    float *back = calloc((size_t)products, 4), *again = calloc((size_t)products, 4);
    float sums[64], same[64];
    double bias[64] = {0};
    for (int64_t i = 0; i < all; i += t->batch) {
        int64_t first = i + t->batch <= all ? i : all - t->batch;
        float *y = calloc((size_t)size, 4);
        k->out(t, m, first, i - first, NULL, REAL(y));
        k->out_back(t, REAL(dy), first, i - first, back, sums);
        plain->out_back(t, REAL(dy), first, i - first, again, same);
        ck_assert_mem_eq(back, again, (size_t)products * 4);
        ck_assert_mem_eq(sums, same, (size_t)t->oc * 4);
        double there = dot(y, dy, size), here = 0;
        for (int64_t g = 0; g < jem__tiling_places(t); g++)
            here += dot(m + g * stride, back + g * stride, t->batch * t->oc);
        ck_assert_double_eq_tol(here, there, 1e-5 * (double)products);
        for (int64_t c = 0; c < t->oc; c++) bias[c] += (double)sums[c];
        free(y);
    }
    for (int64_t c = 0; c < t->oc; c++) {
        double want = 0;
        for (int64_t i = 0; i < t->n * t->oh * t->ow; i++)
            want += (double)dy[at(t->oc, t->b, t->oh, t->ow, i / t->oh / t->ow, c,
                                  i / t->ow % t->oh, i % t->ow)];
        ck_assert_double_eq_tol(bias[c], want, 1e-4);
    }
    free(dy);
    free(m);
    free(back);
    free(again);
}

/* <transformed weights, u> = <weights, weights_back(u)>. */
static void check_weights_back(const jem__winograd *k, const jem__tiling *t,
                               const jem__winograd *plain)
{
    int64_t size = t->oc * t->ic * 9, places = jem__tiling_places(t), area = t->oc * t->ic;
    float *weights = random_floats(size, 3), *u = random_floats(places * area, 4);
    float *there = calloc((size_t)(places * area), 4);
    float *back = calloc((size_t)size, 4), *again = calloc((size_t)size, 4);
    jem__winograd_weights(t->edge, weights, t->oc, t->ic, 0, there);
    k->weights_back(t, u, back);
    plain->weights_back(t, u, again);
    ck_assert_mem_eq(back, again, (size_t)size * 4);
    double want = 0; /* there is [places][ic][oc], u [places][oc][ic] */
    for (int64_t i = 0; i < places * area; i++) {
        int64_t g = i / area, c = i % area / t->oc, o = i % t->oc;
        want += (double)there[i] * (double)u[g * area + o * t->ic + c];
    }
    ck_assert_double_eq_tol(dot(weights, back, size), want, 1e-6 * (double)size);
    free(weights);
    free(u);
    free(there);
    free(back);
    free(again);
}

START_TEST(adjoints)
{
    for (int i = 0; i < SHAPES; i++)
        for (int32_t isa = 0; isa < JEM__ISA_COUNT; isa++) {
            if (!jem__isa_runs(isa)) continue;
            jem__tiling t = tiling_of(&shapes[i], 0);
            const jem__winograd *k = jem__winograd_of(isa, JEM__F32, t.b);
            const jem__winograd *plain = jem__winograd_of(JEM__ISA_PLAIN, JEM__F32, t.b);
            check_out_back(k, &t, plain);
            check_weights_back(k, &t, plain);
        }
}
END_TEST

/* On bf16 images: what float32 ones of the same values give, rounded once. */
static void check_bf16(int32_t isa, const struct shape *s)
{
    jem__tiling t = tiling_of(s, 1);
    const jem__activations *narrow = jem__activations_of(isa, JEM__BF16);
    const jem__winograd *f32 = jem__winograd_of(isa, JEM__F32, t.b);
    const jem__winograd *bf16 = jem__winograd_of(isa, JEM__BF16, t.b);
    int64_t in = t.n * t.ic * t.h * t.w, out = t.n * t.oc * t.oh * t.ow;
    int64_t places = jem__tiling_places(&t), wide = places * jem__tiling_stride(&t, t.oc);
    int64_t products = places * jem__tiling_stride(&t, t.ic);
    float *x = random_floats(in, 1), *dy = random_floats(out, 2), *m = random_floats(wide, 3);
    uint16_t *half = calloc((size_t)(in > out ? in : out), 2), *got = calloc((size_t)out, 2);
    float *a = calloc((size_t)(products > wide ? products : wide), 4), sums[64];
    float *b = calloc((size_t)(products > wide ? products : wide), 4), same[64];
    float *y = calloc((size_t)out, 4);
    m[0] = NAN; /* stays one */

    narrow->narrow(x, REAL(half), in);
    narrow->widen(REAL(half), x, in);
    f32->in(&t, REAL(x), 0, a);
    bf16->in(&t, REAL(half), 0, b);
    ck_assert_mem_eq(a, b, (size_t)products * 4);

    f32->out(&t, m, 0, 0, NULL, REAL(y));
    bf16->out(&t, m, 0, 0, NULL, REAL(got));
    narrow->narrow(y, REAL(half), out);
    ck_assert_mem_eq(got, half, (size_t)out * 2);

    narrow->narrow(dy, REAL(half), out);
    narrow->widen(REAL(half), dy, out);
    f32->out_back(&t, REAL(dy), 0, 0, a, sums);
    bf16->out_back(&t, REAL(half), 0, 0, b, same);
    ck_assert_mem_eq(a, b, (size_t)wide * 4);
    ck_assert_mem_eq(sums, same, (size_t)t.oc * 4);
    free(x), free(dy), free(m), free(half), free(got), free(a), free(b), free(y);
}

START_TEST(bf16_images)
{
    for (int i = 0; i < SHAPES; i++)
        for (int32_t isa = 0; isa < JEM__ISA_COUNT; isa++)
            if (jem__isa_runs(isa)) check_bf16(isa, &shapes[i]);
}
END_TEST

/* Distances between matrices share no set of the cache: an odd number of lines. */
START_TEST(matrices_do_not_collide)
{
    jem__tiling t = {.batch = 64};
    for (int64_t c = 32; c <= 640; c *= 2)
        ck_assert_int_eq(jem__tiling_stride(&t, c) * 4 / 64 % 2, 1);
}
END_TEST

TESTS("winograd", direct_sums_agree, adjoints, bf16_images, matrices_do_not_collide)
