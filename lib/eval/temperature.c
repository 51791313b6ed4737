/* Temperature scaling (Guo et al. 2017, section 4.2).

   In beta = 1/T the mean of -log p(y|x) is convex: its slope is the mean of
   E_p[f] - f[y], which grows with beta, by the mean variance of f under p. So
   its zero is bracketed and then found by Newton steps that stay inside. */
#include "base/status.h"
#include "eval/eval.h"
#include <inttypes.h>
#include <jem/eval.h>
#include <math.h>

typedef struct sums {
    double slope, curvature;
} sums;

/* Distances from the largest logit: any size of logits is as good as another. */
static sums slope_at(const float *logits, const int32_t *y, int64_t n, int64_t k, double beta)
{
    sums s = {0, 0};
    for (int64_t i = 0; i < n; i++) {
        const float *row = logits + i * k;
        double top = row[jem__eval_largest(row, k)], total = 0, mean = 0, square = 0;
        for (int64_t j = 0; j < k; j++) {
            double d = row[j] - top, e = exp(d * beta);
            total += e;
            mean += e * d;
            square += e * d * d;
        }
        mean /= total;
        s.slope += mean - (row[y[i]] - top);
        s.curvature += square / total - mean * mean;
    }
    s.slope /= (double)n;
    s.curvature /= (double)n;
    return s;
}

/* The largest distance between two logits of an image. */
static double spread(const float *logits, int64_t n, int64_t k)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++) {
        const float *row = logits + i * k;
        double top = row[jem__eval_largest(row, k)];
        for (int64_t j = 0; j < k; j++) most = fmax(most, top - row[j]);
    }
    return most;
}

static int32_t all_right(const float *logits, const int32_t *y, int64_t n, int64_t k)
{
    for (int64_t i = 0; i < n; i++)
        if (logits[i * k + y[i]] < logits[i * k + jem__eval_largest(logits + i * k, k)]) return 0;
    return 1;
}

double jem__eval_fit(const float *logits, const int32_t *y, int64_t n, int64_t k, int32_t *found)
{
    double low = 0, high;
    *found = -2;
    /* One class is always right, and its slope 0 everywhere. */
    if (k > 1 && !(slope_at(logits, y, n, k, 0).slope < 0)) return 1;
    *found = -1;
    if (all_right(logits, y, n, k)) return 1;
    *found = 1;
    high = 1 / spread(logits, n, k); /* not 0, where the slope would be 0 too */
    while (slope_at(logits, y, n, k, high).slope <= 0) {
        low = high;
        high *= 2;
        if (!(high < 1e30)) return low; /* mistakes by less than a float can tell */
    }
    double beta = (low + high) / 2;
    for (int i = 0; i < 200 && high - low > 1e-14 * high; i++) {
        sums s = slope_at(logits, y, n, k, beta);
        if (s.slope > 0)
            high = beta;
        else
            low = beta;
        double next = beta - s.slope / s.curvature; /* NaN and infinity are outside, too */
        if (!(next > low && next < high)) next = (low + high) / 2;
        if (fabs(next - beta) <= 1e-15 * beta) break;
        beta = next;
    }
    return beta;
}

jem_status jem__eval_no_fit(const char *function, int32_t found, int64_t n)
{
    if (found == -1)
        return jem__fail(JEM_ERROR_STATE,
                         "%s: all %" PRId64 " images are classified rightly, expected a mistake: "
                         "without one the likelihood grows while the temperature falls to 0",
                         function, n);
    return jem__fail(JEM_ERROR_STATE,
                     "%s: the labels' logits are no higher than the others, expected a model "
                     "that does better than chance",
                     function);
}

jem_status jem_eval_temperature(const float *logits, const int32_t *y, int64_t n, int64_t k,
                                double *temperature)
{
    static const char function[] = "jem_eval_temperature";
    int32_t found;
    JEM__TRY(jem__eval_check(function, logits, y, n, k, temperature));
    double beta = jem__eval_fit(logits, y, n, k, &found);
    if (found < 0) return jem__eval_no_fit(function, found, n);
    *temperature = 1 / beta;
    return JEM_OK;
}
