/* Checkpoints: the input is the header, the tensors behind it are zeros, and the checksum is made
   right. What is refused changes nothing. */
#include "format/safetensors.h"
#include "fuzz.h"

enum { HEADER = 1 << 16, DATA = 16384 };

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
    jem_dataset_destroy(data);
    jem_config_destroy(config);
    return trainer;
}

/* The file with a right checksum; 0 if it is no safetensors file. */
static int put_file(const uint8_t *bytes, size_t size)
{
    static uint8_t file[8 + HEADER + DATA], sealed[8 + 2 * HEADER + DATA];
    jem__safetensors *set;
    int64_t length;
    size_t data = fuzz_data_size(bytes, size);
    if (data > DATA) return 0;
    for (int i = 0; i < 8; i++) file[i] = (uint8_t)((uint64_t)size >> 8 * i);
    memcpy(file + 8, bytes, size);
    memset(file + 8 + size, 0, data);
    if (jem__safetensors_load_memory(&set, file, (int64_t)(8 + size + data), "fuzz")) return 0;
    jem_status status = jem__safetensors_seal(set);
    if (!status) status = jem__safetensors_save_memory(set, sealed, sizeof sealed, &length);
    if (!status) fuzz_put("a.checkpoint", sealed, (size_t)length);
    jem__safetensors_destroy(set);
    return !status;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static jem_trainer *trainer;
    static jem_model *model;
    jem_config *config;
    float before[10], after[10];
    if (!trainer) trainer = make_trainer(&model);
    if (size > HEADER || !put_file(bytes, size)) return 0;
    MUST(jem_model_parameter_get(model, jem_model_parameter_find(model, "class_output.bias"),
                                 before, 10) == JEM_OK);
    jem_status status = jem_trainer_resume(trainer, fuzz_path("a.checkpoint"));
    MUST(fuzz_fair(status));
    MUST(jem_model_parameter_get(model, jem_model_parameter_find(model, "class_output.bias"), after,
                                 10) == JEM_OK);
    if (status)
        MUST(memcmp(before, after, sizeof after) == 0);
    else
        fuzz_accepted++;
    status = jem_config_load(&config, fuzz_path("a.checkpoint"));
    MUST(fuzz_fair(status) && !config == (status != JEM_OK));
    jem_config_destroy(config);
    return 0;
}
