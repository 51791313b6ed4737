/* Checkpoints: a resumed run is the unbroken one; damage is refused whole. */
#include "train/tiny.h"
#include <sys/stat.h>

static char *in_folder(const char *folder, const char *name)
{
    static char path[4][4200];
    static int next;
    char *at = path[next = (next + 1) % 4];
    snprintf(at, sizeof path[0], "%s/%s", folder, name);
    return at;
}

static uint8_t *read_file(const char *path, int64_t *size)
{
    FILE *f = fopen(path, "rb");
    ck_assert_ptr_nonnull(f);
    fseek(f, 0, SEEK_END);
    *size = ftell(f);
    rewind(f);
    uint8_t *bytes = malloc((size_t)*size);
    ck_assert_int_eq(fread(bytes, 1, (size_t)*size, f), (size_t)*size);
    fclose(f);
    return bytes;
}

static void write_file(const char *path, const void *bytes, int64_t size)
{
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(fwrite(bytes, 1, (size_t)size, f), (size_t)size);
    fclose(f);
}

START_TEST(resumed_is_unbroken)
{
    const char *const settings[] = {
        "",
        "model.norm=batch model.dropout=0.2 sampler.mode=training trainer.warmup=5",
        "sampler.conditional=1 sampler.start=gaussian optimizer.name=sgd loader.crop=1 "
        "trainer.decay_at=2,4 loader.prefetch=0",
        "trainer.px=0",
        "trainer.pyx=0 optimizer.name=sgd sampler.buffer=12",
        "model.norm=act model.energy=head"};
    const char *path = in_folder(test_folder(), "run.safetensors");
    for (int s = 0; s < 6; s++) {
        tiny whole = tiny_of(1, settings[s]), first = tiny_of(2, settings[s]);
        OK(jem_trainer_run(whole.trainer, NULL));
        for (int i = 0; i < 3; i++) OK(jem_trainer_step(first.trainer));
        OK(jem_trainer_save(first.trainer, path));
        /* Saving changes nothing. */
        OK(jem_trainer_run(first.trainer, NULL));
        ck_assert(tiny_equal(&whole, &first));
        tiny_end(&first);
        /* Into a trainer that went its own way. */
        tiny second = tiny_of(1, settings[s]);
        for (int i = 0; i < 2; i++) OK(jem_trainer_step(second.trainer));
        OK(jem_trainer_resume(second.trainer, path));
        int64_t step;
        OK(jem_trainer_progress(second.trainer, &step, NULL));
        ck_assert_int_eq(step, 3);
        OK(jem_trainer_run(second.trainer, NULL));
        ck_assert(tiny_equal(&whole, &second));
        ck_assert_double_eq(tiny_metric(&whole, "loss"), tiny_metric(&second, "loss"));
        tiny_end(&second);
        tiny_end(&whole);
    }
}
END_TEST

START_TEST(from_recorded_settings)
{
    const char *path = in_folder(test_folder(), "run.safetensors");
    tiny a = tiny_of(1, "trainer.decay_at=2,4 model.class_names=\"a b,c,d\"");
    for (int i = 0; i < 3; i++) OK(jem_trainer_step(a.trainer));
    OK(jem_trainer_save(a.trainer, path));
    tiny b = {0};
    OK(jem_config_load(&b.config, path));
    char text[64];
    ck_assert(jem_config_get_str(b.config, "model.class_names", text, sizeof text) >= 0);
    ck_assert_str_eq(text, "a b,c,d");
    OK(jem_context_create(&b.context, b.config));
    OK(jem_model_create(&b.model, b.context, b.config));
    b.data = tiny_data(b.context, DATA);
    /* A longer run is one of the things that may change. */
    OK(jem_config_parse(b.config, "trainer.iterations=100 trainer.gap_limit=1e5"));
    OK(jem_trainer_create(&b.trainer, b.model, b.data, b.config));
    OK(jem_trainer_resume(b.trainer, path));
    for (int i = 0; i < 3; i++) OK(jem_trainer_step(b.trainer));
    OK(jem_trainer_run(a.trainer, NULL));
    ck_assert(tiny_equal(&a, &b));
    tiny_end(&a);
    tiny_end(&b);
}
END_TEST

