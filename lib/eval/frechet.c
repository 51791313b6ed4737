/* Frechet distance and inception score: samples as a whole against data as a whole.

   The distance between two Gaussians (Heusel et al. 2017, equation 6) is
     |ma - mb|^2 + tr A + tr B - 2 tr (A B)^(1/2).
   With A = P P' and B = Q Q' the last trace is the sum of the singular values of
   P' Q: no square root of a matrix, and a singular covariance (fewer images than
   features) is nothing special. P and Q are pivoted Cholesky factors. */
#include "base/memory.h"
#include "base/status.h"
#include "eval/singular.h"
#include <inttypes.h>
#include <jem/eval.h>
#include <math.h>
#include <string.h>

/* ---- Mean and covariance ---- */

static jem_status check_features(const char *name, const float *x, int64_t n, int64_t d)
{
    static const char function[] = "jem_eval_frechet";
    if (!x) return jem__fail(JEM_ERROR_ARGUMENT, "%s: %s is NULL", function, name);
    if (n < 2)
        return jem__fail(JEM_ERROR_ARGUMENT,
                         "%s: %s has %" PRId64 " images, expected 2 at least for a covariance",
                         function, name, n);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < d; j++)
            if (!isfinite(x[i * d + j]))
                return jem__fail(JEM_ERROR_ARGUMENT,
                                 "%s: feature %" PRId64 " of image %" PRId64 " of %s is %g, "
                                 "expected a finite number",
                                 function, j, i, name, (double)x[i * d + j]);
    return JEM_OK;
}

static void mean_of(const float *x, int64_t n, int64_t d, double *mean)
{
    memset(mean, 0, (size_t)d * sizeof *mean);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < d; j++) mean[j] += x[i * d + j];
    for (int64_t j = 0; j < d; j++) mean[j] /= (double)n;
}

/* The lower triangle of c [d,d], over n - 1; a few images at a time, so that c is
   read and written less often. */
static void covariance(const float *x, int64_t n, int64_t d, const double *mean, double *row,
                       double *c)
{
    enum { FEW = 4 };
    memset(c, 0, (size_t)(d * d) * sizeof *c);
    for (int64_t i = 0; i < n; i += FEW) {
        double *r[FEW];
        for (int64_t f = 0; f < FEW; f++) {
            r[f] = row + f * d;
            for (int64_t j = 0; j < d; j++) r[f][j] = i + f < n ? x[(i + f) * d + j] - mean[j] : 0;
        }
        for (int64_t a = 0; a < d; a++) {
            double w0 = r[0][a], w1 = r[1][a], w2 = r[2][a], w3 = r[3][a], *to = c + a * d;
            for (int64_t b = 0; b <= a; b++)
                to[b] += w0 * r[0][b] + w1 * r[1][b] + w2 * r[2][b] + w3 * r[3][b];
        }
    }
    for (int64_t a = 0; a < d; a++)
        for (int64_t b = 0; b <= a; b++) c[b * d + a] = c[a * d + b] /= (double)(n - 1);
}

/* Columns p [rank,d] with c = sum of their outer products, the largest rest first,
   until what is left is rounding. diagonal [d] is used up. */
static int64_t factor(const double *c, int64_t d, double *diagonal, double *p)
{
    double largest = 0;
    int64_t rank = 0;
    for (int64_t j = 0; j < d; j++) {
        diagonal[j] = c[j * d + j];
        largest = fmax(largest, diagonal[j]);
    }
    for (; rank < d; rank++) {
        int64_t pivot = 0;
        double *column = p + rank * d;
        for (int64_t j = 1; j < d; j++)
            if (diagonal[j] > diagonal[pivot]) pivot = j;
        if (!(diagonal[pivot] > 1e-15 * (double)d * largest)) break;
        memcpy(column, c + pivot * d, (size_t)d * sizeof *column);
        for (int64_t r = 0; r < rank; r++) {
            const double *before = p + r * d;
            double by = before[pivot];
            for (int64_t j = 0; j < d; j++) column[j] -= by * before[j];
        }
        double scale = 1 / sqrt(diagonal[pivot]);
        for (int64_t j = 0; j < d; j++) {
            column[j] *= scale;
            diagonal[j] -= column[j] * column[j];
        }
        diagonal[pivot] = 0;
    }
    return rank;
}

/* ---- Distance ---- */

typedef struct gaussian {
    double *mean, *factor; /* [d], [rank,d] */
    double trace;
    int64_t rank;
} gaussian;

static jem_status fit(gaussian *g, const float *x, int64_t n, int64_t d, double *room, double *c)
{
    JEM__TRY(jem__alloc(&g->mean, d, sizeof *g->mean));
    JEM__TRY(jem__alloc(&g->factor, d, d * (int64_t)sizeof *g->factor));
    mean_of(x, n, d, g->mean);
    covariance(x, n, d, g->mean, room, c);
    for (int64_t j = 0; j < d; j++) g->trace += c[j * d + j];
    g->rank = factor(c, d, room, g->factor);
    return JEM_OK;
}

