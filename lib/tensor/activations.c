/* Kernels on activations; compiled once for each instruction set and element type. */
#include "tensor/element.h"

/* Element i of a jem__real *depends on element i of its sources alone, also in place. */
#ifdef __clang__
#define INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define INDEPENDENT _Pragma("GCC ivdep")
#endif

/* ---- Element by element ---- */

static void leaky_relu(const jem__real *x, jem__real *y, int64_t n, float slope)
{
    INDEPENDENT
    for (int64_t i = 0; i < n; i++) {
        float v = load(x[i]);
        y[i] = store(v > 0 ? v : slope * v);
    }
}

/* Defined in kernels.c: the compiler folds a range that it knows into all that follows, three
   times over. */
extern const float jem__exponential_range[2];

/* exp(x) = 2^k e^r with |r| <= ln2/2 and a polynomial for e^r (relative error below
   2e-7); no libm, so that it vectorises and has the same bits everywhere. */
static inline float exponential(float x)
{
    const float low = jem__exponential_range[0], high = jem__exponential_range[1],
                round = 12582912.0f; /* 1.5 * 2^23 */
    x = x < low ? low : x > high ? high : x;
    float shifted = x * 1.44269504f + round; /* k in its lowest bits */
    float k = shifted - round;
    float r = (x - k * 0.693359375f) - k * -2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    uint32_t bits; /* no conversion to an integer: x may be NaN */
    float scale;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 127) << 23;
    memcpy(&scale, &bits, sizeof scale);
    return p * scale;
}

static inline float sigmoid(float x)
{
    return 1.0f / (1.0f + exponential(-x));
}

static void silu(const jem__real *x, jem__real *y, int64_t n)
{
    INDEPENDENT
    for (int64_t i = 0; i < n; i++) {
        float v = load(x[i]);
        y[i] = store(v * sigmoid(v));
    }
}

static void silu_keep(const jem__real *x, jem__real *y, jem__real *d, int64_t n)
{
    INDEPENDENT
    for (int64_t i = 0; i < n; i++) {
        float v = load(x[i]), s = sigmoid(v);
        y[i] = store(v * s);
        d[i] = store(s + v * s * (1.0f - s));
    }
}

static void leaky_relu_back(const jem__real *y, const jem__real *dy, jem__real *dx, int64_t n,
                            float slope)
{
    INDEPENDENT
    for (int64_t i = 0; i < n; i++) dx[i] = store(load(dy[i]) * (load(y[i]) > 0 ? 1.0f : slope));
}

static void leaky_relu_back_add(const jem__real *y, const jem__real *dy, const jem__real *g,
                                jem__real *dx, int64_t n, float slope)
{
    INDEPENDENT
    for (int64_t i = 0; i < n; i++)
        dx[i] = store(load(g[i]) + load(dy[i]) * (load(y[i]) > 0 ? 1.0f : slope));
}

static void add(const jem__real *a, const jem__real *b, jem__real *out, int64_t n)
{
    INDEPENDENT
    for (int64_t i = 0; i < n; i++) out[i] = store(load(a[i]) + load(b[i]));
}

static void widen(const jem__real *x, float *y, int64_t n)
{
    INDEPENDENT
    for (int64_t i = 0; i < n; i++) y[i] = load(x[i]);
}

static void narrow(const float *x, jem__real *y, int64_t n)
{
    INDEPENDENT
    for (int64_t i = 0; i < n; i++) y[i] = store(x[i]);
}

static void split(const float *x, jem__real *y, jem__real *rest, int64_t n)
{
    narrow(x, y, n);
    INDEPENDENT
    for (int64_t i = 0; rest && i < n; i++) rest[i] = store(x[i] - load(y[i]));
}

static void accumulate(const jem__real *x, float *sum, int64_t n)
{
    INDEPENDENT
    for (int64_t i = 0; i < n; i++) sum[i] += load(x[i]);
}

static void join(const jem__real *x, const jem__real *rest, float *y, int64_t n)
{
    widen(x, y, n);
    if (rest) accumulate(rest, y, n);
}

