/* The trainer's life: creation from settings, running, looking inside. */
#include "train/trainer.h"
#include "base/config.h"
#include "base/memory.h"
#include "base/status.h"
#include "data/dataset.h"
#include <inttypes.h>
#include <jem/starts.h>
#include <math.h>
#include <string.h>

enum { LABELLED_STREAM = 0, PX_STREAM = 1 }; /* of the loaders */

/* ---- Creation ---- */

jem_status jem__trainer_seeds(jem_config *config)
{
    static const char *const keys[] = {"loader.seed", "sampler.seed"};
    for (int i = 0; i < 2; i++) {
        int32_t is_set;
        JEM__TRY(jem_config_is_set(config, keys[i], &is_set));
        if (!is_set)
            JEM__TRY(jem_config_set_i64(config, keys[i], jem__config_i64(config, "trainer.seed")));
    }
    return JEM_OK;
}

static jem_status check_data(jem_trainer *t, const jem_dataset *data)
{
    int64_t c, h, w, dc, dh, dw;
    JEM__TRY(jem_model_info(t->model, &c, &h, &w, &t->classes, NULL));
    JEM__TRY(jem_dataset_info(data, &t->data_count, &dc, &dh, &dw, &t->data_classes));
    if (c != dc || h != dh || w != dw)
        return jem__fail(JEM_ERROR_SHAPE,
                         "jem_trainer_create: images of %" PRId64 "x%" PRId64 "x%" PRId64
                         ", the model takes %" PRId64 "x%" PRId64 "x%" PRId64,
                         dc, dh, dw, c, h, w);
    if (t->data_classes > t->classes)
        return jem__fail(JEM_ERROR_SHAPE,
                         "jem_trainer_create: labels of %" PRId64
                         " classes, the model has %" PRId64,
                         t->data_classes, t->classes);
    t->image = c * h * w;
    return JEM_OK;
}

/* labelled may be a part of data. */
static jem_status make_loaders(jem_trainer *t, jem_dataset *data, jem_dataset *labelled,
                               jem_config *work)
{
    int64_t stream = jem__config_i64(work, "loader.stream");
    JEM__TRY(jem_config_set_i64(work, "loader.repeat", 1)); /* iterations end a run */
    JEM__TRY(jem_config_set_i64(work, "loader.stream", stream + LABELLED_STREAM));
    JEM__TRY(jem_loader_create(&t->labelled_loader, labelled, work));
    JEM__TRY(jem_config_set_i64(work, "loader.stream", stream + PX_STREAM));
    JEM__TRY(jem_config_set_i64(work, "loader.batch", t->px_batch));
    if (!jem__config_i64(work, "trainer.px_augment")) {
        JEM__TRY(jem_config_set_i64(work, "loader.crop", 0));
        JEM__TRY(jem_config_set_i64(work, "loader.flip", 0));
    }
    return jem_loader_create(&t->px_loader, data, work);
}

static int64_t statistics_size(jem_model *model)
{
    const jem__parameter *list;
    int64_t n = jem__model_parameters(model, &list), total = 0;
    for (int64_t i = 0; i < n; i++)
        if (list[i].moved) total += list[i].elements;
    return total;
}

static jem_status make_room(jem_trainer *t)
{
    int64_t bytes = t->image * (int64_t)sizeof(float);
    int64_t row = t->classes * (int64_t)sizeof(float);
    JEM__TRY(jem__alloc(&t->x_p, t->px > 0 ? t->px_batch : 0, bytes));
    JEM__TRY(
        jem__alloc(&t->x_q, (t->px > 0 ? t->px_batch : 0) + (t->pxy > 0 ? t->batch : 0), bytes));
    t->x_j = t->x_q + (t->px > 0 ? t->px_batch : 0) * t->image;
    JEM__TRY(jem__alloc(&t->x_l, t->pyx > 0 || t->pxy > 0 ? t->batch : 0, bytes));
    JEM__TRY(jem__alloc(&t->y, t->batch, sizeof *t->y));
    JEM__TRY(jem__alloc(&t->chain_y, t->px_batch, sizeof *t->chain_y));
    JEM__TRY(jem__alloc(&t->logits, 2 * (t->px_batch + t->batch), row));
    if (jem__model_has_head(t->model))
        JEM__TRY(jem__alloc(&t->head, 2 * (t->px_batch + t->batch), sizeof *t->head));
    JEM__TRY(jem__alloc(&t->statistics, statistics_size(t->model), sizeof *t->statistics));
    /* The pass of one image: learning cuts its own slices. A frozen body is used as it
       will be in evaluation. */
    return jem_pass_create(&t->pass, t->model, t->head_only ? JEM_PASS_HEAD : JEM_PASS_TRAIN, 1);
}

