/* The objectives beyond JEM's own: p(x,y), SAM, head-only training, few labels. The
   trainer's step is held to an own loop, bit for bit. */
#include "base/random.h"
#include "sample/sampler.h"
#include "train/tiny.h"
#include "train/trainer.h"

/* ---- An own loop ---- */

/* The parts of a trainer, made by hand from the same settings. */
typedef struct parts {
    tiny *t;
    jem_loader *px_loader, *labelled_loader;
    jem_sampler *sampler;
    jem_optimizer *optimizer;
    jem_pass *pass;
    double px, pyx, pxy, penalty;
    int sam;
    float x[3][6 * IMAGE], x_q[10 * IMAGE];
    int32_t y[6];
} parts;

static void parts_make(parts *p, tiny *t, jem_pass_mode mode)
{
    jem_config *c;
    *p = (parts){.t = t};
    OK(jem_config_clone(&c, t->config));
    OK(jem_config_parse(c, "loader.seed=1 sampler.seed=1"));
    OK(jem_config_get_f64(c, "trainer.px", &p->px));
    OK(jem_config_get_f64(c, "trainer.pyx", &p->pyx));
    OK(jem_config_get_f64(c, "trainer.pxy", &p->pxy));
    OK(jem_config_get_f64(c, "trainer.energy_penalty", &p->penalty));
    double rho;
    OK(jem_config_get_f64(c, "optimizer.sam_rho", &rho));
    p->sam = rho > 0;
    OK(jem_loader_create(&p->labelled_loader, t->data, c));
    OK(jem_config_parse(c, "loader.stream=1 loader.batch=4"));
    OK(jem_loader_create(&p->px_loader, t->data, c));
    OK(jem_sampler_create(&p->sampler, t->model, c));
    if (p->pxy > 0) OK(jem__sampler_by_class(p->sampler));
    OK(jem_optimizer_create(&p->optimizer, t->model, c));
    OK(jem_pass_create(&p->pass, t->model, mode, 6));
    jem_config_destroy(c);
}

static void parts_end(parts *p)
{
    jem_pass_destroy(p->pass);
    jem_optimizer_destroy(p->optimizer);
    jem_sampler_destroy(p->sampler);
    jem_loader_destroy(p->px_loader);
    jem_loader_destroy(p->labelled_loader);
}

/* Adds the gradients of weight * (sign * mean E + penalty * mean E^2), and of
   pyx * cross-entropy if asked for. */
static void part(parts *p, int64_t stream, int64_t step, const float *x, const int32_t *y,
                 int64_t n, double weight, double sign, int classify)
{
    float logits[6 * K], d[6 * K] = {0};
    OK(jem_pass_set_stream(p->pass, stream, step));
    OK(jem_pass_forward(p->pass, x, n, logits, INT64_MAX));
    if (classify && p->pyx > 0) OK(jem_loss_cross_entropy(logits, p->y, n, K, p->pyx, NULL, d));
    if (weight > 0) OK(jem_loss_energy(logits, y, n, K, sign * weight, NULL, d));
    if (weight > 0 && p->penalty > 0)
        OK(jem_loss_energy_penalty(logits, y, n, K, weight * p->penalty, NULL, d));
    OK(jem_pass_backward(p->pass, d, JEM_GRADIENT_PARAMETERS, NULL));
}

static void gradients(parts *p, int64_t step)
{
    float *x_j = p->x_q + (p->px > 0 ? 4 : 0) * IMAGE;
    OK(jem_model_gradient_zero(p->t->model));
    if (p->px > 0) part(p, 0, step, p->x[0], NULL, 4, p->px, 1, 0);
    if (p->px > 0) part(p, 1, step, p->x_q, NULL, 4, p->px, -1, 0);
    if (p->pxy > 0) part(p, 4, step, x_j, p->y, 6, p->pxy, -1, 0);
    part(p, 2, step, p->x[1], p->y, 6, p->pxy, 1, 1);
}