static jem_status compare(const gaussian *a, const gaussian *b, int64_t d, double *m,
                          double *distance)
{
    double apart = 0, cross;
    for (int64_t i = 0; i < a->rank; i++)
        for (int64_t j = 0; j < b->rank; j++)
            m[i * b->rank + j] = jem__dot(a->factor + i * d, b->factor + j * d, d);
    JEM__TRY(jem__singular_sum(m, a->rank, b->rank, &cross));
    for (int64_t j = 0; j < d; j++) apart += (a->mean[j] - b->mean[j]) * (a->mean[j] - b->mean[j]);
    double spread = a->trace + b->trace - 2 * cross;
    /* Never below 0 but for rounding, and nothing but rounding where so small. */
    *distance = apart + (spread > 1e-12 * (a->trace + b->trace) ? spread : 0);
    return JEM_OK;
}

jem_status jem_eval_frechet(const float *a, int64_t n_a, const float *b, int64_t n_b, int64_t d,
                            double *distance)
{
    static const char function[] = "jem_eval_frechet";
    gaussian g = {0}, h = {0};
    double *room = NULL, *c = NULL;
    int64_t values;
    JEM__REQUIRE(distance, function);
    if (d < 1 || d > 65536 || !jem__multiply(n_a, d, &values) || !jem__multiply(n_b, d, &values))
        return jem__fail(JEM_ERROR_ARGUMENT,
                         "%s: %" PRId64 " and %" PRId64 " images with %" PRId64
                         " features, expected 1..65536 features",
                         function, n_a, n_b, d);
    JEM__TRY(check_features("a", a, n_a, d));
    JEM__TRY(check_features("b", b, n_b, d));
    jem_status status = jem__alloc(&room, 4 * d, sizeof *room);
    if (!status) status = jem__alloc(&c, d, d * (int64_t)sizeof *c);
    if (!status) status = fit(&g, a, n_a, d, room, c);
    if (!status) status = fit(&h, b, n_b, d, room, c);
    if (!status) status = compare(&g, &h, d, c, distance);
    jem__free(g.mean);
    jem__free(g.factor);
    jem__free(h.mean);
    jem__free(h.factor);
    jem__free(room);
    jem__free(c);
    return status;
}

/* ---- Inception score ---- */

static jem_status check_probabilities(const float *p, int64_t n, int64_t k)
{
    for (int64_t i = 0; i < n; i++) {
        double sum = 0;
        for (int64_t j = 0; j < k; j++) sum += p[i * k + j] >= 0 ? p[i * k + j] : NAN;
        if (!(fabs(sum - 1) < 1e-3))
            return jem__fail(JEM_ERROR_ARGUMENT,
                             "jem_eval_inception: the probabilities of image %" PRId64
                             " add up to %g, expected none below 0 and the sum 1",
                             i, sum);
    }
    return JEM_OK;
}

/* exp of the mean of KL(p(y|x) || p(y)) over n images. */
static double score_part(const float *p, int64_t n, int64_t k, double *mean)
{
    double sum = 0;
    mean_of(p, n, k, mean);
    for (int64_t i = 0; i < n * k; i++)
        if (p[i] > 0) sum += p[i] * log(p[i] / mean[i % k]);
    return exp(sum / (double)n);
}

jem_status jem_eval_inception(const float *p, int64_t n, int64_t k, int64_t parts, double *score,
                              double *deviation)
{
    static const char function[] = "jem_eval_inception";
    double *mean = NULL, sum = 0, square = 0;
    int64_t values, first = 0;
    JEM__REQUIRE(p, function);
    if (n < 1 || k < 1 || !jem__multiply(n, k, &values))
        return jem__fail(JEM_ERROR_ARGUMENT,
                         "%s: n is %" PRId64 " and k %" PRId64 ", expected at least 1", function, n,
                         k);
    if (parts < 1 || parts > n)
        return jem__fail(JEM_ERROR_ARGUMENT, "%s: got %" PRId64 " parts, expected 1..n = %" PRId64,
                         function, parts, n);
    JEM__TRY(check_probabilities(p, n, k));
    JEM__TRY(jem__alloc(&mean, k + parts, sizeof *mean));
    double *scores = mean + k;
    for (int64_t i = 0; i < parts; i++) {
        int64_t size = n / parts + (i < n % parts);
        scores[i] = score_part(p + first * k, size, k, mean);
        sum += scores[i];
        first += size;
    }
    for (int64_t i = 0; i < parts; i++) {
        double by = scores[i] - sum / (double)parts;
        square += by * by;
    }
    if (score) *score = sum / (double)parts;
    if (deviation) *deviation = sqrt(square / (double)parts);
    jem__free(mean);
    return JEM_OK;
}
