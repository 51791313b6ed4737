/* Kernels on float32 arrays against plain double arithmetic, and every instruction
   set's bits against the plain ones. */
#include "base/random.h"
#include "helpers.h"
#include "tensor/kernels.h"
#include <math.h>

enum { N = 1003 };

static void fill(float *x, int64_t n, uint64_t index, float low, float high)
{
    jem__random r;
    jem__random_at(&r, 1, 99, 0, index, 0);
    jem__kernels_here()->fill_uniform(&r, low, high, x, n);
}

#define EACH_ISA                                                                                   \
    for (int32_t isa = 0; isa < JEM__ISA_COUNT; isa++)                                             \
        if (jem__isa_runs(isa))

START_TEST(langevin)
{
    static const jem__langevin rules[] = {
        {1, 0, 0, 0, 0}, {1, 0.01f, 0, 0, 0}, {10, 0.3f, 0.03f, 1, 0}, {0.5f, 0.3f, 0, 1, 1}};
    EACH_ISA
    {
        const jem__kernels *k = jem__kernels_of(isa);
        for (int r = 0; r < 4; r++) {
            const jem__langevin *l = &rules[r];
            float x[N], from[N], dx[N], z[N], plain[N];
            fill(from, N, 0, -1, 1);
            fill(dx, N, 1, -0.1f, 0.1f);
            fill(z, N, 2, -2, 2);
            memcpy(x, from, sizeof x);
            memcpy(plain, from, sizeof x);
            ck_assert_float_eq(k->langevin(l, x, dx, z, N), 0);
            jem__kernels_of(JEM__ISA_PLAIN)->langevin(l, plain, dx, z, N);
            ck_assert_mem_eq(x, plain, sizeof x);
            for (int i = 0; i < N; i++) {
                double most = l->gradient_clamp > 0 ? (double)l->gradient_clamp : 1e30;
                double d = fmax(-most, fmin(most, (double)dx[i]));
                double noise = (double)l->noise * (double)z[i];
                double v = (double)from[i] - (double)l->step * d + (l->noise_after ? 0 : noise);
                if (l->box) v = fmax(-1, fmin(1, v));
                if (l->noise_after) v += noise;
                ck_assert_double_eq_tol((double)x[i], v, 1e-6);
            }
        }
    }
}
END_TEST

START_TEST(langevin_tells_what_is_not_finite)
{
    EACH_ISA
    {
        const jem__kernels *k = jem__kernels_of(isa);
        const jem__langevin rule = {1, 0, 0.5f, 1, 0};
        for (int i = 0; i < N; i += 37) {
            float x[N] = {0}, dx[N] = {0};
            dx[i] = i % 2 ? INFINITY : NAN;
            ck_assert(isnan(k->langevin(&rule, x, dx, NULL, N)));
            dx[i] = 0;
            memset(x, 0, sizeof x);
            x[i] = NAN;
            ck_assert(isnan(k->langevin(&rule, x, dx, NULL, N)));
        }
    }
}
END_TEST

START_TEST(optimizers_have_the_same_bits)
{
    jem__update u = {.factor = 0.5f,
                     .decay = 1e-3f,
                     .rate = 0.1f,
                     .momentum = 0.9f,
                     .beta1 = 0.9f,
                     .beta2 = 0.99f,
                     .rest1 = 0.1f,
                     .rest2 = 0.01f,
                     .epsilon = 1e-8f,
                     .root = 2};
    float g[N];
    fill(g, N, 3, -1, 1);
    EACH_ISA
    {
        float w[2][N], m[2][N], s[2][N];
        for (int j = 0; j < 2; j++) {
            const jem__kernels *k = jem__kernels_of(j ? isa : JEM__ISA_PLAIN);
            fill(w[j], N, 4, -1, 1);
            fill(m[j], N, 5, -1, 1);
            fill(s[j], N, 6, 0, 1);
            k->sgd(&u, g, w[j], m[j], N);
            k->adam(&u, g, w[j], m[j], s[j], N);
            u.nesterov = 1;
            k->sgd(&u, g, w[j], m[j], N);
            u.nesterov = 0;
            k->ascend(0.3f, 0, g, w[j], N);
            k->ascend(0.3f, 1, g, w[j], N);
            k->approach(0.1f, g, s[j], N);
        }
        ck_assert_mem_eq(w[0], w[1], sizeof w[0]);
        ck_assert_mem_eq(m[0], m[1], sizeof m[0]);
        ck_assert_mem_eq(s[0], s[1], sizeof s[0]);
    }
}
END_TEST