static void own_step(parts *p, int64_t step)
{
    int64_t n;
    int32_t chain_y[4];
    if (p->px > 0) OK(jem_loader_next(p->px_loader, p->x[0], INT64_MAX, NULL, 0, &n));
    OK(jem_loader_next(p->labelled_loader, p->x[1], INT64_MAX, p->y, INT64_MAX, &n));
    jem__sampler_forget(p->sampler);
    if (p->px > 0) {
        jem__random random;
        jem__random_at(&random, 1, JEM__RANDOM_LABEL, 0, (uint64_t)step, UINT32_MAX);
        for (int i = 0; i < 4; i++) chain_y[i] = (int32_t)jem__random_below(&random, K);
        OK(jem__sampler_draw_pending(
            p->sampler, jem__sampler_conditional(p->sampler) ? chain_y : NULL, 4, p->x_q));
    }
    if (p->pxy > 0)
        OK(jem__sampler_draw_pending(p->sampler, p->y, 6, p->x_q + (p->px > 0 ? 4 : 0) * IMAGE));
    gradients(p, step);
    if (p->sam) {
        OK(jem_optimizer_ascend(p->optimizer));
        OK(jem_pass_hold_statistics(p->pass, 1));
        gradients(p, step);
        OK(jem_pass_hold_statistics(p->pass, 0));
        OK(jem_optimizer_restore(p->optimizer));
    }
    OK(jem_optimizer_step(p->optimizer, NULL));
    jem__sampler_commit(p->sampler, p->x_q);
}

static int same_models(const jem_model *a, const jem_model *b)
{
    int64_t size, other;
    OK(jem_model_save_memory(a, NULL, 0, &size));
    OK(jem_model_save_memory(b, NULL, 0, &other));
    if (size != other) return 0;
    char *one = malloc((size_t)size), *two = malloc((size_t)size);
    OK(jem_model_save_memory(a, one, size, &size));
    OK(jem_model_save_memory(b, two, size, &size));
    int same = memcmp(one, two, (size_t)size) == 0;
    free(one);
    free(two);
    return same;
}

/* Whether three steps of a trainer are those of an own loop that has settings of its own. */
static int agrees(const char *settings, const char *own_settings, jem_pass_mode mode)
{
    tiny t = tiny_of(2, settings), own = tiny_of(1, own_settings);
    parts p;
    parts_make(&p, &own, mode);
    for (int64_t step = 0; step < 3; step++) {
        OK(jem_trainer_step(t.trainer));
        own_step(&p, step);
    }
    int same = same_models(t.model, own.model);
    if (same && p.px + p.pxy > 0) {
        float a[12 * IMAGE], b[12 * IMAGE];
        tiny_buffer(&t, a);
        OK(jem_sampler_buffer_get(p.sampler, 0, 12, b, INT64_MAX));
        ck_assert_mem_eq(a, b, sizeof a);
    }
    parts_end(&p);
    tiny_end(&t);
    tiny_end(&own);
    return same;
}

START_TEST(joint_objective)
{
    const char *const settings[] = {
        "trainer.pxy=0.7 trainer.px=0 trainer.pyx=0", "trainer.pxy=0.7 trainer.px=0",
        "trainer.pxy=0.7 trainer.px=0.4 trainer.energy_penalty=0.2",
        "trainer.pxy=0.7 sampler.conditional=1 sampler.start=uniform model.dropout=0.2",
        "trainer.pxy=1 model.norm=batch sampler.mode=training trainer.pyx=0.5"};
    for (int i = 0; i < 5; i++)
        ck_assert_msg(agrees(settings[i], settings[i], JEM_PASS_TRAIN), "%s", settings[i]);
    /* Another weight is another step. */
    ck_assert(!agrees(settings[1], "trainer.pxy=0.8 trainer.px=0", JEM_PASS_TRAIN));
    ck_assert(!agrees(settings[1], "trainer.pxy=0.7 trainer.px=0 trainer.pyx=0", JEM_PASS_TRAIN));
}
END_TEST

