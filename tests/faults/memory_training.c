/* Calls that train and sample. */
#include "faults/memory_cases.h"

CALLS(jem_model_energy_gradient, jem_model_energy_gradient(w->t.model, w->x, NULL, 6, NULL, w->out))

MAKES(jem_pass_create, jem_pass, pass, jem_pass_create(&pass, w->t.model, JEM_PASS_TRAIN, 4))

CASE(jem_pass_forward)
{
    jem_pass *pass;
    jem_status status;
    OK(jem_pass_create(&pass, w->t.model, JEM_PASS_TRAIN, 4));
    TRIED(status, jem_pass_forward(pass, w->x, 4, w->logits, INT64_MAX));
    jem_pass_destroy(pass);
    return status;
}

/* A backward that failed has used up its forward: both are made again. */
CASE(jem_pass_backward)
{
    jem_pass *pass;
    jem_status status;
    OK(jem_pass_create(&pass, w->t.model, JEM_PASS_TRAIN, 4));
    OK(jem_pass_forward(pass, w->x, 4, w->logits, INT64_MAX));
    TRIED_ONCE(status, jem_pass_backward(pass, w->logits, JEM_GRADIENT_PARAMETERS, NULL));
    if (status) {
        OK(jem_pass_forward(pass, w->x, 4, w->logits, INT64_MAX));
        OK(jem_pass_backward(pass, w->logits, JEM_GRADIENT_PARAMETERS, NULL));
    }
    jem_pass_destroy(pass);
    return status;
}

CALLS(jem_model_gradient_zero, jem_model_gradient_zero(w->t.model))

CASE(jem_model_gradient_map)
{
    jem_status status;
    float *values;
    TRIED(status, jem_model_gradient_map(w->t.model, 0, &values));
    return status;
}

CASE(jem_model_gradient_get)
{
    jem_status status;
    float values[16 * 9];
    TRIED(status, jem_model_gradient_get(w->t.model, 0, values, 16 * 9));
    return status;
}

CASE(jem_loader_create)
{
    jem_loader *loader;
    jem_status status;
    int64_t n;
    MADE(status, loader, jem_loader_create(&loader, w->t.data, w->t.config));
    if (loader)
        OK(jem_loader_next(loader, w->x, INT64_MAX, w->y, INT64_MAX,
                           &n)); /* also without its thread */
    jem_loader_destroy(loader);
    return status;
}

CASE(jem_loader_next)
{
    jem_loader *loader;
    jem_status status;
    int64_t n;
    OK(jem_loader_create(&loader, w->t.data, w->t.config));
    TRIED(status, jem_loader_next(loader, w->x, INT64_MAX, w->y, INT64_MAX, &n));
    jem_loader_destroy(loader);
    return status;
}

MAKES(jem_sampler_create, jem_sampler, sampler,
      jem_sampler_create(&sampler, w->t.model, w->t.config))

static jem_sampler *sampler_of(world *w)
{
    jem_sampler *sampler;
    OK(jem_sampler_create(&sampler, w->t.model, w->t.config));
    OK(jem_sampler_set_data(sampler, w->t.data));
    return sampler;
}

CASE(jem_sampler_set_data)
{
    jem_status status;
    jem_sampler *sampler = sampler_of(w);
    TRIED(status, jem_sampler_set_data(sampler, w->t.data));
    OK(jem_sampler_draw_starts(sampler, w->y, 6, 0, w->out, INT64_MAX));
    jem_sampler_destroy(sampler);
    return status;
}

CASE(jem_sampler_draw_starts)
{
    jem_status status;
    jem_sampler *sampler = sampler_of(w);
    TRIED(status, jem_sampler_draw_starts(sampler, w->y, 6, 0, w->out, INT64_MAX));
    jem_sampler_destroy(sampler);
    return status;
}

