/* Energies and losses against closed forms and finite differences. */
#include "energy/energy.h"
#include "helpers.h"
#include <math.h>

enum { N = 4, K = 5 };
static const int32_t y[N] = {2, 0, 4, 1};

static void fill(float *logits)
{
    for (int i = 0; i < N * K; i++) logits[i] = 3 * sinf((float)(7 * i + 1));
}

START_TEST(energies)
{
    float logits[N * K], e[N], exy[N];
    fill(logits);
    jem__energy((jem__outputs){logits, NULL}, NULL, N, K, e);
    jem__energy((jem__outputs){logits, NULL}, y, N, K, exy);
    for (int i = 0; i < N; i++) {
        double sum = 0;
        for (int j = 0; j < K; j++) sum += exp((double)logits[i * K + j]);
        ck_assert_double_eq_tol((double)e[i], -log(sum), 1e-6);
        ck_assert_float_eq(exy[i], -logits[i * K + y[i]]);
    }
    /* One class: E(x) = E(x,y) = -f(x). */
    float one[] = {3.5f}, energy;
    jem__energy((jem__outputs){one, NULL}, NULL, 1, 1, &energy);
    ck_assert_float_eq(energy, -3.5f);
}
END_TEST

START_TEST(extreme_logits)
{
    /* Neither overflows nor loses what is left after the shift. */
    float logits[] = {1e30f, 1e30f, -1e30f, 3000, 3001, -3000, -1e4f, -1e4f, -1e4f};
    float e[3], d[9];
    jem__energy((jem__outputs){logits, NULL}, NULL, 3, 3, e);
    jem__energy_derivative((jem__outputs){logits, NULL}, NULL, 3, 3, (jem__derivatives){d, NULL});
    ck_assert_float_eq(e[0], -1e30f);
    ck_assert_double_eq_tol((double)e[1], -(3001 + log1p(exp(-1))), 1e-3);
    ck_assert_double_eq_tol((double)e[2], 1e4 - log(3), 1e-3);
    for (int i = 0; i < 9; i++) ck_assert(isfinite(d[i]));
    ck_assert_float_eq_tol(d[4], -1 / (1 + expf(-1)), 1e-6f);
    ck_assert_float_eq_tol(d[8], -1.0f / 3, 1e-6f);
}
END_TEST

START_TEST(derivatives_of_energies)
{
    float logits[N * K], d[N * K];
    fill(logits);
    for (int labelled = 0; labelled < 2; labelled++) {
        jem__energy_derivative((jem__outputs){logits, NULL}, labelled ? y : NULL, N, K,
                               (jem__derivatives){d, NULL});
        for (int i = 0; i < N; i++) {
            double total = jem__logsumexp(logits + i * K, K, NULL);
            for (int j = 0; j < K; j++) {
                double p = exp((double)logits[i * K + j] - total);
                double expected = labelled ? -(j == y[i]) : -p;
                ck_assert_double_eq_tol((double)d[i * K + j], expected, 1e-7);
            }
        }
    }
}
END_TEST

typedef jem_status loss_function(const float *, const int32_t *, int64_t, int64_t, double, double *,
                                 float *);

/* The derivative against central differences of the value, and that it is added. */
static void check_loss(loss_function *function, const int32_t *labels, double weight)
{
    const float step = 1.0f / 64;
    float logits[N * K], d[N * K];
    double loss, plus, minus;
    fill(logits);
    for (int i = 0; i < N * K; i++) d[i] = 10;
    OK(function(logits, labels, N, K, weight, &loss, d));
    for (int i = 0; i < N * K; i++) {
        float kept = logits[i];
        logits[i] = kept + step;
        OK(function(logits, labels, N, K, weight, &plus, NULL));
        double width = (double)logits[i];
        logits[i] = kept - step;
        OK(function(logits, labels, N, K, weight, &minus, NULL));
        width -= (double)logits[i];
        logits[i] = kept;
        ck_assert_double_eq_tol((double)d[i] - 10, (plus - minus) / width,
                                2e-4 * fabs(weight) + 2e-6);
    }
    /* The weight is a factor of both; a NULL value is fine. */
    double twice;
    float d2[N * K] = {0};
    OK(function(logits, labels, N, K, 2 * weight, &twice, d2));
    ck_assert_double_eq_tol(twice, 2 * loss, 1e-9 * fabs(twice));
    for (int i = 0; i < N * K; i++)
        ck_assert_float_eq_tol(d2[i], 2 * (d[i] - 10), 1e-5f * (float)fabs(weight) + 4e-6f);
    OK(function(logits, labels, N, K, weight, NULL, NULL));
}