START_TEST(joint_metrics)
{
    tiny t = tiny_of(1, "trainer.pxy=2 trainer.px=0.5 trainer.pyx=3 trainer.energy_penalty=0.1");
    for (int i = 0; i < 2; i++) OK(jem_trainer_step(t.trainer));
    ck_assert_double_eq_tol(tiny_metric(&t, "loss"),
                            0.5 * tiny_metric(&t, "loss_px") + 2 * tiny_metric(&t, "loss_pxy") +
                                3 * tiny_metric(&t, "loss_pyx"),
                            1e-12);
    ck_assert(tiny_metric(&t, "loss_pxy") > tiny_metric(&t, "gap_pxy"));
    /* All chains of a step are measured. */
    ck_assert(tiny_metric(&t, "distance") > 0 && tiny_metric(&t, "buffer_age") >= 0);
    tiny_end(&t);
    t = tiny_of(1, "trainer.pxy=1 trainer.px=0 trainer.pyx=0");
    OK(jem_trainer_step(t.trainer));
    ck_assert(isnan(tiny_metric(&t, "loss_px")) && isnan(tiny_metric(&t, "loss_pyx")));
    ck_assert(isfinite(tiny_metric(&t, "accuracy")) && isfinite(tiny_metric(&t, "seconds_sample")));
    ck_assert_double_eq(tiny_metric(&t, "loss"), tiny_metric(&t, "loss_pxy"));
    ck_assert_double_eq(tiny_metric(&t, "gap_pxy"),
                        tiny_metric(&t, "energy_data") - tiny_metric(&t, "energy_sample"));
    tiny_end(&t);
    /* It learns to classify by energies alone. */
    t = tiny_of(2, "trainer.pxy=1 trainer.px=0 trainer.pyx=0 trainer.iterations=60 "
                   "optimizer.rate=3e-3 trainer.energy_penalty=0.1 sampler.clamp=1");
    OK(jem_trainer_run(t.trainer, NULL));
    ck_assert_double_ge(tiny_metric(&t, "accuracy"), 0.8);
    tiny_end(&t);
    t = tiny_of(1, "trainer.pxy=1 trainer.gap_limit=1e-9");
    FAILS(JEM_ERROR_DIVERGED, jem_trainer_run(t.trainer, NULL), "gap_limit");
    tiny_end(&t);
}
END_TEST

START_TEST(sam_steps)
{
    const char *const settings[] = {
        "optimizer.sam_rho=0.05",
        "optimizer.sam_rho=2 optimizer.sam_adaptive=1 model.norm=batch "
        "sampler.mode=training optimizer.name=sgd",
        "optimizer.sam_rho=0.5 optimizer.name=sgd optimizer.nesterov=1 model.dropout=0.2 "
        "model.norm=batch trainer.pxy=0.3 optimizer.weight_decay=0.01 optimizer.clip=1",
        "optimizer.sam_rho=0.1 model.norm=act optimizer.rate=1e-4"};
    for (int i = 0; i < 4; i++)
        ck_assert_msg(agrees(settings[i], settings[i], JEM_PASS_TRAIN), "%s", settings[i]);
    FAILS(JEM_ERROR_ARGUMENT, jem_pass_hold_statistics(NULL, 1), "pass");
    ck_assert(!agrees(settings[0], "", JEM_PASS_TRAIN));
    ck_assert(!agrees(settings[0], "optimizer.sam_rho=0.06", JEM_PASS_TRAIN));
    ck_assert(
        !agrees(settings[0], "optimizer.sam_rho=0.05 optimizer.sam_adaptive=1", JEM_PASS_TRAIN));
}
END_TEST

/* An ascent that ends where gradients are not finite is undone with its step. */
START_TEST(sam_fails_whole)
{
    tiny t = tiny_of(2, "optimizer.sam_rho=1e6"), plain = tiny_of(1, "optimizer.sam_rho=1e6");
    for (int i = 0; i < 2; i++) {
        FAILS(JEM_ERROR_DIVERGED, jem_trainer_step(t.trainer), "step 0: jem_optimizer_step");
        ck_assert(tiny_equal(&t, &plain));
    }
    tiny_end(&t);
    tiny_end(&plain);
}
END_TEST

/* ---- Head only ---- */

START_TEST(frozen_body)
{
    const char *settings = "optimizer.head_only=1 model.norm=batch model.dropout=0.3 "
                           "optimizer.weight_decay=0.1 optimizer.rate=0.01 trainer.iterations=8";
    ck_assert(agrees(settings, settings, JEM_PASS_HEAD));
    /* Chains see the network that learns, whatever their mode. */
    char training[256];
    snprintf(training, sizeof training, "%s sampler.mode=training", settings);
    ck_assert(agrees(training, settings, JEM_PASS_HEAD));
    /* What is computed for the body beside that changes nothing. */
    ck_assert(agrees(settings, settings, JEM_PASS_GRADIENT));
    tiny t = tiny_of(2, settings);
    jem_model *before;
    OK(jem_model_clone(&before, t.model));
    OK(jem_trainer_run(t.trainer, NULL));
    for (int64_t i = 0; i < jem_model_parameter_count(t.model); i++) {
        const char *name;
        int64_t n;
        float *a, *b;
        OK(jem_model_parameter_info(t.model, i, &name, NULL, NULL, &n, NULL));
        OK(jem_model_parameter_map(t.model, i, &a));
        OK(jem_model_parameter_map(before, i, &b));
        int same = memcmp(a, b, (size_t)n * sizeof *a) == 0;
        ck_assert_msg(same == (strncmp(name, "class_output.", 13) != 0), "%s", name);
        OK(jem_model_parameter_unmap(t.model, i));
        OK(jem_model_parameter_unmap(before, i));
    }
    jem_model_destroy(before);
    tiny_end(&t);
}
END_TEST