static void read_settings(jem_trainer *t, const jem_config *config)
{
    t->iterations = jem__config_i64(config, "trainer.iterations");
    t->px = jem__config_f64(config, "trainer.px");
    t->pyx = jem__config_f64(config, "trainer.pyx");
    t->pxy = jem__config_f64(config, "trainer.pxy");
    t->sam = jem__config_f64(config, "optimizer.sam_rho") > 0;
    t->head_only = jem__config_i64(config, "optimizer.head_only") != 0;
    t->penalty = jem__config_f64(config, "trainer.energy_penalty");
    t->gap_limit = jem__config_f64(config, "trainer.gap_limit");
    t->batch = jem__config_i64(config, "loader.batch");
    t->px_batch = jem__config_i64(config, "trainer.px_batch");
    if (t->px_batch == 0) t->px_batch = t->batch;
    t->seed = (uint64_t)jem__config_i64(config, "sampler.seed");
    jem__guard_read(&t->guard, config);
}

void jem__trainer_forget_metrics(jem_trainer *t)
{
    for (int i = 0; i < JEM__METRIC_COUNT; i++) t->metrics[i] = NAN;
    t->metrics[JEM__METRIC_STEP] = (double)t->step;
    jem__trainer_tell_policy(t, t->metrics);
    jem__trainer_tell_validation(t);
}

void jem__trainer_tell_policy(const jem_trainer *t, double *m)
{
    m[JEM__METRIC_ROLLBACKS] = (double)t->rollback.count;
    m[JEM__METRIC_RATE_FACTOR] = t->rollback.rate;
    m[JEM__METRIC_PENALTY] = t->penalty;
    m[JEM__METRIC_SAMPLER_STEPS] = (double)t->rollback.steps_now;
    m[JEM__METRIC_ALARMS] = (double)t->guard.alarms;
}

static jem_status check_weights(const jem_trainer *t)
{
    if (t->px == 0 && t->pyx == 0 && t->pxy == 0)
        return jem__fail(JEM_ERROR_CONFIG,
                         "jem_trainer_create: trainer.px, trainer.pyx and trainer.pxy are all 0");
    if (t->validation.data && t->pyx == 0 && t->pxy == 0)
        return jem__fail(JEM_ERROR_CONFIG,
                         "trainer.validation: accuracy tells nothing about a model without labels: "
                         "trainer.pyx and trainer.pxy are both 0");
    return JEM_OK;
}

/* A class that no image shows would be learnt as what nothing is; one class as certain. */
static jem_status check_labels(const jem_trainer *t, const jem_dataset *labelled)
{
    int64_t count, *found;
    int32_t *labels = NULL;
    if (t->pyx == 0 && t->pxy == 0) return JEM_OK;
    if (t->pyx > 0 && t->classes < 2)
        return jem__fail(JEM_ERROR_CONFIG,
                         "trainer.pyx: got %g with a model of one class, expected 0: there is "
                         "nothing to tell apart",
                         t->pyx);
    JEM__TRY(jem_dataset_info(labelled, &count, NULL, NULL, NULL, NULL));
    JEM__TRY(jem__calloc(&found, t->classes, sizeof *found));
    jem_status status = jem__alloc(&labels, count, sizeof *labels);
    if (!status) status = jem_dataset_read(labelled, 0, count, NULL, 0, labels);
    for (int64_t i = 0; !status && i < count; i++) found[labels[i]]++;
    for (int64_t k = 0; !status && k < t->classes; k++)
        if (found[k] == 0)
            status = jem__fail(JEM_ERROR_ARGUMENT,
                               "jem_trainer_create: data: none of its %" PRId64
                               " images to train on is of class %" PRId64
                               ", expected some of each of the model's %" PRId64 " classes",
                               count, k, t->classes);
    jem__free(labels);
    jem__free(found);
    return status;
}

