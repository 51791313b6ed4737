/* Adam and SGD against a plain reference in double, as PyTorch documents them. */
#include "helpers.h"
#include "train/optimizer.h"
#include <math.h>

static jem_model *tiny_model(void)
{
    jem_context *context;
    jem_config *config;
    jem_model *model;
    OK(jem_config_create(&config));
    OK(jem_config_parse(config, "model.classes=3 model.channels=1 model.height=8 model.width=8 "
                                "model.norm=batch context.threads=1"));
    OK(jem_context_create(&context, config));
    OK(jem_model_create(&model, context, config));
    jem_config_destroy(config);
    jem_context_destroy(context);
    return model;
}

static jem_optimizer *optimizer_of(jem_model *model, const char *settings)
{
    jem_config *config;
    jem_optimizer *optimizer;
    OK(jem_config_create(&config));
    OK(jem_config_parse(config, settings));
    OK(jem_optimizer_create(&optimizer, model, config));
    jem_config_destroy(config);
    return optimizer;
}

static int64_t elements_of(jem_model *model, int64_t index, jem_parameter_kind *kind)
{
    int64_t elements;
    OK(jem_model_parameter_info(model, index, NULL, NULL, NULL, &elements, kind));
    return elements;
}

/* Gradients that differ from step to step, large and small; returns their norm. */
static double set_gradients(jem_model *model, int64_t step)
{
    double sum = 0;
    for (int64_t i = 0; i < jem_model_parameter_count(model); i++) {
        jem_parameter_kind kind;
        int64_t n = elements_of(model, i, &kind);
        float *g;
        if (kind != JEM_PARAMETER_TRAINABLE) continue;
        OK(jem_model_gradient_map(model, i, &g));
        for (int64_t j = 0; j < n; j++) {
            g[j] = 0.1f * sinf((float)((i * 7 + j * 13 + step * 5) % 1000));
            sum += (double)g[j] * (double)g[j];
        }
    }
    return sqrt(sum);
}

typedef struct reference {
    int adam, nesterov;
    double rate, beta1, beta2, epsilon, momentum, decay, clip;
    double *value, *first, *second; /* all parameters in order, statistics too */
    int64_t steps;
} reference;

static void reference_step(reference *r, jem_model *model, double norm)
{
    double factor = r->clip > 0 ? fmin(1, r->clip / (norm + 1e-6)) : 1;
    int64_t at = 0;
    r->steps++;
    for (int64_t i = 0; i < jem_model_parameter_count(model); i++) {
        jem_parameter_kind kind;
        int64_t n = elements_of(model, i, &kind);
        float *g = NULL;
        if (kind == JEM_PARAMETER_TRAINABLE) OK(jem_model_gradient_map(model, i, &g));
        for (int64_t j = 0; g && j < n; j++) {
            double *p = &r->value[at + j], *m = &r->first[at + j], *v = &r->second[at + j];
            double d = factor * (double)g[j] + r->decay * *p;
            if (r->adam) {
                *m = r->beta1 * *m + (1 - r->beta1) * d;
                *v = r->beta2 * *v + (1 - r->beta2) * d * d;
                double mean = *m / (1 - pow(r->beta1, (double)r->steps));
                double square = *v / (1 - pow(r->beta2, (double)r->steps));
                *p -= r->rate * mean / (sqrt(square) + r->epsilon);
            } else {
                *m = r->steps == 1 ? d : r->momentum * *m + d;
                *p -= r->rate * (r->nesterov ? d + r->momentum * *m : *m);
            }
        }
        at += n;
    }
}

static void compare(const reference *r, jem_model *model)
{
    int64_t at = 0;
    double most = 0;
    for (int64_t i = 0; i < jem_model_parameter_count(model); i++) {
        int64_t n = elements_of(model, i, NULL);
        float *values;
        OK(jem_model_parameter_map(model, i, &values));
        for (int64_t j = 0; j < n; j++) {
            double error = fabs((double)values[j] - r->value[at + j]);
            most = error <= most ? most : error; /* keeps NaN */
        }
        OK(jem_model_parameter_unmap(model, i));
        at += n;
    }
    ck_assert_double_le(most, 2e-6);
}

