/* The trainer: learning, determinism, what a failed step leaves behind. */
#include "train/tiny.h"

START_TEST(learns)
{
    tiny t = tiny_of(2, "trainer.iterations=40 optimizer.rate=3e-3 trainer.px=0.1");
    OK(jem_trainer_run(t.trainer, NULL));
    ck_assert(tiny_metric(&t, "accuracy") == 1);
    ck_assert(tiny_metric(&t, "loss_pyx") < 0.5);
    int64_t step, iterations;
    OK(jem_trainer_progress(t.trainer, &step, &iterations));
    ck_assert(step == 40 && iterations == 40);
    ck_assert_int_eq(jem_trainer_step(t.trainer), JEM_END);
    OK(jem_trainer_run(t.trainer, NULL));
    tiny_end(&t);
}
END_TEST

static int is_optional(const char *metric)
{
    return strstr(metric, "pxy") || !strncmp(metric, "valid_", 6) || !strncmp(metric, "best_", 5);
}

START_TEST(metrics)
{
    tiny t = tiny_of(1, "trainer.energy_penalty=0.25 trainer.px=0.5 trainer.pyx=2 "
                        "trainer.warmup=10 optimizer.rate=1e-3 sampler.clamp=1");
    double values[METRICS];
    ck_assert_int_eq(jem_trainer_metric_count(), METRICS);
    ck_assert_ptr_null(jem_trainer_metric_name(METRICS));
    ck_assert_ptr_null(jem_trainer_metric_name(-1));
    FAILS(JEM_ERROR_SHAPE, jem_trainer_metrics(t.trainer, values, METRICS - 1), "at least");
    ck_assert(isnan(tiny_metric(&t, "loss")));
    ck_assert_double_eq(tiny_metric(&t, "rate_factor"), 1);
    ck_assert_double_eq(tiny_metric(&t, "sampler_steps"), 2);
    for (int i = 0; i < 3; i++) OK(jem_trainer_step(t.trainer));
    OK(jem_trainer_metrics(t.trainer, values, METRICS));
    /* All but those of p(x,y) and of validation. */
    for (int i = 0; i < METRICS; i++)
        ck_assert_msg(isfinite(values[i]) == !is_optional(jem_trainer_metric_name(i)), "%s",
                      jem_trainer_metric_name(i));
    ck_assert(tiny_metric(&t, "step") == 3);
    ck_assert_double_eq_tol(tiny_metric(&t, "rate"), 3e-4, 1e-12);
    ck_assert_double_eq_tol(tiny_metric(&t, "gap"),
                            tiny_metric(&t, "energy_data") - tiny_metric(&t, "energy_sample"),
                            1e-12);
    ck_assert_double_eq_tol(tiny_metric(&t, "loss"),
                            0.5 * tiny_metric(&t, "loss_px") + 2 * tiny_metric(&t, "loss_pyx"),
                            1e-12);
    double ed = tiny_metric(&t, "energy_data"), es = tiny_metric(&t, "energy_sample");
    /* Mean squares are no less than squared means. */
    ck_assert(tiny_metric(&t, "loss_px") >= ed - es + 0.25 * (ed * ed + es * es) - 1e-9);
    ck_assert(tiny_metric(&t, "gradient_norm") > 0 && tiny_metric(&t, "distance") > 0);
    tiny_end(&t);
    t = tiny_of(1, "trainer.px=0");
    OK(jem_trainer_step(t.trainer));
    ck_assert(isnan(tiny_metric(&t, "gap")) && isnan(tiny_metric(&t, "distance")));
    ck_assert_double_eq(tiny_metric(&t, "loss"), tiny_metric(&t, "loss_pyx"));
    tiny_end(&t);
    t = tiny_of(1, "trainer.pyx=0");
    OK(jem_trainer_step(t.trainer));
    ck_assert(isnan(tiny_metric(&t, "accuracy")));
    ck_assert_double_eq(tiny_metric(&t, "loss"), tiny_metric(&t, "loss_px"));
    tiny_end(&t);
}
END_TEST

