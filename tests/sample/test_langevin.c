/* The Langevin step: exact settings, and the law of a chain on a quadratic. */
#include "base/config.h"
#include "helpers.h"
#include "sample/langevin.h"
#include <math.h>

static jem__mover mover_of(const char *settings)
{
    jem__mover mover;
    jem_config *config;
    OK(jem_config_create(&config));
    OK(jem_config_parse(config, settings));
    jem__mover_read(&mover, config);
    jem_config_destroy(config);
    return mover;
}

START_TEST(without_noise)
{
    static const struct {
        const char *settings;
        float x[5];
    } cases[] = {
        {"sampler.noise=0 sampler.step_size=2", {0, -8.9f, 8.9f, 1, 0.25f}},
        {"sampler.noise=0 sampler.gradient_clamp=0.5", {0.25f, -1.4f, 1.4f, 0.5f, 0.25f}},
        {"sampler.noise=0 sampler.step_size=2 sampler.clamp=1", {0, -1, 1, 1, 0.25f}},
    };
    const float dx[] = {0.25f, 4, -4, -0.5f, 0};
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        jem__mover mover = mover_of(cases[c].settings);
        float x[] = {0.5f, -0.9f, 0.9f, 0, 0.25f};
        OK(jem__mover_step(&mover, 0, 0, 5, x, dx, 0));
        for (int i = 0; i < 5; i++) ck_assert_float_eq_tol(x[i], cases[c].x[i], 1e-6f);
    }
}
END_TEST

enum { BIG = 5000 };

static void moments(const float *x, int64_t n, double *mean, double *variance)
{
    *mean = *variance = 0;
    for (int64_t i = 0; i < n; i++) *mean += (double)x[i] / (double)n;
    for (int64_t i = 0; i < n; i++)
        *variance += ((double)x[i] - *mean) * ((double)x[i] - *mean) / (double)n;
}

START_TEST(noise_has_its_moments_and_address)
{
    jem__mover mover = mover_of("sampler.noise=0.5 sampler.seed=3");
    static float a[BIG], b[BIG], zero[BIG];
    double mean, variance, product = 0;
    memset(a, 0, sizeof a);
    OK(jem__mover_step(&mover, 7, 2, BIG, a, zero, 0));
    moments(a, BIG, &mean, &variance);
    ck_assert_double_eq_tol(mean, 0, 4 * 0.5 / sqrt(BIG));
    ck_assert_double_eq_tol(variance, 0.25, 4 * 0.25 * sqrt(2.0 / BIG));
    /* The same address, the same noise; another one, independent noise. */
    memset(b, 0, sizeof b);
    OK(jem__mover_step(&mover, 7, 2, BIG, b, zero, 0));
    ck_assert_int_eq(memcmp(a, b, sizeof a), 0);
    for (int other = 0; other < 4; other++) {
        jem__mover m = mover;
        m.seed += other == 0;
        m.stream += other == 1;
        memset(b, 0, sizeof b);
        OK(jem__mover_step(&m, 7 + (other == 2), 2 + (other == 3), BIG, b, zero, 0));
        product = 0;
        for (int i = 0; i < BIG; i++) product += (double)a[i] * (double)b[i] / 0.25;
        ck_assert_double_eq_tol(product / BIG, 0, 4 / sqrt(BIG));
    }
    /* A shorter image has the first numbers of a longer one. */
    memset(b, 0, sizeof b);
    OK(jem__mover_step(&mover, 7, 2, 1500, b, zero, 0));
    ck_assert_int_eq(memcmp(a, b, 1500 * sizeof *a), 0);
}
END_TEST

START_TEST(noise_before_or_after_the_box)
{
    static float x[BIG], zero[BIG];
    jem__mover before = mover_of("sampler.noise=0.5 sampler.clamp=1");
    jem__mover after = mover_of("sampler.noise=0.5 sampler.clamp=1 sampler.noise_after_clamp=1");
    for (int i = 0; i < BIG; i++) x[i] = 2;
    OK(jem__mover_step(&before, 0, 0, BIG, x, zero, 0));
    for (int i = 0; i < BIG; i++) ck_assert(x[i] <= 1);
    double mean, variance;
    for (int i = 0; i < BIG; i++) x[i] = 2;
    OK(jem__mover_step(&after, 0, 0, BIG, x, zero, 0));
    moments(x, BIG, &mean, &variance);
    ck_assert_double_eq_tol(mean, 1, 4 * 0.5 / sqrt(BIG));
    ck_assert_double_eq_tol(variance, 0.25, 4 * 0.25 * sqrt(2.0 / BIG));
}
END_TEST

/* E = x^2 / 2: x' = (1 - s) x + noise z has the variance noise^2 / (1 - (1 - s)^2). */
START_TEST(quadratic_energy)
{
    static float x[BIG], dx[BIG];
    double mean, variance, step = 0.2, expected = 0.09 / (1 - 0.8 * 0.8);
    jem__mover mover = mover_of("sampler.noise=0.3 sampler.step_size=0.2");
    for (int i = 0; i < BIG; i++) x[i] = 5;
    for (int s = 0; s < 60; s++) {
        memcpy(dx, x, sizeof dx);
        OK(jem__mover_step(&mover, 1, s, BIG, x, dx, 0));
        if (s == 4) {
            moments(x, BIG, &mean, &variance);
            ck_assert_double_eq_tol(mean, 5 * pow(1 - step, 5), 0.03);
        }
    }
    moments(x, BIG, &mean, &variance);
    ck_assert_double_eq_tol(mean, 0, 4 * sqrt(expected / BIG));
    ck_assert_double_eq_tol(variance, expected, 4 * expected * sqrt(2.0 / BIG));
}
END_TEST

START_TEST(divergence_is_named)
{
    /* Clamps must not hide an infinite gradient. */
    jem__mover mover = mover_of("sampler.gradient_clamp=1 sampler.clamp=1");
    float x[40] = {0}, dx[40] = {0};
    FAILS(JEM_ERROR_DIVERGED, jem__mover_step(&mover, 12, 3, 40, x, dx, NAN), "chain 12, step 3");
    FAILS(JEM_ERROR_DIVERGED, jem__mover_step(&mover, 12, 3, 40, x, dx, -INFINITY), "energy");
    for (int at = 0; at < 40; at++) {
        memset(x, 0, sizeof x);
        dx[at] = at % 2 ? NAN : INFINITY;
        FAILS(JEM_ERROR_DIVERGED, jem__mover_step(&mover, 1, 4, 40, x, dx, 0), "chain 1, step 4");
        dx[at] = 0;
    }
    memset(x, 0, sizeof x);
    OK(jem__mover_step(&mover, 1, 4, 40, x, dx, 0));
    /* A finite gradient that throws the image out of the numbers. */
    mover = mover_of("sampler.step_size=1e6");
    dx[39] = 3e38f;
    FAILS(JEM_ERROR_DIVERGED, jem__mover_step(&mover, 1, 4, 40, x, dx, 0), "not finite");
}
END_TEST

TESTS("langevin", without_noise, noise_has_its_moments_and_address, noise_before_or_after_the_box,
      quadratic_energy, divergence_is_named)
