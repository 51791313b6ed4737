/* Every operator against plain C in double: logits, and the gradients by input
   and by each parameter against central differences of the plain C. */
#include "base/random.h"
#include "helpers.h"
#include "model/internal.h"
#include "model/reference.h"
#include <math.h>

enum { N = 5, K = 3, IMAGE = 2 * 7 * 6, STREAM = 2, NUMBER = 9 };

/* A network of the builder's making between a 2x7x6 input and three logits. */
typedef int32_t builder(jem__graph *g, int32_t x);

static jem_model *model_of(jem_context *context, builder *build, int64_t slice)
{
    jem_model *model;
    jem_config *config;
    OK(jem_config_create(&config));
    OK(jem_config_parse(config, "model.classes=3 model.channels=2 model.height=7 model.width=6 "
                                "model.seed=11"));
    OK(jem_config_set_i64(config, "model.slice", slice));
    OK(jem_model_create(&model, context, config));
    jem_config_destroy(config);

    jem__model_drop_parameters(model);
    jem__graph_clear(&model->graph);
    model->graph = (jem__graph){.input = {2, 7, 6}, .classes = K};
    int32_t x = build(&model->graph, 0);
    jem__graph_linear(&model->graph, jem__graph_pool(&model->graph, x), "head", K);
    OK(model->graph.status);
    OK(jem__model_store(model));
    jem__model_initialise(model);
    /* Scales, shifts and statistics that are not one and zero. */
    jem__random r;
    jem__random_at(&r, 5, 0, 0, 0, 0);
    for (int32_t p = 0; p < model->graph.parameter_count; p++)
        if (model->graph.parameters[p].fan_in == 0)
            for (int64_t i = 0; i < model->parameters[p].elements; i++)
                model->parameters[p].value[i] = 0.5f + jem__random_uniform(&r);
    jem__model_touch(model);
    return model;
}

/* Sum of weight times logits, in double. */
static double weighted(const reference *r, const double *x, const float *weight)
{
    double logits[N * K], sum = 0;
    reference_forward(r, x, logits);
    for (int i = 0; i < N * K; i++) sum += logits[i] * (double)weight[i];
    return sum;
}

static double slope(const reference *r, const double *x, const float *weight, double *at)
{
    const double step = 1e-5, kept = *at;
    *at = kept + step;
    double up = weighted(r, x, weight);
    *at = kept - step;
    double down = weighted(r, x, weight);
    *at = kept;
    return (up - down) / (2 * step);
}

/* Each element within 2e-5 of the largest, plus what float sums leave of nothing. */
static void near(const char *what, const float *got, const double *expected, int64_t count)
{
    double most = 0;
    for (int64_t i = 0; i < count; i++) most = fmax(most, fabs(expected[i]));
    for (int64_t i = 0; i < count; i++)
        ck_assert_msg(fabs((double)got[i] - expected[i]) <= 2e-5 * most + 2e-6,
                      "%s[%d]: got %g, expected %g (largest %g)", what, (int)i, (double)got[i],
                      expected[i], most);
}

/* The engine's answers with these threads and slice against what is expected:
   logits, dx and all parameter gradients, one after the other. */
static void compare(builder *build, int training, int64_t threads, int64_t slice, const float *x,
                    const float *weight, const double *expected)
{
    jem_context *context = test_context(threads);
    jem_model *model = model_of(context, build, slice);
    float dx[N * IMAGE], logits[N * K];
    jem_pass *pass;
    OK(jem_pass_create(&pass, model, training ? JEM_PASS_TRAIN : JEM_PASS_GRADIENT, N));
    OK(jem_pass_set_stream(pass, STREAM, NUMBER));
    OK(jem_model_gradient_zero(model));
    OK(jem_pass_forward(pass, x, N, logits, INT64_MAX));
    OK(jem_pass_backward(pass, weight, JEM_GRADIENT_PARAMETERS | JEM_GRADIENT_INPUT, dx));

    near("logits", logits, expected, N * K);
    near("dx", dx, expected += N * K, N * IMAGE);
    expected += N * IMAGE;
    for (int32_t p = 0; p < model->graph.parameter_count; p++) {
        const jem__parameter *parameter = &model->parameters[p];
        if (!parameter->gradient) continue;
        near(parameter->name, parameter->gradient, expected, parameter->elements);
        expected += parameter->elements;
    }
    jem_pass_destroy(pass);
    jem_model_destroy(model);
    jem_context_destroy(context);
}

