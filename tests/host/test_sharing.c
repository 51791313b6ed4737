/* Many threads: one model, several trainers, cancels, errors, handles that move. */
#define _GNU_SOURCE
#include "helpers.h"
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>

enum { IMAGE = 12 * 12, K = 10, BATCH = 12, THREADS = 8 };

static jem_config *settings(const char *more)
{
    jem_config *config;
    OK(jem_config_create(&config));
    OK(jem_config_parse(config, "context.threads=2 model.channels=1 model.height=12 model.width=12 "
                                "model.slice=3 dataset.size=12 loader.batch=6 sampler.buffer=20 "
                                "sampler.steps=2 trainer.iterations=5"));
    OK(jem_config_parse(config, more));
    return config;
}

static void images(float *x, int64_t n)
{
    for (int64_t i = 0; i < n * IMAGE; i++) x[i] = (float)((i * 37 + i / 7) % 200) / 100 - 1;
}

static void start(pthread_t *thread, void *(*run)(void *), void *user)
{
    ck_assert_int_eq(pthread_create(thread, NULL, run, user), 0);
}

static void expect_end(pthread_t thread)
{
    void *failed;
    pthread_join(thread, &failed);
    ck_assert_msg(failed == NULL, "%s", (const char *)failed);
}

/* ---- One model ---- */

typedef struct scoring {
    jem_model *model;
    float x[BATCH * IMAGE], logits[BATCH * K], energy[BATCH], gradient[BATCH * IMAGE];
} scoring;

static void score(scoring *s, int64_t n, float *logits, float *energy, float *gradient)
{
    OK(jem_model_logits(s->model, s->x, n, logits, n * K));
    OK(jem_model_energy(s->model, s->x, NULL, n, energy));
    OK(jem_model_energy_gradient(s->model, s->x, NULL, n, NULL, gradient));
}

static void *score_again(void *user)
{
    static _Thread_local float logits[BATCH * K], energy[BATCH], gradient[BATCH * IMAGE];
    scoring *s = user;
    for (int64_t i = 0; i < 6; i++) {
        int64_t n = i % 2 ? BATCH : 5;
        if (jem_model_logits(s->model, s->x, n, logits, n * K) ||
            jem_model_energy(s->model, s->x, NULL, n, energy) ||
            jem_model_energy_gradient(s->model, s->x, NULL, n, NULL, gradient))
            return "a call failed";
        if (memcmp(logits, s->logits, (size_t)n * K * 4) ||
            memcmp(energy, s->energy, (size_t)n * 4) ||
            memcmp(gradient, s->gradient, (size_t)n * IMAGE * 4))
            return "another result than on one thread";
    }
    return NULL;
}

static void score_on(int count, scoring *s)
{
    pthread_t threads[2 * THREADS];
    for (int i = 0; i < count; i++) start(&threads[i], score_again, s);
    for (int i = 0; i < count; i++) expect_end(threads[i]);
}

/* A pass for each worker and one more is all there ever is: more callers wait. */
START_TEST(one_model)
{
    static scoring s;
    jem_config *config = settings("");
    jem_context *context;
    int64_t plans, alone, few, many;
    images(s.x, BATCH);
    OK(jem_context_create(&context, config));
    OK(jem_model_create(&s.model, context, config));
    OK(jem_context_memory(context, &plans, NULL));
    score(&s, 5, s.logits, s.energy, s.gradient);
    score(&s, BATCH, s.logits, s.energy, s.gradient);
    OK(jem_context_memory(context, &alone, NULL));
    score_on(THREADS, &s);
    OK(jem_context_memory(context, &few, NULL));
    score_on(2 * THREADS, &s);
    OK(jem_context_memory(context, NULL, &many));
    ck_assert_int_gt(alone, plans);
    ck_assert_int_le(few, plans + 3 * (alone - plans));
    ck_assert_int_le(many, plans + 3 * (alone - plans) + 100000);
    jem_model_destroy(s.model);
    jem_context_destroy(context);
    jem_config_destroy(config);
}
END_TEST

/* ---- Trainers ---- */

typedef struct training {
    jem_context *context; /* NULL: one of its own */
    const char *seed;
    double metrics[64];
    int64_t count;
} training;

