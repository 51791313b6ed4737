/* Accuracy and calibration, from logits and labels. Sums in double. */
#include "base/memory.h"
#include "base/status.h"
#include "eval/eval.h"
#include <inttypes.h>
#include <jem/eval.h>
#include <math.h>

jem_status jem__eval_check(const char *function, const float *logits, const int32_t *y, int64_t n,
                           int64_t k, const void *out)
{
    int64_t values;
    if (!logits || !y || !out)
        return jem__fail(JEM_ERROR_ARGUMENT, "%s: %s is NULL", function,
                         !logits ? "logits"
                         : !y    ? "y"
                                 : "the output");
    if (n < 1 || k < 1)
        return jem__fail(JEM_ERROR_ARGUMENT,
                         "%s: n is %" PRId64 " and k %" PRId64 ", expected at least 1", function, n,
                         k);
    JEM__TRY(jem__check_count(function, "k", k, sizeof *logits));
    JEM__TRY(jem__check_count(function, "n", n, k * (int64_t)sizeof *logits));
    values = n * k;
    for (int64_t i = 0; i < n; i++)
        if (y[i] < 0 || y[i] >= k)
            return jem__fail(JEM_ERROR_ARGUMENT,
                             "%s: label %" PRId64 " is %" PRId32 ", expected 0..%" PRId64, function,
                             i, y[i], k - 1);
    for (int64_t i = 0; i < values; i++)
        if (!isfinite(logits[i]))
            return jem__fail(JEM_ERROR_ARGUMENT,
                             "%s: logit %" PRId64 " of image %" PRId64
                             " is %g, expected a finite number",
                             function, i % k, i / k, (double)logits[i]);
    return JEM_OK;
}

int64_t jem__eval_largest(const float *logits, int64_t k)
{
    int64_t best = 0;
    for (int64_t j = 1; j < k; j++)
        if (logits[j] > logits[best]) best = j;
    return best;
}

double jem__eval_exponentials(const float *logits, int64_t k, double top, double beta)
{
    double sum = 0;
    for (int64_t j = 0; j < k; j++) sum += exp((logits[j] - top) * beta);
    return sum;
}

jem_status jem_eval_accuracy(const float *logits, const int32_t *y, int64_t n, int64_t k,
                             double *accuracy)
{
    int64_t right = 0;
    JEM__TRY(jem__eval_check("jem_eval_accuracy", logits, y, n, k, accuracy));
    for (int64_t i = 0; i < n; i++) right += jem__eval_largest(logits + i * k, k) == y[i];
    *accuracy = (double)right / (double)n;
    return JEM_OK;
}

jem_status jem_eval_nll(const float *logits, const int32_t *y, int64_t n, int64_t k, double *nll)
{
    double sum = 0;
    JEM__TRY(jem__eval_check("jem_eval_nll", logits, y, n, k, nll));
    for (int64_t i = 0; i < n; i++) {
        const float *row = logits + i * k;
        double top = row[jem__eval_largest(row, k)];
        sum += log(jem__eval_exponentials(row, k, top, 1)) + (top - row[y[i]]);
    }
    *nll = sum / (double)n;
    return JEM_OK;
}

jem_status jem_eval_brier(const float *logits, const int32_t *y, int64_t n, int64_t k,
                          double *brier)
{
    double sum = 0;
    JEM__TRY(jem__eval_check("jem_eval_brier", logits, y, n, k, brier));
    for (int64_t i = 0; i < n; i++) {
        const float *row = logits + i * k;
        double top = row[jem__eval_largest(row, k)], total = jem__eval_exponentials(row, k, top, 1);
        for (int64_t j = 0; j < k; j++) {
            double miss = exp(row[j] - top) / total - (j == y[i]);
            sum += miss * miss;
        }
    }
    *brier = sum / (double)n;
    return JEM_OK;
}

enum { MOST_BINS = 1 << 20 };

/* The bin b with b/bins < p <= (b+1)/bins. Rounding of p * bins may be off by
   one at an edge, so the edges themselves decide. */
static int64_t bin_of(double p, int64_t bins)
{
    double count = (double)bins;
    int64_t b = (int64_t)ceil(p * count) - 1;
    b = b < 0 ? 0 : b >= bins ? bins - 1 : b;
    while (b > 0 && p <= (double)b / count) b--;
    while (b < bins - 1 && p > (double)(b + 1) / count) b++;
    return b;
}

typedef struct bin {
    double confidence;
    int64_t right, count;
} bin;

jem_status jem_eval_ece(const float *logits, const int32_t *y, int64_t n, int64_t k, int64_t bins,
                        double *ece, double *confidence, double *accuracy, int64_t *count)
{
    bin *all = NULL;
    JEM__TRY(jem__eval_check("jem_eval_ece", logits, y, n, k, ece));
    if (bins < 1 || bins > MOST_BINS)
        return jem__fail(JEM_ERROR_ARGUMENT, "jem_eval_ece: bins is %" PRId64 ", expected 1..%d",
                         bins, MOST_BINS);
    JEM__TRY(jem__calloc(&all, bins, sizeof *all));
    for (int64_t i = 0; i < n; i++) {
        const float *row = logits + i * k;
        int64_t class = jem__eval_largest(row, k);
        double p = 1 / jem__eval_exponentials(row, k, row[class], 1);
        bin *b = &all[bin_of(p, bins)];
        b->confidence += p;
        b->right += class == y[i];
        b->count++;
    }
    *ece = 0;
    for (int64_t b = 0; b < bins; b++) {
        double size = all[b].count ? (double)all[b].count : 1, right = (double)all[b].right;
        *ece += fabs(right - all[b].confidence) / (double)n;
        if (confidence) confidence[b] = all[b].confidence / size;
        if (accuracy) accuracy[b] = right / size;
        if (count) count[b] = all[b].count;
    }
    jem__free(all);
    return JEM_OK;
}