#define NETWORK(probability)                                                                       \
    "model.architecture=network model.network=\"convolution 0 stem 4 3 2 1; relu 1; dropout "      \
    "2 " probability "; mean 3\""

START_TEST(other_runs_are_named)
{
    static const char *const others[][2] = {
        {"sampler.buffer=24", "sampler.buffer=12"},
        {"sampler.seed=9", "sampler.seed"},
        {"trainer.seed=9", "loader.seed"},
        {"optimizer.name=sgd", "optimizer.name=adam"},
        {"optimizer.rate=0.5", "optimizer.rate"},
        {"model.activation=silu", "model.activation=leaky_relu"},
        {"model.depth=16", "model.depth"},
        {"model.widen_factor=2", "model.widen_factor"},
        {"trainer.px=0", "trainer.px"}};
    const char *path = in_folder(test_folder(), "run.safetensors");
    tiny a = tiny_of(1, "");
    OK(jem_trainer_step(a.trainer));
    OK(jem_trainer_save(a.trainer, path));
    tiny_end(&a);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        tiny b = tiny_of(1, others[i][0]);
        FAILS(JEM_ERROR_FORMAT, jem_trainer_resume(b.trainer, path), others[i][1]);
        tiny_end(&b);
    }
    /* The model's seed matters to dropout alone, be it a setting's or a statement's. */
    static const char *const seeded[][2] = {{"", NULL},
                                            {"model.dropout=0.2", "model.seed"},
                                            {NETWORK("0.2"), "model.seed"},
                                            {NETWORK("0"), NULL}};
    for (size_t i = 0; i < sizeof seeded / sizeof seeded[0]; i++) {
        char other[200];
        snprintf(other, sizeof other, "%s model.seed=5", seeded[i][0]);
        a = tiny_of(1, seeded[i][0]);
        OK(jem_trainer_step(a.trainer));
        OK(jem_trainer_save(a.trainer, path));
        tiny_end(&a);
        tiny b = tiny_of(1, other);
        if (seeded[i][1])
            FAILS(JEM_ERROR_FORMAT, jem_trainer_resume(b.trainer, path), seeded[i][1]);
        else
            OK(jem_trainer_resume(b.trainer, path));
        tiny_end(&b);
    }
    OK(jem_trainer_save((a = tiny_of(1, "")).trainer, path));
    tiny_end(&a);
    /* The same settings over other data. */
    tiny b = tiny_of(1, "");
    jem_dataset *less = tiny_data(b.context, DATA - 1);
    jem_trainer *trainer;
    OK(jem_trainer_create(&trainer, b.model, less, b.config));
    FAILS(JEM_ERROR_FORMAT, jem_trainer_resume(trainer, path), "59 images");
    jem_trainer_destroy(trainer);
    jem_dataset_destroy(less);
    tiny_end(&b);
}
END_TEST

/* Of a setting's name or not: a run is saved, and goes on whatever was written meanwhile. */
START_TEST(metadata_is_the_callers)
{
    const char *path = in_folder(test_folder(), "run.safetensors");
    static const char *const keys[] = {"seed", "slice",       "precision", "convolution",
                                       "fuse", "check_input", "rate",      "class_names"};
    tiny whole = tiny_of(1, ""), t = tiny_of(1, ""), again = tiny_of(1, "");
    OK(jem_trainer_run(whole.trainer, NULL));
    for (int i = 0; i < 3; i++) OK(jem_trainer_step(t.trainer));
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        OK(jem_model_metadata_set(t.model, keys[i], "a \"text\"\n\x1b"));
    OK(jem_trainer_save(t.trainer, path));
    OK(jem_model_metadata_set(t.model, "precision", "bf16"));
    OK(jem_trainer_save(t.trainer, path));
    OK(jem_trainer_resume(again.trainer, path));
    OK(jem_trainer_run(again.trainer, NULL));
    ck_assert(tiny_equal(&whole, &again));
    tiny_end(&again);
    tiny_end(&t);
    tiny_end(&whole);
}
END_TEST