START_TEST(loss_derivatives)
{
    check_loss(jem_loss_cross_entropy, y, 1);
    check_loss(jem_loss_cross_entropy, y, 0.3);
    check_loss(jem_loss_energy, NULL, 1);
    check_loss(jem_loss_energy, NULL, -2);
    check_loss(jem_loss_energy, y, 1.5);
    check_loss(jem_loss_energy_penalty, NULL, 0.1);
    check_loss(jem_loss_energy_penalty, y, 1);
}
END_TEST

START_TEST(loss_values)
{
    float logits[N * K], e[N];
    double ce, energy, square, sum = 0, mean = 0, squares = 0;
    fill(logits);
    OK(jem_loss_cross_entropy(logits, y, N, K, 1, &ce, NULL));
    OK(jem_loss_energy(logits, NULL, N, K, 1, &energy, NULL));
    OK(jem_loss_energy_penalty(logits, NULL, N, K, 1, &square, NULL));
    jem__energy((jem__outputs){logits, NULL}, NULL, N, K, e);
    for (int i = 0; i < N; i++) {
        double p[K];
        jem__logsumexp(logits + i * K, K, p);
        sum -= log(p[y[i]]);
        mean += (double)e[i];
        squares += (double)e[i] * (double)e[i];
    }
    ck_assert_double_eq_tol(ce, sum / N, 1e-7);
    ck_assert_double_eq_tol(energy, mean / N, 1e-6);
    ck_assert_double_eq_tol(square, squares / N, 1e-5);
    /* The penalty in one number: E = -2, so E^2 = 4 and d = -4 dE = 4 p. */
    float two[] = {2}, d[] = {0};
    OK(jem_loss_energy_penalty(two, NULL, 1, 1, 1, &square, d));
    ck_assert_double_eq(square, 4);
    ck_assert_float_eq(d[0], 4);
}
END_TEST

START_TEST(bad_arguments)
{
    float logits[N * K], d[N * K];
    double loss;
    int32_t bad[N] = {0, 1, K, 0}, negative[N] = {0, 0, 0, -1};
    fill(logits);
    FAILS(JEM_ERROR_ARGUMENT, jem_loss_cross_entropy(NULL, y, N, K, 1, &loss, d), "logits");
    FAILS(JEM_ERROR_ARGUMENT, jem_loss_cross_entropy(logits, NULL, N, K, 1, &loss, d), "y");
    FAILS(JEM_ERROR_ARGUMENT, jem_loss_cross_entropy(logits, y, 0, K, 1, &loss, d), "n = 0");
    FAILS(JEM_ERROR_ARGUMENT, jem_loss_energy(logits, NULL, N, 0, 1, &loss, d), "k = 0");
    FAILS(JEM_ERROR_ARGUMENT, jem_loss_energy(logits, bad, N, K, 1, &loss, d), "label 2 is 5");
    FAILS(JEM_ERROR_ARGUMENT, jem_loss_energy_penalty(logits, negative, N, K, 1, &loss, d), "-1");
    FAILS(JEM_ERROR_ARGUMENT, jem_loss_energy_penalty(NULL, NULL, N, K, 1, &loss, d), "NULL");
}
END_TEST

TESTS("energy", energies, extreme_logits, derivatives_of_energies, loss_derivatives, loss_values,
      bad_arguments)
