/* Kernels against plain double arithmetic, in every block layout and element type;
   every instruction set's bits against the plain ones. */
#include "base/random.h"
#include "helpers.h"
#include "tensor/kernels.h"
#include <math.h>

enum { N = 1003 };

/* The kernels and element type under test, and its rounding error. */
static const jem__activations *k;
static int32_t type;
static double rounding;

static void choose(int32_t isa, int32_t element)
{
    k = jem__activations_of(isa, element);
    type = element;
    rounding = element == JEM__BF16 ? 1.0 / 256 : 1.2e-7;
}

/* Runs body for each instruction set that this CPU has, and each type. */
#define EACH_VARIANT                                                                               \
    for (int32_t isa = 0; isa < JEM__ISA_COUNT; isa++)                                             \
        for (int32_t element = 0; jem__isa_runs(isa) && element < JEM__TYPES; element++)           \
            if (choose(isa, element), 1)

static void fill(float *x, int64_t n, uint64_t index, float range)
{
    jem__random r;
    jem__random_at(&r, 1, 99, 0, index, 0);
    jem__kernels_here()->fill_uniform(&r, -range, range, x, n);
}

/* x to elements, and x itself to what they hold. */
static void *to_elements(float *x, void *elements, int64_t n)
{
    k->narrow(x, elements, n);
    k->widen(elements, x, n);
    return elements;
}

static void close_to(float got, double want, double size)
{
    ck_assert_double_eq_tol((double)got, want, rounding * (fabs(want) + size) + 1e-12);
}

START_TEST(types_convert)
{
    static const struct {
        uint32_t from, to;
    } cases[] = {{0x3F800000, 0x3F80}, {0x3F808000, 0x3F80}, /* a tie to even */
                 {0x3F818000, 0x3F82}, {0x3F808001, 0x3F81}, {0x7F7FFFFF, 0x7F80},
                 {0xFF800000, 0xFF80}, {0x80000000, 0x8000}};
    EACH_VARIANT
    {
        for (int i = 0; i < 7 && element == JEM__BF16; i++) {
            float f;
            uint16_t out;
            memcpy(&f, &cases[i].from, sizeof f);
            k->narrow(&f, (void *)&out, 1);
            ck_assert_uint_eq(out, cases[i].to);
        }
        float nan, many[40], back[40];
        uint32_t bits = 0x7FFFFFFF;
        memcpy(&nan, &bits, sizeof nan);
        for (int i = 0; i < 40; i++) many[i] = nan;
        float room[40];
        k->widen(to_elements(many, room, 40), back, 40);
        for (int i = 0; i < 40; i++) ck_assert(isnan(back[i]));
    }
}
END_TEST

START_TEST(element_by_element)
{
    EACH_VARIANT
    {
        float x[N], dy[N], g[N], fx[N], fdy[N], fg[N], y[N], out[N], got[N];
        fill(x, N, 0, 30);
        fill(dy, N, 1, 2);
        fill(g, N, 2, 1);
        x[0] = 0;
        x[1] = -100;
        x[2] = 100;
        void *ex = to_elements(x, fx, N), *edy = to_elements(dy, fdy, N);
        void *eg = to_elements(g, fg, N), *ey = y, *eout = out;
        k->leaky_relu(ex, ey, N, 0.2f);
        k->widen(ey, got, N);
        for (int i = 0; i < N; i++)
            close_to(got[i], x[i] > 0 ? (double)x[i] : 0.2 * (double)x[i], 0);
        k->leaky_relu_back(ey, edy, eout, N, 0.2f);
        k->widen(eout, got, N);
        for (int i = 0; i < N; i++) close_to(got[i], (x[i] > 0 ? 1 : 0.2) * (double)dy[i], 0);
        k->leaky_relu_back_add(ey, edy, eg, eout, N, 0.2f);
        k->widen(eout, got, N);
        for (int i = 0; i < N; i++)
            close_to(got[i], (x[i] > 0 ? 1 : 0.2) * (double)dy[i] + (double)g[i], 1);
        k->add(ex, edy, eout, N);
        k->widen(eout, got, N);
        for (int i = 0; i < N; i++) close_to(got[i], (double)x[i] + (double)dy[i], 0);
        k->multiply(ex, edy, eout, N);
        k->widen(eout, got, N);
        for (int i = 0; i < N; i++) close_to(got[i], (double)x[i] * (double)dy[i], 0);
        k->multiply_add(ex, edy, eg, eout, N);
        k->widen(eout, got, N);
        for (int i = 0; i < N; i++)
            close_to(got[i], (double)x[i] * (double)dy[i] + (double)g[i], 1);
        k->scale(ex, dy, eout, N);
        k->widen(eout, got, N);
        for (int i = 0; i < N; i++) close_to(got[i], (double)x[i] * (double)dy[i], 0);
    }
}
END_TEST