static jem_status train(training *t)
{
    jem_config *config = settings(t->seed);
    jem_context *context = t->context;
    jem_model *model = NULL;
    jem_dataset *data = NULL;
    jem_trainer *trainer = NULL;
    jem_status status = context ? JEM_OK : jem_context_create(&context, config);
    if (!status) status = jem_model_create(&model, context, config);
    if (!status) status = jem_dataset_open(&data, context, "glyphs:limit=200", config);
    if (!status) status = jem_trainer_create(&trainer, model, data, config);
    if (!status) status = jem_trainer_run(trainer, NULL);
    t->count = jem_trainer_metric_count();
    if (!status) status = jem_trainer_metrics(trainer, t->metrics, t->count);
    if (!t->context) jem_context_destroy(context);
    jem_model_destroy(model);
    jem_trainer_destroy(trainer);
    jem_dataset_destroy(data);
    jem_config_destroy(config);
    return status;
}

static void *train_there(void *user)
{
    return train(user) ? "training failed" : NULL;
}

/* Times aside, which come last by name, every metric has the same bits. */
static void expect_same(const training *a, const training *b)
{
    for (int64_t i = 0; i < a->count; i++) {
        const char *name = jem_trainer_metric_name(i);
        if (strstr(name, "second")) continue;
        ck_assert_msg(memcmp(&a->metrics[i], &b->metrics[i], sizeof(double)) == 0, "%s: %g and %g",
                      name, a->metrics[i], b->metrics[i]);
    }
}

START_TEST(trainers)
{
    static const char *const seeds[] = {"trainer.seed=1", "trainer.seed=2", "trainer.seed=3"};
    training alone[3] = {0}, at_once[6] = {0};
    pthread_t threads[6];
    jem_config *config = settings("");
    jem_context *shared;
    OK(jem_context_create(&shared, config));
    for (int i = 0; i < 3; i++) {
        alone[i].seed = seeds[i];
        OK(train(&alone[i]));
    }
    ck_assert(memcmp(&alone[0].metrics[2], &alone[1].metrics[2], sizeof(double)) != 0);
    for (int i = 0; i < 6; i++) { /* three in contexts of their own, three in one */
        at_once[i] = (training){.context = i < 3 ? NULL : shared, .seed = seeds[i % 3]};
        start(&threads[i], train_there, &at_once[i]);
    }
    for (int i = 0; i < 6; i++) {
        expect_end(threads[i]);
        expect_same(&alone[i % 3], &at_once[i]);
    }
    jem_context_destroy(shared);
    jem_config_destroy(config);
}
END_TEST

/* ---- Handles that move from thread to thread ---- */

typedef struct moving {
    jem_config *config;
    jem_context *context;
    jem_model *model;
    jem_sampler *sampler;
    float x[2 * IMAGE];
} moving;

static void *create_there(void *user)
{
    moving *m = user;
    if (jem_context_create(&m->context, m->config) ||
        jem_model_create(&m->model, m->context, m->config) ||
        jem_sampler_create(&m->sampler, m->model, m->config))
        return "creation failed";
    return NULL;
}

static void *destroy_there(void *user)
{
    moving *m = user;
    jem_context_destroy(m->context);
    jem_model_destroy(m->model);
    jem_sampler_destroy(m->sampler);
    return NULL;
}

START_TEST(moving_handles)
{
    moving m = {.config = settings("")};
    pthread_t thread;
    start(&thread, create_there, &m);
    expect_end(thread);
    OK(jem_sampler_draw(m.sampler, NULL, 2, m.x, INT64_MAX));
    start(&thread, destroy_there, &m);
    expect_end(thread);
    jem_config_destroy(m.config);
}
END_TEST

/* ---- Cancels ---- */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void *cancel_sampler(void *user)
{
    nanosleep(&(struct timespec){0, 50000000}, NULL);
    jem_sampler_cancel(user);
    return NULL;
}

START_TEST(cancel_from_a_thread)
{
    moving m = {.config = settings("sampler.steps=1000000")};
    pthread_t thread;
    create_there(&m);
    double from = now();
    start(&thread, cancel_sampler, m.sampler);
    ck_assert_int_eq(jem_sampler_draw(m.sampler, NULL, 2, m.x, INT64_MAX), JEM_CANCELLED);
    ck_assert_msg(now() - from < 20, "a cancel took %g seconds", now() - from);
    expect_end(thread);
    destroy_there(&m);
    jem_config_destroy(m.config);
}
END_TEST