static void add_rests(const jem__real *const x[4], jem__real *sum, jem__real *rest, int64_t n)
{
    enum { PIECE = 512 };
    float s[PIECE];
    for (int64_t from = 0; from < n; from += PIECE) {
        int64_t here = n - from < PIECE ? n - from : PIECE;
        for (int64_t i = 0; i < here; i++) s[i] = load(x[0][from + i]) + load(x[1][from + i]);
        for (int k = 2; k < 4; k++)
            if (x[k]) accumulate(x[k] + from, s, here);
        split(s, sum + from, rest ? rest + from : NULL, here);
    }
}

static void multiply(const jem__real *a, const jem__real *b, jem__real *out, int64_t n)
{
    INDEPENDENT
    for (int64_t i = 0; i < n; i++) out[i] = store(load(a[i]) * load(b[i]));
}

static void multiply_add(const jem__real *a, const jem__real *b, const jem__real *g, jem__real *out,
                         int64_t n)
{
    INDEPENDENT
    for (int64_t i = 0; i < n; i++) out[i] = store(load(g[i]) + load(a[i]) * load(b[i]));
}

static void scale(const jem__real *a, const float *factor, jem__real *out, int64_t n)
{
    INDEPENDENT
    for (int64_t i = 0; i < n; i++) out[i] = store(load(a[i]) * factor[i]);
}

/* ---- By channel ---- */

/* Channels of block j that exist: the last block may be padded. */
static int64_t live(const jem__blocked *m, int64_t j)
{
    int64_t left = m->c - j * m->b;
    return left < m->b ? left : m->b;
}

static int64_t blocks(const jem__blocked *m)
{
    return (m->c + m->b - 1) / m->b;
}

/* Where block j of image i begins. */
static int64_t block_at(const jem__blocked *m, int64_t i, int64_t j)
{
    return (i * blocks(m) + j) * m->s * m->b;
}

/* A padded block is zero beyond its channels. */
static void clear_padding(const jem__blocked *m, int64_t here, jem__real *block)
{
    if (here < m->b) memset(block, 0, (size_t)(m->s * m->b) * sizeof *block);
}

static void channel_mean(const jem__blocked *m, const jem__real *x, float *mean)
{
    for (int64_t i = 0; i < m->n; i++)
        for (int64_t j = 0; j < blocks(m); j++) {
            const jem__real *at = x + block_at(m, i, j);
            int64_t here = live(m, j);
            float *out = mean + i * m->c + j * m->b;
            INDEPENDENT
            for (int64_t c = 0; c < here; c++) out[c] = 0;
            for (int64_t p = 0; p < m->s; p++, at += m->b) INDEPENDENT
            for (int64_t c = 0; c < here; c++) out[c] += load(at[c]);
            INDEPENDENT
            for (int64_t c = 0; c < here; c++) out[c] /= (float)m->s;
        }
}

static void channel_mean_back(const jem__blocked *m, const float *dmean, jem__real *dx)
{
    for (int64_t i = 0; i < m->n; i++)
        for (int64_t j = 0; j < blocks(m); j++) {
            jem__real *at = dx + block_at(m, i, j);
            int64_t here = live(m, j);
            const float *in = dmean + i * m->c + j * m->b;
            clear_padding(m, here, at);
            for (int64_t p = 0; p < m->s; p++, at += m->b) INDEPENDENT
            for (int64_t c = 0; c < here; c++) at[c] = store(in[c] / (float)m->s);
        }
}

static void channel_affine(const jem__blocked *m, const jem__real *x, const float *center,
                           const float *factor, const float *shift, jem__real *y)
{
    for (int64_t i = 0; i < m->n; i++)
        for (int64_t j = 0; j < blocks(m); j++) {
            int64_t here = live(m, j), at = block_at(m, i, j);
            const float *o = center + j * m->b, *a = factor + j * m->b, *k = shift + j * m->b;
            clear_padding(m, here, y + at);
            if (m->b == 1) INDEPENDENT
            for (int64_t p = 0; p < m->s; p++)
                y[at + p] = store((load(x[at + p]) - o[0]) * a[0] + k[0]);
            else for (int64_t p = 0; p < m->s; p++, at += m->b)
                INDEPENDENT for (int64_t c = 0; c < here; c++) y[at + c] =
                    store((load(x[at + c]) - o[c]) * a[c] + k[c]);
        }
}

/* Sums of up to 64 channels at a time in double: enough for any layout's block,
   NHWC in pieces. */
