/* Losses on logits: value and derivative, mean over the batch. */
#include "base/memory.h"
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
    JEM__TRY(jem__check_count(function, "k", k, sizeof *logits));
    JEM__TRY(jem__check_count(function, "n", n, k * (int64_t)sizeof *logits));
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

/* Adds slope times the derivative of -E of image i. */
static void add_slope(jem__outputs f, const int32_t *y, int64_t i, int64_t k, double slope,
                      double minus, jem__derivatives d)
{
    if (!y && f.head) {
        if (d.head) d.head[i] += (float)slope;
    } else if (d.logits) {
        add_row(f.logits + i * k, y ? y[i] : -1, k, y ? 0 : slope, slope, minus, d.logits + i * k);
    }
}

jem_status jem__loss_energy(jem__outputs f, const int32_t *y, int64_t n, int64_t k, double weight,
                            double *loss, jem__derivatives d)
{
    JEM__TRY(check("jem_loss_energy", f.logits, y, n, k));
    double sum = 0, each = weight / (double)n;
    for (int64_t i = 0; i < n; i++) {
        double minus = jem__minus_energy(f, y, i, k);
        sum -= minus;
        add_slope(f, y, i, k, -each, minus, d);
    }
    if (loss) *loss = sum * each;
    return JEM_OK;
}

jem_status jem__loss_energy_penalty(jem__outputs f, const int32_t *y, int64_t n, int64_t k,
                                    double weight, double *loss, jem__derivatives d)
{
    JEM__TRY(check("jem_loss_energy_penalty", f.logits, y, n, k));
    double sum = 0, each = weight / (double)n;
    for (int64_t i = 0; i < n; i++) {
        double minus = jem__minus_energy(f, y, i, k);
        sum += minus * minus;
        add_slope(f, y, i, k, 2 * minus * each, minus, d); /* d E^2 = 2 (-E) d(-E) */
    }
    if (loss) *loss = sum * each;
    return JEM_OK;
}

jem_status jem_loss_energy(const float *logits, const int32_t *y, int64_t n, int64_t k,
                           double weight, double *loss, float *dlogits)
{
    return jem__loss_energy((jem__outputs){logits, NULL}, y, n, k, weight, loss,
                            (jem__derivatives){dlogits, NULL});
}

jem_status jem_loss_energy_penalty(const float *logits, const int32_t *y, int64_t n, int64_t k,
                                   double weight, double *loss, float *dlogits)
{
    return jem__loss_energy_penalty((jem__outputs){logits, NULL}, y, n, k, weight, loss,
                                    (jem__derivatives){dlogits, NULL});
}
