/* Random graphs: the fused plan against the unfused one, bit for bit, against plain C
   in double, and in bf16 against float32. */
#include "base/random.h"
#include "helpers.h"
#include "model/distance.h"
#include "model/internal.h"
#include "model/reference.h"
#include <math.h>

enum { GRAPHS = 200, K = 3, STREAM = 2, NUMBER = 9, DIRECTIONS = 2 };

typedef struct dice {
    jem__random r;
    int32_t wide; /* this graph's channels are as many as Winograd's method wants */
} dice;

static dice seeded(int64_t seed, uint32_t purpose)
{
    dice d = {.wide = 0};
    jem__random_at(&d.r, 77, purpose, 0, (uint64_t)seed, 0);
    return d;
}

static int64_t roll(dice *d, int64_t from, int64_t to)
{
    return from + jem__random_below(&d->r, (uint32_t)(to - from + 1));
}

/* ---- Graphs ---- */

static int32_t random_activation(jem__graph *g, dice *d, int32_t x)
{
    static const float slopes[] = {0.2f, 0.01f, 0};
    int64_t kind = roll(d, 0, 5);
    return kind < 3 ? jem__graph_unary(g, x, &jem__op_leaky_relu, slopes[kind])
                    : jem__graph_unary(g, x, &jem__op_silu, 0);
}

/* Any norm that the shape allows. */
static int32_t random_norm(jem__graph *g, dice *d, int32_t x, const char *name)
{
    static const char *const norms[] = {"batch", "act", "layer", "instance"};
    jem__image s = jem__graph_shape(g, x);
    int64_t most = s.h * s.w > 1 ? 4 : s.c > 1 ? 2 : 1, kind = roll(d, 0, most);
    if (kind == 4) return jem__graph_group_norm(g, x, name, s.c % 2 ? s.c : s.c / 2);
    return jem__graph_norm(g, x, name, norms[kind], 0.9f);
}

static int32_t random_convolution(jem__graph *g, dice *d, int32_t x, const char *name,
                                  int64_t channels)
{
    jem__image s = jem__graph_shape(g, x);
    int64_t kernel = roll(d, 0, 2) * 2 + 1, stride = s.h > 3 && s.w > 3 ? roll(d, 1, 2) : 1;
    if (d->wide && roll(d, 0, 2)) kernel = 3, stride = 1;
    int64_t pad = roll(d, 0, 3) ? kernel / 2 : roll(d, 0, kernel - 1);
    if (s.h + 2 * pad < kernel || s.w + 2 * pad < kernel) pad = kernel / 2;
    return jem__graph_convolution(g, x, name, channels, kernel, stride, pad);
}

static int64_t random_channels(dice *d)
{
    static const int64_t many[] = {32, 32, 48};
    return d->wide ? many[roll(d, 0, 2)] : roll(d, 1, 20);
}

static int32_t random_windows(jem__graph *g, dice *d, int32_t x)
{
    jem__image s = jem__graph_shape(g, x);
    int64_t most = s.h < s.w ? s.h : s.w, kernel = roll(d, 1, most < 4 ? most : 4);
    return jem__graph_windows(g, x, roll(d, 0, 1) ? &jem__op_max_pool : &jem__op_average_pool,
                              kernel, roll(d, 1, 3), roll(d, 0, kernel / 2));
}

/* One to three operators on x, possibly around a shortcut. */
static int32_t random_piece(jem__graph *g, dice *d, int32_t x, const char *name)
{
    char text[3][32];
    int64_t channels = random_channels(d);
    for (int i = 0; i < 3; i++) snprintf(text[i], sizeof text[i], "%s.%d", name, i);
    switch (roll(d, 0, 7)) {
    case 0:
        return random_convolution(g, d, x, text[0], channels);
    case 1:
        return random_activation(g, d, random_convolution(g, d, x, text[0], channels));
    case 2:
        return random_norm(g, d, x, text[0]);
    case 3:
        return jem__graph_unary(g, x, &jem__op_dropout, 0.3f);
    case 4:
        return random_activation(g, d, x);
    case 6:
        return random_windows(g, d, x);
    case 5: { /* an identity shortcut */
        int32_t y = jem__graph_convolution(g, random_activation(g, d, x), text[0],
                                           jem__graph_shape(g, x).c, 3, 1, 1);
        return roll(d, 0, 1) ? jem__graph_add(g, x, y) : jem__graph_add(g, y, x);
    }
    default: { /* one by a convolution */
        int32_t y = random_activation(g, d, random_norm(g, d, x, text[0]));
        y = jem__graph_convolution(g, y, text[1], channels, 3, 1, 1);
        return jem__graph_add(g, y, jem__graph_convolution(g, x, text[2], channels, 1, 1, 0));
    }
    }
}

