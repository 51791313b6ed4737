/* AUROC, average precision and FPR95 against definitions by counting. */
#include "helpers.h"
#include <math.h>

static uint32_t state = 7;
static uint32_t below(uint32_t n)
{
    state = state * 1664525U + 1013904223U;
    return (state >> 8) % n;
}

/* Every pair. */
static double auroc_by_pairs(const float *a, int64_t n, const float *b, int64_t m)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < m; j++) sum += a[i] > b[j] ? 1 : a[i] == b[j] ? 0.5 : 0;
    return sum / (double)(n * m);
}

static int64_t at_least(const float *a, int64_t n, double threshold, double sign)
{
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) count += sign * a[i] >= threshold;
    return count;
}

static int descending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

/* Positives a, score sign * value: sum of precision times gain in recall over
   the distinct thresholds, from the strictest. */
static double precision_by_thresholds(const float *a, int64_t n, const float *b, int64_t m,
                                      double sign)
{
    double *t = malloc((size_t)(n + m) * sizeof *t), sum = 0, recall = 0;
    for (int64_t i = 0; i < n; i++) t[i] = sign * a[i];
    for (int64_t j = 0; j < m; j++) t[n + j] = sign * b[j];
    qsort(t, (size_t)(n + m), sizeof *t, descending);
    for (int64_t i = 0; i < n + m; i++) {
        if (i && t[i] == t[i - 1]) continue;
        double hits = (double)at_least(a, n, t[i], sign),
               alarms = (double)at_least(b, m, t[i], sign);
        sum += (hits / (double)n - recall) * hits / (hits + alarms);
        recall = hits / (double)n;
    }
    free(t);
    return sum;
}

/* The smallest share of b over all thresholds that at least 95 % of a pass. */
static double fpr_by_thresholds(const float *a, int64_t n, const float *b, int64_t m)
{
    double best = 1;
    for (int64_t i = 0; i < n; i++)
        if (100 * at_least(a, n, a[i], 1) >= 95 * n) {
            double rate = (double)at_least(b, m, a[i], 1) / (double)m;
            best = rate < best ? rate : best;
        }
    return best;
}

static void compare(const float *a, int64_t n, const float *b, int64_t m)
{
    double auroc, in, out, fpr;
    OK(jem_eval_ood(a, n, b, m, &auroc, &in, &out, &fpr));
    ck_assert_double_eq_tol(auroc, auroc_by_pairs(a, n, b, m), 1e-12);
    ck_assert_double_eq_tol(in, precision_by_thresholds(a, n, b, m, 1), 1e-12);
    ck_assert_double_eq_tol(out, precision_by_thresholds(b, m, a, n, -1), 1e-12);
    ck_assert_double_eq_tol(fpr, fpr_by_thresholds(a, n, b, m), 1e-12);
}

START_TEST(against_definitions)
{
    float a[120], b[150];
    /* From nearly no ties to almost only ties, with negative scores. */
    static const uint32_t levels[] = {1u << 20, 1000, 20, 3, 1};
    for (int round = 0; round < 40; round++) {
        uint32_t level = levels[round % 5];
        int64_t n = 1 + below(120), m = 1 + below(150);
        for (int64_t i = 0; i < n; i++) a[i] = ((float)below(level) - (float)level / 3) / 7;
        for (int64_t j = 0; j < m; j++) b[j] = ((float)below(level) - (float)level / 2) / 7;
        compare(a, n, b, m);
    }
    for (int64_t n = 1; n <= 60; n++) { /* 95 % of every small count */
        for (int64_t i = 0; i < n; i++) a[i] = (float)i;
        for (int64_t j = 0; j < 60; j++) b[j] = (float)j - 0.5F;
        compare(a, n, b, 60);
    }
}
END_TEST

START_TEST(perfect_and_worst)
{
    float high[] = {3, 4, 5}, low[] = {-1, 0, 1, 2};
    double auroc, in, out, fpr;
    OK(jem_eval_ood(high, 3, low, 4, &auroc, &in, &out, &fpr));
    ck_assert(auroc == 1 && in == 1 && out == 1 && fpr == 0);
    OK(jem_eval_ood(low, 4, high, 3, &auroc, &in, &out, &fpr));
    ck_assert(auroc == 0 && fpr == 1);
    ck_assert_double_eq_tol(in, (1.0 / 4 + 2.0 / 5 + 3.0 / 6 + 4.0 / 7) / 4, 1e-15);
    ck_assert_double_eq_tol(out, (1.0 / 5 + 2.0 / 6 + 3.0 / 7) / 3, 1e-15);
}
END_TEST

