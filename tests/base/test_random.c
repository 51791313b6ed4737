/* The generator: known answers, addressing, distributions. */
#include "base/random.h"
#include "helpers.h"
#include "tensor/kernels.h"
#include <math.h>

enum { N = 100003 };
static float a[N], b[N];

static void at(jem__random *r, uint64_t index)
{
    jem__random_at(r, 5, 99, 3, index, 7);
}

/* Random123's kat_vectors for philox4x32-10. */
START_TEST(known_answers)
{
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } cases[] = {{{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
                 {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
                  {0xffffffff, 0xffffffff},
                  {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
                 {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                  {0xa4093822, 0x299f31d0},
                  {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}};
    for (int i = 0; i < 3; i++) {
        jem__random r = {.used = 4};
        memcpy(r.key, cases[i].key, sizeof r.key);
        memcpy(r.counter, cases[i].counter, sizeof r.counter);
        for (int j = 0; j < 4; j++) ck_assert_uint_eq(jem__random_u32(&r), cases[i].out[j]);
    }
}
END_TEST

START_TEST(filling_equals_single_draws)
{
    jem__random r;
    at(&r, 1);
    for (int i = 0; i < 3001; i++) a[i] = jem__random_normal(&r);
    at(&r, 1);
    for (int i = 0, n = 1; i < 3001; i += n, n = n * 7 % 311 + 1)
        jem__kernels_here()->fill_normal(&r, b + i, n < 3001 - i ? n : 3001 - i);
    ck_assert_mem_eq(a, b, 3001 * sizeof *a);
    at(&r, 2);
    for (int i = 0; i < 1001; i++) a[i] = -1 + 2 * jem__random_uniform(&r);
    at(&r, 2);
    jem__kernels_here()->fill_uniform(&r, -1, 1, b, 1001);
    ck_assert_mem_eq(a, b, 1001 * sizeof *a);
}
END_TEST

START_TEST(addresses_are_apart)
{
    jem__random r;
    uint32_t first[5];
    jem__random_at(&r, 1, 1, 1, 1, 1);
    first[0] = jem__random_u32(&r);
    jem__random_at(&r, 2, 1, 1, 1, 1);
    first[1] = jem__random_u32(&r);
    jem__random_at(&r, 1, 2, 1, 1, 1);
    first[2] = jem__random_u32(&r);
    jem__random_at(&r, 1, 1, 2, 1, 1);
    first[3] = jem__random_u32(&r);
    jem__random_at(&r, 1, 1, 1, 1, 2);
    first[4] = jem__random_u32(&r);
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < i; j++) ck_assert_uint_ne(first[i], first[j]);
}
END_TEST

static int by_value(const void *x, const void *y)
{
    float p = *(const float *)x, q = *(const float *)y;
    return (p > q) - (p < q);
}

/* Kolmogorov-Smirnov, and four moments within five standard errors. */
START_TEST(normals_are_normal)
{
    jem__random r;
    double sum[5] = {0}, worst = 0;
    at(&r, 3);
    jem__kernels_here()->fill_normal(&r, a, N);
    for (int i = 0; i < N; i++)
        for (int p = 1; p < 5; p++) sum[p] += pow((double)a[i], p) / N;
    ck_assert_double_eq_tol(sum[1], 0, 5 / sqrt(N));
    ck_assert_double_eq_tol(sum[2], 1, 5 * sqrt(2.0 / N));
    ck_assert_double_eq_tol(sum[3], 0, 5 * sqrt(15.0 / N));
    ck_assert_double_eq_tol(sum[4], 3, 5 * sqrt(96.0 / N));
    qsort(a, N, sizeof *a, by_value);
    for (int i = 0; i < N; i++)
        worst = fmax(worst, fabs((i + 0.5) / N - 0.5 * erfc(-(double)a[i] / sqrt(2))));
    ck_assert_double_lt(worst, 1.95 / sqrt(N)); /* p = 0.001 */
    ck_assert(a[N - 1] > 3.9f && a[0] < -3.9f);
}
END_TEST

START_TEST(uniforms_are_uniform)
{
    jem__random r;
    int count[10] = {0}, below[7] = {0};
    at(&r, 4);
    jem__kernels_here()->fill_uniform(&r, 2, 12, a, N);
    for (int i = 0; i < N; i++) {
        ck_assert(a[i] >= 2 && a[i] < 12);
        count[(int)a[i] - 2]++;
        below[jem__random_below(&r, 7)]++;
    }
    for (int i = 0; i < 10; i++) ck_assert_double_eq_tol(count[i], N / 10.0, 5 * sqrt(N * 0.09));
    for (int i = 0; i < 7; i++) ck_assert_double_eq_tol(below[i], N / 7.0, 5 * sqrt(N * 6 / 49.0));
}
END_TEST

/* The very bits, whatever compiler and libc made them: stored ones of this library. */
START_TEST(normals_have_known_bits)
{
    uint32_t sum = 2166136261U; /* FNV-1a over the words */
    jem__random r;
    jem__random_at(&r, 5, 3, 1, 7, 2);
    jem__kernels_here()->fill_normal(&r, a, N);
    for (int i = 0; i < N; i++) {
        uint32_t word;
        memcpy(&word, &a[i], sizeof word);
        sum = (sum ^ word) * 16777619U;
    }
    ck_assert_uint_eq(sum, 69097922U);
}
END_TEST

TESTS("random", known_answers, filling_equals_single_draws, addresses_are_apart, normals_are_normal,
      normals_have_known_bits, uniforms_are_uniform)
