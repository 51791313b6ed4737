/* Replay buffers that come from outside a sampler. */
#define _GNU_SOURCE
#include "format/safetensors.h"
#include "helpers.h"
#include <math.h>

enum { SLOTS = 12, IMAGE = 64, N = 5 };

typedef struct bench {
    jem_context *context;
    jem_config *config;
    jem_model *model;
    jem_dataset *data;
    jem_sampler *sampler;
} bench;

static bench bench_of(const char *more)
{
    bench b = {.context = test_context(2)};
    OK(jem_config_create(&b.config));
    OK(jem_config_parse(b.config, "model.classes=3 model.channels=1 model.height=8 model.width=8 "
                                  "sampler.buffer=12 sampler.steps=2 loader.batch=4 loader.crop=0 "
                                  "loader.flip=0 sampler.restart=0"));
    OK(jem_config_parse(b.config, more));
    OK(jem_model_create(&b.model, b.context, b.config));
    OK(jem_sampler_create(&b.sampler, b.model, b.config));
    float x[9 * IMAGE];
    int32_t y[9];
    for (int i = 0; i < 9 * IMAGE; i++) x[i] = (float)sin(i);
    for (int i = 0; i < 9; i++) y[i] = i % 3;
    OK(jem_dataset_create(&b.data, b.context, x, JEM_TYPE_F32, y, 9, 1, 8, 8));
    return b;
}

static void bench_end(bench *b)
{
    jem_sampler_destroy(b->sampler);
    jem_dataset_destroy(b->data);
    jem_model_destroy(b->model);
    jem_config_destroy(b->config);
    jem_context_destroy(b->context);
}

START_TEST(what_is_set_is_drawn)
{
    bench b = bench_of("sampler.noise=0 sampler.step_size=0");
    float mine[SLOTS * IMAGE], x[N * IMAGE];
    int64_t age[SLOTS];
    for (int i = 0; i < SLOTS * IMAGE; i++) mine[i] = (float)(i / IMAGE) / SLOTS;
    OK(jem_sampler_buffer_age(b.sampler, 0, SLOTS, age));
    for (int i = 0; i < SLOTS; i++) ck_assert_int_eq(age[i], -1);
    OK(jem_sampler_buffer_set(b.sampler, 0, 4, mine));
    OK(jem_sampler_buffer_set(b.sampler, 4, SLOTS - 4, mine + 4 * IMAGE));
    OK(jem_sampler_draw(b.sampler, NULL, N, x, INT64_MAX));
    for (int i = 0; i < N; i++) {
        int slot = (int)lroundf(x[i * IMAGE] * SLOTS);
        ck_assert_int_eq(memcmp(x + i * IMAGE, mine + slot * IMAGE, IMAGE * sizeof *x), 0);
        OK(jem_sampler_buffer_age(b.sampler, slot, 1, age));
        ck_assert_int_eq(age[0], 2);
    }
    mine[7] = NAN;
    FAILS(JEM_ERROR_ARGUMENT, jem_sampler_buffer_set(b.sampler, 3, 1, mine), "slot 3, element 7");
    FAILS(JEM_ERROR_ARGUMENT, jem_sampler_buffer_set(b.sampler, 8, 5, mine), "within 0..12");
    FAILS(JEM_ERROR_ARGUMENT, jem_sampler_buffer_age(b.sampler, -1, 1, age), "within 0..12");
    FAILS(JEM_ERROR_ARGUMENT, jem_sampler_buffer_set(b.sampler, 0, 1, NULL), "x is NULL");
    bench_end(&b);
}
END_TEST

