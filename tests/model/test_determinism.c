/* The same bits on any number of threads: scoring, gradients, statistics, for
   networks with and without coupled images. Samplers and trainers have the same
   test in their own rooms. */
#include "helpers.h"
#include <math.h>

enum { N = 13, K = 4, IMAGE = 3 * 10 * 7, LIMIT = 200000 };

/* Everything that a model computes of some images, appended to out; how many numbers. */
static int64_t everything(int64_t threads, const char *settings, float *out)
{
    jem_context *context;
    jem_model *model;
    jem_config *config;
    jem_pass *pass;
    float x[N * IMAGE], weight[N * K], *at = out;
    int32_t y[N];
    for (int i = 0; i < N * IMAGE; i++) x[i] = sinf((float)(i * 53 % 2003));
    for (int i = 0; i < N * K; i++) weight[i] = cosf((float)i);
    for (int i = 0; i < N; i++) y[i] = i % K;
    OK(jem_config_create(&config));
    OK(jem_config_parse(config, "model.classes=4 model.channels=3 model.height=10 model.width=7 "
                                "model.seed=3 model.slice=4"));
    OK(jem_config_parse(config, settings));
    OK(jem_config_set_i64(config, "context.threads", threads));
    OK(jem_context_create(&context, config));
    OK(jem_model_create(&model, context, config));
    jem_config_destroy(config);

    OK(jem_model_logits(model, x, N, at, N * K));
    at += N * K;
    OK(jem_model_energy(model, x, y, N, at));
    at += N;
    OK(jem_model_energy_gradient(model, x, NULL, N, at, at + N));
    at += N + N * IMAGE;
    OK(jem_model_gradient_zero(model));
    OK(jem_pass_create(&pass, model, JEM_PASS_TRAIN, N));
    for (int64_t n = N; n > 0; n -= 6) { /* full and partial batches; gradients add up */
        OK(jem_pass_set_stream(pass, 1, n));
        OK(jem_pass_forward(pass, x, n, at, INT64_MAX));
        at += n * K;
        OK(jem_pass_backward(pass, weight, JEM_GRADIENT_PARAMETERS | JEM_GRADIENT_INPUT, at));
        at += n * IMAGE;
    }
    jem_pass_destroy(pass);
    for (int64_t p = 0; p < jem_model_parameter_count(model); p++) {
        int64_t elements;
        jem_parameter_kind kind;
        float *value;
        OK(jem_model_parameter_info(model, p, NULL, NULL, NULL, &elements, &kind));
        if (kind == JEM_PARAMETER_TRAINABLE)
            OK(jem_model_gradient_map(model, p, &value));
        else
            OK(jem_model_parameter_map(model, p, &value)); /* running statistics moved */
        memcpy(at, value, (size_t)elements * sizeof *value);
        at += elements;
        if (kind != JEM_PARAMETER_TRAINABLE) OK(jem_model_parameter_unmap(model, p));
    }
    jem_model_destroy(model);
    jem_context_destroy(context);
    ck_assert_int_le(at - out, LIMIT);
    return at - out;
}

START_TEST(same_bits_on_any_number_of_threads)
{
    static const char *const settings[] = {
        "",
        "model.activation=silu model.dropout=0.3",
        "model.norm=batch model.dropout=0.2 model.activation=silu",
        "model.norm=instance model.activation=relu",
        "model.norm=layer",
        "model.norm=act model.activation=silu model.dropout=0.2",
        "model.energy=head model.norm=batch"};
    static float one[LIMIT], more[LIMIT];
    for (size_t s = 0; s < sizeof settings / sizeof *settings; s++) {
        int64_t count = everything(1, settings[s], one);
        for (int64_t threads = 2; threads <= 5; threads += s < 3 ? 1 : 3) {
            ck_assert_int_eq(everything(threads, settings[s], more), count);
            for (int64_t i = 0; i < count; i++)
                ck_assert_msg(memcmp(&one[i], &more[i], 4) == 0,
                              "'%s', %d threads: number %d is %a, expected %a", settings[s],
                              (int)threads, (int)i, (double)more[i], (double)one[i]);
        }
    }
}
END_TEST

TESTS("determinism", same_bits_on_any_number_of_threads)
