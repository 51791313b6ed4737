/* Starts. A class Gaussian N(mean_c, cov_c + 1e-4 I) needs no covariance matrix:
     x = mean_c + N_c^(-1/2) sum_i z_i (x_i - mean_c) + .01 e
   over the class's images x_i has that law. */
#include "sample/start.h"
#include "base/config.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/status.h"
#include "tensor/kernels.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

static const float ridge = 0.01f; /* root of the 1e-4 */

void jem__starts_read(jem__starts *s, const jem_config *config)
{
    s->gaussian = strcmp(jem__config_str(config, "sampler.start"), "gaussian") == 0;
    s->seed = (uint64_t)jem__config_i64(config, "sampler.seed");
    s->stream = (uint64_t)jem__config_i64(config, "sampler.stream");
}

void jem__starts_clear(jem__starts *s)
{
    jem_dataset_destroy(s->chosen);
    jem__free(s->first);
    jem__free(s->mean);
    s->chosen = NULL;
    s->first = NULL;
    s->mean = NULL;
}

/* ---- Data ---- */

/* What set_data works with. */
typedef struct survey {
    int64_t n;
    int32_t *labels;  /* [n] */
    int64_t *members; /* [n]: image numbers, class by class */
    int64_t *begin;   /* [classes + 1] */
    int64_t *chosen;  /* at most n */
    float *image;
    double *sum; /* [classes,image] */
} survey;

static void survey_clear(survey *v)
{
    jem__free(v->labels);
    jem__free(v->members);
    jem__free(v->begin);
    jem__free(v->chosen);
    jem__free(v->image);
    jem__free(v->sum);
}

static jem_status sort_by_class(const jem__starts *s, survey *v)
{
    for (int64_t i = 0; i < v->n; i++) {
        if (v->labels[i] < 0 || v->labels[i] >= s->classes)
            return jem__fail(JEM_ERROR_SHAPE,
                             "jem_sampler_set_data: image %" PRId64
                             " has label %d, expected 0..%" PRId64,
                             i, v->labels[i], s->classes - 1);
        v->begin[v->labels[i] + 1]++;
    }
    for (int64_t k = 0; k < s->classes; k++) {
        if (v->begin[k + 1] == 0)
            return jem__fail(JEM_ERROR_STATE,
                             "jem_sampler_set_data: class %" PRId64 " has no images", k);
        v->begin[k + 1] += v->begin[k];
    }
    for (int64_t i = 0; i < v->n; i++) v->members[v->begin[v->labels[i]]++] = i;
    for (int64_t k = s->classes; k > 0; k--) v->begin[k] = v->begin[k - 1];
    v->begin[0] = 0;
    return JEM_OK;
}

/* The first steps of a shuffle move a random choice to the front of each class. */
static int64_t choose(const jem__starts *s, survey *v, int64_t *first)
{
    int64_t total = 0;
    for (int64_t k = 0; k < s->classes; k++) {
        int64_t *members = v->members + v->begin[k], n = v->begin[k + 1] - v->begin[k];
        int64_t most = n < JEM__START_IMAGES ? n : JEM__START_IMAGES;
        jem__random random;
        jem__random_at(&random, s->seed, JEM__RANDOM_START, s->stream, (uint64_t)k,
                       JEM__START_CHOICE);
        first[k] = total;
        for (int64_t i = 0; i < most; i++) {
            int64_t left = n - i < UINT32_MAX ? n - i : UINT32_MAX;
            int64_t j = most < n ? i + jem__random_below(&random, (uint32_t)left) : i;
            int64_t picked = members[j];
            members[j] = members[i];
            members[i] = picked;
            v->chosen[total++] = picked;
        }
    }
    first[s->classes] = total;
    return total;
}

static jem_status means(const jem__starts *s, jem_dataset *data, survey *v, float *mean)
{
    for (int64_t i = 0; i < v->n; i++) {
        double *sum = v->sum + v->labels[i] * s->image;
        JEM__TRY(jem_dataset_read(data, i, 1, v->image, NULL));
        for (int64_t j = 0; j < s->image; j++) sum[j] += (double)v->image[j];
    }
    for (int64_t k = 0; k < s->classes; k++) {
        double n = (double)(v->begin[k + 1] - v->begin[k]);
        for (int64_t j = 0; j < s->image; j++)
            mean[k * s->image + j] = (float)(v->sum[k * s->image + j] / n);
    }
    return JEM_OK;
}