START_TEST(all_ties)
{
    float same[5] = {2, 2, 2, 2, 2};
    double auroc, in, out, fpr;
    OK(jem_eval_ood(same, 5, same, 3, &auroc, &in, &out, &fpr));
    ck_assert(auroc == 0.5 && fpr == 1);
    ck_assert_double_eq_tol(in, 5.0 / 8, 1e-15);
    ck_assert_double_eq_tol(out, 3.0 / 8, 1e-15);
}
END_TEST

START_TEST(by_hand)
{
    float in[] = {0.9F, 0.8F, 0.4F}, out[] = {0.8F, 0.3F};
    double auroc, aupr_in, aupr_out, fpr;
    OK(jem_eval_ood(in, 3, out, 2, &auroc, &aupr_in, &aupr_out, &fpr));
    ck_assert_double_eq_tol(auroc, (2 + 1.5 + 1) / 6, 1e-15);
    ck_assert_double_eq_tol(aupr_in, (1 + 2.0 / 3 + 3.0 / 4) / 3, 1e-15);
    ck_assert_double_eq_tol(aupr_out, (1 + 2.0 / 4) / 2, 1e-15);
    ck_assert(fpr == 0.5);
}
END_TEST

START_TEST(signed_zeros_tie_and_tiny_numbers_order)
{
    float zero = 0.0F, minus = -0.0F, tiny = 1e-45F, least = -1e-45F;
    double auroc;
    OK(jem_eval_ood(&zero, 1, &minus, 1, &auroc, NULL, NULL, NULL));
    ck_assert(auroc == 0.5);
    OK(jem_eval_ood(&minus, 1, &zero, 1, &auroc, NULL, NULL, NULL));
    ck_assert(auroc == 0.5);
    OK(jem_eval_ood(&tiny, 1, &zero, 1, &auroc, NULL, NULL, NULL));
    ck_assert(auroc == 1);
    OK(jem_eval_ood(&least, 1, &zero, 1, &auroc, NULL, NULL, NULL));
    ck_assert(auroc == 0);
}
END_TEST

START_TEST(swapping_the_sets_and_shifting_the_scores)
{
    enum { N = 2000, M = 1500 };
    static float a[N], b[M], c[N], d[M];
    double one, other, scaled, in, out, out_swapped, in_swapped;
    for (int i = 0; i < N; i++) a[i] = (float)(below(4000) + 500), c[i] = -a[i];
    for (int j = 0; j < M; j++) b[j] = (float)below(4000), d[j] = -b[j];
    OK(jem_eval_ood(a, N, b, M, &one, &in, &out, NULL));
    OK(jem_eval_ood(b, M, a, N, &other, NULL, NULL, NULL));
    ck_assert_double_eq_tol(one + other, 1, 1e-12);
    OK(jem_eval_ood(d, M, c, N, &scaled, &in_swapped, &out_swapped, NULL));
    ck_assert_double_eq_tol(one, scaled, 1e-12); /* mirrored and swapped: the same question */
    ck_assert_double_eq_tol(in, out_swapped, 1e-12);
    ck_assert_double_eq_tol(out, in_swapped, 1e-12);
}
END_TEST

START_TEST(bad_input)
{
    float good[] = {1, 2}, bad[] = {1, NAN}, infinite[] = {-INFINITY, 1};
    double v;
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_ood(NULL, 2, good, 2, &v, NULL, NULL, NULL), "in is NULL");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_ood(good, 2, NULL, 2, &v, NULL, NULL, NULL), "out is NULL");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_ood(good, 0, good, 2, &v, NULL, NULL, NULL), "n_in is 0");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_ood(good, 2, good, -1, &v, NULL, NULL, NULL), "n_out -1");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_ood(bad, 2, good, 2, &v, NULL, NULL, NULL), "in score 1");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_ood(good, 2, infinite, 2, &v, NULL, NULL, NULL),
          "out score 0");
    OK(jem_eval_ood(good, 2, good, 2, NULL, NULL, NULL, NULL)); /* outputs may be NULL */
}
END_TEST

TESTS("eval ood", against_definitions, perfect_and_worst, all_ties, by_hand,
      signed_zeros_tie_and_tiny_numbers_order, swapping_the_sets_and_shifting_the_scores, bad_input)