/* ---- Which images a step sees ---- */

/* The index of an image in the data, or -1. */
static int64_t index_of(const tiny *t, const float *x)
{
    float image[IMAGE];
    for (int64_t i = 0; i < DATA; i++) {
        OK(jem_dataset_read(t->data, i, 1, image, INT64_MAX, NULL));
        if (memcmp(image, x, sizeof image) == 0) return i;
    }
    return -1;
}

START_TEST(few_labels)
{
    tiny t = tiny_of(1, "trainer.labels_per_class=2 loader.noise=0 trainer.iterations=40 "
                        "sampler.steps=0");
    jem_dataset *chosen;
    float image[6 * IMAGE];
    int64_t allowed[DATA] = {0}, seen[DATA] = {0}, labelled = 0, others = 0;
    OK(jem_dataset_balanced(&chosen, t.data, 2, 1));
    OK(jem_dataset_read(chosen, 0, 6, image, INT64_MAX, NULL));
    for (int i = 0; i < 6; i++) allowed[index_of(&t, image + i * IMAGE)] = 1;
    for (int step = 0; step < 20; step++) {
        OK(jem_trainer_step(t.trainer));
        int32_t counts[K] = {0};
        for (int i = 0; i < 6; i++) {
            int64_t at = index_of(&t, t.trainer->x_l + i * IMAGE);
            ck_assert(at >= 0 && allowed[at]);
            ck_assert_int_eq(t.trainer->y[i], at % K);
            counts[t.trainer->y[i]]++;
            labelled += !(seen[at] & 1);
            seen[at] |= 1;
        }
        /* A batch is an epoch of the six images. */
        for (int k = 0; k < K; k++) ck_assert_int_eq(counts[k], 2);
        for (int i = 0; i < 4; i++) {
            int64_t at = index_of(&t, t.trainer->x_p + i * IMAGE);
            others += !(seen[at] & 2);
            seen[at] |= 2;
        }
    }
    ck_assert_int_eq(labelled, 6);
    ck_assert_int_eq(others, DATA); /* 20 batches of 4 are more than an epoch */
    jem_dataset_destroy(chosen);
    tiny_end(&t);
}
END_TEST

/* The images of p(x) as they are, the labelled ones moved (SADA-JEM). */
START_TEST(plain_px_batch)
{
    const char *const settings[] = {"trainer.px_augment=0", "trainer.px_augment=1"};
    for (int s = 0; s < 2; s++) {
        tiny t = tiny_of(1, "loader.noise=0 loader.crop=2 loader.flip=1 sampler.steps=0");
        jem_trainer_destroy(t.trainer);
        OK(jem_config_parse(t.config, settings[s]));
        OK(jem_trainer_create(&t.trainer, t.model, t.data, t.config));
        int plain = 0, moved = 0;
        for (int step = 0; step < 6; step++) {
            OK(jem_trainer_step(t.trainer));
            for (int i = 0; i < 4; i++) plain += index_of(&t, t.trainer->x_p + i * IMAGE) >= 0;
            for (int i = 0; i < 6; i++) moved += index_of(&t, t.trainer->x_l + i * IMAGE) < 0;
        }
        ck_assert_int_gt(moved, 24);
        if (s == 0) ck_assert_int_eq(plain, 24);
        if (s == 1) ck_assert_int_lt(plain, 8);
        tiny_end(&t);
    }
}
END_TEST

/* ---- Bad input ---- */

static void refused(const char *settings, jem_dataset *data, jem_status status, const char *word)
{
    tiny t = tiny_of(1, "");
    jem_trainer *trainer = t.trainer;
    OK(jem_config_parse(t.config, settings));
    FAILS(status, jem_trainer_create(&trainer, t.model, data ? data : t.data, t.config), word);
    ck_assert_ptr_null(trainer);
    tiny_end(&t);
}

