/* Replay buffers of checkpoints and of other files: the input as fuzz_file reads it, its checksum
   made right. What is refused changes nothing; what is accepted is drawn from. */
#include "fuzz.h"
#include <math.h>

enum { COUNT = 2, IMAGE = 64 };

static jem_sampler *make_sampler(void)
{
    jem_config *config;
    jem_model *model;
    jem_sampler *sampler;
    MUST(jem_config_create(&config) == JEM_OK);
    MUST(jem_config_parse(config, "model.architecture=network model.network=\"convolution 0 a 2 3 "
                                  "2 1; relu 1; mean 2\" model.channels=1 model.height=8 "
                                  "model.width=8 model.classes=2 sampler.buffer=2 "
                                  "sampler.steps=1") == JEM_OK);
    MUST(jem_model_create(&model, fuzz_context(), config) == JEM_OK);
    MUST(jem_sampler_create(&sampler, model, config) == JEM_OK);
    jem_model_destroy(model);
    jem_config_destroy(config);
    return sampler;
}

typedef struct buffer {
    float x[COUNT * IMAGE];
    int64_t age[COUNT];
} buffer;

static buffer buffer_of(jem_sampler *sampler)
{
    buffer b;
    MUST(jem_sampler_buffer_get(sampler, 0, COUNT, b.x, COUNT * IMAGE) == JEM_OK);
    MUST(jem_sampler_buffer_age(sampler, 0, COUNT, b.age) == JEM_OK);
    return b;
}

/* Images of the buffer are finite, whatever stood in slots that were never drawn. */
static void draw(jem_sampler *sampler, int64_t used)
{
    float x[IMAGE];
    int64_t old = 0;
    buffer b = buffer_of(sampler);
    for (int i = 0; i < COUNT; i++) {
        MUST(b.age[i] >= -1);
        old += b.age[i] >= 0;
    }
    for (int i = 0; i < COUNT * IMAGE; i++) MUST(isfinite(b.x[i]));
    MUST(used == old);
    jem_status status = jem_sampler_draw(sampler, NULL, 1, x, IMAGE);
    MUST(status == JEM_OK || status == JEM_ERROR_DIVERGED);
    for (int i = 0; !status && i < IMAGE; i++) MUST(isfinite(x[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static jem_sampler *sampler;
    int64_t used = 7;
    if (!sampler) sampler = make_sampler();
    if (!fuzz_put_sealed("buffer", bytes, size)) return 0;
    buffer before = buffer_of(sampler);
    jem_status status = jem_sampler_buffer_load(sampler, fuzz_path("buffer"), &used);
    MUST(fuzz_fair(status));
    fuzz_accepted += !status;
    if (!status) {
        draw(sampler, used);
        return 0;
    }
    buffer after = buffer_of(sampler);
    MUST(used == 0 && memcmp(&before, &after, sizeof after) == 0);
    return 0;
}