START_TEST(a_checkpoint_gives_its_buffer)
{
    bench b = bench_of("");
    jem_trainer *trainer;
    jem_sampler *sampler;
    float theirs[SLOTS * IMAGE], ours[SLOTS * IMAGE];
    int64_t age[2][SLOTS], used, counted = 0;
    const char *path = test_path("checkpoint.safetensors");
    OK(jem_trainer_create(&trainer, b.model, b.data, b.config));
    OK(jem_trainer_step(trainer));
    OK(jem_trainer_save(trainer, path));
    OK(jem_trainer_sampler(&sampler, trainer));
    jem_trainer_destroy(trainer); /* the sampler stays */
    OK(jem_sampler_buffer_get(sampler, 0, SLOTS, theirs, INT64_MAX));
    OK(jem_sampler_buffer_age(sampler, 0, SLOTS, age[0]));
    jem_sampler_destroy(sampler);
    OK(jem_sampler_buffer_load(b.sampler, path, &used));
    OK(jem_sampler_buffer_get(b.sampler, 0, SLOTS, ours, INT64_MAX));
    OK(jem_sampler_buffer_age(b.sampler, 0, SLOTS, age[1]));
    ck_assert_int_eq(memcmp(age[0], age[1], sizeof age[0]), 0);
    for (int i = 0; i < SLOTS; i++) {
        if (age[0][i] < 0) continue;
        counted++;
        ck_assert_int_eq(memcmp(ours + i * IMAGE, theirs + i * IMAGE, IMAGE * sizeof *ours), 0);
    }
    ck_assert_int_eq(used, counted);
    ck_assert_int_gt(used, 0);
    ck_assert_int_lt(used, SLOTS);
    bench_end(&b);

    b = bench_of("sampler.buffer=15");
    FAILS(JEM_ERROR_SHAPE, jem_sampler_buffer_load(b.sampler, path, &used), "12 slots");
    ck_assert_int_eq(used, 0);
    OK(jem_model_save(b.model, test_path("model.safetensors")));
    FAILS(JEM_ERROR_FORMAT,
          jem_sampler_buffer_load(b.sampler, test_path("model.safetensors"), NULL),
          "no replay buffer");
    FAILS(JEM_ERROR_IO, jem_sampler_buffer_load(b.sampler, test_path("none"), NULL), "none");
    bench_end(&b);
}
END_TEST

/* Settings may ask for a large buffer; that a file has one comes first. */
START_TEST(a_file_without_it_costs_no_buffer)
{
    bench b = bench_of("sampler.buffer=100000");
    jem_sampler *small;
    jem__safetensors *set;
    const int64_t shape[] = {1, IMAGE};
    const float values[IMAGE] = {0};
    const int64_t age = 0;
    int64_t before, after;
    const char *path = test_path("small.safetensors");
    OK(jem_context_memory(b.context, &before, NULL));
    OK(jem__safetensors_create(&set));
    OK(jem__safetensors_save(set, path));
    FAILS(JEM_ERROR_FORMAT, jem_sampler_buffer_load(b.sampler, path, NULL), "no replay buffer");
    OK(jem__safetensors_add(set, "sampler.buffer", "F32", 2, shape, values));
    OK(jem__safetensors_add(set, "sampler.age", "I64", 1, shape, &age));
    OK(jem__safetensors_save(set, path));
    jem__safetensors_destroy(set);
    FAILS(JEM_ERROR_SHAPE, jem_sampler_buffer_load(b.sampler, path, NULL), "1 slots of 64");
    OK(jem_context_memory(b.context, NULL, &after));
    ck_assert_int_lt(after - before, 1 << 20);
    OK(jem_config_parse(b.config, "sampler.buffer=1"));
    OK(jem_sampler_create(&small, b.model, b.config));
    OK(jem_sampler_buffer_load(small, path, NULL));
    jem_sampler_destroy(small);
    bench_end(&b);
}
END_TEST

START_TEST(a_damaged_checkpoint_changes_nothing)
{
    bench b = bench_of("");
    jem_trainer *trainer;
    float before[SLOTS * IMAGE], after[SLOTS * IMAGE];
    int64_t size, refused = 0;
    const char *path = test_path("damaged.safetensors");
    OK(jem_trainer_create(&trainer, b.model, b.data, b.config));
    OK(jem_trainer_step(trainer));
    OK(jem_trainer_save(trainer, path));
    jem_trainer_destroy(trainer);
    uint8_t *bytes = test_get(path, &size);
    OK(jem_sampler_buffer_get(b.sampler, 0, SLOTS, before, INT64_MAX));
    for (int64_t at = 0; at < size; at += size / 40 + 1) {
        bytes[at] ^= 0x41;
        test_put(path, bytes, size);
        bytes[at] ^= 0x41;
        refused += jem_sampler_buffer_load(b.sampler, path, NULL) < 0;
        OK(jem_sampler_buffer_get(b.sampler, 0, SLOTS, after, INT64_MAX));
        ck_assert_int_eq(memcmp(before, after, sizeof before), 0);
    }
    ck_assert_int_ge(refused, 39);
    free(bytes);
    bench_end(&b);
}
END_TEST

