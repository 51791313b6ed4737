/* Averaged weights, held-out images, the best model. */
#include "train/tiny.h"
#include "train/trainer.h"

static float *values_of(jem_model *model, int64_t *n)
{
    *n = jem__model_elements(model);
    float *values = malloc((size_t)*n * sizeof *values);
    jem__model_copy_out(model, values);
    return values;
}

static int same(jem_model *a, jem_model *b)
{
    int64_t n, m;
    float *x = values_of(a, &n), *y = values_of(b, &m);
    int equal = n == m && memcmp(x, y, (size_t)n * sizeof *x) == 0;
    free(x);
    free(y);
    return equal;
}

/* ---- The average ---- */

/* Against sums in double, statistics included; initial weights take no part. */
START_TEST(average)
{
    enum { STEPS = 6 };
    const double decay = 0.7;
    tiny t = tiny_of(2, "trainer.ema=0.7 model.norm=batch"), plain = tiny_of(1, "model.norm=batch");
    int64_t n = jem__model_elements(t.model), m;
    double *sum = calloc((size_t)n, sizeof *sum), weights = 0, most = 0, apart = 0;
    jem_model *mean;
    OK(jem_trainer_ema_model(&mean, t.trainer));
    ck_assert(same(mean, t.model)); /* before the first step: the model as it is */
    jem_model_destroy(mean);
    for (int step = 0; step < STEPS; step++) {
        OK(jem_trainer_step(t.trainer));
        OK(jem_trainer_step(plain.trainer));
        float *now = values_of(t.model, &m);
        for (int64_t i = 0; i < n; i++) sum[i] = decay * sum[i] + (1 - decay) * (double)now[i];
        weights = decay * weights + (1 - decay);
        OK(jem_trainer_ema_model(&mean, t.trainer));
        float *values = values_of(mean, &m);
        for (int64_t i = 0; i < n; i++) {
            double want = sum[i] / weights;
            most = fmax(most, fabs((double)values[i] - want) / (1 + fabs(want)));
            apart = fmax(apart, fabs((double)now[i] - want));
        }
        ck_assert(same(mean, t.model) == (step == 0));
        free(now);
        free(values);
        jem_model_destroy(mean);
    }
    ck_assert_double_le(most, 5e-7);
    ck_assert_double_gt(apart, 1e-3);
    /* It watches and does not touch. */
    ck_assert(tiny_equal(&t, &plain));
    FAILS(JEM_ERROR_STATE, jem_trainer_ema_model(&mean, plain.trainer), "trainer.ema is 0");
    ck_assert_ptr_null(mean);
    FAILS(JEM_ERROR_ARGUMENT, jem_trainer_ema_model(NULL, plain.trainer), "model");
    FAILS(JEM_ERROR_ARGUMENT, jem_trainer_ema_model(&mean, NULL), "trainer");
    free(sum);
    tiny_end(&t);
    tiny_end(&plain);
}
END_TEST

/* ---- Held-out images ---- */

static void held_out(const tiny *t, int64_t count, jem_dataset **out)
{
    jem_dataset *rest;
    OK(jem_dataset_split(out, &rest, t->data, count, 1));
    jem_dataset_destroy(rest);
}

/* Accuracy and NLL, by the functions for evaluation. */
static void evaluate(jem_model *model, jem_dataset *data, double *accuracy, double *nll)
{
    int64_t n;
    OK(jem_dataset_info(data, &n, NULL, NULL, NULL, NULL));
    float *x = malloc((size_t)n * IMAGE * sizeof *x), *logits = malloc((size_t)n * K * sizeof *x);
    int32_t *y = malloc((size_t)n * sizeof *y);
    OK(jem_dataset_read(data, 0, n, x, INT64_MAX, y));
    OK(jem_model_logits(model, x, n, logits, n * K));
    OK(jem_eval_accuracy(logits, y, n, K, accuracy));
    OK(jem_eval_nll(logits, y, n, K, nll));
    free(x);
    free(logits);
    free(y);
}