static void random_graph(jem__graph *g, int64_t seed)
{
    dice d = seeded(seed, 1);
    int32_t x = 0;
    d.wide = roll(&d, 0, 2) == 0;
    int64_t pieces = roll(&d, 1, 4) + 2 * d.wide;
    g->input = (jem__image){roll(&d, 1, 5), roll(&d, 4, 11), roll(&d, 4, 11)};
    for (int64_t i = 0; i < pieces; i++) {
        char name[16];
        snprintf(name, sizeof name, "p%d", (int)i);
        x = random_piece(g, &d, x, name);
        /* Pooling alone would take an affine layer's dependence on x away. */
        if (roll(&d, 0, 1)) x = random_activation(g, &d, x);
    }
    x = jem__graph_unary(g, x, &jem__op_silu, 0);
    if (roll(&d, 0, 3) == 0) x = random_activation(g, &d, jem__graph_linear(g, x, "mlp", 6));
    /* The classifier reads the average, or all of an image. */
    jem__graph_linear(g, roll(&d, 0, 3) ? jem__graph_pool(g, x) : x, "head", K);
    OK(g->status);
}

static jem_model *model_of(jem_context *context, int64_t seed, const char *settings)
{
    jem_model *model;
    jem_config *config;
    OK(jem_config_create(&config));
    OK(jem_config_parse(config, "model.classes=3 model.seed=11"));
    OK(jem_config_parse(config, settings));
    OK(jem_model_create(&model, context, config));
    jem_config_destroy(config);
    jem__model_drop_parameters(model);
    jem__graph_clear(&model->graph);
    model->graph = (jem__graph){.classes = K};
    random_graph(&model->graph, seed);
    OK(jem__model_store(model));
    jem__model_initialise(model);
    dice d = seeded(seed, 2);
    for (int32_t p = 0; p < model->graph.parameter_count; p++)
        if (model->graph.parameters[p].fan_in == 0)
            for (int64_t i = 0; i < model->parameters[p].elements; i++)
                model->parameters[p].value[i] = 0.5f + jem__random_uniform(&d.r);
    jem__model_touch(model);
    return model;
}

/* ---- Answers: logits, dx, then every parameter gradient; then, of the plans for the input's
   gradient, dx through batch statistics or dE/dx without them; then logits of the plan for
   inference, and energies ---- */

typedef struct answers {
    int64_t n, image, total;
    int64_t exact;              /* values that fusing does not change */
    int32_t tiled;              /* convolutions, forward or back, by Winograd's method */
    float *values, *x, *weight; /* weight: dlogits */
} answers;

static void random_floats(dice *d, float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) x[i] = 2 * jem__random_uniform(&d->r) - 1;
}

static answers answer(int64_t seed, int training, int64_t threads, const char *settings)
{
    jem_context *context = test_context(threads);
    jem_model *model = model_of(context, seed, settings);
    jem__image in = model->graph.input;
    dice d = seeded(seed, 3);
    answers a = {.n = roll(&d, 1, 9), .image = in.c * in.h * in.w};
    /* Statistics of one value have no gradient. */
    if (training && a.n < 2) a.n = 2;
    /* Plain C takes its time for wide graphs. */
    if (model->graph.parameters[0].shape[0] >= 32 && a.n > 2) a.n = 2;
    a.total = a.n * (K + a.image);
    for (int32_t p = 0; p < model->graph.parameter_count; p++)
        if (model->parameters[p].gradient) a.total += model->parameters[p].elements;
    /* Batch norm folded into weights rounds otherwise. */
    a.exact = a.total + (training ? a.n * a.image : 0);
    int64_t plain = a.total + a.n * a.image;
    a.total = plain + a.n * (K + 1);
    a.values = calloc((size_t)a.total, sizeof(float));
    a.x = calloc((size_t)(a.n * a.image), sizeof(float));
    a.weight = calloc((size_t)(a.n * K), sizeof(float));
    random_floats(&d, a.x, a.n * a.image);
    random_floats(&d, a.weight, a.n * K);

    jem_pass *pass;
    OK(jem_pass_create(&pass, model, training ? JEM_PASS_TRAIN : JEM_PASS_GRADIENT, a.n));
    OK(jem_pass_set_stream(pass, STREAM, NUMBER));
    OK(jem_model_gradient_zero(model));
    OK(jem_pass_forward(pass, a.x, a.n, a.values, INT64_MAX));
    OK(jem_pass_backward(pass, a.weight, JEM_GRADIENT_PARAMETERS | JEM_GRADIENT_INPUT,
                         a.values + a.n * K));
    float *at = a.values + a.n * (K + a.image);
    for (int32_t p = 0; p < model->graph.parameter_count; p++) {
        const jem__parameter *parameter = &model->parameters[p];
        if (!parameter->gradient) continue;
        memcpy(at, parameter->gradient, (size_t)parameter->elements * sizeof *at);
        at += parameter->elements;
    }
    jem_pass_destroy(pass);
    if (training) {
        OK(jem_pass_create(&pass, model, JEM_PASS_TRAIN_INPUT, a.n));
        OK(jem_pass_set_stream(pass, STREAM, NUMBER));
        OK(jem_pass_forward(pass, a.x, a.n, a.values + plain, INT64_MAX));
        OK(jem_pass_backward(pass, a.weight, JEM_GRADIENT_INPUT, at));
        jem_pass_destroy(pass);
    } else {
        OK(jem_model_energy_gradient(model, a.x, NULL, a.n, NULL, at));
    }
    OK(jem_model_logits(model, a.x, a.n, a.values + plain, INT64_MAX));
    OK(jem_model_energy(model, a.x, NULL, a.n, a.values + plain + a.n * K));
    const jem__plan *plan;
    OK(jem__model_plan(model, a.n, JEM__WANT_INPUT, &plan));
    a.tiled = plan->tiling_count;
    jem_model_destroy(model);
    jem_context_destroy(context);
    return a;
}