/* The images to train on, and those of them whose labels are used. */
static jem_status divide(jem_trainer *t, jem_dataset *data, const jem_config *work,
                         jem_dataset **train, jem_dataset **labelled)
{
    int64_t per_class = jem__config_i64(work, "trainer.labels_per_class");
    uint64_t seed = (uint64_t)jem__config_i64(work, "loader.seed");
    JEM__TRY(jem__validation_read(&t->validation, work, t->model, data, train));
    if (per_class == 0) {
        *labelled = jem__dataset_take(*train);
        return JEM_OK;
    }
    jem_status status = jem_dataset_balanced(labelled, *train, per_class, seed);
    return status == JEM_ERROR_ARGUMENT ? jem__fail_in(status, "trainer.labels_per_class") : status;
}

static int32_t starts_from_data(const jem_trainer *t, const jem_config *config)
{
    return (t->px > 0 || t->pxy > 0) &&
           strcmp(jem__config_str(config, "sampler.start"), "gaussian") == 0;
}

/* Starts for whoever samples without the data: in the model. */
static jem_status keep_starts(jem_trainer *t, jem_dataset *labelled, const jem_config *config)
{
    int64_t bytes;
    if (!starts_from_data(t, config)) return JEM_OK;
    JEM__TRY(jem_model_starts_info(t->model, NULL, &bytes, NULL));
    return bytes ? JEM_OK : jem_model_starts_fit(t->model, labelled, config);
}

/* Class Gaussians, too, know no labels but those. */
static jem_status make_sampler(jem_trainer *t, jem_dataset *labelled, const jem_config *work)
{
    JEM__TRY(jem_sampler_create(&t->sampler, t->model, work));
    if (t->head_only) jem__sampler_evaluate(t->sampler); /* the network that learns */
    /* Chains of E(x,y) tell nothing about a head's E(x). */
    if (t->px > 0 && jem__sampler_conditional(t->sampler) && jem__model_has_head(t->model))
        return jem__fail(JEM_ERROR_CONFIG,
                         "sampler.conditional: got 1 with model.energy=head, expected 0: its E(x) "
                         "is not made of the classes' energies");
    if (t->pxy > 0) JEM__TRY(jem__sampler_by_class(t->sampler));
    return starts_from_data(t, work) ? jem_sampler_set_data(t->sampler, labelled) : JEM_OK;
}

/* work is a copy of the settings that may be changed. */
static jem_status build(jem_trainer *t, jem_dataset *data, const jem_config *config,
                        jem_config *work)
{
    jem_dataset *train = NULL, *labelled = NULL;
    JEM__TRY(jem__trainer_seeds(work));
    read_settings(t, work);
    JEM__TRY(check_data(t, data));
    JEM__TRY(jem__schedule_read(&t->schedule, work));
    JEM__TRY(jem__average_read(&t->average, work, t->model));
    jem_status status = divide(t, data, work, &train, &labelled);
    if (!status) status = check_weights(t);
    if (!status) status = check_labels(t, labelled);
    if (!status) status = make_sampler(t, labelled, work);
    if (!status) status = jem_optimizer_create(&t->optimizer, t->model, work);
    if (!status) status = make_loaders(t, train, labelled, work);
    if (!status) status = make_room(t);
    if (!status) status = jem__rollback_read(t, config);
    /* Last: it changes the model. */
    if (!status) status = keep_starts(t, labelled, work);
    if (!status) jem__trainer_forget_metrics(t);
    jem_dataset_destroy(train);
    jem_dataset_destroy(labelled);
    return status;
}