START_TEST(same_bits_on_any_number_of_threads)
{
    const char *const settings[] = {
        "", "model.norm=batch model.dropout=0.2 sampler.mode=training sampler.clamp=1",
        "sampler.conditional=1 sampler.start=gaussian trainer.energy_penalty=0.1 "
        "optimizer.name=sgd loader.crop=1 loader.flip=1 trainer.px_augment=0",
        "model.norm=act model.dropout=0.2 model.energy=head trainer.energy_penalty=0.1"};
    for (int s = 0; s < 4; s++) {
        tiny a = tiny_of(1, settings[s]), b = tiny_of(2, settings[s]);
        OK(jem_trainer_run(a.trainer, NULL));
        OK(jem_trainer_run(b.trainer, NULL));
        ck_assert(tiny_equal(&a, &b));
        tiny_end(&a);
        tiny_end(&b);
    }
    /* Another seed, another run. */
    tiny a = tiny_of(1, ""), b = tiny_of(1, "trainer.seed=2");
    OK(jem_trainer_step(a.trainer));
    OK(jem_trainer_step(b.trainer));
    ck_assert(!tiny_equal(&a, &b));
    tiny_end(&a);
    tiny_end(&b);
}
END_TEST

/* One step of the trainer is what an own loop would do. */
START_TEST(own_loop)
{
    tiny t = tiny_of(2, "trainer.energy_penalty=0.2 trainer.px=0.7 model.norm=batch");
    tiny own = tiny_of(1, "loader.seed=1 sampler.seed=1 model.norm=batch");
    float x_p[4 * IMAGE], x_q[4 * IMAGE], x[6 * IMAGE], logits[6 * K], d[6 * K];
    int32_t y[6];
    int64_t n;
    jem_loader *px, *labelled;
    jem_sampler *sampler;
    jem_optimizer *optimizer;
    jem_pass *pass;
    OK(jem_loader_create(&labelled, own.data, own.config));
    OK(jem_config_parse(own.config, "loader.stream=1 loader.batch=4"));
    OK(jem_loader_create(&px, own.data, own.config));
    OK(jem_sampler_create(&sampler, own.model, own.config));
    OK(jem_optimizer_create(&optimizer, own.model, own.config));
    OK(jem_pass_create(&pass, own.model, JEM_PASS_TRAIN, 6));
    for (int step = 0; step < 3; step++) {
        OK(jem_trainer_step(t.trainer));
        OK(jem_loader_next(px, x_p, INT64_MAX, NULL, 0, &n));
        OK(jem_loader_next(labelled, x, INT64_MAX, y, INT64_MAX, &n));
        OK(jem_sampler_draw(sampler, NULL, 4, x_q, INT64_MAX));
        OK(jem_model_gradient_zero(own.model));
        for (int part = 0; part < 3; part++) {
            n = part < 2 ? 4 : 6;
            memset(d, 0, sizeof d);
            OK(jem_pass_forward(pass, part == 0 ? x_p : part == 1 ? x_q : x, n, logits, INT64_MAX));
            if (part < 2) {
                OK(jem_loss_energy(logits, NULL, n, K, part ? -0.7 : 0.7, NULL, d));
                OK(jem_loss_energy_penalty(logits, NULL, n, K, 0.2 * 0.7, NULL, d));
            } else {
                OK(jem_loss_cross_entropy(logits, y, n, K, 1, NULL, d));
            }
            OK(jem_pass_backward(pass, d, JEM_GRADIENT_PARAMETERS, NULL));
        }
        OK(jem_optimizer_step(optimizer, NULL));
    }
    int64_t count = jem_model_parameter_count(t.model), elements;
    for (int64_t i = 0; i < count; i++) {
        const char *name;
        OK(jem_model_parameter_info(t.model, i, &name, NULL, NULL, &elements, NULL));
        float *a, *b;
        OK(jem_model_parameter_map(t.model, i, &a));
        OK(jem_model_parameter_map(own.model, i, &b));
        ck_assert_msg(memcmp(a, b, (size_t)elements * sizeof *a) == 0, "%s", name);
        OK(jem_model_parameter_unmap(t.model, i));
        OK(jem_model_parameter_unmap(own.model, i));
    }
    jem_pass_destroy(pass);
    jem_optimizer_destroy(optimizer);
    jem_sampler_destroy(sampler);
    jem_loader_destroy(px);
    jem_loader_destroy(labelled);
    tiny_end(&own);
    tiny_end(&t);
}
END_TEST