/* Every image is either held out or trained on. */
START_TEST(images_are_held_out)
{
    tiny t = tiny_of(1, "trainer.validation=24 trainer.validate_every=9 loader.noise=0 "
                        "sampler.steps=0 loader.batch=12 "
                        "trainer.px_batch=12 trainer.iterations=9");
    jem_dataset *kept;
    float image[IMAGE];
    held_out(&t, 24, &kept);
    int64_t trained = 0;
    for (int step = 0; step < 3; step++) { /* an epoch */
        OK(jem_trainer_step(t.trainer));
        for (int64_t j = 0; j < 24; j++) {
            OK(jem_dataset_read(kept, j, 1, image, INT64_MAX, NULL));
            for (int i = 0; i < 12; i++) {
                ck_assert(memcmp(image, t.trainer->x_l + i * IMAGE, sizeof image));
                ck_assert(memcmp(image, t.trainer->x_p + i * IMAGE, sizeof image));
            }
        }
        trained += 12;
    }
    ck_assert_int_eq(trained, DATA - 24);
    jem_dataset_destroy(kept);
    tiny_end(&t);
}
END_TEST

/* Numbers and the best model, against evaluation after every step. */
static void follow(const char *settings, int32_t by_nll, int64_t every)
{
    char text[400];
    snprintf(text, sizeof text,
             "trainer.validation=24 trainer.iterations=10 trainer.validate_every=%d "
             "optimizer.rate=0.02 sampler.clamp=1 trainer.best=%s %s",
             (int)every, by_nll ? "nll" : "accuracy", settings);
    tiny t = tiny_of(2, text);
    jem_dataset *kept;
    jem_model *best = NULL, *model;
    double best_accuracy = -1, best_nll = INFINITY;
    int64_t best_step = 0, step;
    held_out(&t, 24, &kept);
    FAILS(JEM_ERROR_STATE, jem_trainer_best_model(&model, t.trainer, &step), "no validation");
    for (int64_t i = 1; i <= 10; i++) {
        double accuracy, nll;
        OK(jem_trainer_step(t.trainer));
        if (i % every && i != 10) continue;
        if (t.trainer->average.values)
            OK(jem_trainer_ema_model(&model, t.trainer));
        else
            OK(jem_model_clone(&model, t.model));
        evaluate(model, kept, &accuracy, &nll);
        ck_assert_double_eq(tiny_metric(&t, "valid_step"), (double)i);
        ck_assert_double_eq_tol(tiny_metric(&t, "valid_accuracy"), accuracy, 1e-12);
        ck_assert_double_eq_tol(tiny_metric(&t, "valid_nll"), nll, 1e-9);
        int better =
            by_nll ? nll < best_nll
                   : accuracy > best_accuracy || (accuracy == best_accuracy && nll < best_nll);
        if (better) {
            jem_model_destroy(best);
            best = model;
            best_accuracy = accuracy;
            best_nll = nll;
            best_step = i;
        } else {
            jem_model_destroy(model);
        }
        ck_assert_double_eq(tiny_metric(&t, "best_step"), (double)best_step);
        ck_assert_double_eq_tol(tiny_metric(&t, "best_accuracy"), best_accuracy, 1e-12);
        ck_assert_double_eq_tol(tiny_metric(&t, "best_nll"), best_nll, 1e-9);
        OK(jem_trainer_best_model(&model, t.trainer, &step));
        ck_assert_int_eq(step, best_step);
        ck_assert(same(model, best));
        jem_model_destroy(model);
    }
    jem_model_destroy(best);
    jem_dataset_destroy(kept);
    tiny_end(&t);
}

START_TEST(best_model)
{
    follow("", 0, 1);
    follow("model.norm=batch", 1, 3);
    follow("", 0, 20); /* at the end alone */
    follow("trainer.ema=0.5 model.norm=batch trainer.labels_per_class=5", 0, 2);
}
END_TEST

/* Evaluation moves no weights, statistics or random numbers: only which images
   are left to train on makes a difference. */
START_TEST(validation_watches)
{
    tiny often = tiny_of(2, "trainer.validation=24 trainer.validate_every=1 model.norm=batch");
    tiny never = tiny_of(1, "trainer.validation=24 trainer.validate_every=6 model.norm=batch");
    OK(jem_trainer_run(often.trainer, NULL));
    OK(jem_trainer_run(never.trainer, NULL));
    ck_assert(tiny_equal(&often, &never));
    ck_assert_double_eq(tiny_metric(&often, "valid_step"), tiny_metric(&never, "valid_step"));
    ck_assert_double_eq(tiny_metric(&often, "valid_nll"), tiny_metric(&never, "valid_nll"));
    tiny_end(&often);
    tiny_end(&never);
}
END_TEST

/* ---- All of it in a checkpoint ---- */

