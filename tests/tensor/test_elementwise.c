/* Element-wise kernels against plain double arithmetic, in every block layout. */
#include "base/random.h"
#include "helpers.h"
#include "tensor/elementwise.h"
#include <math.h>

enum { N = 1003 };

static void fill(float *x, int64_t n, uint64_t index, float range)
{
    jem__random r;
    jem__random_at(&r, 1, 99, 0, index, 0);
    jem__random_fill_uniform(&r, -range, range, x, n);
}

START_TEST(activations)
{
    float x[N], dy[N], y[N], dx[N];
    fill(x, N, 0, 30);
    fill(dy, N, 1, 2);
    x[0] = 0;
    x[1] = -100;
    x[2] = 100;
    jem__leaky_relu(x, y, N, 0.2f);
    jem__leaky_relu_backward(x, dy, dx, N, 0.2f);
    for (int i = 0; i < N; i++) {
        ck_assert_float_eq(y[i], x[i] > 0 ? x[i] : 0.2f * x[i]);
        ck_assert_float_eq(dx[i], x[i] > 0 ? dy[i] : dy[i] * 0.2f);
    }
    jem__silu(x, y, N);
    jem__silu_backward(x, dy, dx, N);
    for (int i = 0; i < N; i++) {
        double s = 1 / (1 + exp(-(double)x[i])), d = s + (double)x[i] * s * (1 - s);
        ck_assert_double_eq_tol((double)y[i], (double)x[i] * s, 1e-6 * (1 + fabs((double)x[i])));
        ck_assert_double_eq_tol((double)dx[i], (double)dy[i] * d, 3e-6);
    }
}
END_TEST

START_TEST(sums_and_products)
{
    float a[N], b[N], out[N];
    fill(a, N, 2, 1);
    fill(b, N, 3, 1);
    jem__add(a, b, out, N);
    for (int i = 0; i < N; i++) ck_assert_float_eq(out[i], a[i] + b[i]);
    jem__multiply_into(a, b, out, N);
    for (int i = 0; i < N; i++) ck_assert_float_eq(out[i], a[i] * b[i]);
    jem__multiply_add(a, b, out, N);
    for (int i = 0; i < N; i++) ck_assert_float_eq_tol(out[i], 2 * a[i] * b[i], 1e-6f);
}
END_TEST

/* 3 images of 11 channels and 5 pixels: as NCHW, NHWC and in blocks of 8 and 16. */
enum { IMAGES = 3, CHANNELS = 11, PIXELS = 5, ROOM = IMAGES * 16 * PIXELS };
static const int64_t block_sizes[] = {1, CHANNELS, 8, 16};

static int64_t at(const jem__blocked *m, int64_t n, int64_t c, int64_t s)
{
    int64_t count = (m->c + m->b - 1) / m->b;
    return ((n * count + c / m->b) * m->s + s) * m->b + c % m->b;
}

static jem__blocked spread(int64_t block, const float *plain, float *out)
{
    jem__blocked m = {IMAGES, CHANNELS, PIXELS, block};
    memset(out, 0, ROOM * sizeof *out);
    for (int64_t n = 0; n < IMAGES; n++)
        for (int64_t c = 0; c < CHANNELS; c++)
            for (int64_t s = 0; s < PIXELS; s++)
                out[at(&m, n, c, s)] = plain[(n * CHANNELS + c) * PIXELS + s];
    return m;
}

/* Elements beyond the channels stay zero: convolutions read them. */
static void check_padding(const jem__blocked *m, const float *x)
{
    for (int64_t n = 0; n < IMAGES; n++)
        for (int64_t c = CHANNELS; c < (CHANNELS + m->b - 1) / m->b * m->b; c++)
            for (int64_t s = 0; s < PIXELS; s++) ck_assert_float_eq(x[at(m, n, c, s)], 0);
}

START_TEST(channel_mean)
{
    float plain[ROOM], x[ROOM], mean[IMAGES * CHANNELS], back[ROOM];
    fill(plain, ROOM, 4, 1);
    for (int k = 0; k < 4; k++) {
        jem__blocked m = spread(block_sizes[k], plain, x);
        jem__channel_mean(&m, x, mean);
        memset(back, 0xff, sizeof back);
        jem__channel_mean_backward(&m, mean, back);
        check_padding(&m, back);
        for (int64_t n = 0; n < IMAGES; n++)
            for (int64_t c = 0; c < CHANNELS; c++) {
                double sum = 0;
                for (int64_t s = 0; s < PIXELS; s++)
                    sum += (double)plain[(n * CHANNELS + c) * PIXELS + s];
                float got = mean[n * CHANNELS + c];
                ck_assert_double_eq_tol((double)got, sum / PIXELS, 1e-6);
                ck_assert_float_eq(back[at(&m, n, c, 3)], got / PIXELS);
            }
    }
}
END_TEST

START_TEST(channel_statistics)
{
    float plain[ROOM], gradient[ROOM], x[ROOM], dy[ROOM], dx[ROOM], y[ROOM];
    float a[CHANNELS], b[CHANNELS], k[CHANNELS], center[CHANNELS];
    fill(plain, ROOM, 5, 1);
    fill(gradient, ROOM, 6, 1);
    fill(a, CHANNELS, 7, 1);
    fill(b, CHANNELS, 8, 1);
    fill(k, CHANNELS, 9, 1);
    fill(center, CHANNELS, 10, 1);
    for (int i = 0; i < 4; i++) {
        double mean[CHANNELS], m2[CHANNELS], sum[CHANNELS], dot[CHANNELS];
        jem__blocked m = spread(block_sizes[i], gradient, dy);
        spread(block_sizes[i], plain, x);
        jem__channel_moments(&m, x, mean, m2);
        jem__channel_sums(&m, x, dy, center, a, sum, dot);
        memset(dx, 0xff, sizeof dx);
        memset(y, 0xff, sizeof y);
        jem__channel_gradient(&m, x, dy, center, a, b, k, dx);
        jem__channel_affine(&m, x, center, a, k, y);
        check_padding(&m, dx);
        check_padding(&m, y);
        for (int64_t c = 0; c < CHANNELS; c++) {
            double s1 = 0, s2 = 0, sd = 0, sxd = 0, count = IMAGES * PIXELS;
            for (int64_t j = 0; j < IMAGES * PIXELS; j++) {
                int64_t from = (j / PIXELS * CHANNELS + c) * PIXELS + j % PIXELS;
                int64_t to = at(&m, j / PIXELS, c, j % PIXELS);
                double v = (double)plain[from], d = (double)gradient[from];
                s1 += v;
                s2 += v * v;
                sd += d;
                sxd += d * (v - (double)center[c]) * (double)a[c];
                double want =
                    d * (double)a[c] + (v - (double)center[c]) * (double)b[c] + (double)k[c];
                ck_assert_double_eq_tol((double)dx[to], want, 1e-6);
                want = (v - (double)center[c]) * (double)a[c] + (double)k[c];
                ck_assert_double_eq_tol((double)y[to], want, 1e-6);
            }
            ck_assert_double_eq_tol(mean[c], s1 / count, 1e-12);
            ck_assert_double_eq_tol(m2[c], s2 - s1 * s1 / count, 1e-10);
            ck_assert_double_eq_tol(sum[c], sd, 1e-10);
            ck_assert_double_eq_tol(dot[c], sxd, 1e-10);
        }
    }
}
END_TEST

TESTS("elementwise", activations, sums_and_products, channel_mean, channel_statistics)