/* A step that fails in some way changes nothing, and the run goes on as if it
   had not been tried. */
static void recovers_after(int steps, const char *settings, jem_status (*go_wrong)(tiny *t))
{
    tiny t = tiny_of(2, settings), plain = tiny_of(2, settings);
    for (int i = 0; i < steps; i++) OK(jem_trainer_step(t.trainer));
    for (int i = 0; i < steps; i++) OK(jem_trainer_step(plain.trainer));
    jem_status status = go_wrong(&t);
    ck_assert(status != JEM_OK);
    int64_t step;
    OK(jem_trainer_progress(t.trainer, &step, NULL));
    ck_assert_int_eq(step, steps);
    ck_assert(tiny_equal(&t, &plain));
    OK(jem_trainer_step(t.trainer));
    OK(jem_trainer_step(plain.trainer));
    ck_assert(tiny_equal(&t, &plain));
    tiny_end(&t);
    tiny_end(&plain);
}

static void recovers(const char *settings, jem_status (*go_wrong)(tiny *t))
{
    recovers_after(2, settings, go_wrong);
}

static jem_status cancelled(tiny *t)
{
    jem_trainer_cancel(t->trainer);
    jem_status status = jem_trainer_run(t->trainer, NULL);
    ck_assert_int_eq(status, JEM_CANCELLED);
    return status;
}

/* A bias of the last layer that is not a number: which check sees it first
   depends on what a step does. */
static jem_status poisoned(tiny *t, const char *word)
{
    int64_t index = jem_model_parameter_find(t->model, "class_output.bias");
    float *values, kept;
    ck_assert_int_ge(index, 0);
    OK(jem_model_parameter_map(t->model, index, &values));
    kept = values[1];
    values[1] = NAN;
    OK(jem_model_parameter_unmap(t->model, index));
    FAILS(JEM_ERROR_DIVERGED, jem_trainer_step(t->trainer), word);
    OK(jem_model_parameter_map(t->model, index, &values));
    values[1] = kept;
    OK(jem_model_parameter_unmap(t->model, index));
    return JEM_ERROR_DIVERGED;
}

static jem_status in_the_chains(tiny *t)
{
    return poisoned(t, ": sampler: chain");
}

static jem_status in_the_energies(tiny *t)
{
    return poisoned(t, ": the mean energy of the data");
}

static jem_status in_the_labelled(tiny *t)
{
    return poisoned(t, ": the cross-entropy");
}

START_TEST(failed_steps_leave_no_trace)
{
    const char *batch = "model.norm=batch optimizer.name=sgd";
    recovers("", cancelled);
    recovers(batch, cancelled);
    recovers(batch, in_the_chains);
    recovers("model.norm=batch sampler.steps=0", in_the_energies);
    recovers("model.norm=batch trainer.px=0", in_the_labelled);
    /* The initial values of act norm, too, go with the step that failed. */
    recovers_after(0, "model.norm=act sampler.steps=0", in_the_energies);
    recovers_after(0, "model.norm=act trainer.px=0", in_the_labelled);
}
END_TEST

/* What was measured on the weights goes with them, not with a step that failed. */
START_TEST(failed_steps_keep_the_calibration)
{
    static const char *const settings[] = {"model.norm=batch trainer.gap_limit=1e-9",
                                           "optimizer.sam_rho=1e6", ""};
    for (int i = 0; i < 3; i++) {
        tiny t = tiny_of(1, settings[i]);
        OK(jem_model_metadata_set(t.model, "calibration", "of these weights"));
        ck_assert_int_eq(jem_trainer_step(t.trainer), i < 2 ? JEM_ERROR_DIVERGED : JEM_OK);
        ck_assert_int_eq(jem_model_metadata_get(t.model, "calibration", NULL, 0), i < 2 ? 16 : -1);
        tiny_end(&t);
    }
}
END_TEST