START_TEST(silu)
{
    EACH_VARIANT
    {
        float x[N], fx[N], y[N], again[N], d[N], gy[N], gd[N];
        fill(x, N, 0, 30);
        x[1] = -100;
        x[2] = 100;
        void *ex = to_elements(x, fx, N);
        k->silu(ex, (void *)y, N);
        k->silu_keep(ex, (void *)again, (void *)d, N);
        ck_assert_mem_eq(y, again, (size_t)(N * jem__type_size(type)));
        k->widen((void *)y, gy, N);
        k->widen((void *)d, gd, N);
        for (int i = 0; i < N; i++) {
            double s = 1 / (1 + exp(-(double)x[i])), v = (double)x[i];
            ck_assert_double_eq_tol((double)gy[i], v * s, 1e-6 + 4 * rounding * fabs(v * s));
            ck_assert_double_eq_tol((double)gd[i], s + v * s * (1 - s), 2e-6 + rounding);
        }
        x[0] = NAN; /* stays one */
        k->silu_keep(to_elements(x, fx, N), (void *)y, (void *)d, N);
        k->widen((void *)y, gy, N);
        k->widen((void *)d, gd, N);
        ck_assert(isnan(gy[0]) && isnan(gd[0]));
    }
}
END_TEST

/* Where a result is one of the sources, as plans do. */
START_TEST(in_place)
{
    EACH_VARIANT
    {
        float x[N], dy[N], fx[N], fdy[N], apart[N], y[N];
        fill(x, N, 0, 3);
        fill(dy, N, 1, 2);
        void *ex = to_elements(x, fx, N), *edy = to_elements(dy, fdy, N), *ey = y, *ea = apart;
        size_t bytes = (size_t)(N * jem__type_size(type));
        k->multiply_add(ex, edy, edy, ea, N);
        memcpy(y, edy, bytes);
        k->multiply_add(ex, ey, ey, ey, N);
        ck_assert_mem_eq(y, apart, bytes);
        k->leaky_relu_back_add(ex, edy, edy, ea, N, 0.2f);
        memcpy(y, edy, bytes);
        k->leaky_relu_back_add(ex, ey, ey, ey, N, 0.2f);
        ck_assert_mem_eq(y, apart, bytes);
    }
}
END_TEST

/* With what rounding took, a number has twice as many bits; sums keep them, also in place. */
START_TEST(rests)
{
    EACH_VARIANT
    {
        float x[N], y[N], f[4][N], sum[N], rest[N], back[N], place[2][N];
        double twice = type == JEM__BF16 ? rounding * rounding : rounding;
        fill(x, N, 0, 30);
        fill(y, N, 1, 2);
        void *e[4] = {f[0], f[1], f[2], f[3]}, *es = sum, *er = rest, *ep[2] = {place[0], place[1]};
        k->split(x, e[0], e[2], N);
        k->split(y, e[1], e[3], N);
        k->join(e[0], e[2], back, N);
        for (int i = 0; i < N; i++)
            ck_assert_double_eq_tol((double)back[i], (double)x[i], twice * fabs((double)x[i]));
        k->join(e[0], NULL, back, N);
        for (int i = 0; i < N; i++) close_to(back[i], (double)x[i], 0);

        k->add_rests((const jem__real *[]){e[0], e[1], e[2], e[3]}, es, er, N);
        k->join(es, er, back, N);
        for (int i = 0; i < N; i++)
            ck_assert_double_eq_tol((double)back[i], (double)x[i] + (double)y[i],
                                    4 * twice * (fabs((double)x[i]) + fabs((double)y[i])));
        size_t bytes = (size_t)(N * jem__type_size(type));
        memcpy(ep[0], e[0], bytes);
        memcpy(ep[1], e[2], bytes);
        k->add_rests((const jem__real *[]){ep[0], e[1], ep[1], e[3]}, ep[0], ep[1], N);
        ck_assert_mem_eq(ep[0], es, bytes);
        ck_assert_mem_eq(ep[1], er, bytes);

        /* Without rests it is a sum as any other. */
        k->add_rests((const jem__real *[]){e[0], e[1], NULL, NULL}, es, NULL, N);
        k->add(e[0], e[1], ep[0], N);
        ck_assert_mem_eq(ep[0], es, bytes);
    }
}
END_TEST