static void follow(const char *settings, reference r)
{
    enum { STEPS = 6 };
    jem_model *model = tiny_model();
    jem_optimizer *optimizer = optimizer_of(model, settings);
    int64_t total = 0, at = 0;
    for (int64_t i = 0; i < jem_model_parameter_count(model); i++)
        total += elements_of(model, i, NULL);
    r.value = calloc((size_t)total, sizeof *r.value);
    r.first = calloc((size_t)total, sizeof *r.first);
    r.second = calloc((size_t)total, sizeof *r.second);
    for (int64_t i = 0; i < jem_model_parameter_count(model); i++) {
        int64_t n = elements_of(model, i, NULL);
        float *values;
        OK(jem_model_parameter_map(model, i, &values));
        for (int64_t j = 0; j < n; j++) r.value[at + j] = (double)values[j];
        OK(jem_model_parameter_unmap(model, i));
        at += n;
    }
    for (int64_t s = 0; s < STEPS; s++) {
        double norm, expected = set_gradients(model, s);
        if (s == 3) {
            r.rate *= 0.5;
            OK(jem_optimizer_set_rate(optimizer, r.rate));
        }
        OK(jem_optimizer_step(optimizer, &norm));
        ck_assert_double_eq_tol(norm, expected, 1e-9 * expected);
        reference_step(&r, model, expected);
        compare(&r, model);
    }
    free(r.value);
    free(r.first);
    free(r.second);
    jem_optimizer_destroy(optimizer);
    jem_model_destroy(model);
}

START_TEST(adam)
{
    follow("optimizer.rate=0.01",
           (reference){.adam = 1, .rate = 0.01, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8});
    follow("optimizer.rate=0.02 optimizer.beta1=0 optimizer.beta2=0.9 optimizer.epsilon=1e-3 "
           "optimizer.weight_decay=0.1 optimizer.clip=1",
           (reference){
               .adam = 1, .rate = 0.02, .beta2 = 0.9, .epsilon = 1e-3, .decay = 0.1, .clip = 1});
}
END_TEST

START_TEST(sgd)
{
    follow("optimizer.name=sgd optimizer.rate=0.1", (reference){.rate = 0.1, .momentum = 0.9});
    follow("optimizer.name=sgd optimizer.rate=0.1 optimizer.momentum=0 optimizer.clip=1e6",
           (reference){.rate = 0.1, .clip = 1e6});
    follow("optimizer.name=sgd optimizer.rate=0.1 optimizer.weight_decay=0.01 optimizer.clip=0.5",
           (reference){.rate = 0.1, .momentum = 0.9, .decay = 0.01, .clip = 0.5});
}
END_TEST

START_TEST(nesterov)
{
    follow("optimizer.name=sgd optimizer.rate=0.1 optimizer.nesterov=1",
           (reference){.nesterov = 1, .rate = 0.1, .momentum = 0.9});
    follow("optimizer.name=sgd optimizer.rate=0.1 optimizer.nesterov=1 optimizer.momentum=0.5 "
           "optimizer.weight_decay=0.01 optimizer.clip=0.5",
           (reference){.nesterov = 1, .rate = 0.1, .momentum = 0.5, .decay = 0.01, .clip = 0.5});
    jem_model *model = tiny_model();
    jem_config *config;
    jem_optimizer *optimizer;
    OK(jem_config_create(&config));
    OK(jem_config_parse(config, "optimizer.nesterov=1"));
    FAILS(JEM_ERROR_CONFIG, jem_optimizer_create(&optimizer, model, config), "name=adam");
    OK(jem_config_parse(config, "optimizer.name=sgd optimizer.momentum=0"));
    FAILS(JEM_ERROR_CONFIG, jem_optimizer_create(&optimizer, model, config), "momentum=0");
    ck_assert_ptr_null(optimizer);
    jem_config_destroy(config);
    jem_model_destroy(model);
}
END_TEST

/* All parameters and statistics in order: the caller frees. */
static float *values_of(jem_model *model, int64_t *total)
{
    int64_t count = jem_model_parameter_count(model);
    *total = 0;
    for (int64_t i = 0; i < count; i++) *total += elements_of(model, i, NULL);
    float *values = malloc((size_t)*total * sizeof *values), *at = values;
    for (int64_t i = 0; i < count; i++) {
        OK(jem_model_parameter_get(model, i, at, elements_of(model, i, NULL)));
        at += elements_of(model, i, NULL);
    }
    return values;
}