/* How far training moved a parameter. */
static double moved(tiny *t, const char *name)
{
    tiny fresh = tiny_of(1, "model.energy=head");
    int64_t p = jem_model_parameter_find(t->model, name), elements;
    float a[2048], b[2048];
    double sum = 0;
    OK(jem_model_parameter_info(t->model, p, NULL, NULL, NULL, &elements, NULL));
    ck_assert_int_le(elements, 2048);
    OK(jem_model_parameter_get(t->model, p, a, elements));
    OK(jem_model_parameter_get(fresh.model, p, b, elements));
    for (int64_t i = 0; i < elements; i++) sum += fabs((double)a[i] - (double)b[i]);
    tiny_end(&fresh);
    return sum;
}

/* p(x) trains the energy head and the body, p(y|x) the classifier and the body. */
START_TEST(energy_head)
{
    const char *const settings[] = {"model.energy=head trainer.pyx=0",
                                    "model.energy=head trainer.px=0",
                                    "model.energy=head trainer.pxy=1 trainer.px=0"};
    for (int s = 0; s < 3; s++) {
        tiny t = tiny_of(2, settings[s]);
        OK(jem_trainer_run(t.trainer, NULL));
        ck_assert((moved(&t, "energy_output.weight") > 0) == (s == 0));
        ck_assert((moved(&t, "class_output.weight") > 0) == (s > 0));
        ck_assert(moved(&t, "f.conv1.weight") > 0);
        if (s == 0) ck_assert(isfinite(tiny_metric(&t, "gap")) && tiny_metric(&t, "gap") != 0);
        tiny_end(&t);
    }
}
END_TEST

START_TEST(divergence)
{
    tiny t = tiny_of(2, "trainer.gap_limit=1e-9");
    FAILS(JEM_ERROR_DIVERGED, jem_trainer_run(t.trainer, NULL), "gap_limit is 1e-09");
    tiny_end(&t);
    /* A rate that no run survives is noticed. */
    t = tiny_of(2, "optimizer.rate=1e3 optimizer.name=sgd trainer.iterations=200");
    FAILS(JEM_ERROR_DIVERGED, jem_trainer_run(t.trainer, NULL), "step");
    tiny_end(&t);
    /* So are chains that leave the range of images. */
    t = tiny_of(2, "sampler.noise=50");
    FAILS(JEM_ERROR_DIVERGED, jem_trainer_run(t.trainer, NULL), "the samples");
    tiny_end(&t);
}
END_TEST

typedef struct watch {
    int64_t calls, stop_at;
    int32_t cancel;
    const tiny *t;
} watch;

static int32_t on_step(void *user, jem_trainer *trainer, int64_t step)
{
    watch *w = user;
    double values[METRICS];
    w->calls++;
    ck_assert_int_eq(step, w->calls);
    OK(jem_trainer_metrics(trainer, values, METRICS));
    FAILS(JEM_ERROR_STATE, jem_trainer_step(trainer), "callback");
    FAILS(JEM_ERROR_STATE, jem_trainer_run(trainer, NULL), "callback");
    FAILS(JEM_ERROR_STATE, jem_trainer_resume(trainer, "nowhere"), "callback");
    if (w->cancel && step == w->stop_at) jem_trainer_cancel(trainer);
    return !w->cancel && step == w->stop_at;
}

START_TEST(callback_stops)
{
    tiny t = tiny_of(1, ""), plain = tiny_of(1, "");
    watch w = {.stop_at = 2, .t = &t};
    jem_trainer_callbacks callbacks = {
        .struct_size = sizeof callbacks, .user = &w, .step = on_step};
    ck_assert_int_eq(jem_trainer_run(t.trainer, &callbacks), JEM_CANCELLED);
    ck_assert_int_eq(w.calls, 2);
    w.cancel = 1;
    w.stop_at = 4;
    ck_assert_int_eq(jem_trainer_run(t.trainer, &callbacks), JEM_CANCELLED);
    ck_assert_int_eq(w.calls, 4);
    w.stop_at = 0;
    OK(jem_trainer_run(t.trainer, &callbacks));
    ck_assert_int_eq(w.calls, 6);
    OK(jem_trainer_run(plain.trainer, NULL));
    ck_assert(tiny_equal(&t, &plain));
    callbacks.struct_size = 8;
    FAILS(JEM_ERROR_ARGUMENT, jem_trainer_run(t.trainer, &callbacks), "struct_size is 8");
    tiny_end(&t);
    tiny_end(&plain);
}
END_TEST

