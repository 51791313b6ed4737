/* The work that users wait for: scoring, sampling, training. */
#include "bench.h"
#include "model/internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct job {
    const bench_options *o;
    jem_context *context;
    jem_model *model;
    jem_sampler *sampler;
    jem_dataset *data;
    jem_trainer *trainer;
    float *x, *energy;
} job;

enum { CLASSES = 10, SGLD_STEPS = 5 }; /* in one timed run */

jem_status bench_configure(const bench_options *o, jem_config **config)
{
    char text[1024];
    snprintf(text, sizeof text,
             "context.threads=%ld model.depth=%ld model.widen_factor=%ld model.norm=%s "
             "model.activation=%s model.precision=%s model.convolution=%s loader.batch=%ld "
             "sampler.buffer=%ld sampler.steps=%ld "
             "sampler.step_size=1 sampler.noise=0.01 sampler.mode=%s optimizer.name=adam "
             "optimizer.rate=1e-4 trainer.iterations=1000000 model.fuse=%ld",
             (long)o->threads, (long)o->depth, (long)o->width, o->norm, o->activation, o->precision,
             o->fuse ? o->convolution : "direct", (long)o->batch, (long)o->batch, (long)o->steps,
             strcmp(o->sample_mode, "train") == 0 ? "training" : "evaluation", (long)o->fuse);
    jem_status status = jem_config_create(config);
    return status ? status : jem_config_parse(*config, text);
}

jem_status bench_model(const bench_options *o, jem_context **context, jem_model **model)
{
    jem_config *config = NULL;
    jem_status status = bench_configure(o, &config);
    if (!status) status = jem_context_create(context, config);
    if (!status) status = jem_model_create(model, *context, config);
    jem_config_destroy(config);
    return status;
}

double bench_macs(const jem_model *model)
{
    const jem__graph *g = &model->graph;
    double macs = 0;
    for (int32_t i = 0; i < g->node_count; i++) {
        const jem__node *node = &g->nodes[i];
        jem__image in = jem__graph_shape(g, node->input[0]), out = node->shape;
        if (node->op == &jem__op_convolution)
            macs += (double)(out.c * out.h * out.w * in.c * node->kernel * node->kernel);
        if (node->op == &jem__op_linear) macs += (double)(in.c * out.c);
    }
    return macs;
}

float *bench_images(const jem_model *model, int64_t n, uint64_t seed)
{
    jem__image in = model->graph.input;
    int64_t count = n * in.c * in.h * in.w;
    float *x = malloc((size_t)count * sizeof *x);
    uint64_t state = seed * 2 + 1;
    for (int64_t i = 0; x && i < count; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        x[i] = (float)(int32_t)(state >> 32) * 0x1p-31f;
    }
    return x;
}

/* A batch, and of each class one image at least. */
static int64_t images_of(const bench_options *o)
{
    return o->batch < CLASSES ? CLASSES : o->batch;
}

static jem_status begin(job *j, const bench_options *o)
{
    memset(j, 0, sizeof *j);
    j->o = o;
    jem_status status = bench_model(o, &j->context, &j->model);
    if (status) return status;
    j->x = bench_images(j->model, images_of(o), 1);
    j->energy = malloc((size_t)o->batch * sizeof *j->energy);
    return j->x && j->energy ? JEM_OK : JEM_ERROR_MEMORY;
}

static int end(job *j, jem_status status, const char *name)
{
    int failed = status ? bench_fail(name) : 0;
    jem_trainer_destroy(j->trainer);
    jem_dataset_destroy(j->data);
    jem_sampler_destroy(j->sampler);
    jem_model_destroy(j->model);
    jem_context_destroy(j->context);
    free(j->x);
    free(j->energy);
    return failed;
}

static int finish(job *j, jem_status status, const char *name, jem_status (*run)(void *),
                  double per, double passes)
{
    int failed = 0;
    if (!status) {
        double flops = 2 * bench_macs(j->model) * (double)j->o->batch * passes;
        bench_work work = {name, run, j, per, flops};
        failed = bench_time(j->o, &work);
    }
    return end(j, status, name) || failed;
}

/* ---- The three ---- */

static jem_status forward(void *user)
{
    job *j = user;
    return jem_model_energy(j->model, j->x, NULL, j->o->batch, j->energy);
}

int bench_forward(const bench_options *o)
{
    job j;
    return finish(&j, begin(&j, o), "forward", forward, 1, 1);
}

static jem_status sgld(void *user)
{
    job *j = user;
    return jem_sampler_step(j->sampler, j->x, NULL, j->o->batch, 0, 0, SGLD_STEPS);
}

int bench_sgld_step(const bench_options *o)
{
    job j;
    jem_config *config = NULL;
    jem_status status = begin(&j, o);
    if (!status) status = bench_configure(o, &config);
    if (!status) status = jem_sampler_create(&j.sampler, j.model, config);
    jem_config_destroy(config);
    return finish(&j, status, "sgld_step", sgld, SGLD_STEPS, 2);
}

static jem_status train(void *user)
{
    job *j = user;
    return jem_trainer_step(j->trainer);
}

/* A trainer on the job's model and images. */
static jem_status begin_training(job *j, const bench_options *o)
{
    jem_config *config = NULL;
    jem_status status = begin(j, o);
    int64_t images = images_of(o);
    int32_t *y = calloc((size_t)images, sizeof *y);
    if (!y) status = JEM_ERROR_MEMORY;
    for (int64_t i = 0; y && i < images; i++) y[i] = (int32_t)(i % CLASSES);
    if (!status)
        status = jem_dataset_create(&j->data, j->context, j->x, JEM_TYPE_F32, y, images, 3, 32, 32);
    if (!status) status = bench_configure(o, &config);
    if (!status) status = jem_trainer_create(&j->trainer, j->model, j->data, config);
    jem_config_destroy(config);
    free(y);
    return status;
}

int bench_jem_step(const bench_options *o)
{
    job j;
    return finish(&j, begin_training(&j, o), "jem_step", train, 1, 2 * (double)o->steps + 9);
}

int bench_train(const bench_options *o, jem_status (*step)(void *user, jem_trainer *trainer),
                void *user)
{
    job j;
    jem_status status = begin_training(&j, o);
    if (!status) status = jem_trainer_step(j.trainer); /* warm */
    for (int64_t i = 0; !status && i < o->repeat; i++) status = step(user, j.trainer);
    return end(&j, status, "profile");
}