static void drop(answers *a)
{
    free(a->values);
    free(a->x);
    free(a->weight);
}

START_TEST(fused_equals_unfused)
{
    static const char *const methods[] = {"exact", "fast", "direct"};
    int32_t tiled = 0, kinks = 0;
    for (int64_t seed = 0; seed < GRAPHS; seed++) {
        int training = seed % 2;
        char settings[128];
        snprintf(settings, sizeof settings, "model.fuse=0 model.slice=3 model.convolution=%s",
                 methods[seed / 2 % 3]);
        answers plain = answer(seed, training, 1, settings);
        settings[strlen("model.fuse=")] = '1';
        answers fused = answer(seed, training, 1 + seed % 2, settings);
        ck_assert_int_eq(plain.total, fused.total);
        double d = distance(fused.values + plain.exact, plain.values + plain.exact,
                            plain.total - plain.exact);
        /* A LeakyReLU may stand at its kink. */
        kinks += d > 2e-6;
        ck_assert_msg(d < 0.1, "graph %d: inference differs by %g", (int)seed, d);
        for (int64_t i = 0; i < plain.exact; i++)
            ck_assert_msg(plain.values[i] == fused.values[i], "graph %d: value %d: %g, unfused %g",
                          (int)seed, (int)i, (double)fused.values[i], (double)plain.values[i]);
        tiled += fused.tiled > 0;
        drop(&plain);
        drop(&fused);
    }
    ck_assert_int_gt(tiled, GRAPHS / 16);
    ck_assert_int_le(kinks, 2);
}
END_TEST

/* Another slicing sums parameter gradients in another order; logits and dx have
   different kernels for different slices. */
START_TEST(slices_agree)
{
    for (int64_t seed = 0; seed < GRAPHS; seed += 4) {
        answers a = answer(seed, 0, 1, "model.slice=1"), b = answer(seed, 0, 1, "model.slice=8");
        double d = distance(a.values, b.values, a.total);
        ck_assert_msg(d < 2e-6, "graph %d: slices of 1 and 8 differ by %g", (int)seed, d);
        drop(&a);
        drop(&b);
    }
}
END_TEST

/* Sum of weight times logits, in double. */
static double weighted(const reference *r, const double *x, const float *weight)
{
    double logits[9 * K], sum = 0;
    reference_forward(r, x, logits);
    for (int64_t i = 0; i < r->n * K; i++) sum += logits[i] * (double)weight[i];
    return sum;
}

/* Moves v by step along the direction and sums direction times gradient. */
static double along(double *v, const double *direction, const float *gradient, int64_t n,
                    double step, double *size)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        v[i] += step * direction[i];
        sum += direction[i] * (double)gradient[i];
        *size += direction[i] * direction[i] * (double)gradient[i] * (double)gradient[i];
    }
    return sum;
}