START_TEST(damage_is_refused)
{
    const char *folder = test_folder();
    char whole[4200], broken[4200];
    int64_t size;
    snprintf(whole, sizeof whole, "%s", in_folder(folder, "whole"));
    snprintf(broken, sizeof broken, "%s", in_folder(folder, "broken"));
    tiny t = tiny_of(1, ""), plain = tiny_of(1, "");
    OK(jem_trainer_step(t.trainer));
    OK(jem_trainer_save(t.trainer, whole));
    OK(jem_trainer_step(t.trainer));
    for (int i = 0; i < 2; i++) OK(jem_trainer_step(plain.trainer));
    uint8_t *bytes = read_file(whole, &size);
    int64_t header;
    memcpy(&header, bytes, 8);
    /* One bit anywhere: the header closely, the rest here and there. */
    jem_config *config;
    int64_t metadata = 0;
    for (int64_t at = 0; at < size; at += at < 8 + header ? 61 : 9973) {
        bytes[at] ^= (uint8_t)(1 << at % 8);
        write_file(broken, bytes, size);
        bytes[at] ^= (uint8_t)(1 << at % 8);
        jem_status status = jem_trainer_resume(t.trainer, broken);
        ck_assert_msg(status < 0, "bit %d of byte %d went unnoticed", (int)(at % 8), (int)at);
        metadata += jem_config_load(&config, broken) == JEM_OK;
        jem_config_destroy(config);
    }
    ck_assert_int_le(metadata, 40); /* a tensor's shape or type is no matter to settings */
    for (int64_t cut = 0; cut < size; cut += size / 23) {
        write_file(broken, bytes, cut);
        ck_assert(jem_trainer_resume(t.trainer, broken) < 0);
        ck_assert(jem_config_load(&config, broken) < 0);
        ck_assert_ptr_null(config);
    }
    free(bytes);
    FAILS(JEM_ERROR_IO, jem_trainer_resume(t.trainer, in_folder(folder, "none")), "none");
    OK(jem_model_save(t.model, broken));
    FAILS(JEM_ERROR_FORMAT, jem_trainer_resume(t.trainer, broken), "jem-checkpoint");
    FAILS(JEM_ERROR_FORMAT, jem_config_load(&config, broken), "jem-checkpoint");
    /* After all that the trainer is the one it was. */
    ck_assert(tiny_equal(&t, &plain));
    OK(jem_trainer_run(t.trainer, NULL));
    OK(jem_trainer_run(plain.trainer, NULL));
    ck_assert(tiny_equal(&t, &plain));
    tiny_end(&t);
    tiny_end(&plain);
}
END_TEST

START_TEST(failed_saves)
{
    const char *folder = test_folder();
    tiny t = tiny_of(1, "");
    FAILS(JEM_ERROR_IO, jem_trainer_save(t.trainer, in_folder(folder, "no/such/folder")),
          "no/such");
    FAILS(JEM_ERROR_ARGUMENT, jem_trainer_save(t.trainer, NULL), "path");
    FAILS(JEM_ERROR_ARGUMENT, jem_trainer_save(NULL, "x"), "trainer");
    FAILS(JEM_ERROR_ARGUMENT, jem_trainer_resume(t.trainer, NULL), "path");
    FAILS(JEM_ERROR_ARGUMENT, jem_trainer_resume(NULL, "x"), "trainer");
    tiny_end(&t);
}
END_TEST

TESTS("checkpoint", resumed_is_unbroken, from_recorded_settings, other_runs_are_named,
      metadata_is_the_callers, damage_is_refused, failed_saves)