/* 3 images of 19 channels and 5 pixels: as NCHW, NHWC and in blocks of 8 and 16. */
enum { IMAGES = 3, CHANNELS = 19, PIXELS = 5, ROOM = IMAGES * 32 * PIXELS };
static const int64_t block_sizes[] = {1, CHANNELS, 8, 16};

static int64_t padded(const jem__blocked *m)
{
    return (m->c + m->b - 1) / m->b * m->b;
}

static int64_t at(const jem__blocked *m, int64_t n, int64_t c, int64_t s)
{
    return ((n * padded(m) / m->b + c / m->b) * m->s + s) * m->b + c % m->b;
}

/* plain images to elements in a layout; plain itself to what those hold. */
static jem__blocked spread(int64_t block, float *plain, void *out)
{
    jem__blocked m = {IMAGES, CHANNELS, PIXELS, block};
    float wide[ROOM] = {0}, room[ROOM];
    to_elements(plain, room, IMAGES * CHANNELS * PIXELS);
    for (int64_t n = 0; n < IMAGES; n++)
        for (int64_t c = 0; c < CHANNELS; c++)
            for (int64_t s = 0; s < PIXELS; s++)
                wide[at(&m, n, c, s)] = plain[(n * CHANNELS + c) * PIXELS + s];
    k->narrow(wide, out, ROOM);
    return m;
}

/* Elements to floats. Those beyond the channels stay zero: convolutions read them. */
static void gather(const jem__blocked *m, const void *elements, float *x)
{
    k->widen(elements, x, IMAGES * padded(m) * PIXELS);
    for (int64_t n = 0; n < IMAGES; n++)
        for (int64_t c = CHANNELS; c < padded(m); c++)
            for (int64_t s = 0; s < PIXELS; s++) ck_assert_float_eq(x[at(m, n, c, s)], 0);
}

START_TEST(channel_mean)
{
    float plain[ROOM], x[ROOM], mean[IMAGES * CHANNELS], back[ROOM], wide[ROOM];
    EACH_VARIANT
    {
        for (int b = 0; b < 4; b++) {
            fill(plain, ROOM, 4, 1);
            jem__blocked m = spread(block_sizes[b], plain, x);
            k->channel_mean(&m, (void *)x, mean);
            memset(back, 0x11, sizeof back);
            k->channel_mean_back(&m, mean, (void *)back);
            gather(&m, back, wide);
            for (int64_t n = 0; n < IMAGES; n++)
                for (int64_t c = 0; c < CHANNELS; c++) {
                    double sum = 0;
                    for (int64_t s = 0; s < PIXELS; s++)
                        sum += (double)plain[(n * CHANNELS + c) * PIXELS + s];
                    float got = mean[n * CHANNELS + c];
                    ck_assert_double_eq_tol((double)got, sum / PIXELS, 1e-6);
                    close_to(wide[at(&m, n, c, 3)], (double)got / PIXELS, 0);
                }
        }
    }
}
END_TEST

static void check_channel(const jem__blocked *m, int64_t c, const float *plain,
                          const float *gradient, const float *p, const float *dx, const float *y,
                          const double *sums)
{
    double s1 = 0, s2 = 0, sd = 0, sxd = 0, count = IMAGES * PIXELS;
    double a = (double)p[c], b = (double)p[CHANNELS + c], shift = (double)p[2 * CHANNELS + c];
    double center = (double)p[3 * CHANNELS + c];
    for (int64_t j = 0; j < IMAGES * PIXELS; j++) {
        int64_t from = (j / PIXELS * CHANNELS + c) * PIXELS + j % PIXELS;
        int64_t to = at(m, j / PIXELS, c, j % PIXELS);
        double v = (double)plain[from], d = (double)gradient[from];
        s1 += v;
        s2 += v * v;
        sd += d;
        sxd += d * (v - center) * a;
        close_to(dx[to], d * a + (v - center) * b + shift, 2);
        close_to(y[to], (v - center) * a + shift, 2);
    }
    ck_assert_double_eq_tol(sums[c], s1 / count, 1e-12);
    ck_assert_double_eq_tol(sums[CHANNELS + c], s2 - s1 * s1 / count, 1e-10);
    ck_assert_double_eq_tol(sums[2 * CHANNELS + c], sd, 1e-10);
    ck_assert_double_eq_tol(sums[3 * CHANNELS + c], sxd, 1e-10);
}

