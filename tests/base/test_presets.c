/* The recipes, number by number: the published ones, and those that docs/results.md measures. */
#include "base/config.h"
#include "helpers.h"

enum { IMAGES = 50000, PX_BATCH = 64, EPOCH = IMAGES / PX_BATCH };

/* The published ones as the papers' tables have them, in epochs; 0: in steps, by the texts. */
typedef struct recipe {
    const char *preset;
    int64_t epochs, decays[4]; /* 0: no more */
    const char *network, *optimizer, *batches, *chains;
} recipe;

static const recipe recipes[] = {
    {"jem",
     200,
     {160, 180},
     "model.depth=28 model.widen_factor=10 model.norm=none model.activation=leaky_relu",
     "optimizer.name=adam optimizer.rate=1e-4 optimizer.beta1=0.9 optimizer.beta2=0.999 "
     "optimizer.weight_decay=0 trainer.decay=0.3 trainer.warmup=1000",
     "trainer.px_batch=64 loader.batch=64 trainer.px_augment=1 loader.crop=4 loader.flip=1 "
     "loader.noise=0.03 trainer.px=1 trainer.pyx=1",
     "sampler.steps=20 sampler.step_size=1 sampler.noise=0.01 sampler.gradient_clamp=0 "
     "sampler.clamp=0 sampler.mode=evaluation sampler.buffer=10000 sampler.start=uniform "
     "sampler.restart=0.05"},
    {"jempp",
     150,
     {50, 100, 125},
     "model.depth=28 model.widen_factor=10 model.norm=batch model.activation=leaky_relu",
     "optimizer.name=sgd optimizer.rate=0.1 optimizer.momentum=0.9 optimizer.weight_decay=4e-4 "
     "trainer.decay=0.2 trainer.warmup=1000",
     "trainer.px_batch=64 loader.batch=64 trainer.px_augment=1 loader.crop=4 loader.flip=1 "
     "loader.noise=0.03 trainer.px=1 trainer.pyx=1",
     "sampler.steps=10 sampler.step_size=1 sampler.noise=0 sampler.noise_after_clamp=1 "
     "sampler.gradient_clamp=1 sampler.clamp=1 sampler.mode=training sampler.buffer=10000 "
     "sampler.start=gaussian sampler.start_images=0 sampler.restart=0.05"},
    {"sadajem",
     200,
     {60, 120, 180},
     "model.depth=28 model.widen_factor=10 model.norm=batch model.activation=leaky_relu",
     "optimizer.name=sgd optimizer.rate=0.1 optimizer.momentum=0.9 optimizer.weight_decay=5e-4 "
     "optimizer.sam_rho=2 optimizer.sam_adaptive=1 trainer.decay=0.2 trainer.warmup=1000",
     "trainer.px_batch=64 loader.batch=128 trainer.px_augment=0 loader.crop=4 loader.flip=1 "
     "loader.noise=0 trainer.px=1 trainer.pyx=1",
     "sampler.steps=5 sampler.step_size=1 sampler.noise=0 sampler.noise_after_clamp=0 "
     "sampler.gradient_clamp=1 sampler.clamp=1 sampler.mode=training sampler.buffer=10000 "
     "sampler.start=gaussian sampler.start_images=0 sampler.restart=0.05"},
    {"cifar-small",
     0,
     {0},
     "model.depth=16 model.widen_factor=2 model.activation=silu model.precision=auto "
     "model.convolution=fast",
     "optimizer.rate=5e-4 optimizer.beta1=0 optimizer.clip=1 trainer.iterations=8000 "
     "trainer.warmup=100 trainer.schedule=cosine trainer.ema=0.999 trainer.gap_limit=10 "
     "trainer.retries=10 trainer.response_rate=0.7 trainer.response_penalty=0",
     "loader.batch=64 trainer.px_batch=32 loader.crop=4 loader.flip=1 loader.noise=0.03 "
     "trainer.px=0.2 trainer.pyx=1 trainer.energy_penalty=0.1",
     "sampler.conditional=1 sampler.steps=10 sampler.step_size=10 sampler.gradient_clamp=0.003 "
     "sampler.noise=0.005 sampler.clamp=1 sampler.buffer=2000"},
    {"glyphs",
     0,
     {0},
     "model.depth=16 model.activation=silu model.convolution=fast",
     "optimizer.rate=2e-3 optimizer.beta1=0 optimizer.clip=1 trainer.iterations=480 "
     "trainer.warmup=30 trainer.decay_at=180,300,400",
     "loader.batch=64 trainer.px_batch=32 trainer.px=1 trainer.pyx=5 trainer.energy_penalty=0.1",
     "sampler.conditional=1 sampler.steps=15 sampler.step_size=5 sampler.gradient_clamp=0.03 "
     "sampler.noise=0.005 sampler.clamp=1 sampler.buffer=320"},
    {"mnist",
     0,
     {0},
     "model.architecture=network model.convolution=fast model.network=\"convolution 0 stem 32 5 2 "
     "2; "
     "silu 1; convolution 2 block1.conv1 32 3 1 1; silu 3; convolution 4 block1.conv2 32 3 1 1; "
     "add 1 5; silu 6; convolution 7 down 64 3 2 1; silu 8; convolution 9 block2.conv1 64 3 1 1; "
     "silu 10; convolution 11 block2.conv2 64 3 1 1; add 8 12; silu 13; linear 14 hidden 128; "
     "silu 15\"",
     "optimizer.rate=1.5e-3 optimizer.beta1=0 optimizer.clip=1 trainer.iterations=1400 "
     "trainer.warmup=100 trainer.schedule=cosine trainer.rate_end=0.05 trainer.ema=0.995 "
     "trainer.gap_limit=5 trainer.retries=10 trainer.response_rate=0.7 trainer.response_penalty=0",
     "loader.batch=128 loader.crop=2 loader.noise=0.03 trainer.px_batch=32 trainer.px=1 "
     "trainer.pyx=3 trainer.energy_penalty=0.1",
     "sampler.conditional=1 sampler.steps=15 sampler.step_size=10 sampler.gradient_clamp=0.01 "
     "sampler.noise=0.005 sampler.clamp=1 sampler.buffer=1000"}};
