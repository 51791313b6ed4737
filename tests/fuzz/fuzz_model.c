/* Model files: the input as fuzz_file reads it. */
#include "fuzz.h"
#include <math.h>

enum { MOST = 460 << 10 };

/* Starts that the file carries, or says it does. */
static void draw_starts(jem_model *model, int64_t image, float *x)
{
    jem_config *config;
    jem_sampler *sampler;
    MUST(jem_config_create(&config) == JEM_OK);
    MUST(jem_config_parse(config, "sampler.start=gaussian sampler.buffer=1") == JEM_OK);
    jem_status status = jem_sampler_create(&sampler, model, config);
    MUST(fuzz_fair(status) && !sampler == (status != JEM_OK));
    status = sampler ? jem_sampler_draw_starts(sampler, NULL, 1, 0, x, image) : JEM_OK;
    MUST(fuzz_fair(status) || status == JEM_ERROR_STATE); /* it carries none */
    jem_sampler_destroy(sampler);
    jem_config_destroy(config);
}

/* Saved and read again it is the same. */
static void save_again(const jem_model *model)
{
    jem_model *same;
    int64_t size, second;
    MUST(jem_model_save_memory(model, NULL, 0, &size) == JEM_OK && size > 0);
    uint8_t *file = malloc(2 * (size_t)size);
    MUST(file && jem_model_save_memory(model, file, size, &size) == JEM_OK);
    MUST(jem_model_load_memory(&same, fuzz_context(), file, size) == JEM_OK);
    MUST(jem_model_save_memory(same, file + size, size, &second) == JEM_OK && second == size);
    MUST(memcmp(file, file + size, (size_t)size) == 0);
    jem_model_destroy(same);
    free(file);
}

/* zeros: all weights are, so that no logit overflows. */
static void use(jem_model *model, int zeros)
{
    int64_t c, h, w, classes;
    MUST(jem_model_info(model, &c, &h, &w, &classes, NULL) == JEM_OK);
    save_again(model);
    if (c * h * w > 3 * 64 * 64) return;
    float *x = calloc((size_t)(c * h * w), sizeof *x), *logits = calloc((size_t)classes, sizeof *x);
    MUST(x && logits);
    MUST(jem_model_logits(model, x, 1, logits, classes) == JEM_OK);
    for (int64_t i = 0; zeros && i < classes; i++) MUST(isfinite(logits[i]));
    float probability, log_px;
    int32_t y = -1, accepted = -1;
    jem_status status = jem_model_predict(model, x, 1, &y, &probability, &log_px, &accepted);
    MUST(fuzz_fair(status)); /* a calibration that is none is an error */
    if (!status) MUST(y >= 0 && y < classes && accepted >= -1 && accepted <= 1);
    draw_starts(model, c * h * w, x);
    free(x);
    free(logits);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static uint8_t file[MOST];
    jem_model *model;
    size_t whole = fuzz_file(file, sizeof file, bytes, size);
    if (!whole) return 0;
    jem_status status = jem_model_load_memory(&model, fuzz_context(), file, (int64_t)whole);
    MUST(fuzz_fair(status) && !model == (status != JEM_OK));
    fuzz_accepted += model != NULL;
    if (model) use(model, !size || !memchr(bytes, 0, size));
    jem_model_destroy(model);
    return 0;
}