static jem_status copy_settings(jem_config **copy, const jem_config *config)
{
    return config ? jem_config_clone(copy, config) : jem_config_create(copy);
}

jem_status jem_trainer_create(jem_trainer **trainer, jem_model *model, jem_dataset *data,
                              const jem_config *config)
{
    jem_trainer *t = NULL;
    jem_config *work = NULL;
    JEM__REQUIRE(trainer, "jem_trainer_create");
    *trainer = NULL;
    JEM__REQUIRE(model, "jem_trainer_create");
    JEM__REQUIRE(data, "jem_trainer_create");
    JEM__ENTER(jem__model_context(model), "jem_trainer_create");
    JEM__TRY(jem__calloc(&t, 1, sizeof *t));
    t->model = jem__model_take(model);
    jem_status status = copy_settings(&t->config, config);
    if (!status) status = copy_settings(&work, config);
    if (!status) status = build(t, data, config, work);
    jem_config_destroy(work);
    if (status) {
        jem_trainer_destroy(t);
        return status;
    }
    *trainer = t;
    return JEM_OK;
}

void jem_trainer_destroy(jem_trainer *t)
{
    if (!t) return;
    jem_pass_destroy(t->pass);
    jem_loader_destroy(t->px_loader);
    jem_loader_destroy(t->labelled_loader);
    jem_sampler_destroy(t->sampler);
    jem_optimizer_destroy(t->optimizer);
    jem__schedule_clear(&t->schedule);
    jem__rollback_clear(&t->rollback);
    jem__average_clear(&t->average);
    jem__validation_clear(&t->validation);
    jem_config_destroy(t->config);
    float *floats[] = {t->x_p, t->x_q, t->x_l, t->logits, t->head, t->statistics};
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++) jem__free(floats[i]);
    jem__free(t->y);
    jem__free(t->chain_y);
    jem_model_destroy(t->model);
    jem__free(t);
}

/* ---- Running ---- */

static jem_status check_idle(const jem_trainer *t, const char *function)
{
    JEM__REQUIRE(t, function);
    if (t->running)
        return jem__fail(JEM_ERROR_STATE, "%s: called from inside a callback of the same trainer",
                         function);
    return JEM_OK;
}

static jem_status step(jem_trainer *t)
{
    /* A validation that was cut short is taken up. */
    jem_status status = jem__trainer_validate(t);
    if (status == JEM_OK && t->step >= t->iterations) return JEM_END;
    if (status == JEM_OK) status = jem__rollback_begin(t);
    if (status == JEM_OK) status = jem__trainer_advance(t);
    if (status == JEM_OK) status = jem__rollback_keep(t);
    if (status == JEM_ERROR_DIVERGED) status = jem__rollback_run(t);
    if (status == JEM_OK) status = jem__trainer_validate(t);
    if (status == JEM_CANCELLED) jem__sampler_cancel_taken(t->sampler);
    return status;
}

jem_status jem_trainer_step(jem_trainer *trainer)
{
    JEM__TRY(check_idle(trainer, "jem_trainer_step"));
    JEM__ENTER(jem__model_context(trainer->model), "jem_trainer_step");
    return step(trainer);
}

/* A caller's table may be an older and shorter one: what it lacks stays NULL. */
static jem_status read_callbacks(jem_trainer_callbacks *own, const jem_trainer_callbacks *theirs)
{
    const int64_t least = offsetof(jem_trainer_callbacks, rollback), size = theirs->struct_size;
    if (size < least)
        return jem__fail(JEM_ERROR_ARGUMENT,
                         "jem_trainer_run: struct_size is %" PRId64 ", expected at least %" PRId64,
                         size, least);
    memcpy(own, theirs, size < (int64_t)sizeof *own ? (size_t)size : sizeof *own);
    return JEM_OK;
}

