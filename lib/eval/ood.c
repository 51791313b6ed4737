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

static float score_of(uint32_t key)
{
    float score;
    uint32_t bits = key & 0x80000000U ? key & 0x7FFFFFFFU : ~key;
    memcpy(&score, &bits, sizeof score);
    return score;
}

static jem_status sorted_keys(uint32_t **keys, const char *function, const char *name,
                              const float *scores, int64_t n)
{
    uint32_t *other = NULL;
    *keys = NULL;
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(scores[i]))
            return jem__fail(JEM_ERROR_ARGUMENT,
                             "%s: %sscore %" PRId64 " is %g, expected a finite number", function,
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

static jem_status check_sets(const char *function, const float *in, int64_t n_in, const float *out,
                             int64_t n_out)
{
    JEM__REQUIRE(in, function);
    JEM__REQUIRE(out, function);
    if (n_in < 1 || n_out < 1)
        return jem__fail(JEM_ERROR_ARGUMENT,
                         "%s: n_in is %" PRId64 " and n_out %" PRId64 ", expected at least 1",
                         function, n_in, n_out);
    JEM__TRY(jem__check_count(function, "n_in", n_in, sizeof *in));
    return jem__check_count(function, "n_out", n_out, sizeof *out);
}

jem_status jem_eval_ood(const float *in, int64_t n_in, const float *out, int64_t n_out,
                        double *auroc, double *aupr_in, double *aupr_out, double *fpr95)
{
    uint32_t *a = NULL, *b = NULL;
    JEM__TRY(check_sets("jem_eval_ood", in, n_in, out, n_out));
    JEM__TRY(sorted_keys(&a, "jem_eval_ood", "in ", in, n_in));
    jem_status status = sorted_keys(&b, "jem_eval_ood", "out ", out, n_out);
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

/* ---- The curve ---- */

/* Points from the highest threshold down; those within a straight stretch say
   nothing and are left out. Returns their number, also beyond the capacity. */
static int64_t trace(const uint32_t *in, int64_t n, const uint32_t *out, int64_t m,
                     int64_t capacity, double *fpr, double *tpr, float *threshold)
{
    int64_t i = 0, j = 0, points = 0, step_i = 0, step_j = 0;
    while (i < n || j < m) {
        uint32_t at = 0;
        int64_t from_i = i, from_j = j;
        if (i < n) at = in[n - 1 - i];
        if (j < m && out[m - 1 - j] > at) at = out[m - 1 - j];
        while (i < n && in[n - 1 - i] == at) i++;
        while (j < m && out[m - 1 - j] == at) j++;
        /* on along an axis: this point replaces the last one */
        if (points > 1 && ((i == from_i && !step_i) || (j == from_j && !step_j))) points--;
        step_i = i - from_i;
        step_j = j - from_j;
        if (points == 0) points = 1; /* (0,0) is the first */
        if (points < capacity) {
            fpr[points] = (double)j / (double)m;
            tpr[points] = (double)i / (double)n;
            threshold[points] = score_of(at);
        }
        points++;
    }
    return points;
}

jem_status jem_eval_roc(const float *in, int64_t n_in, const float *out, int64_t n_out, double *fpr,
                        double *tpr, float *threshold, int64_t capacity, int64_t *points)
{
    static const char function[] = "jem_eval_roc";
    uint32_t *a = NULL, *b = NULL;
    JEM__REQUIRE(points, function);
    *points = 0;
    JEM__REQUIRE(fpr, function);
    JEM__REQUIRE(tpr, function);
    JEM__REQUIRE(threshold, function);
    JEM__TRY(check_sets(function, in, n_in, out, n_out));
    JEM__TRY(sorted_keys(&a, function, "in ", in, n_in));
    jem_status status = sorted_keys(&b, function, "out ", out, n_out);
    if (!status) {
        *points = trace(a, n_in, b, n_out, capacity, fpr, tpr, threshold);
        if (*points > capacity)
            status = jem__fail(JEM_ERROR_SHAPE,
                               "%s: capacity is %" PRId64 " points, expected at least %" PRId64,
                               function, capacity, *points);
        else
            fpr[0] = tpr[0] = 0, threshold[0] = INFINITY;
    }
    jem__free(a);
    jem__free(b);
    return status;
}

/* ---- One set ---- */

static jem_status check_scores(const char *function, const float *scores, int64_t n)
{
    JEM__REQUIRE(scores, function);
    if (n < 1)
        return jem__fail(JEM_ERROR_ARGUMENT, "%s: n is %" PRId64 ", expected at least 1", function,
                         n);
    return jem__check_count(function, "n", n, sizeof *scores);
}

jem_status jem_eval_threshold(const float *scores, int64_t n, double accept, float *threshold)
{
    static const char function[] = "jem_eval_threshold";
    uint32_t *keys = NULL;
    JEM__TRY(check_scores(function, scores, n));
    JEM__REQUIRE(threshold, function);
    if (!(accept > 0 && accept <= 1))
        return jem__fail(JEM_ERROR_ARGUMENT, "%s: accept is %g, expected more than 0, up to 1",
                         function, accept);
    JEM__TRY(sorted_keys(&keys, function, "", scores, n));
    /* The least number to accept; a product that rounding put over it is it. */
    int64_t kept = (int64_t)ceil(accept * (double)n * (1 - 1e-12));
    *threshold = score_of(keys[n - (kept < 1 ? 1 : kept > n ? n : kept)]);
    jem__free(keys);
    return JEM_OK;
}

/* The bin b with edge b <= score < edge b + 1, or the last one of its end. Rounding of the
   quotient may be off by one at an edge, so the edges themselves decide. */
static int64_t bin_of(double score, double low, double high, int64_t bins)
{
    double width = high - low, count = (double)bins;
    int64_t b = (int64_t)((score - low) / width * count);
    b = b >= bins ? bins - 1 : b;
    while (b > 0 && score < low + width * (double)b / count) b--;
    while (b < bins - 1 && score >= low + width * (double)(b + 1) / count) b++;
    return b;
}

jem_status jem_eval_histogram(const float *scores, int64_t n, double low, double high, int64_t bins,
                              int64_t *count)
{
    static const char function[] = "jem_eval_histogram";
    JEM__TRY(check_scores(function, scores, n));
    JEM__REQUIRE(count, function);
    if (bins < 1 || !(low < high) || !isfinite((high - low) * (double)bins))
        return jem__fail(JEM_ERROR_ARGUMENT,
                         "%s: got %" PRId64 " bins from %g to %g, expected low < high, 1 at least",
                         function, bins, low, high);
    JEM__TRY(jem__check_count(function, "bins", bins, sizeof *count));
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(scores[i]))
            return jem__fail(JEM_ERROR_ARGUMENT,
                             "%s: score %" PRId64 " is %g, expected a finite number", function, i,
                             (double)scores[i]);
    memset(count, 0, (size_t)bins * sizeof *count);
    for (int64_t i = 0; i < n; i++) {
        if (scores[i] < low || scores[i] > high) continue;
        count[bin_of(scores[i], low, high, bins)]++;
    }
    return JEM_OK;
}