static jem_status gather(const jem__starts *s, jem_dataset *data, survey *v, jem__starts *fresh)
{
    JEM__TRY(jem_dataset_info(data, &v->n, NULL, NULL, NULL, NULL));
    JEM__TRY(jem__alloc(&v->labels, v->n, sizeof *v->labels));
    JEM__TRY(jem__alloc(&v->members, v->n, sizeof *v->members));
    JEM__TRY(jem__alloc(&v->chosen, v->n, sizeof *v->chosen));
    JEM__TRY(jem__calloc(&v->begin, s->classes + 1, sizeof *v->begin));
    JEM__TRY(jem__alloc(&v->image, s->image, sizeof *v->image));
    JEM__TRY(jem__calloc(&v->sum, s->classes, s->image * (int64_t)sizeof *v->sum));
    JEM__TRY(jem__alloc(&fresh->first, s->classes + 1, sizeof *fresh->first));
    JEM__TRY(jem__alloc(&fresh->mean, s->classes, s->image * (int64_t)sizeof *fresh->mean));
    JEM__TRY(jem_dataset_read(data, 0, v->n, NULL, v->labels));
    JEM__TRY(sort_by_class(s, v));
    JEM__TRY(means(s, data, v, fresh->mean));
    int64_t total = choose(s, v, fresh->first);
    return jem_dataset_subset(&fresh->chosen, data, v->chosen, total);
}

jem_status jem__starts_set_data(jem__starts *s, jem_dataset *data)
{
    survey v = {0};
    jem__starts fresh = *s;
    fresh.chosen = NULL;
    fresh.first = NULL;
    fresh.mean = NULL;
    jem_status status = gather(s, data, &v, &fresh);
    survey_clear(&v);
    if (status) {
        jem__starts_clear(&fresh);
        return status;
    }
    jem__starts_clear(s);
    *s = fresh;
    return JEM_OK;
}

/* ---- Drawing ---- */

static void add_scaled(float *out, const float *x, const float *mean, float z, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] += z * (x[i] - mean[i]);
}

static void finish(float *x, const float *e, const float *mean, float scale, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float v = mean[i] + scale * x[i] + ridge * e[i];
        v = v > 1 ? 1 : v;
        x[i] = v < -1 ? -1 : v;
    }
}

static jem_status gaussian(const jem__starts *s, jem__random *random, int32_t y, float *x)
{
    float *image, z[JEM__START_IMAGES];
    const float *mean = s->mean + y * s->image;
    int64_t first = s->first[y], n = s->first[y + 1] - first;
    JEM__TRY(jem__alloc(&image, s->image, sizeof *image));
    jem__kernels_here()->fill_normal(random, z, n);
    memset(x, 0, (size_t)s->image * sizeof *x);
    jem_status status = JEM_OK;
    for (int64_t i = 0; !status && i < n; i++) {
        status = jem_dataset_read(s->chosen, first + i, 1, image, NULL);
        if (!status) add_scaled(x, image, mean, z[i], s->image);
    }
    jem__kernels_here()->fill_normal(random, image, s->image);
    finish(x, image, mean, (float)(1 / sqrt((double)n)), s->image);
    jem__free(image);
    return status;
}

jem_status jem__start_draw(const jem__starts *s, int32_t kind, uint64_t index, int32_t y, float *x)
{
    jem__random random;
    jem__random_at(&random, s->seed, JEM__RANDOM_START, s->stream, index, (uint32_t)kind);
    if (!s->gaussian) {
        jem__kernels_here()->fill_uniform(&random, -1, 1, x, s->image);
        return JEM_OK;
    }
    if (!s->chosen)
        return jem__fail(JEM_ERROR_STATE, "sampler: sampler.start=gaussian needs the data of "
                                          "jem_sampler_set_data first");
    if (y < 0) {
        jem__random label;
        jem__random_at(&label, s->seed, JEM__RANDOM_LABEL, s->stream, index, (uint32_t)kind);
        y = (int32_t)jem__random_below(&label, (uint32_t)s->classes);
    }
    return gaussian(s, &random, y, x);
}
