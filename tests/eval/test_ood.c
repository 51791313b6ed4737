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

/* ---- ROC curve, threshold, histogram ---- */

/* Height of the curve's straight lines at a false positive rate, from above. */
static double height(const double *fpr, const double *tpr, int64_t n, double at)
{
    for (int64_t i = n - 1; i > 0; i--)
        if (fpr[i - 1] <= at && at <= fpr[i] && fpr[i] > fpr[i - 1])
            return tpr[i - 1] + (tpr[i] - tpr[i - 1]) * (at - fpr[i - 1]) / (fpr[i] - fpr[i - 1]);
    return tpr[n - 1];
}

START_TEST(roc_by_counting)
{
    enum { MOST = 60 };
    float in[MOST], out[MOST], threshold[2 * MOST + 1];
    double fpr[2 * MOST + 1], tpr[2 * MOST + 1], auroc;
    int64_t points;
    for (int trial = 0; trial < 300; trial++) {
        int64_t n = 1 + below(MOST), m = 1 + below(MOST);
        uint32_t levels = 1 + below(trial % 2 ? 8 : 100000); /* many ties, or few */
        double area = 0;
        for (int64_t i = 0; i < n; i++) in[i] = (float)below(levels) - 3;
        for (int64_t j = 0; j < m; j++) out[j] = (float)below(levels) - 5;
        OK(jem_eval_roc(in, n, out, m, fpr, tpr, threshold, n + m + 1, &points));
        ck_assert(fpr[0] == 0 && tpr[0] == 0 && isinf(threshold[0]));
        ck_assert(fpr[points - 1] == 1 && tpr[points - 1] == 1);
        for (int64_t i = 1; i < points; i++) {
            ck_assert(threshold[i] < threshold[i - 1]);
            ck_assert(fpr[i] == (double)at_least(out, m, threshold[i], 1) / (double)m);
            ck_assert(tpr[i] == (double)at_least(in, n, threshold[i], 1) / (double)n);
            area += (fpr[i] - fpr[i - 1]) * (tpr[i] + tpr[i - 1]) / 2;
        }
        OK(jem_eval_ood(in, n, out, m, &auroc, NULL, NULL, NULL));
        ck_assert_double_eq_tol(area, auroc, 1e-12); /* nothing was lost with the points left out */
        for (int64_t i = 2; i < points; i++)         /* and none is left that says nothing */
            ck_assert(!(fpr[i] == fpr[i - 2] || tpr[i] == tpr[i - 2]));
        for (int64_t j = 0; j < m; j++) {
            double at = (double)at_least(out, m, out[j], 1) / (double)m;
            ck_assert(height(fpr, tpr, points, at) >=
                      (double)at_least(in, n, out[j], 1) / (double)n - 1e-12);
        }
        if (points > 2)
            FAILS(JEM_ERROR_SHAPE,
                  jem_eval_roc(in, n, out, m, fpr, tpr, threshold, points - 1, &points),
                  "points, expected at least");
    }
}
END_TEST

START_TEST(thresholds)
{
    float scores[40], t;
    for (int trial = 0; trial < 400; trial++) {
        int64_t n = 1 + below(40);
        double accept = (1 + below(1000)) / 1000.0;
        for (int64_t i = 0; i < n; i++) scores[i] = (float)below(20) - 10;
        OK(jem_eval_threshold(scores, n, accept, &t));
        ck_assert((double)at_least(scores, n, t, 1) >= accept * (double)n - 1e-9);
        int64_t above = 0; /* with a higher threshold too few would stay */
        for (int64_t i = 0; i < n; i++) above += scores[i] > t;
        ck_assert((double)above < accept * (double)n - 1e-9);
    }
    for (int i = 0; i < 20; i++) scores[i] = (float)i;
    OK(jem_eval_threshold(scores, 20, 0.95, &t));
    ck_assert(t == 1); /* exactly one of twenty is let go, whatever .95 rounds to */
    OK(jem_eval_threshold(scores, 20, 1, &t));
    ck_assert(t == 0);
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_threshold(scores, 20, 0, &t), "accept is 0");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_threshold(scores, 20, NAN, &t), "accept");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_threshold(scores, 0, 0.5, &t), "n is 0");
    scores[7] = NAN;
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_threshold(scores, 20, 0.5, &t), "score 7");
}
END_TEST

/* Scores on the edges, which rounding of a quotient would put elsewhere. */
START_TEST(edges_belong_above)
{
    enum { MOST = 60 };
    int64_t count[MOST];
    for (int64_t bins = 1; bins <= MOST; bins++)
        for (int low = -30; low <= 30; low += 10) {
            float scores[MOST];
            for (int64_t b = 0; b < bins; b++) scores[b] = (float)(low + b);
            OK(jem_eval_histogram(scores, bins, low, (double)(low + bins), bins, count));
            for (int64_t b = 0; b < bins; b++) ck_assert_int_eq(count[b], 1);
        }
}
END_TEST

START_TEST(histograms)
{
    float scores[] = {-1, 0, 0.25F, 0.5F, 0.99F, 1, 2};
    int64_t count[5] = {0, 0, 0, 0, 77};
    OK(jem_eval_histogram(scores, 7, 0, 1, 4, count));
    ck_assert_int_eq(count[0], 1); /* lower edges belong to a bin, */
    ck_assert_int_eq(count[1], 1);
    ck_assert_int_eq(count[2], 1);
    ck_assert_int_eq(count[3], 2); /* and the last upper one */
    ck_assert_int_eq(count[4], 77);
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_histogram(scores, 7, 1, 1, 4, count), "low < high");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_histogram(scores, 7, 0, INFINITY, 4, count), "low < high");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_histogram(scores, 7, 0, 1, 0, count), "0 bins");
    scores[2] = INFINITY;
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_histogram(scores, 7, 0, 1, 4, count), "score 2");
}
END_TEST

TESTS("eval ood", against_definitions, perfect_and_worst, all_ties, by_hand,
      signed_zeros_tie_and_tiny_numbers_order, swapping_the_sets_and_shifting_the_scores, bad_input,
      roc_by_counting, thresholds, edges_belong_above, histograms)
