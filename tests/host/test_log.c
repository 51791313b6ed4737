/* Log lines: off by default, by level, on the calling thread, where no lock is held. */
#include "helpers.h"
#include <pthread.h>

typedef struct book {
    pthread_t thread;
    int32_t lines, debug, elsewhere, calls;
    char text[1024];
    jem_model *model; /* to be used from inside */
} book;

static void note(void *user, jem_log_level level, const char *text)
{
    book *b = user;
    b->lines++;
    b->debug += level == JEM_LOG_DEBUG;
    b->elsewhere += !pthread_equal(b->thread, pthread_self());
    snprintf(b->text, sizeof b->text, "%s", text);
    if (b->model) {
        float x[28 * 28] = {0}, energy;
        if (jem_model_energy(b->model, x, NULL, 1, &energy) == JEM_OK) b->calls++;
        jem_model_energy(b->model, NULL, NULL, 1, &energy); /* a text of its own */
    }
}

static jem_context *listening(book *b, int64_t level)
{
    jem_log log = {sizeof log, b, level, note};
    jem_context *context;
    b->thread = pthread_self();
    OK(jem_context_create_hosted(&context, NULL, NULL, &log));
    return context;
}

static const char *shipped(void)
{
    return test_source("examples/models/glyphs.safetensors");
}

START_TEST(levels)
{
    for (int64_t level = 0; level <= JEM_LOG_DEBUG; level++) {
        book b = {0};
        jem_context *context = listening(&b, level);
        jem_model *model;
        float x[28 * 28] = {0}, energy;
        int32_t made = b.lines;
        OK(jem_model_load(&model, context, shipped()));
        ck_assert_int_eq(made, level >= JEM_LOG_INFO);
        ck_assert_int_eq(b.lines > made, level >= JEM_LOG_INFO);
        if (level >= JEM_LOG_INFO)
            ck_assert_msg(strstr(b.text, "glyphs.safetensors: loaded") != NULL, "%s", b.text);
        OK(jem_model_energy(model, x, NULL, 1, &energy)); /* compiles, on a worker */
        ck_assert_int_eq(b.debug > 0, level == JEM_LOG_DEBUG);
        int32_t lines = b.lines;
        OK(jem_model_energy(model, x, NULL, 1, &energy));
        ck_assert_int_eq(b.lines, lines);
        ck_assert_int_eq(b.elsewhere, 0);
        jem_model_destroy(model);
        jem_context_destroy(context);
    }
}
END_TEST

/* A sink may use the library, even the model whose call it sits in. */
START_TEST(inside)
{
    book b = {0};
    jem_context *context = listening(&b, JEM_LOG_DEBUG);
    jem_model *model;
    float x[28 * 28] = {0}, energy[3];
    char text[256];
    OK(jem_model_load(&model, context, shipped()));
    ck_assert_int_eq(jem_model_info(NULL, NULL, NULL, NULL, NULL, NULL), JEM_ERROR_ARGUMENT);
    b.model = model;
    OK(jem_model_energy(model, x, NULL, 1, energy));
    b.model = NULL;
    ck_assert_int_gt(b.calls, 0);
    jem_last_error(text, sizeof text);
    ck_assert_msg(strstr(text, "jem_model_info") != NULL, "%s", text);
    jem_model_destroy(model);
    jem_context_destroy(context);
}
END_TEST

static int32_t count_lines(void *user, jem_trainer *trainer, int64_t step)
{
    int32_t *lines = user;
    (void)trainer, (void)step;
    lines[1]++;
    lines[0] = lines[2];
    return 0;
}

static void count_line(void *user, jem_log_level level, const char *text)
{
    (void)level, (void)text;
    ((int32_t *)user)[2]++;
}

/* A long call delivers between its steps, and a context may go while lines wait. */
START_TEST(while_training)
{
    int32_t lines[3] = {0};
    jem_log log = {sizeof log, lines, JEM_LOG_DEBUG, count_line};
    jem_trainer_callbacks callbacks = {
        .struct_size = sizeof callbacks, .user = lines, .step = count_lines};
    jem_context *context;
    jem_config *config;
    jem_dataset *data;
    jem_model *model;
    jem_trainer *trainer;
    OK(jem_config_create(&config));
    OK(jem_config_parse(config, "model.channels=1 model.height=12 model.width=12 dataset.size=12 "
                                "loader.batch=4 sampler.buffer=20 sampler.steps=1 "
                                "trainer.iterations=2"));
    OK(jem_context_create_hosted(&context, config, NULL, &log));
    OK(jem_dataset_open(&data, context, "glyphs:limit=200", config));
    OK(jem_model_create(&model, context, config));
    OK(jem_trainer_create(&trainer, model, data, config));
    jem_context_destroy(context);
    jem_model_destroy(model);
    jem_dataset_destroy(data);
    int32_t before = lines[2];
    OK(jem_trainer_run(trainer, &callbacks));
    ck_assert_int_eq(lines[1], 2);
    ck_assert_int_gt(lines[0], before);
    jem_trainer_destroy(trainer);
    jem_config_destroy(config);
}
END_TEST

TESTS("log", levels, inside, while_training)