static jem_dataset *labelled(const int32_t *labels, int64_t n)
{
    jem_context *context = test_context(1);
    jem_dataset *data;
    uint8_t *pixels = calloc((size_t)n, IMAGE);
    OK(jem_dataset_create(&data, context, pixels, JEM_TYPE_U8, labels, n, C, H, W));
    free(pixels);
    jem_context_destroy(context);
    return data;
}

START_TEST(bad_data)
{
    const int32_t gap[] = {0, 2, 0, 2}, outside[] = {0, 1, 2, 3}, one[] = {0, 0, 0, 0};
    jem_dataset *data = labelled(gap, 4);
    refused("", data, JEM_ERROR_ARGUMENT, "none of its 4 images to train on is of class 1");
    jem_dataset_destroy(data);
    data = labelled(outside, 4);
    refused("", data, JEM_ERROR_SHAPE, "labels of 4 classes, the model has 3");
    jem_dataset_destroy(data);
    data = labelled(one, 4);
    refused("", data, JEM_ERROR_ARGUMENT, "class 1, expected some of each of the model's 3");
    refused("trainer.pyx=0 trainer.pxy=1", data, JEM_ERROR_ARGUMENT, "class 1");
    tiny single = tiny_of(1, "trainer.pyx=0");
    jem_model *model;
    OK(jem_config_parse(single.config, "model.classes=1 trainer.pyx=1"));
    OK(jem_model_create(&model, single.context, single.config));
    jem_trainer *none;
    FAILS(JEM_ERROR_CONFIG, jem_trainer_create(&none, model, data, single.config), "one class");
    jem_model_destroy(model);
    tiny_end(&single);
    /* An unlabelled set is fine where labels are not used. */
    tiny t = tiny_of(1, "trainer.pyx=0");
    jem_trainer *trainer;
    OK(jem_trainer_create(&trainer, t.model, data, t.config));
    OK(jem_trainer_step(trainer));
    jem_trainer_destroy(trainer);
    tiny_end(&t);
    jem_dataset_destroy(data);
    /* What is no image never becomes data. */
    jem_context *context = test_context(1);
    float x[2 * IMAGE] = {0};
    const int32_t y[] = {0, 1}, negative[] = {0, -1};
    x[IMAGE + 5] = NAN;
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_create(&data, context, x, JEM_TYPE_F32, y, 2, C, H, W),
          "image 1");
    x[IMAGE + 5] = 0;
    FAILS(JEM_ERROR_ARGUMENT,
          jem_dataset_create(&data, context, x, JEM_TYPE_F32, negative, 2, C, H, W), "-1");
    jem_context_destroy(context);
}
END_TEST

START_TEST(bad_settings)
{
    refused("trainer.px=0 trainer.pyx=0", NULL, JEM_ERROR_CONFIG, "trainer.pxy");
    refused("trainer.pxy=1 sampler.buffer=11", NULL, JEM_ERROR_CONFIG, "11 slots");
    refused("trainer.labels_per_class=21", NULL, JEM_ERROR_ARGUMENT,
            "trainer.labels_per_class: jem_dataset_balanced: class 0 has 20 images");
    refused("trainer.labels_per_class=1000", NULL, JEM_ERROR_ARGUMENT, "1..60");
    refused("trainer.labels_per_class=20 trainer.validation=1 trainer.validate_every=1", NULL,
            JEM_ERROR_ARGUMENT, "has 19 images");
    refused("trainer.validation=60", NULL, JEM_ERROR_CONFIG, "fewer than the 60");
    refused("trainer.validation=59 trainer.validate_every=1", NULL, JEM_ERROR_ARGUMENT,
            "none of its 1 images to train on");
    refused("trainer.validation=10 trainer.validate_every=2 trainer.pyx=0", NULL, JEM_ERROR_CONFIG,
            "trainer.pyx");
    refused("optimizer.nesterov=1", NULL, JEM_ERROR_CONFIG, "optimizer.nesterov");
    tiny head = tiny_of(1, "model.energy=head");
    jem_trainer *trainer;
    OK(jem_config_parse(head.config, "sampler.conditional=1"));
    FAILS(JEM_ERROR_CONFIG, jem_trainer_create(&trainer, head.model, head.data, head.config),
          "model.energy=head");
    tiny_end(&head);
}
END_TEST

TESTS("objectives", joint_objective, joint_metrics, sam_steps, sam_fails_whole, frozen_body,
      few_labels, plain_px_batch, bad_data, bad_settings)
