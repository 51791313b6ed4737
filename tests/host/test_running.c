/* Once warm, a running loop asks for no memory: training steps, draws, passes. */
#include "helpers.h"
#include <stdatomic.h>

static _Atomic int64_t calls;

static void *give(void *user, int64_t size, int64_t alignment)
{
    void *block = NULL;
    (void)user;
    calls++;
    return posix_memalign(&block, (size_t)alignment, (size_t)size) ? NULL : block;
}

static void take(void *user, void *pointer, int64_t size)
{
    (void)user, (void)size;
    free(pointer);
}

typedef struct world {
    jem_config *config;
    jem_context *context;
    jem_model *model;
    jem_dataset *data;
} world;

static world begin(const char *settings)
{
    world w;
    const jem_allocator allocator = {sizeof allocator, NULL, give, take};
    OK(jem_config_create(&w.config));
    OK(jem_config_parse(w.config, "context.threads=2 model.channels=1 model.height=14 "
                                  "model.width=14 model.widen_factor=2 dataset.size=14 "
                                  "dataset.limit=40 loader.batch=9 sampler.buffer=30 "
                                  "sampler.steps=2 model.slice=4 trainer.iterations=100"));
    OK(jem_config_parse(w.config, settings));
    OK(jem_context_create_hosted(&w.context, w.config, &allocator, NULL));
    OK(jem_model_create(&w.model, w.context, w.config));
    OK(jem_dataset_open(&w.data, w.context, "glyphs:", w.config));
    return w;
}

static void end(world *w)
{
    jem_dataset_destroy(w->data);
    jem_model_destroy(w->model);
    jem_context_destroy(w->context);
    jem_config_destroy(w->config);
}

START_TEST(training)
{
    static const char *const settings[] = {
        "model.convolution=fast", "model.norm=batch sampler.mode=training model.activation=silu",
        "model.dropout=0.2 optimizer.name=sgd trainer.px_batch=5 sampler.conditional=1",
        "model.norm=instance trainer.energy_penalty=0.1"};
    for (int i = 0; i < 4; i++) {
        world w = begin(settings[i]);
        jem_trainer *trainer;
        OK(jem_trainer_create(&trainer, w.model, w.data, w.config));
        for (int step = 0; step < 3; step++) OK(jem_trainer_step(trainer));
        int64_t before = calls;
        for (int step = 0; step < 4; step++) OK(jem_trainer_step(trainer));
        ck_assert_msg(calls == before, "%s: %d allocations in 4 steps", settings[i],
                      (int)(calls - before));
        jem_trainer_destroy(trainer);
        end(&w);
    }
}
END_TEST

START_TEST(own_loop)
{
    enum { N = 9, IMAGE = 14 * 14, K = 10 };
    float x[N * IMAGE], logits[N * K], dx[N * IMAGE];
    int64_t before = 0;
    world w = begin("model.convolution=exact");
    jem_pass *pass;
    jem_sampler *sampler;
    OK(jem_pass_create(&pass, w.model, JEM_PASS_TRAIN, N));
    OK(jem_sampler_create(&sampler, w.model, w.config));
    for (int round = 0; round < 5; round++) {
        if (round == 2) before = calls;
        OK(jem_sampler_draw(sampler, NULL, N, x, INT64_MAX));
        OK(jem_sampler_step(sampler, x, NULL, N, 0, 0, 2));
        OK(jem_model_energy_gradient(w.model, x, NULL, N, NULL, dx));
        OK(jem_pass_forward(pass, x, N, logits, INT64_MAX));
        OK(jem_pass_backward(pass, logits, JEM_GRADIENT_PARAMETERS | JEM_GRADIENT_INPUT, dx));
    }
    ck_assert_int_eq(calls, before);
    jem_pass_destroy(pass);
    jem_sampler_destroy(sampler);
    end(&w);
}
END_TEST

TESTS("running", training, own_loop)