/* The ascent e against double arithmetic; then back to the same bits. */
static void ascent(const char *settings, double rho, int adaptive)
{
    jem_model *model = tiny_model();
    jem_optimizer *optimizer = optimizer_of(model, settings);
    double squares = 0, worst = 0, length = 0;
    int64_t total, at = 0;
    set_gradients(model, 1);
    float *before = values_of(model, &total);
    OK(jem_optimizer_ascend(optimizer));
    float *after = values_of(model, &total);
    for (int pass = 0; pass < 2; pass++) {
        at = 0;
        for (int64_t i = 0; i < jem_model_parameter_count(model); i++) {
            jem_parameter_kind kind;
            int64_t n = elements_of(model, i, &kind);
            float *g = NULL;
            if (kind == JEM_PARAMETER_TRAINABLE) OK(jem_model_gradient_map(model, i, &g));
            for (int64_t j = 0; j < n; j++) {
                double w = (double)before[at + j], d = g ? (double)g[j] : 0;
                double e = (adaptive ? w * w : 1) * d * rho / (sqrt(squares) + 1e-12);
                double moved = (double)after[at + j] - w;
                if (pass == 0) squares += d * d * (adaptive ? w * w : 1);
                if (pass == 1) worst = fmax(worst, fabs(moved - e));
                if (pass == 1) length += e * e;
            }
            at += n;
        }
    }
    ck_assert_double_le(worst, 2e-7 * (1 + rho));
    ck_assert_double_gt(sqrt(length), 0.05 * rho);
    FAILS(JEM_ERROR_STATE, jem_optimizer_ascend(optimizer), "already");
    FAILS(JEM_ERROR_STATE, jem_optimizer_step(optimizer, NULL), "jem_optimizer_restore");
    OK(jem_optimizer_restore(optimizer));
    free(after);
    after = values_of(model, &total);
    ck_assert_int_eq(memcmp(before, after, (size_t)total * sizeof *after), 0);
    FAILS(JEM_ERROR_STATE, jem_optimizer_restore(optimizer), "jem_optimizer_ascend");
    OK(jem_optimizer_step(optimizer, NULL));
    free(before);
    free(after);
    jem_optimizer_destroy(optimizer);
    jem_model_destroy(model);
}

START_TEST(sam)
{
    ascent("optimizer.sam_rho=0.05", 0.05, 0);
    ascent("optimizer.sam_rho=2 optimizer.sam_adaptive=1 optimizer.name=sgd", 2, 1);
    jem_model *model = tiny_model();
    jem_optimizer *without = optimizer_of(model, "");
    FAILS(JEM_ERROR_STATE, jem_optimizer_ascend(without), "sam_rho is 0");
    FAILS(JEM_ERROR_STATE, jem_optimizer_restore(without), "sam_rho is 0");
    FAILS(JEM_ERROR_ARGUMENT, jem_optimizer_ascend(NULL), "optimizer");
    FAILS(JEM_ERROR_ARGUMENT, jem_optimizer_restore(NULL), "optimizer");
    jem_optimizer_destroy(without);
    /* Gradients that are all 0 move nothing; one that is none changes nothing. */
    for (int adaptive = 0; adaptive < 2; adaptive++) {
        jem_optimizer *with =
            optimizer_of(model, adaptive ? "optimizer.sam_rho=1 optimizer.sam_adaptive=1"
                                         : "optimizer.sam_rho=1");
        int64_t total;
        float *before = values_of(model, &total), *g;
        OK(jem_model_gradient_zero(model));
        OK(jem_optimizer_ascend(with));
        float *after = values_of(model, &total);
        ck_assert_int_eq(memcmp(before, after, (size_t)total * sizeof *after), 0);
        OK(jem_optimizer_restore(with));
        OK(jem_model_gradient_map(model, 0, &g));
        g[3] = NAN;
        FAILS(JEM_ERROR_DIVERGED, jem_optimizer_ascend(with), "f.conv1.weight");
        free(after);
        after = values_of(model, &total);
        ck_assert_int_eq(memcmp(before, after, (size_t)total * sizeof *after), 0);
        FAILS(JEM_ERROR_STATE, jem_optimizer_restore(with), "jem_optimizer_ascend");
        free(before);
        free(after);
        jem_optimizer_destroy(with);
    }
    jem_model_destroy(model);
}
END_TEST

/* Weight decay and moments, too, leave the body alone. */
START_TEST(head_only)
{
    const char *const settings[] = {
        "optimizer.head_only=1 optimizer.weight_decay=0.1 optimizer.rate=0.1",
        "optimizer.head_only=1 optimizer.name=sgd optimizer.rate=0.1 optimizer.sam_rho=0.1"};
    for (int s = 0; s < 2; s++) {
        jem_model *model = tiny_model(), *before;
        jem_optimizer *optimizer = optimizer_of(model, settings[s]);
        jem__optimizer_state state;
        jem__optimizer_state_of(optimizer, &state);
        ck_assert_int_eq(state.elements, 3 * 64 + 3);
        OK(jem_model_clone(&before, model));
        set_gradients(model, 0);
        if (s) OK(jem_optimizer_ascend(optimizer));
        if (s) OK(jem_optimizer_restore(optimizer));
        OK(jem_optimizer_step(optimizer, NULL));
        for (int64_t i = 0; i < jem_model_parameter_count(model); i++) {
            const char *name;
            int64_t n;
            float *a, *b;
            OK(jem_model_parameter_info(model, i, &name, NULL, NULL, &n, NULL));
            OK(jem_model_parameter_map(model, i, &a));
            OK(jem_model_parameter_map(before, i, &b));
            int same = memcmp(a, b, (size_t)n * sizeof *a) == 0;
            ck_assert_msg(same == (strncmp(name, "class_output.", 13) != 0), "%s", name);
            OK(jem_model_parameter_unmap(model, i));
            OK(jem_model_parameter_unmap(before, i));
        }
        jem_model_destroy(before);
        jem_optimizer_destroy(optimizer);
        jem_model_destroy(model);
    }
}
END_TEST

