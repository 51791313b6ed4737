/* The same bits on any number of threads: scoring, gradients, statistics, for
   networks with and without coupled images. Samplers and trainers have the same
   test in their own rooms. */
#include "helpers.h"
#include <fenv.h>
#include <math.h>

enum { N = 13, K = 4, IMAGE = 3 * 10 * 7, LIMIT = 200000 };

/* Everything that a model computes of some images, appended to out; how many numbers. */
static int64_t everything(int64_t threads, int rounding, const char *settings, float *out)
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
    fesetround(rounding); /* settings are numbers as the host rounds them */

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
        OK(jem_pass_energy(pass, at));
        at += n;
        OK(jem_pass_backward_energy(pass, weight, x, JEM_GRADIENT_PARAMETERS | JEM_GRADIENT_INPUT,
                                    at));
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
    fesetround(FE_TONEAREST);
    ck_assert_int_le(at - out, LIMIT);
    return at - out;
}

static const char *const settings[] = {"",
                                       "model.activation=silu model.dropout=0.3",
                                       "model.norm=batch model.dropout=0.2 model.activation=silu",
                                       "model.norm=instance model.activation=relu",
                                       "model.norm=layer",
                                       "model.norm=act model.activation=silu model.dropout=0.2",
                                       "model.energy=head model.norm=batch"};
enum { SETTINGS = sizeof settings / sizeof *settings };
static float one[LIMIT], other[LIMIT];

static void expect_same(const char *setting, int64_t threads, int rounding)
{
    int64_t count = everything(1, FE_TONEAREST, setting, one);
    ck_assert_int_eq(everything(threads, rounding, setting, other), count);
    for (int64_t i = 0; i < count; i++)
        ck_assert_msg(memcmp(&one[i], &other[i], 4) == 0,
                      "'%s', %d threads: number %d is %a, expected %a", setting, (int)threads,
                      (int)i, (double)other[i], (double)one[i]);
}

START_TEST(same_bits_on_any_number_of_threads)
{
    for (int s = 0; s < SETTINGS; s++)
        for (int64_t threads = 2; threads <= 5; threads += s < 3 ? 1 : 3)
            expect_same(settings[s], threads, FE_TONEAREST);
}
END_TEST

START_TEST(same_bits_however_the_host_rounds)
{
    for (int s = 0; s < SETTINGS; s++) expect_same(settings[s], 2, FE_UPWARD);
}
END_TEST

TESTS("determinism", same_bits_on_any_number_of_threads, same_bits_however_the_host_rounds)
