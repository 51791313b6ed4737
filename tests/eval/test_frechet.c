/* Frechet distance and inception score: closed forms, properties, bad input. */
#include "eval/singular.h"
#include "helpers.h"
#include <math.h>

static uint32_t state = 5;
static double uniform(void)
{
    state = state * 1664525U + 1013904223U;
    return (state >> 8) / 16777216.0;
}

/* n images with d features about `at`. */
static float *draw(int64_t n, int64_t d, double at, double size)
{
    float *x = malloc((size_t)(n * d) * sizeof *x);
    for (int64_t i = 0; i < n * d; i++)
        x[i] = (float)(at + size * (uniform() + uniform() + uniform() - 1.5));
    return x;
}

static double distance(const float *a, int64_t n, const float *b, int64_t m, int64_t d)
{
    double value;
    OK(jem_eval_frechet(a, n, b, m, d, &value));
    return value;
}

START_TEST(closed_forms)
{
    /* One feature: (ma - mb)^2 + (sa - sb)^2. */
    const float a[] = {0, 2}, b[] = {10, 14, 12}, c[] = {3, 3, 3};
    ck_assert_double_eq_tol(distance(a, 2, b, 3, 1), 121 + (2 - sqrt(2)) * (2 - sqrt(2)), 1e-12);
    ck_assert_double_eq_tol(distance(a, 2, c, 3, 1), 4 + 2, 1e-12); /* no spread at all */
    ck_assert(distance(c, 3, c, 2, 1) == 0);
    /* The same set, moved by v: |v|^2; scaled by s about its mean: (1-s)^2 tr A. */
    enum { N = 70, D = 9 };
    float *x = draw(N, D, 0, 1), y[N * D];
    ck_assert(distance(x, N, x, N, D) == 0);
    for (int i = 0; i < N * D; i++) y[i] = x[i] + (float)(i % D); /* rounds to float */
    ck_assert_double_eq_tol(distance(x, N, y, N, D), 204, 1e-4);
    double mean[D] = {0}, trace = 0;
    for (int i = 0; i < N * D; i++) mean[i % D] += (double)x[i] / N;
    for (int i = 0; i < N * D; i++) trace += pow(x[i] - mean[i % D], 2) / (N - 1);
    for (int i = 0; i < N * D; i++) y[i] = (float)(mean[i % D] + 3 * (x[i] - mean[i % D]));
    ck_assert_double_eq_tol(distance(x, N, y, N, D), 4 * trace, 1e-5);
    free(x);
}
END_TEST

START_TEST(properties)
{
    static const int64_t sizes[][3] = {
        {2, 2, 1}, {3, 30, 8}, {40, 50, 17}, {5, 4, 40}, {90, 80, 33}};
    for (int s = 0; s < 5; s++) {
        int64_t n = sizes[s][0], m = sizes[s][1], d = sizes[s][2];
        float *a = draw(n, d, 0, 1), *b = draw(m, d, 0.5, 2);
        double ab = distance(a, n, b, m, d);
        ck_assert(ab > 0);
        ck_assert_double_eq_tol(distance(b, m, a, n, d), ab, 1e-10 * ab); /* symmetric */
        /* Features in another order, and doubled: the same, and four times as far. */
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < d / 2; j++) {
                float keep = a[i * d + j];
                a[i * d + j] = a[i * d + d - 1 - j];
                a[i * d + d - 1 - j] = keep;
            }
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = 0; j < d / 2; j++) {
                float keep = b[i * d + j];
                b[i * d + j] = b[i * d + d - 1 - j];
                b[i * d + d - 1 - j] = keep;
            }
        for (int64_t i = 0; i < n * d; i++) a[i] *= 2;
        for (int64_t i = 0; i < m * d; i++) b[i] *= 2;
        ck_assert_double_eq_tol(distance(a, n, b, m, d), 4 * ab, 1e-9 * ab);
        /* A feature that never varies changes nothing. */
        float *wide = malloc((size_t)((n + m) * (d + 1)) * sizeof *wide);
        for (int64_t i = 0; i < n + m; i++)
            for (int64_t j = 0; j <= d; j++)
                wide[i * (d + 1) + j] = j == d ? 7 : i < n ? a[i * d + j] : b[(i - n) * d + j];
        ck_assert_double_eq_tol(distance(wide, n, wide + n * (d + 1), m, d + 1), 4 * ab, 1e-9 * ab);
        free(wide), free(a), free(b);
    }
}
END_TEST