static void same_runs(const tiny *a, const tiny *b)
{
    jem_model *one, *two;
    int64_t step, other;
    double x[METRICS], y[METRICS];
    ck_assert(tiny_equal(a, b));
    if (a->trainer->average.values) {
        OK(jem_trainer_ema_model(&one, a->trainer));
        OK(jem_trainer_ema_model(&two, b->trainer));
        ck_assert(same(one, two));
        jem_model_destroy(one);
        jem_model_destroy(two);
    }
    OK(jem_trainer_best_model(&one, a->trainer, &step));
    OK(jem_trainer_best_model(&two, b->trainer, &other));
    ck_assert(step == other && same(one, two));
    jem_model_destroy(one);
    jem_model_destroy(two);
    OK(jem_trainer_metrics(a->trainer, x, METRICS));
    OK(jem_trainer_metrics(b->trainer, y, METRICS));
    for (int i = 0; i < METRICS; i++) {
        const char *name = jem_trainer_metric_name(i);
        if (strncmp(name, "seconds", 7) && strncmp(name, "images", 6))
            ck_assert_msg(memcmp(&x[i], &y[i], sizeof *x) == 0, "%s: %g and %g", name, x[i], y[i]);
    }
}

START_TEST(resumed_is_unbroken)
{
    static const char *const settings[] = {
        "trainer.ema=0.9 trainer.validation=12 trainer.labels_per_class=4 trainer.pxy=0.5 "
        "optimizer.name=sgd optimizer.nesterov=1 optimizer.sam_rho=1 optimizer.sam_adaptive=1 "
        "trainer.schedule=cosine trainer.warmup=2 trainer.rate_end=0.1 model.norm=batch "
        "model.dropout=0.2 sampler.mode=training sampler.clamp=1 trainer.px_augment=0 "
        "loader.crop=1 loader.flip=1",
        "trainer.ema=0.5 trainer.validation=12 trainer.best=nll trainer.pxy=1 trainer.px=0 "
        "optimizer.sam_rho=0.1 trainer.retries=2 trainer.snapshot_every=1 sampler.clamp=1",
        "trainer.validation=12 optimizer.head_only=1 sampler.conditional=1 "
        "sampler.start=gaussian trainer.labels_per_class=6 trainer.energy_penalty=0.1"};
    char path[4200];
    snprintf(path, sizeof path, "%s", test_path("run.safetensors"));
    for (int s = 0; s < 3; s++) {
        char text[600];
        snprintf(text, sizeof text, "trainer.validate_every=2 trainer.iterations=7 %s",
                 settings[s]);
        tiny whole = tiny_of(1, text), first = tiny_of(2, text);
        OK(jem_trainer_run(whole.trainer, NULL));
        for (int i = 0; i < 3; i++) OK(jem_trainer_step(first.trainer));
        OK(jem_trainer_save(first.trainer, path));
        OK(jem_trainer_run(first.trainer, NULL));
        same_runs(&whole, &first);
        tiny_end(&first);
        /* Into a trainer that went its own way. */
        tiny second = tiny_of(2, text);
        OK(jem_trainer_step(second.trainer));
        OK(jem_trainer_resume(second.trainer, path));
        OK(jem_trainer_run(second.trainer, NULL));
        same_runs(&whole, &second);
        tiny_end(&second);
        tiny_end(&whole);
    }
}
END_TEST

/* Runs with and without an option do not continue each other. */
START_TEST(other_runs_are_named)
{
    static const char *const options[][2] = {
        {"trainer.ema=0.9", "trainer.ema"},
        {"trainer.validation=12 trainer.validate_every=6", "trainer.validation"},
        {"trainer.labels_per_class=4", "trainer.labels_per_class"},
        {"trainer.pxy=1", "trainer.pxy"},
        {"optimizer.sam_rho=1", "optimizer.sam_rho"},
        {"optimizer.head_only=1", "optimizer.head_only"},
        {"trainer.schedule=cosine", "trainer.schedule"}};
    char path[2][4200];
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        tiny with = tiny_of(1, options[i][0]), without = tiny_of(1, "");
        for (int j = 0; j < 2; j++) {
            snprintf(path[j], sizeof path[j], "%s", test_path(j ? "without" : "with"));
            OK(jem_trainer_save(j ? without.trainer : with.trainer, path[j]));
        }
        FAILS(JEM_ERROR_FORMAT, jem_trainer_resume(with.trainer, path[1]), options[i][1]);
        FAILS(JEM_ERROR_FORMAT, jem_trainer_resume(without.trainer, path[0]), options[i][1]);
        tiny_end(&with);
        tiny_end(&without);
    }
    /* What training does not read may differ. */
    tiny one = tiny_of(1, ""), other = tiny_of(1, "attack.steps=7 refine.copies=3");
    OK(jem_trainer_save(one.trainer, path[0]));
    OK(jem_trainer_resume(other.trainer, path[0]));
    tiny_end(&one);
    tiny_end(&other);
    tiny half = tiny_of(1, "trainer.schedule=cosine"), whole = tiny_of(1, "trainer.schedule=cosine "
                                                                          "trainer.iterations=12");
    OK(jem_trainer_save(half.trainer, path[0]));
    FAILS(JEM_ERROR_FORMAT, jem_trainer_resume(whole.trainer, path[0]), "trainer.iterations=6");
    tiny_end(&half);
    tiny_end(&whole);
}
END_TEST