static jem_trainer *interrupted;

static void on_alarm(int number)
{
    (void)number;
    jem_trainer_cancel(interrupted);
}

START_TEST(cancel_from_a_signal_handler)
{
    jem_config *config = settings("trainer.iterations=1000000");
    jem_context *context;
    jem_model *model;
    jem_dataset *data;
    int64_t before, after;
    struct sigaction action = {.sa_handler = on_alarm}, old;
    struct itimerval soon = {{0, 0}, {0, 50000}};
    OK(jem_context_create(&context, config));
    OK(jem_model_create(&model, context, config));
    OK(jem_dataset_open(&data, context, "glyphs:limit=200", config));
    OK(jem_trainer_create(&interrupted, model, data, config));
    ck_assert_int_eq(sigaction(SIGALRM, &action, &old), 0);
    ck_assert_int_eq(setitimer(ITIMER_REAL, &soon, NULL), 0);
    ck_assert_int_eq(jem_trainer_run(interrupted, NULL), JEM_CANCELLED);
    sigaction(SIGALRM, &old, NULL);
    OK(jem_trainer_progress(interrupted, &before, NULL));
    OK(jem_trainer_step(interrupted)); /* goes on where it stood */
    OK(jem_trainer_progress(interrupted, &after, NULL));
    ck_assert_int_eq(after, before + 1);
    jem_trainer_destroy(interrupted);
    jem_dataset_destroy(data);
    jem_model_destroy(model);
    jem_context_destroy(context);
    jem_config_destroy(config);
}
END_TEST

/* ---- Errors ---- */

typedef struct failing {
    jem_model *model;
    int32_t number;
} failing;

static void *fail_often(void *user)
{
    failing *f = user;
    float x[IMAGE] = {0}, energy;
    char expected[64], text[256];
    snprintf(expected, sizeof expected, "label 0 is %d,", f->number);
    for (int i = 0; i < 200; i++) {
        if (jem_model_energy(f->model, x, &f->number, 1, &energy) != JEM_ERROR_ARGUMENT)
            return "no error";
        jem_last_error(text, sizeof text);
        if (!strstr(text, expected)) return "another thread's text";
    }
    return NULL;
}

START_TEST(errors)
{
    moving m = {.config = settings("")};
    pthread_t threads[THREADS];
    failing f[THREADS];
    create_there(&m);
    for (int32_t i = 0; i < THREADS; i++) {
        f[i] = (failing){m.model, 100 + i};
        start(&threads[i], fail_often, &f[i]);
    }
    for (int i = 0; i < THREADS; i++) expect_end(threads[i]);
    destroy_there(&m);
    jem_config_destroy(m.config);
}
END_TEST

/* ---- A caller with little stack (docs/threads.md) ---- */

static void *all_of_it(void *user)
{
    static float x[BATCH * IMAGE], energy[BATCH];
    jem_config *config = settings("trainer.iterations=2");
    jem_context *context;
    jem_model *model;
    jem_dataset *data;
    jem_trainer *trainer;
    images(x, BATCH);
    OK(jem_context_create(&context, config));
    OK(jem_dataset_open(&data, context, "glyphs:", config));
    OK(jem_model_create(&model, context, config));
    OK(jem_trainer_create(&trainer, model, data, config));
    OK(jem_trainer_run(trainer, NULL));
    OK(jem_trainer_save(trainer, test_path("checkpoint")));
    OK(jem_trainer_resume(trainer, test_path("checkpoint")));
    OK(jem_model_energy(model, x, NULL, BATCH, energy));
    jem_trainer_destroy(trainer);
    jem_model_destroy(model);
    jem_dataset_destroy(data);
    jem_context_destroy(context);
    jem_config_destroy(config);
    return user;
}

START_TEST(small_stack)
{
    pthread_attr_t attributes;
    pthread_t thread;
    if (TEST_ASAN) return; /* its frames are larger */
    pthread_attr_init(&attributes);
    ck_assert_int_eq(pthread_attr_setstacksize(&attributes, 64 << 10), 0);
    ck_assert_int_eq(pthread_create(&thread, &attributes, all_of_it, NULL), 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
}
END_TEST

TESTS("sharing", one_model, trainers, moving_handles, cancel_from_a_thread,
      cancel_from_a_signal_handler, errors, small_stack)