START_TEST(gradients_stay)
{
    jem_model *model = tiny_model();
    jem_optimizer *optimizer = optimizer_of(model, "optimizer.clip=0.01");
    int64_t n = elements_of(model, 0, NULL);
    float *g, *before = malloc((size_t)n * sizeof *before);
    set_gradients(model, 0);
    OK(jem_model_gradient_map(model, 0, &g));
    memcpy(before, g, (size_t)n * sizeof *g);
    OK(jem_optimizer_step(optimizer, NULL));
    ck_assert_int_eq(memcmp(before, g, (size_t)n * sizeof *g), 0);
    free(before);
    /* The optimizer outlives the caller's model. */
    jem_model_destroy(model);
    OK(jem_optimizer_step(optimizer, NULL));
    jem_optimizer_destroy(optimizer);
}
END_TEST

START_TEST(non_finite_gradients)
{
    jem_model *model = tiny_model();
    jem_optimizer *optimizer = optimizer_of(model, "");
    jem__optimizer_state state;
    int64_t index = jem_model_parameter_count(model) - 1, size = 0;
    const char *name;
    jem_parameter_kind kind;
    do OK(jem_model_parameter_info(model, index, &name, NULL, NULL, NULL, &kind));
    while (kind != JEM_PARAMETER_TRAINABLE && index--);
    const float bad[] = {NAN, INFINITY, -INFINITY};
    jem__optimizer_state_of(optimizer, &state);
    float *before = malloc((size_t)state.elements * sizeof *before), *g;
    OK(jem_model_save_memory(model, NULL, 0, &size));
    char *saved = malloc((size_t)size), *now = malloc((size_t)size);
    set_gradients(model, 0);
    OK(jem_optimizer_step(optimizer, NULL));
    OK(jem_model_save_memory(model, saved, size, &size));
    memcpy(before, state.first, (size_t)state.elements * sizeof *before);
    OK(jem_model_gradient_map(model, index, &g));
    for (int i = 0; i < 3; i++) {
        g[0] = bad[i];
        FAILS(JEM_ERROR_DIVERGED, jem_optimizer_step(optimizer, NULL), name);
        OK(jem_model_save_memory(model, now, size, &size));
        ck_assert_int_eq(memcmp(saved, now, (size_t)size), 0);
        ck_assert_int_eq(memcmp(before, state.first, (size_t)state.elements * sizeof *before), 0);
        ck_assert_int_eq(*state.steps, 1);
    }
    /* The largest finite gradient is fine: its square fits the norm. */
    double norm;
    g[0] = 3e38f;
    OK(jem_optimizer_step(optimizer, &norm));
    ck_assert_double_eq_tol(norm, 3e38, 1e32);
    free(before);
    free(saved);
    free(now);
    jem_optimizer_destroy(optimizer);
    jem_model_destroy(model);
}
END_TEST

START_TEST(bad_arguments)
{
    jem_model *model = tiny_model();
    jem_optimizer *optimizer = optimizer_of(model, "");
    jem_optimizer *other = optimizer;
    FAILS(JEM_ERROR_ARGUMENT, jem_optimizer_create(NULL, model, NULL), "NULL");
    FAILS(JEM_ERROR_ARGUMENT, jem_optimizer_create(&other, NULL, NULL), "model");
    ck_assert_ptr_null(other);
    FAILS(JEM_ERROR_ARGUMENT, jem_optimizer_set_rate(optimizer, NAN), "nan");
    FAILS(JEM_ERROR_ARGUMENT, jem_optimizer_set_rate(optimizer, -1), "-1");
    FAILS(JEM_ERROR_ARGUMENT, jem_optimizer_set_rate(NULL, 1), "NULL");
    FAILS(JEM_ERROR_ARGUMENT, jem_optimizer_step(NULL, NULL), "NULL");
    jem_optimizer_destroy(NULL);
    jem_optimizer_destroy(optimizer);
    jem_model_destroy(model);
}
END_TEST

TESTS("optimizer", adam, sgd, nesterov, sam, head_only, gradients_stay, non_finite_gradients,
      bad_arguments)