/* A roll-back takes the average, the best model and validations back, too. */
START_TEST(rolled_back)
{
    const char *settings = "trainer.ema=0.9 trainer.validation=12 trainer.validate_every=1 "
                           "trainer.retries=1 trainer.snapshot_every=2 trainer.iterations=6";
    tiny t = tiny_of(2, settings), plain = tiny_of(1, settings);
    jem_model *one, *two;
    int64_t to;
    for (int i = 0; i < 2; i++) OK(jem_trainer_step(plain.trainer));
    for (int i = 0; i < 5; i++) OK(jem_trainer_step(t.trainer));
    t.trainer->gap_limit = 1e-12;
    ck_assert_int_eq(jem_trainer_step(t.trainer), JEM_ROLLED_BACK);
    OK(jem_trainer_rollbacks(t.trainer, NULL, NULL, &to));
    ck_assert_int_eq(to, 2);
    ck_assert(same(t.model, plain.model));
    OK(jem__trainer_validate(t.trainer)); /* as the next step would */
    OK(jem_trainer_ema_model(&one, t.trainer));
    OK(jem_trainer_ema_model(&two, plain.trainer));
    ck_assert(same(one, two));
    jem_model_destroy(one);
    jem_model_destroy(two);
    const jem__validation *a = &t.trainer->validation, *b = &plain.trainer->validation;
    ck_assert(a->step == 2 && a->best_step == b->best_step);
    ck_assert_mem_eq(a->results, b->results, sizeof a->results);
    ck_assert_mem_eq(a->best, b->best, (size_t)a->elements * sizeof *a->best);
    tiny_end(&t);
    tiny_end(&plain);
}
END_TEST

/* One that was cut short is made up before the next step. */
START_TEST(cut_short)
{
    const char *settings = "trainer.validation=24 trainer.validate_every=2 trainer.iterations=6";
    const jem__flag cancel = 1;
    tiny a = tiny_of(1, settings), b = tiny_of(1, settings);
    jem_model *one, *two;
    int64_t step, other;
    for (int i = 0; i < 2; i++) {
        OK(jem_trainer_step(a.trainer));
        OK(jem_trainer_step(b.trainer));
    }
    jem__validation *v = &b.trainer->validation;
    ck_assert_int_eq(v->step, 2);
    v->step = v->best_step = 0;
    ck_assert(jem__validation_due(v, 2) && !jem__validation_due(v, 3));
    ck_assert_int_eq(jem__validation_run(v, b.model, 2, &cancel), JEM_CANCELLED);
    ck_assert(v->step == 0 && v->best_step == 0);
    OK(jem_trainer_step(a.trainer));
    OK(jem_trainer_step(b.trainer));
    ck_assert_int_eq(v->step, 2);
    OK(jem_trainer_run(a.trainer, NULL));
    OK(jem_trainer_run(b.trainer, NULL));
    OK(jem_trainer_best_model(&one, a.trainer, &step));
    OK(jem_trainer_best_model(&two, b.trainer, &other));
    ck_assert(step == other && same(one, two));
    ck_assert_double_eq(tiny_metric(&a, "valid_step"), 6);
    ck_assert_double_eq(tiny_metric(&a, "best_nll"), tiny_metric(&b, "best_nll"));
    jem_model_destroy(one);
    jem_model_destroy(two);
    /* The one after the last step, too. */
    v->step = 4;
    ck_assert_int_eq(jem_trainer_step(b.trainer), JEM_END);
    ck_assert_int_eq(v->step, 6);
    tiny_end(&a);
    tiny_end(&b);
}
END_TEST

/* A host whose images fail to come once, when validation reads them: by then all training
   images of a step have been read. */