START_TEST(sums)
{
    float a[N], b[N], out[N];
    double squares = 0, products = 0, dot = 0;
    fill(a, N, 7, -1, 1);
    fill(b, N, 8, -1, 1);
    for (int i = 0; i < N; i++) {
        squares += (double)a[i] * (double)a[i];
        products += pow((double)a[i] * (double)b[i], 2);
        dot += (double)a[i] * (double)b[i];
    }
    EACH_ISA
    {
        const jem__kernels *k = jem__kernels_of(isa), *plain = jem__kernels_of(JEM__ISA_PLAIN);
        ck_assert_double_eq_tol(k->sum_squares(a, N), squares, 1e-9);
        ck_assert_double_eq_tol((double)k->dot(a, b, N), dot, 1e-4);
        ck_assert_float_eq(k->dot(a, b, N), plain->dot(a, b, N));
        ck_assert_double_eq(k->sum_squares(a, N), plain->sum_squares(a, N));
        ck_assert_double_eq_tol(k->sum_product_squares(a, b, N), products, 1e-9);
        ck_assert_double_eq(k->sum_product_squares(a, b, N), plain->sum_product_squares(a, b, N));
        k->add(a, b, out, N);
        for (int i = 0; i < N; i++) ck_assert_float_eq(out[i], a[i] + b[i]);
        memcpy(out, b, sizeof out);
        k->axpy(0.5f, a, out, N);
        for (int i = 0; i < N; i++) ck_assert_float_eq(out[i], b[i] + 0.5f * a[i]);
        memcpy(out, b, sizeof out);
        k->approach(0.25f, a, out, N);
        for (int i = 0; i < N; i++) ck_assert_float_eq(out[i], b[i] + 0.25f * (a[i] - b[i]));
        memcpy(out, b, sizeof out);
        k->ascend(0.5f, 0, a, out, N);
        for (int i = 0; i < N; i++) ck_assert_float_eq(out[i], b[i] + a[i] * 0.5f);
        memcpy(out, b, sizeof out);
        k->ascend(0.5f, 1, a, out, N);
        for (int i = 0; i < N; i++) ck_assert_float_eq(out[i], b[i] + b[i] * b[i] * a[i] * 0.5f);
    }
}
END_TEST

START_TEST(four_rows_at_once)
{
    enum { ROW = 211, STEP = 240 };
    float a[N], b[N], y[2][ROW], out[4], shares[4] = {0.3f, -2, 0, 7.1f};
    fill(a, N, 9, -1, 1);
    fill(b, N, 10, -1, 1);
    EACH_ISA
    for (int64_t n = 0; n <= ROW; n += n < 33 ? 1 : 89) {
        const jem__kernels *k = jem__kernels_of(isa);
        k->dot4(b, a, STEP, n, out);
        for (int r = 0; r < 4; r++) ck_assert_float_eq(out[r], k->dot(b, a + r * STEP, n));
        for (int j = 0; j < 2; j++) memcpy(y[j], b, sizeof y[j]);
        k->axpy4(shares, a, STEP, y[0], n);
        for (int r = 0; r < 4; r++) k->axpy(shares[r], a + r * STEP, y[1], n);
        ck_assert_mem_eq(y[0], y[1], sizeof y[0]);
    }
}
END_TEST

START_TEST(random_numbers_have_the_same_bits)
{
    EACH_ISA
    {
        float x[2][N];
        for (int kind = 0; kind < 2; kind++) {
            for (int j = 0; j < 2; j++) {
                const jem__kernels *k = jem__kernels_of(j ? isa : JEM__ISA_PLAIN);
                jem__random r;
                jem__random_at(&r, 5, 98, 7, 11, 13);
                if (kind)
                    k->fill_normal(&r, x[j], N);
                else
                    k->fill_uniform(&r, -3, 2, x[j], N);
            }
            ck_assert_mem_eq(x[0], x[1], sizeof x[0]);
        }
    }
}
END_TEST

TESTS("flat", langevin, langevin_tells_what_is_not_finite, optimizers_have_the_same_bits, sums,
      four_rows_at_once, random_numbers_have_the_same_bits)