/* Non-zero if the caller wants to stop. Its calls have contexts and log lines of their own. */
static int32_t tell(const jem_trainer_callbacks *to, jem_trainer *t, jem_status status,
                    int64_t before)
{
    const jem__rollback *r = &t->rollback;
    int32_t stop = 0;
    jem__log_deliver();
    jem__scope outside = jem__enter(NULL);
    /* A step whose validation was cut short or failed is complete. */
    if (t->step > before && to->step) stop = to->step(to->user, t, t->step);
    if (status == JEM_ROLLED_BACK && to->rollback)
        stop = to->rollback(to->user, t, r->from, r->to, r->reason);
    jem__restore(outside);
    return stop;
}

jem_status jem_trainer_run(jem_trainer *trainer, const jem_trainer_callbacks *callbacks)
{
    jem_trainer_callbacks own = {.struct_size = sizeof own};
    jem_status status = JEM_OK;
    char error[1024];
    JEM__TRY(check_idle(trainer, "jem_trainer_run"));
    if (callbacks) JEM__TRY(read_callbacks(&own, callbacks));
    JEM__ENTER(jem__model_context(trainer->model), "jem_trainer_run");
    trainer->running = 1;
    while (status == JEM_OK || status == JEM_ROLLED_BACK) {
        int64_t before = trainer->step;
        status = step(trainer);
        if (status < 0) jem_last_error(error, sizeof error);
        int32_t stop = tell(&own, trainer, status, before);
        if (stop && status >= 0) status = JEM_CANCELLED;
    }
    trainer->running = 0;
    if (status < 0) return jem__fail(status, "%s", error); /* whatever a callback left there */
    return status == JEM_END ? JEM_OK : status;
}

void jem_trainer_cancel(jem_trainer *trainer)
{
    if (trainer) jem_sampler_cancel(trainer->sampler);
}

jem_status jem_trainer_progress(const jem_trainer *trainer, int64_t *steps, int64_t *iterations)
{
    JEM__REQUIRE(trainer, "jem_trainer_progress");
    if (steps) *steps = trainer->step;
    if (iterations) *iterations = trainer->iterations;
    return JEM_OK;
}

/* ---- Parts ---- */

jem_status jem_trainer_sampler(jem_sampler **sampler, jem_trainer *trainer)
{
    JEM__REQUIRE(sampler, "jem_trainer_sampler");
    *sampler = NULL;
    JEM__REQUIRE(trainer, "jem_trainer_sampler");
    *sampler = jem__sampler_take(trainer->sampler);
    return JEM_OK;
}

jem_status jem_trainer_model(jem_model **model, jem_trainer *trainer)
{
    JEM__REQUIRE(model, "jem_trainer_model");
    *model = NULL;
    JEM__REQUIRE(trainer, "jem_trainer_model");
    *model = jem__model_take(trainer->model);
    return JEM_OK;
}

jem_status jem_trainer_ema_model(jem_model **model, const jem_trainer *trainer)
{
    JEM__REQUIRE(model, "jem_trainer_ema_model");
    *model = NULL;
    JEM__REQUIRE(trainer, "jem_trainer_ema_model");
    JEM__ENTER(jem__model_context(trainer->model), "jem_trainer_ema_model");
    if (!trainer->average.values)
        return jem__fail(JEM_ERROR_STATE,
                         "jem_trainer_ema_model: there is no average, trainer.ema is 0");
    return jem__model_with(model, trainer->model, trainer->average.values);
}

jem_status jem_trainer_best_model(jem_model **model, const jem_trainer *trainer, int64_t *step)
{
    JEM__REQUIRE(model, "jem_trainer_best_model");
    *model = NULL;
    if (step) *step = 0;
    JEM__REQUIRE(trainer, "jem_trainer_best_model");
    JEM__ENTER(jem__model_context(trainer->model), "jem_trainer_best_model");
    const jem__validation *v = &trainer->validation;
    if (v->best_step == 0)
        return jem__fail(JEM_ERROR_STATE, "jem_trainer_best_model: %s",
                         v->data ? "no validation has been done yet" : "trainer.validation is 0");
    JEM__TRY(jem__model_with(model, trainer->model, v->best));
    if (step) *step = v->best_step;
    return JEM_OK;
}
