/* Checkpoints: the input as fuzz_file reads it, with its checksum made right. What is refused
   changes nothing; what is accepted can be saved, read again and trained on. */
#include "fuzz.h"

/* As make_seeds.py calls `jem train`: all state that there is, in a small network. */
static const char settings[] =
    "model.architecture=network model.network=\"convolution 0 stem 4 3 2 1; norm 1 n batch; relu "
    "2; "
    "mean 3\" model.channels=1 model.height=8 model.width=8 model.classes=10 loader.batch=2 "
    "loader.prefetch=0 sampler.buffer=2 sampler.steps=1 trainer.ema=0.9 trainer.retries=1 "
    "trainer.snapshot_every=1 trainer.validation=10 trainer.validate_every=1 trainer.iterations=2 "
    "context.threads=1";

static jem_trainer *make_trainer(jem_model **model)
{
    jem_config *config;
    jem_dataset *data;
    jem_trainer *trainer;
    MUST(jem_config_create(&config) == JEM_OK);
    MUST(jem_config_parse(config, settings) == JEM_OK);
    MUST(jem_dataset_open(&data, fuzz_context(), "glyphs:size=8,limit=200", NULL) == JEM_OK);
    MUST(jem_model_create(model, fuzz_context(), config) == JEM_OK);
    MUST(jem_trainer_create(&trainer, *model, data, config) == JEM_OK);
    MUST(jem_trainer_run(trainer, NULL) == JEM_OK); /* what it keeps is there from now on */
    jem_dataset_destroy(data);
    jem_config_destroy(config);
    return trainer;
}

/* A run may go on from anything, or say why not; the values need not make sense. */
static void go_on(jem_trainer *trainer)
{
    MUST(jem_trainer_save(trainer, fuzz_path("again")) == JEM_OK);
    MUST(jem_trainer_resume(trainer, fuzz_path("again")) == JEM_OK);
    jem_status status = jem_trainer_step(trainer);
    MUST(status >= 0 || status == JEM_ERROR_DIVERGED);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static jem_trainer *trainer;
    static jem_model *model;
    jem_config *config;
    float before[10], after[10];
    if (!trainer) trainer = make_trainer(&model);
    if (!fuzz_put_sealed("a.checkpoint", bytes, size)) return 0;
    MUST(jem_model_parameter_get(model, jem_model_parameter_find(model, "class_output.bias"),
                                 before, 10) == JEM_OK);
    jem_status status = jem_trainer_resume(trainer, fuzz_path("a.checkpoint"));
    MUST(fuzz_fair(status));
    MUST(jem_model_parameter_get(model, jem_model_parameter_find(model, "class_output.bias"), after,
                                 10) == JEM_OK);
    if (status) MUST(memcmp(before, after, sizeof after) == 0);
    fuzz_accepted += !status;
    if (!status) go_on(trainer);
    status = jem_config_load(&config, fuzz_path("a.checkpoint"));
    MUST(fuzz_fair(status) && !config == (status != JEM_OK));
    jem_config_destroy(config);
    return 0;
}
