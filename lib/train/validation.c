#include "train/validation.h"
#include "base/config.h"
#include "base/memory.h"
#include "base/status.h"
#include "data/dataset.h"
#include "energy/energy.h"
#include "model/footprint.h"
#include "train/trainer.h"
#include <inttypes.h>
#include <jem/loss.h>
#include <math.h>
#include <string.h>

enum { CHUNK = 256 }; /* images between looks at the cancel flag */

jem_status jem__validation_read(jem__validation *v, const jem_config *config, jem_model *model,
                                jem_dataset *data, jem_dataset **rest)
{
    int64_t count = jem__config_i64(config, "trainer.validation"), images;
    uint64_t seed = (uint64_t)jem__config_i64(config, "loader.seed");
    JEM__TRY(jem_dataset_info(data, &images, NULL, NULL, NULL, NULL));
    if (count > 0 && count >= images)
        return jem__fail(JEM_ERROR_CONFIG,
                         "trainer.validation: got %" PRId64
                         " images to hold out, expected fewer than the %" PRId64 " of the data",
                         count, images);
    if (count == 0) {
        *rest = jem__dataset_take(data);
        return JEM_OK;
    }
    v->every = jem__config_i64(config, "trainer.validate_every");
    v->last = jem__config_i64(config, "trainer.iterations");
    v->by_nll = strcmp(jem__config_str(config, "trainer.best"), "nll") == 0;
    v->results[JEM__ACCURACY] = v->results[JEM__NLL] = NAN;
    v->results[JEM__BEST_ACCURACY] = v->results[JEM__BEST_NLL] = NAN;
    v->elements = jem__model_elements(model);
    JEM__TRY(jem__calloc(&v->best, v->elements, sizeof *v->best));
    return jem_dataset_split(&v->data, rest, data, count, seed);
}

void jem__validation_clear(jem__validation *v)
{
    jem_dataset_destroy(v->data);
    jem__free(v->best);
    v->data = NULL;
    v->best = NULL;
}

int32_t jem__validation_due(const jem__validation *v, int64_t step)
{
    return v->data && step > v->step && (step % v->every == 0 || step == v->last);
}

/* ---- One validation ---- */

typedef struct judgement {
    const jem__validation *validation;
    jem_model *model;
    int64_t classes;
    float *x, *logits; /* [CHUNK] images and their logits */
    int32_t y[CHUNK];
    double right, nll; /* sums */
} judgement;

static jem_status judge_chunk(judgement *j, int64_t first, int64_t n)
{
    double loss;
    JEM__TRY(jem_dataset_read(j->validation->data, first, n, j->x, INT64_MAX, j->y));
    JEM__TRY(jem_model_logits(j->model, j->x, n, j->logits, n * j->classes));
    JEM__TRY(jem_loss_cross_entropy(j->logits, j->y, n, j->classes, 1, &loss, NULL));
    j->right += (double)jem__count_right(j->logits, j->y, n, j->classes);
    j->nll += loss * (double)n;
    return JEM_OK;
}

static jem_status judge(judgement *j, const jem__flag *cancel, double *results)
{
    int64_t count, c, h, w;
    JEM__TRY(jem_dataset_info(j->validation->data, &count, &c, &h, &w, NULL));
    JEM__TRY(jem_model_info(j->model, NULL, NULL, NULL, &j->classes, NULL));
    JEM__TRY(jem__alloc(&j->x, CHUNK, c * h * w * (int64_t)sizeof *j->x));
    JEM__TRY(jem__alloc(&j->logits, CHUNK, j->classes * (int64_t)sizeof *j->logits));
    for (int64_t i = 0; i < count; i += CHUNK) {
        if (*cancel) return JEM_CANCELLED;
        JEM__TRY(judge_chunk(j, i, count - i < CHUNK ? count - i : CHUNK));
    }
    results[JEM__ACCURACY] = j->right / (double)count;
    results[JEM__NLL] = j->nll / (double)count;
    return JEM_OK;
}

/* Ties in accuracy go to the lower NLL. What is no number is never better. */
static int32_t better(const jem__validation *v, const double *now)
{
    double accuracy = now[JEM__ACCURACY], nll = now[JEM__NLL];
    if (!isfinite(nll)) return 0;
    if (v->best_step == 0) return 1;
    if (!v->by_nll && accuracy != v->results[JEM__BEST_ACCURACY])
        return accuracy > v->results[JEM__BEST_ACCURACY];
    return nll < v->results[JEM__BEST_NLL];
}

jem_status jem__validation_bytes(const jem__validation *v, jem_model *model, int64_t *bytes)
{
    int64_t count, c, h, w, classes;
    JEM__TRY(jem_dataset_info(v->data, &count, &c, &h, &w, NULL));
    JEM__TRY(jem_model_info(model, NULL, NULL, NULL, &classes, NULL));
    const int64_t sizes[] = {count < CHUNK ? count : CHUNK, count % CHUNK};
    JEM__TRY(jem__model_score_bytes(model, sizes, 2, bytes));
    *bytes += jem__block_bytes(CHUNK * c * h * w * (int64_t)sizeof(float)) +
              jem__block_bytes(CHUNK * classes * (int64_t)sizeof(float));
    return JEM_OK;
}

jem_status jem__validation_run(jem__validation *v, jem_model *model, int64_t step,
                               const jem__flag *cancel)
{
    judgement j = {.validation = v, .model = model};
    double now[2];
    jem_status status = judge(&j, cancel, now);
    jem__free(j.x);
    jem__free(j.logits);
    if (status) return status;
    if (better(v, now)) {
        memcpy(v->results + JEM__BEST_ACCURACY, now, sizeof now);
        jem__model_copy_out(model, v->best);
        v->best_step = step;
    }
    memcpy(v->results, now, sizeof now);
    v->step = step;
    return JEM_OK;
}

/* ---- A trainer's ---- */

void jem__trainer_tell_validation(jem_trainer *t)
{
    const jem__validation *v = &t->validation;
    double *m = t->metrics;
    if (v->step == 0) return;
    m[JEM__METRIC_VALID_STEP] = (double)v->step;
    m[JEM__METRIC_VALID_ACCURACY] = v->results[JEM__ACCURACY];
    m[JEM__METRIC_VALID_NLL] = v->results[JEM__NLL];
    if (v->best_step == 0) return;
    m[JEM__METRIC_BEST_STEP] = (double)v->best_step;
    m[JEM__METRIC_BEST_ACCURACY] = v->results[JEM__BEST_ACCURACY];
    m[JEM__METRIC_BEST_NLL] = v->results[JEM__BEST_NLL];
}

/* Of the average, if there is one. */
jem_status jem__trainer_validate(jem_trainer *t)
{
    const jem__flag *cancel = jem__sampler_cancel_flag(t->sampler);
    jem_model *model = t->model;
    if (!jem__validation_due(&t->validation, t->step)) return JEM_OK;
    if (t->average.values) JEM__TRY(jem__model_with(&model, t->model, t->average.values));
    jem_status status = jem__validation_run(&t->validation, model, t->step, cancel);
    if (model != t->model) jem_model_destroy(model);
    if (status) return status;
    jem__trainer_tell_validation(t);
    jem__log(JEM_LOG_INFO, "step %" PRId64 ": validation: accuracy %.4f, NLL %.4f%s", t->step,
             t->validation.results[JEM__ACCURACY], t->validation.results[JEM__NLL],
             t->validation.best_step == t->step ? ", the best so far" : "");
    return JEM_OK;
}