/* Orthogonal rows of known lengths, mixed by rotations. */
START_TEST(singular_values)
{
    for (int64_t rows = 1; rows <= 30; rows += 7)
        for (int64_t columns = 1; columns <= 40; columns += 13) {
            int64_t least = rows < columns ? rows : columns;
            double *m = calloc((size_t)(rows * columns), sizeof *m), *copy = NULL, want = 0, got;
            for (int64_t i = 0; i < least; i++) {
                double value = pow(10, -(double)(i % 12)); /* from 1 down to 1e-11 */
                m[i * columns + i] = i % 5 == 4 ? 0 : value;
                want += i % 5 == 4 ? 0 : value;
            }
            for (int t = 0; t < 200; t++) {
                int64_t p = (int64_t)(uniform() * (double)rows),
                        q = (int64_t)(uniform() * (double)rows);
                int64_t u = (int64_t)(uniform() * (double)columns);
                int64_t v = (int64_t)(uniform() * (double)columns);
                double angle = 6 * uniform(), c = cos(angle), s = sin(angle);
                for (int64_t j = 0; p != q && j < columns; j++) {
                    double a = m[p * columns + j], b = m[q * columns + j];
                    m[p * columns + j] = c * a - s * b;
                    m[q * columns + j] = s * a + c * b;
                }
                for (int64_t i = 0; u != v && i < rows; i++) {
                    double a = m[i * columns + u], b = m[i * columns + v];
                    m[i * columns + u] = c * a - s * b;
                    m[i * columns + v] = s * a + c * b;
                }
            }
            copy = malloc((size_t)(rows * columns) * sizeof *copy);
            memcpy(copy, m, (size_t)(rows * columns) * sizeof *copy);
            OK(jem__singular_sum_own(m, rows, columns, &got));
            ck_assert_double_eq_tol(got, want, 1e-13 * (double)rows);
            OK(jem__singular_sum(copy, rows, columns, &got)); /* LAPACK's, if the build has it */
            ck_assert_double_eq_tol(got, want, 1e-13 * (double)rows);
            free(copy);
            free(m);
        }
}
END_TEST

START_TEST(inception)
{
    enum { N = 40, K = 8 };
    float p[N * K] = {0};
    double score, deviation;
    for (int i = 0; i < N; i++) p[i * K + i % K] = 1; /* sure, and all classes alike: K */
    OK(jem_eval_inception(p, N, K, 1, &score, &deviation));
    ck_assert_double_eq_tol(score, K, 1e-12);
    OK(jem_eval_inception(p, N, K, 5, &score, &deviation)); /* each part sees all classes */
    ck_assert_double_eq_tol(score, K, 1e-12);
    ck_assert_double_eq_tol(deviation, 0, 1e-12);
    OK(jem_eval_inception(p, N, K, N, &score, NULL)); /* one image: no other to differ from */
    ck_assert_double_eq_tol(score, 1, 1e-12);
    for (int i = 0; i < N * K; i++) p[i] = 1.0F / K; /* unsure: 1 */
    OK(jem_eval_inception(p, N, K, 1, &score, NULL));
    ck_assert_double_eq_tol(score, 1, 1e-12);
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_inception(NULL, N, K, 1, &score, NULL), "p is NULL");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_inception(p, N, K, 0, &score, NULL), "0 parts");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_inception(p, N, K, N + 1, &score, NULL), "41 parts");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_inception(p, 0, K, 1, &score, NULL), "n is 0");
    p[3 * K] = -p[3 * K];
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_inception(p, N, K, 1, &score, NULL), "image 3");
    p[3 * K] = NAN;
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_inception(p, N, K, 1, &score, NULL), "image 3");
    p[3 * K] = 5; /* logits, say */
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_inception(p, N, K, 1, &score, NULL), "add up to 5.875");
}
END_TEST

START_TEST(bad_input)
{
    float a[] = {1, 2, 3, 4}, b[] = {1, 2, NAN, 4}, c[] = {1, 2, INFINITY, 4};
    double v;
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_frechet(NULL, 2, a, 2, 2, &v), "a is NULL");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_frechet(a, 2, NULL, 2, 2, &v), "b is NULL");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_frechet(a, 2, a, 2, 2, NULL), "distance is NULL");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_frechet(a, 1, a, 2, 2, &v), "2 at least");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_frechet(a, 2, a, 2, 0, &v), "features");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_frechet(a, 2, b, 2, 2, &v), "feature 0 of image 1 of b");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_frechet(c, 2, a, 2, 2, &v), "feature 0 of image 1 of a");
}
END_TEST

TESTS("eval frechet", closed_forms, properties, singular_values, inception, bad_input)