enum { RECIPES = sizeof recipes / sizeof recipes[0] };

static jem_config *config_of(const recipe *r)
{
    jem_config *config;
    char decays[64] = "";
    OK(jem_config_create(&config));
    OK(jem_config_parse(config, r->network));
    OK(jem_config_parse(config, r->optimizer));
    OK(jem_config_parse(config, r->batches));
    OK(jem_config_parse(config, r->chains));
    if (!r->epochs) return config;
    OK(jem_config_set_i64(config, "trainer.iterations", r->epochs * EPOCH));
    for (const int64_t *d = r->decays; *d; d++)
        snprintf(decays + strlen(decays), sizeof decays - strlen(decays), "%s%d",
                 *decays ? "," : "", (int)(*d * EPOCH));
    OK(jem_config_set_str(config, "trainer.decay_at", decays));
    return config;
}

static jem_config *preset_of(const char *name)
{
    jem_config *config;
    OK(jem_config_create(&config));
    OK(jem_config_preset(config, name));
    return config;
}

/* 1 if both give the key the same value. */
static int equal(const jem_config *a, const jem_config *b, int64_t i)
{
    const char *key = jem__keys[i].name;
    return jem__keys[i].type == JEM_KEY_I64 ? jem__config_i64(a, key) == jem__config_i64(b, key)
           : jem__keys[i].type == JEM_KEY_F64
               ? jem__config_f64(a, key) == jem__config_f64(b, key)
               : strcmp(jem__config_str(a, key), jem__config_str(b, key)) == 0;
}

/* Every key: those of the recipe are set to its value, the others are not. */
START_TEST(as_written)
{
    ck_assert_int_eq(EPOCH, 781);
    for (int64_t i = 0; jem__presets[i].name || i < RECIPES; i++)
        ck_assert_str_eq(jem__presets[i].name ? jem__presets[i].name : "", recipes[i].preset);
    for (int r = 0; r < RECIPES; r++) {
        jem_config *got = preset_of(recipes[r].preset), *want = config_of(&recipes[r]);
        for (int64_t i = 0; i < jem__key_total; i++) {
            const char *key = jem__keys[i].name;
            int32_t is_set, should;
            OK(jem_config_is_set(got, key, &is_set));
            OK(jem_config_is_set(want, key, &should));
            ck_assert_msg(is_set == should && equal(got, want, i), "%s: %s", recipes[r].preset,
                          key);
        }
        jem_config_destroy(want);
        jem_config_destroy(got);
    }
}
END_TEST

/* Each can be trained with: the trainer takes its settings (on a network of few weights). */
START_TEST(all_are_complete)
{
    jem_context *context = test_context(1);
    jem_dataset *data;
    OK(jem_dataset_open(&data, context, "glyphs:size=32,channels=3,limit=200", NULL));
    for (const jem__preset *p = jem__presets; p->name; p++) {
        jem_config *config = preset_of(p->name);
        jem_model *model;
        jem_trainer *trainer;
        OK(jem_config_parse(config, "model.depth=10 model.widen_factor=1"));
        OK(jem_model_create(&model, context, config));
        OK(jem_trainer_create(&trainer, model, data, config));
        jem_trainer_destroy(trainer);
        jem_model_destroy(model);
        jem_config_destroy(config);
    }
    jem_dataset_destroy(data);
    jem_context_destroy(context);
}
END_TEST

TESTS("presets", as_written, all_are_complete)
