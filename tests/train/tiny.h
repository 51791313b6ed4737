/* A tiny model, data that can be learnt, and a trainer on them. */
#ifndef JEM_TESTS_TRAIN_TINY_H
#define JEM_TESTS_TRAIN_TINY_H

#include "helpers.h"
#include <math.h>

enum { K = 3, C = 1, H = 8, W = 8, IMAGE = C * H * W, DATA = 60, METRICS = 33 };

typedef struct tiny {
    jem_context *context;
    jem_config *config;
    jem_model *model;
    jem_dataset *data;
    jem_trainer *trainer;
} tiny;

/* Class k is a bright band in rows 2k, 2k + 1. */
static inline jem_dataset *tiny_data(jem_context *context, int64_t n)
{
    jem_dataset *data;
    static uint8_t pixels[DATA * IMAGE];
    static int32_t labels[DATA];
    for (int64_t i = 0; i < n; i++) {
        labels[i] = (int32_t)(i % K);
        for (int64_t j = 0; j < IMAGE; j++)
            pixels[i * IMAGE + j] =
                (uint8_t)((i * 31 + j * 17) % 60 + (j / W / 2 == labels[i] ? 180 : 0));
    }
    OK(jem_dataset_create(&data, context, pixels, JEM_TYPE_U8, labels, n, C, H, W));
    return data;
}

/* All but the trainer. */
static inline tiny tiny_untrained(int64_t threads, const char *settings)
{
    tiny t = {0};
    OK(jem_config_create(&t.config));
    OK(jem_config_set_i64(t.config, "context.threads", threads));
    OK(jem_config_parse(t.config, "model.classes=3 model.channels=1 model.height=8 model.width=8 "
                                  "model.slice=2 loader.batch=6 trainer.px_batch=4 "
                                  "loader.noise=0.03 sampler.buffer=12 sampler.steps=2 "
                                  "optimizer.rate=1e-3 trainer.iterations=6 trainer.seed=1"));
    OK(jem_config_parse(t.config, settings));
    OK(jem_context_create(&t.context, t.config));
    OK(jem_model_create(&t.model, t.context, t.config));
    t.data = tiny_data(t.context, DATA);
    return t;
}

static inline tiny tiny_of(int64_t threads, const char *settings)
{
    tiny t = tiny_untrained(threads, settings);
    OK(jem_trainer_create(&t.trainer, t.model, t.data, t.config));
    return t;
}

static inline void tiny_end(tiny *t)
{
    jem_context_destroy(t->context);
    jem_dataset_destroy(t->data);
    jem_trainer_destroy(t->trainer);
    jem_config_destroy(t->config);
    jem_model_destroy(t->model);
}

/* The replay buffer's 12 images. */
static inline void tiny_buffer(const tiny *t, float *x)
{
    jem_sampler *sampler;
    OK(jem_trainer_sampler(&sampler, t->trainer));
    OK(jem_sampler_buffer_get(sampler, 0, 12, x, 12 * IMAGE));
    jem_sampler_destroy(sampler);
}

/* All parameters and statistics, and the buffer: the caller frees. */
static inline float *tiny_values(const tiny *t, int64_t *count)
{
    int64_t total = 12 * IMAGE, n = jem_model_parameter_count(t->model), elements;
    for (int64_t i = 0; i < n; i++) {
        OK(jem_model_parameter_info(t->model, i, NULL, NULL, NULL, &elements, NULL));
        total += elements;
    }
    float *values = malloc((size_t)total * sizeof *values), *at = values;
    for (int64_t i = 0; i < n; i++) {
        OK(jem_model_parameter_info(t->model, i, NULL, NULL, NULL, &elements, NULL));
        OK(jem_model_parameter_get(t->model, i, at, elements));
        at += elements;
    }
    tiny_buffer(t, at);
    *count = total;
    return values;
}

/* 1 if both are equal, bit for bit. */
static inline int tiny_equal(const tiny *a, const tiny *b)
{
    int64_t n, m;
    float *x = tiny_values(a, &n), *y = tiny_values(b, &m);
    int same = n == m && memcmp(x, y, (size_t)n * sizeof *x) == 0;
    free(x);
    free(y);
    return same;
}

static inline double tiny_metric(const tiny *t, const char *name)
{
    double values[METRICS];
    OK(jem_trainer_metrics(t->trainer, values, METRICS));
    for (int64_t i = 0; i < METRICS; i++)
        if (strcmp(jem_trainer_metric_name(i), name) == 0) return values[i];
    ck_abort_msg("no metric %s", name);
    return 0;
}

#endif
