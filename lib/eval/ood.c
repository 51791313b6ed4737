/* How well a score separates two sets of images.

   Both sets are sorted; one walk over the distinct scores then gives every
   number, with all images of equal score counted at one threshold. */
#include "base/memory.h"
#include "base/status.h"
#include <inttypes.h>
#include <jem/eval.h>
#include <math.h>
#include <string.h>

/* An integer in the same order as the number; -0 and 0 are one. */
static uint32_t key_of(float score)
{
    uint32_t bits;
    score += 0.0F;
    memcpy(&bits, &score, sizeof bits);
    return bits & 0x80000000U ? ~bits : bits | 0x80000000U;
}

/* Radix sort, ascending, a byte at a time through a second array. */
static void sort(uint32_t *keys, uint32_t *other, int64_t n)
{
    for (int32_t shift = 0; shift < 32; shift += 8) {
        int64_t start[257] = {0};
        for (int64_t i = 0; i < n; i++) start[(keys[i] >> shift & 255) + 1]++;
        for (int64_t b = 0; b < 256; b++) start[b + 1] += start[b];
        for (int64_t i = 0; i < n; i++) other[start[keys[i] >> shift & 255]++] = keys[i];
        memcpy(keys, other, (size_t)n * sizeof *keys);
    }
}

static jem_status sorted_keys(uint32_t **keys, const char *name, const float *scores, int64_t n)
{
    uint32_t *other = NULL;
    *keys = NULL;
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(scores[i]))
            return jem__fail(JEM_ERROR_ARGUMENT,
                             "jem_eval_ood: %s score %" PRId64 " is %g, expected a finite number",
                             name, i, (double)scores[i]);
    JEM__TRY(jem__alloc(&other, n, sizeof *other));
    jem_status status = jem__alloc(keys, n, sizeof **keys);
    if (!status) {
        for (int64_t i = 0; i < n; i++) (*keys)[i] = key_of(scores[i]);
        sort(*keys, other, n);
    }
    jem__free(other);
    return status;
}

/* Average precision of keys a [n] against b [m], both ascending: over the
   thresholds, precision weighted by the gain in recall. With up set, low keys
   are the positives' side, else high ones. */
static double average_precision(const uint32_t *a, int64_t n, const uint32_t *b, int64_t m, int up)
{
    double sum = 0;
    int64_t i = 0, j = 0;
    while (i < n) {
        uint32_t at = up ? a[i] : a[n - 1 - i];
        int64_t before = i;
        while (i < n && (up ? a[i] : a[n - 1 - i]) == at) i++;
        while (j < m && (up ? b[j] <= at : b[m - 1 - j] >= at)) j++;
        sum += (double)(i - before) * ((double)i / (double)(i + j));
    }
    return sum / (double)n;
}

/* Pairs in which "in" is higher, ties one half, over all pairs. */
static double area(const uint32_t *in, int64_t n, const uint32_t *out, int64_t m)
{
    double pairs = 0;
    int64_t below = 0, not_above = 0;
    for (int64_t i = 0; i < n; i++) {
        while (below < m && out[below] < in[i]) below++;
        while (not_above < m && out[not_above] <= in[i]) not_above++;
        pairs += 0.5 * (double)(below + not_above);
    }
    return pairs / (double)n / (double)m;
}

/* Share of "out" that passes the highest threshold which 95 % of "in" pass. */
static double false_positives(const uint32_t *in, int64_t n, const uint32_t *out, int64_t m)
{
    int64_t lost = n / 20, passing = 0; /* n - ceil(0.95 n), exactly */
    for (int64_t j = 0; j < m; j++) passing += out[j] >= in[lost];
    return (double)passing / (double)m;
}

jem_status jem_eval_ood(const float *in, int64_t n_in, const float *out, int64_t n_out,
                        double *auroc, double *aupr_in, double *aupr_out, double *fpr95)
{
    uint32_t *a = NULL, *b = NULL;
    JEM__REQUIRE(in, "jem_eval_ood");
    JEM__REQUIRE(out, "jem_eval_ood");
    if (n_in < 1 || n_out < 1)
        return jem__fail(JEM_ERROR_ARGUMENT,
                         "jem_eval_ood: n_in is %" PRId64 " and n_out %" PRId64
                         ", expected at least 1",
                         n_in, n_out);
    JEM__TRY(sorted_keys(&a, "in", in, n_in));
    jem_status status = sorted_keys(&b, "out", out, n_out);
    if (!status) {
        if (auroc) *auroc = area(a, n_in, b, n_out);
        if (aupr_in) *aupr_in = average_precision(a, n_in, b, n_out, 0);
        if (aupr_out) *aupr_out = average_precision(b, n_out, a, n_in, 1);
        if (fpr95) *fpr95 = false_positives(a, n_in, b, n_out);
    }
    jem__free(a);
    jem__free(b);
    return status;
}