START_TEST(channel_statistics)
{
    float plain[ROOM], gradient[ROOM], x[ROOM], dy[ROOM], out[ROOM], dx[ROOM], y[ROOM];
    float p[4 * CHANNELS], *center = p + 3 * CHANNELS; /* a, b, shift, center */
    fill(p, 4 * CHANNELS, 7, 1);
    EACH_VARIANT
    {
        for (int i = 0; i < 4; i++) {
            double sums[4 * CHANNELS]; /* mean, m2, sum, dot */
            fill(plain, ROOM, 5, 1);
            fill(gradient, ROOM, 6, 1);
            jem__blocked m = spread(block_sizes[i], gradient, dy);
            spread(block_sizes[i], plain, x);
            k->channel_moments(&m, (void *)x, sums, sums + CHANNELS);
            k->channel_sums(&m, (void *)x, (void *)dy, center, p, sums + 2 * CHANNELS,
                            sums + 3 * CHANNELS);
            memset(out, 0x11, sizeof out);
            k->channel_gradient(&m, (void *)x, (void *)dy, center, p, p + CHANNELS,
                                p + 2 * CHANNELS, (void *)out);
            gather(&m, out, dx);
            memset(out, 0x11, sizeof out);
            k->channel_affine(&m, (void *)x, center, p, p + 2 * CHANNELS, (void *)out);
            gather(&m, out, y);
            for (int64_t c = 0; c < CHANNELS; c++)
                check_channel(&m, c, plain, gradient, p, dx, y, sums);
        }
    }
}
END_TEST

/* Windows of 3 pixels, 2 apart, on rows of 5 with one more on either side. */
enum { PLACES = 3 };

static void check_windows(const jem__blocked *m, const float *plain, const float *gradient,
                          const float *largest, const float *mean, const uint8_t *index,
                          const float *largest_back, const float *mean_back)
{
    jem__blocked out = *m;
    out.s = PLACES;
    for (int64_t n = 0; n < IMAGES * CHANNELS; n++) {
        double back[2][PIXELS] = {{0}};
        int64_t i = n / CHANNELS, c = n % CHANNELS;
        for (int64_t o = 0; o < PLACES; o++) {
            int64_t best = -1, to = at(&out, i, c, o);
            double sum = 0, d = (double)gradient[n * PLACES + o];
            for (int64_t x = 2 * o - 1; x < 2 * o + 2; x++) {
                if (x < 0 || x >= PIXELS) continue;
                sum += (double)plain[n * PIXELS + x];
                if (best < 0 || plain[n * PIXELS + x] > plain[n * PIXELS + best]) best = x;
                back[1][x] += d / 9;
            }
            back[0][best] += d;
            ck_assert_float_eq(largest[to], plain[n * PIXELS + best]);
            close_to(mean[to], sum / 9, 1);
            ck_assert_int_eq(index[to], 3 + best - (2 * o - 1));
        }
        for (int64_t x = 0; x < PIXELS; x++) {
            close_to(largest_back[at(m, i, c, x)], back[0][x], 1);
            close_to(mean_back[at(m, i, c, x)], back[1][x], 1);
        }
    }
}

START_TEST(windows)
{
    const jem__windows w = {1, PIXELS, 1, PLACES, 3, 2, 1};
    float plain[ROOM], gradient[ROOM], x[ROOM], dy[ROOM] = {0}, out[ROOM], wide[ROOM] = {0};
    float results[4][ROOM];
    uint8_t index[ROOM];
    EACH_VARIANT
    {
        for (int b = 0; b < 4; b++) {
            fill(plain, ROOM, 8, 1);
            fill(gradient, ROOM, 9, 1);
            jem__blocked m = spread(block_sizes[b], plain, x), small = m;
            small.s = PLACES;
            to_elements(gradient, out, IMAGES * CHANNELS * PLACES);
            memset(wide, 0, sizeof wide);
            for (int64_t n = 0; n < IMAGES * CHANNELS * PLACES; n++)
                wide[at(&small, n / PLACES / CHANNELS, n / PLACES % CHANNELS, n % PLACES)] =
                    gradient[n];
            k->narrow(wide, (void *)dy, ROOM);
            k->max_pool(&m, &w, (void *)x, (void *)out, index);
            k->widen((void *)out, results[0], IMAGES * padded(&m) * PLACES);
            k->average_pool(&m, &w, (void *)x, (void *)out);
            k->widen((void *)out, results[1], IMAGES * padded(&m) * PLACES);
            k->pool_back(&m, &w, (void *)dy, index, (void *)out);
            gather(&m, out, results[2]);
            k->pool_back(&m, &w, (void *)dy, NULL, (void *)out);
            gather(&m, out, results[3]);
            check_windows(&m, plain, gradient, results[0], results[1], index, results[2],
                          results[3]);
        }
    }
}
END_TEST

TESTS("activations", types_convert, element_by_element, silu, in_place, rests, channel_mean,
      channel_statistics, windows)