CASE(jem_sampler_draw)
{
    jem_status status;
    jem_sampler *sampler = sampler_of(w);
    TRIED(status, jem_sampler_draw(sampler, w->y, 6, w->out, INT64_MAX));
    jem_sampler_destroy(sampler);
    return status;
}

/* A model that carries starts, and a sampler of it. */
static void carry_starts(world *w)
{
    OK(jem_config_parse(w->t.config, "sampler.start=gaussian"));
    OK(jem_model_starts_fit(w->t.model, w->t.data, w->t.config));
}

CASE(jem_sampler_create_carried)
{
    jem_status status;
    jem_sampler *sampler;
    carry_starts(w);
    MADE(status, sampler, jem_sampler_create(&sampler, w->t.model, w->t.config));
    jem_sampler_destroy(sampler);
    return status;
}

CASE(jem_sampler_start_carried)
{
    jem_status status;
    jem_sampler *sampler;
    carry_starts(w);
    OK(jem_sampler_create(&sampler, w->t.model, w->t.config));
    TRIED(status, jem_sampler_draw_starts(sampler, w->y, 6, 0, w->out, INT64_MAX));
    jem_sampler_destroy(sampler);
    return status;
}

CASE(jem_sampler_step)
{
    jem_status status;
    jem_sampler *sampler = sampler_of(w);
    memset(w->out, 0, sizeof w->out);
    TRIED(status, jem_sampler_step(sampler, w->out, w->y, 6, 0, 0, 2));
    jem_sampler_destroy(sampler);
    return status;
}

CASE(jem_sampler_buffer_set)
{
    jem_status status;
    jem_sampler *sampler = sampler_of(w);
    TRIED(status, jem_sampler_buffer_set(sampler, 0, 6, w->x));
    jem_sampler_destroy(sampler);
    return status;
}

CASE(jem_sampler_buffer_load)
{
    jem_status status;
    jem_sampler *sampler = sampler_of(w);
    TRIED(status, jem_sampler_buffer_load(sampler, in_folder("checkpoint"), NULL));
    jem_sampler_destroy(sampler);
    return status;
}

CALLS(jem_model_starts_fit, jem_model_starts_fit(w->t.model, w->t.data, w->t.config))

CASE(jem_sampler_buffer_age)
{
    jem_status status;
    int64_t age;
    jem_sampler *sampler = sampler_of(w);
    TRIED(status, jem_sampler_buffer_age(sampler, 0, 1, &age));
    jem_sampler_destroy(sampler);
    return status;
}

CASE(jem_model_starts_info)
{
    jem_status status;
    int64_t rank;
    OK(jem_model_starts_fit(w->t.model, w->t.data, w->t.config));
    TRIED(status, jem_model_starts_info(w->t.model, &rank, NULL, NULL));
    return status;
}

CASE(jem_model_starts_remove)
{
    jem_status status;
    OK(jem_model_starts_fit(w->t.model, w->t.data, w->t.config));
    TRIED(status, jem_model_starts_remove(w->t.model));
    return status;
}

/* A pass whose convolutions, and their gradients by the weights, go by Winograd's method. */
static jem_status both_ways(jem_model *model, const float *x)
{
    float logits[3], dlogits[3] = {1, 0, -1};
    jem_pass *pass;
    jem_status status = jem_pass_create(&pass, model, JEM_PASS_TRAIN, 1);
    if (!status) status = jem_pass_forward(pass, x, 1, logits, 3);
    if (!status) status = jem_pass_backward(pass, dlogits, JEM_GRADIENT_PARAMETERS, NULL);
    jem_pass_destroy(pass);
    return status;
}

CASE(jem_pass_of_tiles)
{
    static const float x[16 * 16];
    jem_model *model;
    jem_config *config;
    jem_status status;
    OK(jem_config_create(&config));
    OK(jem_config_parse(config,
                        "model.architecture=network model.network=\"convolution 0 a 32 3 1 1; "
                        "convolution 1 b 32 3 1 1; mean 2\" model.classes=3 "
                        "model.channels=1 model.height=16 model.width=16"));
    OK(jem_model_create(&model, w->t.context, config));
    TRIED(status, both_ways(model, x));
    jem_model_destroy(model);
    jem_config_destroy(config);
    return status;
}