/* A class's chains are anybody's, but a sampler of classes takes no others. */
START_TEST(chains_of_classes)
{
    static const char *const settings[] = {"sampler.conditional=0", "sampler.conditional=1",
                                           "trainer.pxy=1 trainer.px=0 trainer.pyx=0"};
    const char *path = test_path("classes.safetensors");
    for (int from = 0; from < 3; from++) {
        bench b = bench_of(settings[from]);
        jem_trainer *trainer;
        OK(jem_trainer_create(&trainer, b.model, b.data, b.config));
        OK(jem_trainer_step(trainer));
        OK(jem_trainer_save(trainer, path));
        jem_trainer_destroy(trainer);
        bench_end(&b);
        for (int to = 0; to < 2; to++) {
            b = bench_of(settings[to]);
            if (to == 1 && from == 0)
                FAILS(JEM_ERROR_CONFIG, jem_sampler_buffer_load(b.sampler, path, NULL),
                      "expected those of sampler.conditional=1");
            else
                OK(jem_sampler_buffer_load(b.sampler, path, NULL));
            bench_end(&b);
        }
    }
}
END_TEST

/* The buffer is held to what a resumed run is: docs/formats.md. */
START_TEST(a_checkpoint_must_be_whole)
{
    static const char mark[] = "\"checksum\"";
    bench b = bench_of("");
    jem_trainer *trainer;
    jem__safetensors *set;
    float before[SLOTS * IMAGE], after[SLOTS * IMAGE];
    int64_t size, used = 7;
    const char *path = test_path("whole.safetensors");
    OK(jem_trainer_create(&trainer, b.model, b.data, b.config));
    OK(jem_trainer_step(trainer));
    OK(jem_trainer_save(trainer, path));
    jem_trainer_destroy(trainer);
    OK(jem_sampler_buffer_get(b.sampler, 0, SLOTS, before, INT64_MAX));
    uint8_t *bytes = test_get(path, &size);

    uint8_t *at = memmem(bytes, (size_t)size, mark, sizeof mark - 1);
    ck_assert_ptr_nonnull(at);
    at[1] = 'x'; /* the entry is another one */
    test_put(path, bytes, size);
    FAILS(JEM_ERROR_FORMAT, jem_sampler_buffer_load(b.sampler, path, &used), "checksum");
    ck_assert_int_eq(used, 0);
    at[1] = 'c';

    bytes[size - 1] ^= 1; /* of another tensor than the buffer */
    test_put(path, bytes, size);
    FAILS(JEM_ERROR_FORMAT, jem_sampler_buffer_load(b.sampler, path, NULL), "checksum");
    bytes[size - 1] ^= 1;

    OK(jem__safetensors_load_memory(&set, bytes, size, "checkpoint"));
    OK(jem__safetensors_set_metadata(set, "format_version", "2"));
    OK(jem__safetensors_seal(set));
    OK(jem__safetensors_save(set, path));
    jem__safetensors_destroy(set);
    FAILS(JEM_ERROR_FORMAT, jem_sampler_buffer_load(b.sampler, path, NULL),
          "format_version is '2', this libjem reads 1..1");

    OK(jem_sampler_buffer_get(b.sampler, 0, SLOTS, after, INT64_MAX));
    ck_assert_int_eq(memcmp(before, after, sizeof before), 0);
    test_put(path, bytes, size);
    OK(jem_sampler_buffer_load(b.sampler, path, &used));
    ck_assert_int_gt(used, 0);
    free(bytes);
    bench_end(&b);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {what_is_set_is_drawn,
                            a_checkpoint_gives_its_buffer,
                            a_file_without_it_costs_no_buffer,
                            a_damaged_checkpoint_changes_nothing,
                            chains_of_classes,
                            a_checkpoint_must_be_whole,
                            NULL};
    return test_run("buffer", tests);
}
