/* Starts. A class Gaussian N(mean_c, cov_c + 1e-4 I) needs no covariance matrix:
     x = mean_c + N_c^(-1/2) sum_i z_i (x_i - mean_c) + .01 e
   over the class's images x_i has that law. */
#include "sample/start.h"
#include "base/config.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/status.h"
#include "data/dataset.h"
#include "sample/survey.h"
#include "tensor/kernels.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

void jem__starts_read(jem__starts *s, const jem_config *config)
{
    s->gaussian = strcmp(jem__config_str(config, "sampler.start"), "gaussian") == 0;
    s->seed = (uint64_t)jem__config_i64(config, "sampler.seed");
    s->stream = (uint64_t)jem__config_i64(config, "sampler.stream");
    s->images = jem__config_i64(config, "sampler.start_images");
}

void jem__starts_clear(jem__starts *s)
{
    jem_dataset_destroy(s->chosen);
    jem__free(s->first);
    jem__free(s->mean);
    s->chosen = NULL;
    s->first = NULL;
    s->mean = NULL;
    jem__factor_clear(&s->factor);
}

/* ---- Data ---- */

/* The first steps of a shuffle move a random choice to the front of each class; chosen
   holds the choices class by class, first where each class begins. */
static int64_t choose(const jem__starts *s, jem__survey *v, int64_t *chosen, int64_t *first)
{
    int64_t total = 0;
    for (int64_t k = 0; k < s->classes; k++) {
        int64_t *members = v->members + v->begin[k], n = v->begin[k + 1] - v->begin[k];
        int64_t most = s->images && s->images < n ? s->images : n;
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
            chosen[total++] = picked;
        }
    }
    first[s->classes] = total;
    return total;
}

static jem_status gather(jem__starts *fresh, jem_dataset *data, jem__survey *v)
{
    int64_t *chosen;
    jem_dataset *subset;
    JEM__TRY(jem__survey_of(v, "jem_sampler_set_data", data, fresh->image, fresh->classes));
    JEM__TRY(jem__alloc(&fresh->first, fresh->classes + 1, sizeof *fresh->first));
    JEM__TRY(jem__alloc(&chosen, v->n, sizeof *chosen));
    int64_t total = choose(fresh, v, chosen, fresh->first);
    jem_status status = jem_dataset_subset(&subset, data, chosen, total);
    jem__free(chosen);
    /* Workers read them: not the host's business. */
    if (!status) status = jem__dataset_hold(&fresh->chosen, subset);
    jem_dataset_destroy(subset);
    fresh->mean = v->mean;
    v->mean = NULL;
    return status;
}

jem_status jem__starts_set_data(jem__starts *s, jem_dataset *data)
{
    jem__survey survey;
    jem__starts fresh = *s;
    fresh.chosen = NULL;
    fresh.first = NULL;
    fresh.mean = NULL;
    fresh.factor = (jem__factor){0};
    jem_status status = gather(&fresh, data, &survey);
    jem__survey_clear(&survey);
    jem__starts_clear(status ? &fresh : s);
    if (!status) *s = fresh;
    return status;
}

/* ---- Drawing ---- */

static void add_scaled(float *out, const float *x, const float *mean, float z, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] += z * (x[i] - mean[i]);
}

static void finish(float *x, const float *e, const float *mean, float scale, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float v = mean[i] + scale * x[i] + JEM__START_RIDGE * e[i];
        v = v > 1 ? 1 : v;
        x[i] = v < -1 ? -1 : v;
    }
}

static jem_status gaussian(const jem__starts *s, jem__random *random, int32_t y, float *x)
{
    enum { PIECE = 512 };
    float *image, z[PIECE];
    const float *mean = s->mean + y * s->image;
    int64_t first = s->first[y], n = s->first[y + 1] - first;
    JEM__TRY(jem__alloc(&image, s->image, sizeof *image));
    memset(x, 0, (size_t)s->image * sizeof *x);
    jem_status status = JEM_OK;
    for (int64_t i = 0; !status && i < n; i++) {
        if (i % PIECE == 0)
            jem__kernels_here()->fill_normal(random, z, n - i < PIECE ? n - i : PIECE);
        status = jem_dataset_read(s->chosen, first + i, 1, image, INT64_MAX, NULL);
        if (!status) add_scaled(x, image, mean, z[i % PIECE], s->image);
    }
    jem__kernels_here()->fill_normal(random, image, s->image);
    finish(x, image, mean, (float)(1 / sqrt((double)n)), s->image);
    jem__free(image);
    return status;
}

static jem_status from_factor(const jem__starts *s, jem__random *random, int32_t y, float *x)
{
    float *room;
    JEM__TRY(jem__alloc(&room, s->image, sizeof *room));
    jem__factor_draw(&s->factor, random, y, x, room);
    jem__free(room);
    return JEM_OK;
}

jem_status jem__start_draw(const jem__starts *s, int32_t kind, uint64_t index, int32_t y, float *x)
{
    jem__random random;
    jem__random_at(&random, s->seed, JEM__RANDOM_START, s->stream, index, (uint32_t)kind);
    if (!s->gaussian) {
        jem__kernels_here()->fill_uniform(&random, -1, 1, x, s->image);
        return JEM_OK;
    }
    if (!s->chosen && !s->factor.classes)
        return jem__fail(JEM_ERROR_STATE,
                         "sampler: sampler.start=gaussian needs the data of jem_sampler_set_data, "
                         "or a model with starts (jem_model_starts_fit)");
    if (y < 0) {
        jem__random label;
        jem__random_at(&label, s->seed, JEM__RANDOM_LABEL, s->stream, index, (uint32_t)kind);
        y = (int32_t)jem__random_below(&label, (uint32_t)s->classes);
    }
    return s->chosen ? gaussian(s, &random, y, x) : from_factor(s, &random, y, x);
}