/* The derivative along random directions of x or one parameter, by differences. */
static void check_direction(const reference *r, double *x, const answers *a, double *v, int64_t n,
                            const float *gradient, dice *d, int64_t seed, const char *what)
{
    const double step = 1e-8; /* small: LeakyReLU has kinks */
    double *direction = calloc((size_t)n, sizeof *direction), size = 0;
    for (int64_t i = 0; i < n; i++) direction[i] = 2 * (double)jem__random_uniform(&d->r) - 1;
    double got = along(v, direction, gradient, n, step, &size);
    double up = weighted(r, x, a->weight);
    along(v, direction, gradient, n, -2 * step, &size);
    double down = weighted(r, x, a->weight);
    along(v, direction, gradient, n, step, &size);
    double want = (up - down) / (2 * step);
    ck_assert_msg(fabs(got - want) <= 1e-4 * sqrt(size) + 1e-5, "graph %d, %s: %g, expected %g",
                  (int)seed, what, got, want);
    free(direction);
}

START_TEST(plain_c_agrees)
{
    for (int64_t seed = 0; seed < GRAPHS; seed++) {
        int training = seed % 2;
        answers a = answer(seed, training, 1, "model.slice=4");
        jem_context *context = test_context(1);
        jem_model *model = model_of(context, seed, "model.slice=4");
        reference *r = reference_create(model, a.n, training);
        r->dropout_stream = STREAM;
        r->dropout_number = NUMBER;
        double *x = calloc((size_t)(a.n * a.image), sizeof *x), logits[9 * K], most = 0;
        for (int64_t i = 0; i < a.n * a.image; i++) x[i] = (double)a.x[i];
        reference_forward(r, x, logits);
        for (int64_t i = 0; i < a.n * K; i++) most = fmax(most, fabs(logits[i]));
        for (int64_t i = 0; i < a.n * K; i++)
            ck_assert_double_eq_tol((double)a.values[i], logits[i], 2e-5 * most + 2e-6);
        dice d = seeded(seed, 4);
        for (int i = 0; i < DIRECTIONS; i++)
            check_direction(r, x, &a, x, a.n * a.image, a.values + a.n * K, &d, seed, "dx");
        const float *at = a.values + a.n * (K + a.image);
        for (int32_t p = 0; p < model->graph.parameter_count; p++) {
            const jem__parameter *parameter = &model->parameters[p];
            if (!parameter->gradient) continue;
            check_direction(r, x, &a, r->parameters[p], parameter->elements, at, &d, seed,
                            parameter->name);
            at += parameter->elements;
        }
        free(x);
        reference_destroy(r);
        jem_model_destroy(model);
        jem_context_destroy(context);
        drop(&a);
    }
}
END_TEST

static int has_bf16(void)
{
    const char *runs;
    jem_context *context = test_context(1);
    jem_model *model = model_of(context, 0, "model.precision=bf16");
    OK(jem_model_precision(model, &runs));
    int has = strcmp(runs, "bf16") == 0;
    jem_model_destroy(model);
    jem_context_destroy(context);
    return has;
}

/* bf16 has eight bits: a few per cent after several layers. */
START_TEST(bf16_is_close)
{
    double worst = 0;
    int32_t tiled = 0;
    if (!has_bf16()) {
        printf("bf16: this CPU has none, nothing is compared\n");
        return;
    }
    for (int64_t seed = 0; seed < GRAPHS; seed++) {
        answers f32 = answer(seed, seed % 2, 1, "model.slice=4");
        answers bf16 = answer(seed, seed % 2, 1, "model.slice=4 model.precision=bf16");
        answers plain =
            answer(seed, seed % 2, 2, "model.slice=4 model.precision=bf16 model.fuse=0");
        double logits = distance(bf16.values, f32.values, f32.n * K);
        double all = distance(bf16.values, f32.values, f32.total);
        ck_assert_msg(logits < 0.02, "graph %d: logits are off by %g", (int)seed, logits);
        ck_assert_msg(all < 0.05, "graph %d: gradients are off by %g", (int)seed, all);
        all = distance(bf16.values, plain.values, f32.total);
        ck_assert_msg(all < 0.05, "graph %d: unfused differs by %g", (int)seed, all);
        worst = fmax(worst, logits);
        tiled += bf16.tiled > 0;
        drop(&f32);
        drop(&bf16);
        drop(&plain);
    }
    ck_assert(jem__dnn_amx() || tiled > GRAPHS / 32);
    printf("bf16: logits differ by at most %.2g of their norm\n", worst);
}
END_TEST

TESTS("fusion", fused_equals_unfused, slices_agree, plain_c_agrees, bf16_is_close)