static void check(builder *build, int training)
{
    jem_context *context = test_context(1);
    jem_model *model = model_of(context, build, 8);
    reference *r = reference_create(model, N, training);
    r->dropout_stream = STREAM;
    r->dropout_number = NUMBER;

    float x[N * IMAGE], weight[N * K];
    double xd[N * IMAGE];
    static double expected[8192], *at;
    jem__random random;
    jem__random_at(&random, 3, 0, 0, 0, 0);
    for (int i = 0; i < N * IMAGE; i++) {
        x[i] = 2 * jem__random_uniform(&random) - 1;
        xd[i] = (double)x[i];
    }
    for (int i = 0; i < N * K; i++) weight[i] = 2 * jem__random_uniform(&random) - 1;

    reference_forward(r, xd, expected);
    at = expected + N * K;
    for (int i = 0; i < N * IMAGE; i++) *at++ = slope(r, xd, weight, &xd[i]);
    for (int32_t p = 0; p < model->graph.parameter_count; p++) {
        const jem__parameter *parameter = &model->parameters[p];
        if (!parameter->gradient) continue;
        ck_assert(at + parameter->elements <= expected + 8192);
        for (int64_t i = 0; i < parameter->elements; i++)
            *at++ = slope(r, xd, weight, &r->parameters[p][i]);
    }
    reference_destroy(r);
    jem_model_destroy(model);
    jem_context_destroy(context);

    /* Slices of one, a short last one, and a single one. */
    compare(build, training, 1, 1, x, weight, expected);
    compare(build, training, 2, 3, x, weight, expected);
    compare(build, training, 1, 8, x, weight, expected);
}

static int32_t convolution_3x3(jem__graph *g, int32_t x)
{
    return jem__graph_convolution(g, x, "a", 5, 3, 1, 1);
}

static int32_t convolution_stride_2(jem__graph *g, int32_t x)
{
    return jem__graph_convolution(g, jem__graph_convolution(g, x, "a", 9, 3, 2, 1), "b", 4, 3, 2,
                                  1);
}

static int32_t convolution_1x1(jem__graph *g, int32_t x)
{
    return jem__graph_convolution(g, jem__graph_convolution(g, x, "a", 16, 1, 1, 0), "b", 3, 1, 2,
                                  0);
}

static int32_t convolution_5x5_unpadded(jem__graph *g, int32_t x)
{
    return jem__graph_convolution(g, x, "a", 3, 5, 1, 0);
}

static int32_t leaky_relu(jem__graph *g, int32_t x)
{
    x = jem__graph_unary(g, x, &jem__op_leaky_relu, 0.2f);
    return jem__graph_unary(g, jem__graph_convolution(g, x, "a", 6, 3, 1, 1), &jem__op_leaky_relu,
                            0.2f);
}

static int32_t silu(jem__graph *g, int32_t x)
{
    x = jem__graph_unary(g, x, &jem__op_silu, 0);
    return jem__graph_unary(g, jem__graph_convolution(g, x, "a", 17, 3, 1, 1), &jem__op_silu, 0);
}

static int32_t batch_norm(jem__graph *g, int32_t x)
{
    x = jem__graph_batch_norm(g, x, "a", 0.9f);
    x = jem__graph_unary(g, jem__graph_convolution(g, x, "b", 10, 3, 1, 1), &jem__op_silu, 0);
    /* An activation, else pooling takes the dependence on x away. */
    return jem__graph_unary(g, jem__graph_batch_norm(g, x, "c", 0.1f), &jem__op_silu, 0);
}

/* A norm of a few values and of many, the channels not a full block. */
static int32_t norms(jem__graph *g, int32_t x, const char *norm)
{
    x = jem__graph_norm(g, x, "a", norm, 0);
    x = jem__graph_unary(g, jem__graph_convolution(g, x, "b", 10, 3, 2, 1), &jem__op_silu, 0);
    return jem__graph_unary(g, jem__graph_norm(g, x, "c", norm, 0), &jem__op_silu, 0);
}

static int32_t instance_norm(jem__graph *g, int32_t x)
{
    return norms(g, x, "instance");
}

static int32_t layer_norm(jem__graph *g, int32_t x)
{
    return norms(g, x, "layer");
}

static int32_t act_norm(jem__graph *g, int32_t x)
{
    return norms(g, x, "act");
}

static int32_t group_norm(jem__graph *g, int32_t x)
{
    x = jem__graph_convolution(g, x, "a", 18, 3, 1, 1);
    return jem__graph_unary(g, jem__graph_group_norm(g, x, "b", 3), &jem__op_silu, 0);
}

static int32_t relu(jem__graph *g, int32_t x)
{
    x = jem__graph_unary(g, x, &jem__op_leaky_relu, 0);
    return jem__graph_unary(g, jem__graph_convolution(g, x, "a", 6, 3, 1, 1), &jem__op_leaky_relu,
                            0);
}

static int32_t max_pool(jem__graph *g, int32_t x)
{
    x = jem__graph_windows(g, x, &jem__op_max_pool, 3, 1, 1);
    x = jem__graph_convolution(g, x, "a", 9, 3, 1, 1);
    x = jem__graph_windows(g, x, &jem__op_max_pool, 3, 2, 1); /* windows overlap */
    return jem__graph_unary(g, x, &jem__op_silu, 0);
}