typedef struct host {
    jem_dataset *data;
    jem_trainer *trainer;
    int64_t fail_at, steps; /* validation fails after this step, once; steps told */
} host;

static int32_t read_images(void *user, const int64_t *indices, int64_t n, void *pixels,
                           int32_t *labels)
{
    host *h = user;
    int64_t step = 0;
    if (h->trainer) OK(jem_trainer_progress(h->trainer, &step, NULL));
    if (step == h->fail_at) {
        h->fail_at = -1;
        return -1;
    }
    for (int64_t i = 0; i < n; i++) {
        float x[IMAGE];
        OK(jem_dataset_read(h->data, indices[i], 1, x, IMAGE, labels ? labels + i : NULL));
        if (pixels) memcpy((float *)pixels + i * IMAGE, x, sizeof x);
    }
    return 0;
}

static int32_t count_step(void *user, jem_trainer *trainer, int64_t step)
{
    host *h = user;
    ck_assert_int_eq(step, ++h->steps);
    ck_assert_int_lt(jem_trainer_metrics(trainer, NULL, 0), 0); /* its error is not the run's */
    return 1;
}

/* A step whose validation fails is complete, and told. */
START_TEST(failed_validation_follows_a_step)
{
    tiny t = tiny_untrained(1, "trainer.validation=24 trainer.validate_every=2");
    host h = {.data = t.data, .fail_at = 2};
    const jem_dataset_callbacks images = {sizeof images, &h, read_images, NULL};
    const jem_trainer_callbacks run = {.struct_size = sizeof run, .user = &h, .step = count_step};
    jem_dataset *streamed;
    OK(jem_dataset_create_callbacks(&streamed, t.context, &images, JEM_TYPE_F32, DATA, C, H, W, K));
    OK(jem_trainer_create(&t.trainer, t.model, streamed, t.config));
    h.trainer = t.trainer;
    ck_assert_int_eq(jem_trainer_run(t.trainer, &run), JEM_CANCELLED);
    FAILS(JEM_ERROR_IO, jem_trainer_run(t.trainer, &run), "gave -1");
    ck_assert_int_eq(h.steps, 2);
    ck_assert_int_eq(t.trainer->validation.step, 0);
    ck_assert_int_eq(jem_trainer_run(t.trainer, &run), JEM_CANCELLED); /* makes it up */
    ck_assert_int_eq(h.steps, 3);
    ck_assert_int_eq(t.trainer->validation.step, 2);
    jem_dataset_destroy(streamed);
    tiny_end(&t);
}
END_TEST

/* What is no number is not the best. */
START_TEST(broken_models_are_not_the_best)
{
    tiny t = tiny_of(1, "trainer.validation=24 trainer.validate_every=1");
    const jem__flag go = 0;
    jem__validation *v = &t.trainer->validation;
    jem_model *broken, *best;
    float *bias;
    OK(jem_model_clone(&broken, t.model));
    int64_t index = jem_model_parameter_find(broken, "class_output.bias");
    OK(jem_model_parameter_map(broken, index, &bias));
    bias[0] = NAN;
    OK(jem_model_parameter_unmap(broken, index));
    OK(jem__validation_run(v, broken, 1, &go));
    ck_assert(isnan(v->results[JEM__NLL]) && v->best_step == 0);
    OK(jem__validation_run(v, t.model, 2, &go));
    ck_assert_int_eq(v->best_step, 2);
    OK(jem__validation_run(v, broken, 3, &go));
    ck_assert_int_eq(v->best_step, 2);
    OK(jem_trainer_best_model(&best, t.trainer, NULL));
    ck_assert(same(best, t.model));
    jem_model_destroy(best);
    jem_model_destroy(broken);
    FAILS(JEM_ERROR_ARGUMENT, jem_trainer_best_model(NULL, t.trainer, NULL), "model");
    FAILS(JEM_ERROR_ARGUMENT, jem_trainer_best_model(&best, NULL, NULL), "trainer");
    tiny_end(&t);
    t = tiny_of(1, "");
    FAILS(JEM_ERROR_STATE, jem_trainer_best_model(&best, t.trainer, NULL), "validation is 0");
    tiny_end(&t);
}
END_TEST

TESTS("validation", average, images_are_held_out, best_model, validation_watches,
      resumed_is_unbroken, other_runs_are_named, rolled_back, cut_short,
      failed_validation_follows_a_step, broken_models_are_not_the_best)
