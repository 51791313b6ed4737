/* Temperature scaling: closed forms, a search by trying, properties, no optimum. */
#include "helpers.h"
#include <math.h>

static uint32_t state = 11;
static double uniform(void)
{
    state = state * 1664525U + 1013904223U;
    return (state >> 8) / 16777216.0;
}

static double nll_at(const float *logits, const int32_t *y, int64_t n, int64_t k, double t)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        double top = -INFINITY, total = 0;
        for (int64_t j = 0; j < k; j++) top = fmax(top, logits[i * k + j] / t);
        for (int64_t j = 0; j < k; j++) total += exp(logits[i * k + j] / t - top);
        sum += log(total) + top - logits[i * k + y[i]] / t;
    }
    return sum / (double)n;
}

START_TEST(closed_form)
{
    /* Two classes, a logit gap d, right in a share r: p = r, so T = d / log(r / (1-r)). */
    float logits[200];
    int32_t y[100];
    double t;
    const float gaps[] = {1e-6F, 0.5F, 3, 40, 1e6F, 1e30F};
    for (int g = 0; g < 6; g++)
        for (int wrong = 1; wrong < 50; wrong += 7) {
            for (int i = 0; i < 100; i++) {
                logits[2 * i] = gaps[g] + 17 * (gaps[g] < 100);
                logits[2 * i + 1] = 17.0F * (gaps[g] < 100);
                y[i] = i < wrong;
            }
            double gap = (double)logits[0] - logits[1];
            if (gap == 0) continue; /* lost beside 17 */
            OK(jem_eval_temperature(logits, y, 100, 2, &t));
            ck_assert_double_eq_tol(t / (gap / log((100.0 - wrong) / wrong)), 1, 1e-9);
        }
}
END_TEST

START_TEST(least_nll)
{
    enum { N = 300, K = 6 };
    static float logits[N * K], scaled[N * K];
    static int32_t y[N];
    for (int trial = 0; trial < 20; trial++) {
        double size = pow(10, 4 * uniform() - 2), t, u;
        for (int i = 0; i < N; i++) {
            y[i] = (int32_t)(uniform() * K);
            for (int j = 0; j < K; j++)
                logits[i * K + j] = (float)(size * (3 * uniform() + (j == y[i])));
        }
        OK(jem_eval_temperature(logits, y, N, K, &t));
        double best = nll_at(logits, y, N, K, t);
        for (int e = -40; e <= 40; e++) /* it is convex: no neighbour may be lower */
            ck_assert(nll_at(logits, y, N, K, t * pow(1.1, e)) >= best - 1e-13);
        ck_assert(nll_at(logits, y, N, K, t * 1.01) > best);
        ck_assert(nll_at(logits, y, N, K, t / 1.01) > best);
        for (int i = 0; i < N * K; i++) scaled[i] = 4 * logits[i];
        OK(jem_eval_temperature(scaled, y, N, K, &u)); /* exact powers of two */
        ck_assert_double_eq_tol(u / t, 4, 1e-10);
    }
}
END_TEST

START_TEST(no_optimum)
{
    float right[] = {2, 1, 0, 3}, reversed[] = {2, 1, 0, 3}, flat[] = {1, 1, 1, 1};
    int32_t y[] = {0, 1}, wrong[] = {1, 0};
    double t;
    FAILS(JEM_ERROR_STATE, jem_eval_temperature(right, y, 2, 2, &t), "classified rightly");
    FAILS(JEM_ERROR_STATE, jem_eval_temperature(reversed, wrong, 2, 2, &t), "better than chance");
    FAILS(JEM_ERROR_STATE, jem_eval_temperature(flat, y, 2, 2, &t), "better than chance");
    FAILS(JEM_ERROR_STATE, jem_eval_temperature(right, wrong, 1, 2, &t), "chance"); /* n = 1 */
    FAILS(JEM_ERROR_STATE, jem_eval_temperature(right, y, 1, 1, &t), "rightly");    /* one class */
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_temperature(right, y, 2, 2, NULL), "NULL");
    right[3] = NAN;
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_temperature(right, y, 2, 2, &t), "logit 1 of image 1");
}
END_TEST

TESTS("eval temperature", closed_form, least_nll, no_optimum)