static int32_t average_pool(jem__graph *g, int32_t x)
{
    x = jem__graph_windows(g, x, &jem__op_average_pool, 2, 1, 1);
    x = jem__graph_unary(g, jem__graph_convolution(g, x, "a", 17, 3, 1, 1), &jem__op_silu, 0);
    x = jem__graph_windows(g, x, &jem__op_average_pool, 3, 3, 0); /* the rest is left out */
    return jem__graph_unary(g, x, &jem__op_silu, 0);
}

/* Of images, and of vectors; the classifier reads an image, too. */
static int32_t linear(jem__graph *g, int32_t x)
{
    x = jem__graph_unary(g, jem__graph_convolution(g, x, "a", 5, 3, 2, 1), &jem__op_silu, 0);
    x = jem__graph_unary(g, jem__graph_linear(g, x, "b", 7), &jem__op_leaky_relu, 0.2f);
    x = jem__graph_linear(g, x, "c", 6);
    return jem__graph_unary(g, jem__graph_add(g, jem__graph_linear(g, x, "d", 6), x), &jem__op_silu,
                            0);
}

static int32_t dropout(jem__graph *g, int32_t x)
{
    x = jem__graph_unary(g, x, &jem__op_dropout, 0.3f);
    x = jem__graph_unary(g, jem__graph_convolution(g, x, "a", 11, 3, 1, 1), &jem__op_dropout, 0.5f);
    return jem__graph_unary(g, x, &jem__op_silu, 0);
}

/* Both sums hand one gradient on, which dropout in evaluation does too. */
static int32_t dropout_on_a_branch(jem__graph *g, int32_t x)
{
    int32_t stem = jem__graph_convolution(g, x, "a", 8, 3, 1, 1);
    int32_t b = jem__graph_convolution(g, stem, "b", 8, 3, 1, 1);
    int32_t dropped = jem__graph_unary(g, stem, &jem__op_dropout, 0.3f);
    int32_t active = jem__graph_unary(g, stem, &jem__op_silu, 0);
    int32_t sum = jem__graph_add(g, jem__graph_add(g, b, dropped), active);
    return jem__graph_unary(g, sum, &jem__op_silu, 0);
}

static int32_t add(jem__graph *g, int32_t x)
{
    int32_t twice = jem__graph_add(g, x, x);
    int32_t a = jem__graph_convolution(g, twice, "a", 8, 3, 1, 1);
    int32_t b = jem__graph_convolution(g, x, "b", 8, 1, 1, 0);
    return jem__graph_unary(g, jem__graph_add(g, jem__graph_add(g, a, b), a), &jem__op_silu, 0);
}

static int32_t pool_of_input(jem__graph *g, int32_t x)
{
    return x;
}

static int32_t residual_block(jem__graph *g, int32_t x)
{
    int32_t y =
        jem__graph_unary(g, jem__graph_batch_norm(g, x, "n1", 0.9f), &jem__op_leaky_relu, 0.2f);
    y = jem__graph_convolution(g, y, "c1", 7, 3, 1, 1);
    y = jem__graph_unary(g, y, &jem__op_dropout, 0.2f);
    y = jem__graph_unary(g, jem__graph_batch_norm(g, y, "n2", 0.9f), &jem__op_silu, 0);
    y = jem__graph_convolution(g, y, "c2", 7, 3, 2, 1);
    y = jem__graph_add(g, y, jem__graph_convolution(g, x, "s", 7, 1, 2, 0));
    return jem__graph_unary(g, y, &jem__op_silu, 0);
}

#define CASE(name)                                                                                 \
    START_TEST(test_##name)                                                                        \
    {                                                                                              \
        check(name, 0);                                                                            \
        check(name, 1);                                                                            \
    }                                                                                              \
    END_TEST

CASE(convolution_3x3)
CASE(convolution_stride_2)
CASE(convolution_1x1)
CASE(convolution_5x5_unpadded)
CASE(leaky_relu)
CASE(silu)
CASE(batch_norm)
CASE(instance_norm)
CASE(layer_norm)
CASE(group_norm)
CASE(act_norm)
CASE(relu)
CASE(max_pool)
CASE(average_pool)
CASE(linear)
CASE(dropout)
CASE(dropout_on_a_branch)
CASE(add)
CASE(pool_of_input)
CASE(residual_block)

TESTS("gradient", test_convolution_3x3, test_convolution_stride_2, test_convolution_1x1,
      test_convolution_5x5_unpadded, test_leaky_relu, test_silu, test_batch_norm,
      test_instance_norm, test_layer_norm, test_group_norm, test_act_norm, test_relu, test_max_pool,
      test_average_pool, test_linear, test_dropout, test_dropout_on_a_branch, test_add,
      test_pool_of_input, test_residual_block)
