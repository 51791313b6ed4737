/* Accuracy, NLL, Brier score and ECE: closed forms, hand-made bins, bad input. */
#include "helpers.h"
#include <math.h>

#define NEAR(a, b, tolerance)                                                                      \
    ck_assert_msg(fabs((a) - (b)) <= (tolerance), "%s is %.17g, expected %.17g", #a, (double)(a),  \
                  (double)(b))

/* Repeatable numbers without the library. */
static uint32_t state = 1;
static double uniform(void)
{
    state = state * 1664525U + 1013904223U;
    return (state >> 8) / 16777216.0;
}

static void probabilities(const float *row, int64_t k, double *p)
{
    double sum = 0;
    for (int64_t j = 0; j < k; j++) sum += p[j] = exp((double)row[j]);
    for (int64_t j = 0; j < k; j++) p[j] /= sum;
}

START_TEST(closed_forms)
{
    /* Two classes, odds 3:1. */
    float l = logf(3), logits[] = {l, 0, l, 0, 0, l, 0, l};
    int32_t y[] = {0, 1, 1, 1};
    double value;
    OK(jem_eval_accuracy(logits, y, 4, 2, &value));
    ck_assert(value == 0.75);
    OK(jem_eval_nll(logits, y, 4, 2, &value));
    NEAR(value, (3 * log(4.0 / 3) + log(4)) / 4, 1e-7);
    OK(jem_eval_brier(logits, y, 4, 2, &value));
    NEAR(value, (3 * 2 * 0.0625 + 2 * 0.5625) / 4, 1e-7);

    float flat[10] = {0};
    OK(jem_eval_nll(flat, y + 1, 1, 10, &value));
    NEAR(value, log(10), 1e-12);
    OK(jem_eval_brier(flat, y + 1, 1, 10, &value));
    NEAR(value, 0.9, 1e-12);
    OK(jem_eval_accuracy(flat, y, 1, 10, &value)); /* of equal logits the first class */
    ck_assert(value == 1);
    OK(jem_eval_accuracy(flat, y + 1, 1, 10, &value));
    ck_assert(value == 0);
}
END_TEST

START_TEST(extreme_logits)
{
    float logits[] = {3e38F, -3e38F};
    int32_t right = 0, wrong = 1;
    double value;
    OK(jem_eval_nll(logits, &right, 1, 2, &value));
    ck_assert(value == 0);
    OK(jem_eval_nll(logits, &wrong, 1, 2, &value));
    NEAR(value / 6e38, 1, 1e-6); /* beyond float, not beyond double */
    OK(jem_eval_brier(logits, &wrong, 1, 2, &value));
    ck_assert(value == 2);
    OK(jem_eval_ece(logits, &wrong, 1, 2, 20, &value, NULL, NULL, NULL));
    ck_assert(value == 1);
    OK(jem_eval_nll(logits, &right, 1, 1, &value)); /* one class: certain */
    ck_assert(value == 0);
}
END_TEST

START_TEST(against_double_reference)
{
    enum { N = 500, K = 7 };
    static float logits[N * K];
    static int32_t y[N];
    double p[K], nll = 0, brier = 0, value;
    for (int i = 0; i < N * K; i++) logits[i] = (float)(8 * uniform() - 4);
    for (int i = 0; i < N; i++) y[i] = (int32_t)(uniform() * K);
    for (int i = 0; i < N; i++) {
        probabilities(logits + i * K, K, p);
        nll -= log(p[y[i]]) / N;
        for (int j = 0; j < K; j++) brier += (p[j] - (j == y[i])) * (p[j] - (j == y[i])) / N;
    }
    OK(jem_eval_nll(logits, y, N, K, &value));
    NEAR(value, nll, 1e-12);
    OK(jem_eval_brier(logits, y, N, K, &value));
    NEAR(value, brier, 1e-12);

    /* ECE as |accuracy - confidence| weighted, bins found by searching edges. */
    double conf[20] = {0}, right[20] = {0}, ece = 0, confidence[20], accuracy[20];
    int64_t size[20] = {0}, count[20], total = 0;
    for (int i = 0; i < N; i++) {
        int best = 0, b = 0;
        probabilities(logits + i * K, K, p);
        for (int j = 1; j < K; j++) best = p[j] > p[best] ? j : best;
        while (p[best] > (b + 1) / 20.0) b++;
        conf[b] += p[best], right[b] += best == y[i], size[b]++;
    }
    for (int b = 0; b < 20; b++)
        if (size[b]) ece += (double)size[b] / N * fabs(right[b] / size[b] - conf[b] / size[b]);
    OK(jem_eval_ece(logits, y, N, K, 20, &value, confidence, accuracy, count));
    NEAR(value, ece, 1e-12);
    for (int b = 0; b < 20; b++) {
        ck_assert_int_eq(count[b], size[b]);
        NEAR(confidence[b], size[b] ? conf[b] / size[b] : 0, 1e-12);
        NEAR(accuracy[b], size[b] ? right[b] / size[b] : 0, 1e-12);
        total += count[b];
    }
    ck_assert_int_eq(total, N);
}
END_TEST