enum { LANES = 64 };

static void channel_moments(const jem__blocked *m, const jem__real *x, double *mean, double *m2)
{
    double total = (double)(m->n * m->s);
    for (int64_t j = 0; j < blocks(m); j++)
        for (int64_t from = 0; from < live(m, j); from += LANES) {
            int64_t here = live(m, j) - from < LANES ? live(m, j) - from : LANES;
            double sum[LANES] = {0}, squares[LANES] = {0}, *center = mean + j * m->b + from;
            for (int64_t i = 0; i < m->n; i++) {
                const jem__real *at = x + block_at(m, i, j) + from;
                for (int64_t p = 0; p < m->s; p++, at += m->b) INDEPENDENT
                for (int64_t c = 0; c < here; c++) sum[c] += (double)load(at[c]);
            }
            INDEPENDENT
            for (int64_t c = 0; c < here; c++) center[c] = sum[c] / total;
            for (int64_t i = 0; i < m->n; i++) {
                const jem__real *at = x + block_at(m, i, j) + from;
                for (int64_t p = 0; p < m->s; p++, at += m->b) INDEPENDENT
                for (int64_t c = 0; c < here; c++) {
                    double d = (double)load(at[c]) - center[c];
                    squares[c] += d * d;
                }
            }
            INDEPENDENT
            for (int64_t c = 0; c < here; c++) m2[j * m->b + from + c] = squares[c];
        }
}

static void channel_sums(const jem__blocked *m, const jem__real *x, const jem__real *dy,
                         const float *mean, const float *inverse, double *sum, double *dot)
{
    for (int64_t j = 0; j < blocks(m); j++)
        for (int64_t from = 0; from < live(m, j); from += LANES) {
            int64_t here = live(m, j) - from < LANES ? live(m, j) - from : LANES;
            int64_t first = j * m->b + from;
            double s[LANES] = {0}, d[LANES] = {0};
            for (int64_t i = 0; i < m->n; i++) {
                int64_t at = block_at(m, i, j) + from;
                for (int64_t p = 0; p < m->s; p++, at += m->b) INDEPENDENT
                for (int64_t c = 0; c < here; c++) {
                    double g = (double)load(dy[at + c]);
                    s[c] += g;
                    d[c] += g * ((double)load(x[at + c]) - (double)mean[first + c]);
                }
            }
            INDEPENDENT
            for (int64_t c = 0; c < here; c++) {
                sum[first + c] = s[c];
                dot[first + c] = d[c] * (double)inverse[first + c];
            }
        }
}

static void channel_gradient(const jem__blocked *m, const jem__real *x, const jem__real *dy,
                             const float *mean, const float *a, const float *b, const float *k,
                             jem__real *dx)
{
    for (int64_t i = 0; i < m->n; i++)
        for (int64_t j = 0; j < blocks(m); j++) {
            int64_t here = live(m, j), at = block_at(m, i, j), first = j * m->b;
            clear_padding(m, here, dx + at);
            for (int64_t p = 0; p < m->s; p++, at += m->b) INDEPENDENT
            for (int64_t c = 0; c < here; c++)
                dx[at + c] =
                    store(load(dy[at + c]) * a[first + c] +
                          (load(x[at + c]) - mean[first + c]) * b[first + c] + k[first + c]);
        }
}

#include "tensor/windows_parts.h"

extern const jem__activations JEM__TABLE;
const jem__activations JEM__TABLE = {
    .leaky_relu = leaky_relu,
    .silu = silu,
    .silu_keep = silu_keep,
    .leaky_relu_back = leaky_relu_back,
    .leaky_relu_back_add = leaky_relu_back_add,
    .add = add,
    .add_rests = add_rests,
    .split = split,
    .join = join,
    .multiply = multiply,
    .multiply_add = multiply_add,
    .scale = scale,
    .channel_mean = channel_mean,
    .channel_mean_back = channel_mean_back,
    .channel_affine = channel_affine,
    .channel_moments = channel_moments,
    .channel_sums = channel_sums,
    .channel_gradient = channel_gradient,
    .max_pool = max_pool,
    .average_pool = average_pool,
    .pool_back = pool_back,
    .widen = widen,
    .narrow = narrow,
};
