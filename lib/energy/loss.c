/* Losses on logits: value and derivative, mean over the batch. */
#include "base/status.h"
#include "energy/energy.h"
#include <inttypes.h>
#include <jem/loss.h>
#include <math.h>

static jem_status check(const char *function, const float *logits, const int32_t *y, int64_t n,
                        int64_t k)
{
    JEM__REQUIRE(logits, function);
    if (n < 1 || k < 1)
        return jem__fail(JEM_ERROR_ARGUMENT,
                         "%s: n = %" PRId64 ", k = %" PRId64 ", expected both >= 1", function, n,
                         k);
    for (int64_t i = 0; y && i < n; i++)
        if (y[i] < 0 || y[i] >= k)
            return jem__fail(JEM_ERROR_ARGUMENT,
                             "%s: label %" PRId64 " is %d, expected 0..%" PRId64, function, i, y[i],
                             k - 1);
    return JEM_OK;
}

/* d loss / d logits += a p + b onehot(y), for one image. */
static void add_row(const float *row, int32_t y, int64_t k, double a, double b, double total,
                    float *dlogits)
{
    for (int64_t j = 0; j < k; j++) {
        double d = a == 0 ? 0 : a * exp((double)row[j] - total);
        if (j == y) d += b;
        dlogits[j] += (float)d;
    }
}

jem_status jem_loss_cross_entropy(const float *logits, const int32_t *y, int64_t n, int64_t k,
                                  double weight, double *loss, float *dlogits)
{
    JEM__REQUIRE(y, "jem_loss_cross_entropy");
    JEM__TRY(check("jem_loss_cross_entropy", logits, y, n, k));
    double sum = 0, each = weight / (double)n;
    for (int64_t i = 0; i < n; i++) {
        const float *row = logits + i * k;
        double total = jem__logsumexp(row, k, 0);
        sum += total - (double)row[y[i]];
        if (dlogits) add_row(row, y[i], k, each, -each, total, dlogits + i * k);
    }
    if (loss) *loss = sum * each;
    return JEM_OK;
}

jem_status jem_loss_energy(const float *logits, const int32_t *y, int64_t n, int64_t k,
                           double weight, double *loss, float *dlogits)
{
    JEM__TRY(check("jem_loss_energy", logits, y, n, k));
    double sum = 0, each = weight / (double)n;
    for (int64_t i = 0; i < n; i++) {
        const float *row = logits + i * k;
        double total = y ? (double)row[y[i]] : jem__logsumexp(row, k, 0);
        sum -= total;
        if (dlogits) add_row(row, y ? y[i] : -1, k, y ? 0 : -each, -each, total, dlogits + i * k);
    }
    if (loss) *loss = sum * each;
    return JEM_OK;
}

jem_status jem_loss_energy_penalty(const float *logits, const int32_t *y, int64_t n, int64_t k,
                                   double weight, double *loss, float *dlogits)
{
    JEM__TRY(check("jem_loss_energy_penalty", logits, y, n, k));
    double sum = 0, each = weight / (double)n;
    for (int64_t i = 0; i < n; i++) {
        const float *row = logits + i * k;
        double minus = y ? (double)row[y[i]] : jem__logsumexp(row, k, 0); /* -E */
        double slope = 2 * minus * each;                                  /* d E^2 / d(-E) */
        sum += minus * minus;
        if (dlogits) add_row(row, y ? y[i] : -1, k, y ? 0 : slope, slope, minus, dlogits + i * k);
    }
    if (loss) *loss = sum * each;
    return JEM_OK;
}