START_TEST(ece_by_hand)
{
    /* Confidences 0.75 (right, wrong) and 0.9 (right): bins (0.7,0.8], (0.8,0.9]. */
    float a = logf(3), b = logf(9), logits[] = {a, 0, a, 0, b, 0};
    int32_t y[] = {0, 1, 0};
    double ece, confidence[4], accuracy[4];
    int64_t count[4];
    OK(jem_eval_ece(logits, y, 3, 2, 4, &ece, confidence, accuracy, count));
    /* four bins: 0.75 belongs to (0.5,0.75] or, rounded up in float, to (0.75,1] */
    ck_assert_int_eq(count[0] + count[1], 0);
    ck_assert_int_eq(count[2] + count[3], 3);
    OK(jem_eval_ece(logits, y, 3, 2, 1, &ece, confidence, accuracy, count));
    ck_assert_int_eq(count[0], 3);
    NEAR(ece, (0.75 + 0.75 + 0.9) / 3 - 2.0 / 3, 1e-7);
    NEAR(confidence[0], 0.8, 1e-7);
    NEAR(accuracy[0], 2.0 / 3, 1e-12);
}
END_TEST

START_TEST(ece_edges_belong_below)
{
    /* Two equal logits: confidence exactly 0.5, the upper edge of (0.25,0.5]. */
    float half[] = {1, 1}, whole[] = {0, -1000};
    int32_t y = 0;
    double ece;
    int64_t count[4];
    OK(jem_eval_ece(half, &y, 1, 2, 4, &ece, NULL, NULL, count));
    ck_assert_int_eq(count[1], 1);
    ck_assert(ece == 0.5);
    OK(jem_eval_ece(whole, &y, 1, 2, 4, &ece, NULL, NULL, count));
    ck_assert_int_eq(count[3], 1); /* 1 is inside the last bin */
    ck_assert(ece == 0);
    /* 1/k with k bins: the first bin, whatever 1/k * k rounds to */
    for (int k = 1; k <= 64; k++) {
        float flat[64] = {0};
        int64_t bins[64];
        OK(jem_eval_ece(flat, &y, 1, k, k, &ece, NULL, NULL, bins));
        ck_assert_int_eq(bins[0], 1);
    }
}
END_TEST

START_TEST(bad_input)
{
    float logits[] = {1, 2, 3, 4}, bad[] = {1, 2, NAN, 4}, infinite[] = {1, INFINITY, 3, 4};
    int32_t y[] = {0, 1}, high[] = {0, 2}, low[] = {-1, 0};
    double v;
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_accuracy(NULL, y, 2, 2, &v), "logits is NULL");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_accuracy(logits, NULL, 2, 2, &v), "y is NULL");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_accuracy(logits, y, 2, 2, NULL), "output is NULL");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_nll(logits, y, 0, 2, &v), "n is 0");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_nll(logits, y, 2, -1, &v), "k -1");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_nll(logits, y, INT64_MAX / 2, 4, &v), "too many");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_brier(logits, high, 2, 2, &v),
          "label 1 is 2, expected 0..1");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_brier(logits, low, 2, 2, &v), "label 0 is -1");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_nll(bad, y, 2, 2, &v), "logit 0 of image 1");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_accuracy(infinite, y, 2, 2, &v), "logit 1 of image 0");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_ece(logits, y, 2, 2, 0, &v, NULL, NULL, NULL), "bins is 0");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_ece(logits, y, 2, 2, 5, NULL, NULL, NULL, NULL), "NULL");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_ece(logits, y, 2, 2, INT64_MAX, &v, NULL, NULL, NULL),
          "expected 1..1048576");
}
END_TEST

TESTS("eval calibration", closed_forms, extreme_logits, against_double_reference, ece_by_hand,
      ece_edges_belong_below, bad_input)