CASE(jem_pass_energy)
{
    jem_pass *pass;
    jem_status status;
    OK(jem_pass_create(&pass, w->t.model, JEM_PASS_TRAIN, 4));
    OK(jem_pass_forward(pass, w->x, 4, w->logits, INT64_MAX));
    TRIED(status, jem_pass_energy(pass, w->out));
    jem_pass_destroy(pass);
    return status;
}

CASE(jem_pass_backward_energy)
{
    jem_pass *pass;
    jem_status status;
    const float d[4] = {0.5f, -1, 2, 0};
    OK(jem_pass_create(&pass, w->t.model, JEM_PASS_TRAIN, 4));
    OK(jem_pass_forward(pass, w->x, 4, w->logits, INT64_MAX));
    OK(jem_pass_energy(pass, w->out));
    TRIED_ONCE(status, jem_pass_backward_energy(pass, w->logits, d, JEM_GRADIENT_PARAMETERS, NULL));
    if (status) {
        OK(jem_pass_forward(pass, w->x, 4, w->logits, INT64_MAX));
        OK(jem_pass_backward_energy(pass, w->logits, d, JEM_GRADIENT_PARAMETERS, NULL));
    }
    jem_pass_destroy(pass);
    return status;
}

CASE(jem_sampler_buffer_get)
{
    jem_status status;
    jem_sampler *sampler = sampler_of(w);
    TRIED(status, jem_sampler_buffer_get(sampler, 0, 6, w->out, INT64_MAX));
    jem_sampler_destroy(sampler);
    return status;
}

MAKES(jem_optimizer_create, jem_optimizer, optimizer,
      jem_optimizer_create(&optimizer, w->t.model, w->t.config))

CASE(jem_optimizer_step)
{
    jem_optimizer *optimizer;
    jem_status status;
    OK(jem_model_gradient_zero(w->t.model));
    OK(jem_optimizer_create(&optimizer, w->t.model, w->t.config));
    TRIED(status, jem_optimizer_step(optimizer, NULL));
    jem_optimizer_destroy(optimizer);
    return status;
}

CASE(jem_optimizer_restore)
{
    jem_optimizer *optimizer;
    jem_status status;
    OK(jem_model_gradient_zero(w->t.model));
    OK(jem_optimizer_create(&optimizer, w->t.model, w->t.config));
    OK(jem_optimizer_ascend(optimizer));
    TRIED(status, jem_optimizer_restore(optimizer));
    jem_optimizer_destroy(optimizer);
    return status;
}

CASE(jem_optimizer_ascend)
{
    jem_optimizer *optimizer;
    jem_status status;
    OK(jem_model_gradient_zero(w->t.model));
    OK(jem_optimizer_create(&optimizer, w->t.model, w->t.config));
    TRIED(status, jem_optimizer_ascend(optimizer));
    OK(jem_optimizer_restore(optimizer));
    jem_optimizer_destroy(optimizer);
    return status;
}

MAKES(jem_trainer_create, jem_trainer, trainer,
      jem_trainer_create(&trainer, w->t.model, w->t.data, w->t.config))

static void with_trainer(world *w)
{
    OK(jem_trainer_create(&w->t.trainer, w->t.model, w->t.data, w->t.config));
}

static void without_trainer(world *w)
{
    jem_trainer_destroy(w->t.trainer);
    w->t.trainer = NULL;
}