/* A creation that fails late has changed nothing. */
START_TEST(failed_creation_leaves_the_model)
{
    tiny t = tiny_untrained(1, "sampler.start=gaussian optimizer.nesterov=1");
    int64_t rank;
    FAILS(JEM_ERROR_CONFIG, jem_trainer_create(&t.trainer, t.model, t.data, t.config),
          "optimizer.nesterov");
    OK(jem_model_starts_info(t.model, &rank, NULL, NULL));
    ck_assert_int_eq(rank, 0);
    OK(jem_config_parse(t.config, "optimizer.name=sgd"));
    OK(jem_trainer_create(&t.trainer, t.model, t.data, t.config));
    OK(jem_model_starts_info(t.model, &rank, NULL, NULL));
    ck_assert_int_gt(rank, 0);
    tiny_end(&t);
}
END_TEST

START_TEST(creation)
{
    tiny t = tiny_of(1, "");
    jem_trainer *trainer = t.trainer;
    jem_model *model;
    jem_sampler *sampler;
    FAILS(JEM_ERROR_ARGUMENT, jem_trainer_create(NULL, t.model, t.data, NULL), "trainer");
    FAILS(JEM_ERROR_ARGUMENT, jem_trainer_create(&trainer, NULL, t.data, NULL), "model");
    ck_assert_ptr_null(trainer);
    FAILS(JEM_ERROR_ARGUMENT, jem_trainer_create(&trainer, t.model, NULL, NULL), "data");
    OK(jem_trainer_model(&model, t.trainer));
    ck_assert_ptr_eq(model, t.model);
    jem_model_destroy(model);
    FAILS(JEM_ERROR_ARGUMENT, jem_trainer_model(&model, NULL), "trainer");
    ck_assert_ptr_null(model);
    FAILS(JEM_ERROR_ARGUMENT, jem_trainer_sampler(&sampler, NULL), "trainer");
    ck_assert_ptr_null(sampler);
    jem_trainer_cancel(NULL);
    jem_trainer_destroy(NULL);
    static const char *const bad[][2] = {{"trainer.decay_at=x", "decay_at"},
                                         {"trainer.px=0 trainer.pyx=0", "trainer.px"},
                                         {"sampler.conditional=1 sampler.buffer=11", "11 slots"},
                                         {"loader.crop=8", "loader.crop"}};
    for (int i = 0; i < 4; i++) {
        jem_config *config;
        OK(jem_config_clone(&config, t.config));
        OK(jem_config_parse(config, bad[i][0]));
        FAILS(JEM_ERROR_CONFIG, jem_trainer_create(&trainer, t.model, t.data, config), bad[i][1]);
        jem_config_destroy(config);
    }
    jem_dataset *data;
    uint8_t pixels[2 * 9 * 8] = {0};
    int32_t labels[2] = {0, 3};
    OK(jem_dataset_create(&data, t.context, pixels, JEM_TYPE_U8, labels, 2, 1, 9, 8));
    FAILS(JEM_ERROR_SHAPE, jem_trainer_create(&trainer, t.model, data, NULL), "1x9x8");
    jem_dataset_destroy(data);
    OK(jem_dataset_create(&data, t.context, pixels, JEM_TYPE_U8, labels, 2, 1, 8, 8));
    FAILS(JEM_ERROR_SHAPE, jem_trainer_create(&trainer, t.model, data, NULL), "4 classes");
    jem_dataset_destroy(data);
    tiny_end(&t);
}
END_TEST

TESTS("trainer", learns, metrics, same_bits_on_any_number_of_threads, own_loop,
      failed_steps_leave_no_trace, failed_steps_keep_the_calibration, energy_head, divergence,
      callback_stops, failed_creation_leaves_the_model, creation)