/* A step that had no memory has not begun: the run ends as ever. */
CASE(jem_trainer_step)
{
    static float *expected;
    static int64_t count;
    jem_status status;
    int64_t n;
    with_trainer(w);
    TRIED(status, jem_trainer_step(w->t.trainer));
    OK(jem_trainer_run(w->t.trainer, NULL));
    float *values = tiny_values(&w->t, &n);
    if (expected && nth) {
        ck_assert(n == count && memcmp(values, expected, (size_t)n * sizeof *values) == 0);
        free(values);
    } else if (nth) {
        expected = values; /* of the first: the world is always the same one */
        count = n;
    } else {
        free(values);
    }
    without_trainer(w);
    return status;
}

CASE(jem_trainer_run)
{
    jem_status status;
    with_trainer(w);
    TRIED(status, jem_trainer_run(w->t.trainer, NULL));
    without_trainer(w);
    return status;
}

CASE(jem_trainer_memory)
{
    jem_status status;
    int64_t bytes, most;
    with_trainer(w);
    TRIED(status, jem_trainer_memory(w->t.trainer, &bytes, &most));
    without_trainer(w);
    return status;
}

CASE(jem_trainer_save)
{
    jem_status status;
    with_trainer(w);
    TRIED(status, jem_trainer_save(w->t.trainer, in_folder("saved")));
    without_trainer(w);
    return status;
}

CASE(jem_trainer_resume)
{
    jem_status status;
    with_trainer(w);
    TRIED(status, jem_trainer_resume(w->t.trainer, in_folder("checkpoint")));
    without_trainer(w);
    return status;
}

static jem_status copy_of(world *w, int32_t best)
{
    jem_model *model;
    jem_status status;
    with_trainer(w);
    OK(jem_trainer_step(w->t.trainer));
    if (best)
        MADE(status, model, jem_trainer_best_model(&model, w->t.trainer, NULL));
    else
        MADE(status, model, jem_trainer_ema_model(&model, w->t.trainer));
    jem_model_destroy(model);
    without_trainer(w);
    return status;
}

CASE(jem_trainer_ema_model)
{
    return copy_of(w, 0);
}

CASE(jem_trainer_best_model)
{
    return copy_of(w, 1);
}

const case_of training_cases[] = {NAMED(jem_model_energy_gradient),
                                  NAMED(jem_pass_create),
                                  NAMED(jem_pass_forward),
                                  NAMED(jem_pass_backward),
                                  NAMED(jem_model_gradient_zero),
                                  NAMED(jem_model_gradient_map),
                                  NAMED(jem_model_gradient_get),
                                  NAMED(jem_loader_create),
                                  NAMED(jem_loader_next),
                                  NAMED(jem_sampler_create),
                                  NAMED(jem_sampler_set_data),
                                  NAMED(jem_sampler_draw_starts),
                                  NAMED(jem_sampler_draw),
                                  NAMED(jem_sampler_step),
                                  NAMED(jem_sampler_buffer_set),
                                  NAMED(jem_sampler_buffer_load),
                                  NAMED(jem_model_starts_fit),
                                  NAMED(jem_sampler_buffer_age),
                                  NAMED(jem_model_starts_info),
                                  NAMED(jem_model_starts_remove),
                                  NAMED(jem_pass_of_tiles),
                                  NAMED(jem_pass_energy),
                                  NAMED(jem_pass_backward_energy),
                                  NAMED(jem_sampler_create_carried),
                                  NAMED(jem_sampler_start_carried),
                                  NAMED(jem_sampler_buffer_get),
                                  NAMED(jem_optimizer_create),
                                  NAMED(jem_optimizer_step),
                                  NAMED(jem_optimizer_restore),
                                  NAMED(jem_optimizer_ascend),
                                  NAMED(jem_trainer_create),
                                  NAMED(jem_trainer_step),
                                  NAMED(jem_trainer_run),
                                  NAMED(jem_trainer_memory),
                                  NAMED(jem_trainer_save),
                                  NAMED(jem_trainer_resume),
                                  NAMED(jem_trainer_ema_model),
                                  NAMED(jem_trainer_best_model),
                                  {NULL, NULL}};
