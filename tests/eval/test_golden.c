/* Scores, attacks and curve numbers against tests/golden/evaluation.safetensors,
   an independent implementation in PyTorch and numpy (make_evaluation.py). */
#include "format/safetensors.h"
#include "helpers.h"
#include <math.h>

static jem__safetensors *golden, *network;
static jem_context *context;
static jem_model *model;
static jem_config *config;
static float *x;
static int64_t n, k, image;

static const jem__tensor_info *find(const jem__safetensors *set, const char *name)
{
    const jem__tensor_info *t = jem__safetensors_find(set, name);
    ck_assert_msg(t != NULL, "no tensor %s", name);
    return t;
}

static float *floats(const char *name)
{
    const jem__tensor_info *t = find(golden, name);
    float *values = malloc((size_t)t->elements * sizeof *values);
    OK(jem__safetensors_to_f32(t, values));
    return values;
}

static double number(const char *name, int64_t index)
{
    const jem__tensor_info *t = find(golden, name);
    double value;
    ck_assert_str_eq(t->dtype, "F64");
    memcpy(&value, t->bytes + 8 * index, 8);
    return value;
}

static int32_t *labels(const char *name)
{
    const jem__tensor_info *t = find(golden, name);
    int32_t *y = malloc((size_t)t->elements * sizeof *y);
    ck_assert_str_eq(t->dtype, "I64");
    for (int64_t i = 0; i < t->elements; i++) {
        int64_t v;
        memcpy(&v, t->bytes + 8 * i, 8);
        y[i] = (int32_t)v;
    }
    return y;
}

/* The network of none_silu_1x13x9: its weights without their prefix. */
static void load_network(void)
{
    jem__safetensors *set;
    int64_t size, c, h, w;
    OK(jem__safetensors_load(&network, test_source("tests/golden/none_silu_1x13x9.safetensors")));
    OK(jem__safetensors_create(&set));
    for (int64_t i = 0; i < jem__safetensors_metadata_count(network); i++) {
        const char *key, *value;
        jem__safetensors_metadata_at(network, i, &key, &value);
        OK(jem__safetensors_set_metadata(set, key, value));
    }
    for (int64_t i = 0; i < jem__safetensors_count(network); i++) {
        const jem__tensor_info *t = jem__safetensors_get(network, i);
        if (strncmp(t->name, "model.", 6) == 0)
            OK(jem__safetensors_add(set, t->name + 6, t->dtype, t->dimensions, t->shape, t->bytes));
    }
    OK(jem__safetensors_save_memory(set, NULL, 0, &size));
    void *bytes = malloc((size_t)size);
    OK(jem__safetensors_save_memory(set, bytes, size, &size));
    OK(jem_model_load_memory(&model, context, bytes, size));
    free(bytes);
    jem__safetensors_destroy(set);
    OK(jem_model_info(model, &c, &h, &w, &k, NULL));
    image = c * h * w;
    const jem__tensor_info *t = find(network, "x");
    n = t->shape[0];
    x = malloc((size_t)(n * image) * sizeof *x);
    for (int64_t i = 0; i < n * image; i++) x[i] = (float)t->bytes[i] / 128 - 1;
}

static void make(void)
{
    context = test_context(2);
    OK(jem_config_create(&config));
    OK(jem__safetensors_load(&golden, test_source("tests/golden/evaluation.safetensors")));
    load_network();
}

static void drop(void)
{
    free(x);
    jem_model_destroy(model);
    jem__safetensors_destroy(golden);
    jem__safetensors_destroy(network);
    jem_config_destroy(config);
    jem_context_destroy(context);
}

START_TEST(scores)
{
    static const char *const names[] = {"log_px",          "max_softmax", "max_logit",
                                        "neg_entropy",     "mass",        "refine_log_px",
                                        "refine_distance", "refine_mass"};
    float got[16];
    make();
    OK(jem_config_parse(config, "sampler.steps=4 sampler.step_size=5 sampler.gradient_clamp=0.02 "
                                "sampler.clamp=1 sampler.noise=0"));
    for (int i = 0; i < 8; i++) {
        char name[64];
        snprintf(name, sizeof name, "score.%s", names[i]);
        float *want = floats(name);
        OK(jem_eval_score(model, names[i], x, n, 0, config, got));
        for (int64_t j = 0; j < n; j++)
            ck_assert_msg(fabsf(got[j] - want[j]) <= 2e-5F * fmaxf(1, fabsf(want[j])),
                          "%s of image %d: %.9g, expected %.9g", names[i], (int)j, (double)got[j],
                          (double)want[j]);
        free(want);
    }
    drop();
}
END_TEST

static void attack(const char *norm, const char *settings, double eps)
{
    char name[64];
    int32_t *y = labels("attack.y"), *robust = malloc((size_t)n * sizeof *robust);
    float *got = malloc((size_t)(n * image) * sizeof *got), *logits = malloc((size_t)(n * k) * 4);
    snprintf(name, sizeof name, "attack.%s", norm);
    float *want = floats(name);
    OK(jem_config_parse(config, settings));
    OK(jem_eval_attack(model, x, y, n, 0, eps, config, robust, got));
    for (int64_t i = 0; i < n * image; i++)
        ck_assert_msg(fabsf(got[i] - want[i]) <= 2e-5F, "%s, value %d: %.9g, expected %.9g", norm,
                      (int)i, (double)got[i], (double)want[i]);
    OK(jem_model_logits(model, want, n, logits, n * k));
    for (int64_t i = 0; i < n; i++) {
        int64_t best = 0;
        for (int64_t j = 1; j < k; j++)
            if (logits[i * k + j] > logits[i * k + best]) best = j;
        ck_assert_int_eq(robust[i], best == y[i]);
    }
    free(y), free(robust), free(got), free(logits), free(want);
}

START_TEST(attacks)
{
    make();
    attack("linf", "attack.norm=linf attack.random_start=0 attack.steps=6 attack.step_size=0.01",
           0.03);
    attack("l2", "attack.norm=l2 attack.step_size=0.06", 0.2);
    drop();
}
END_TEST

START_TEST(curves)
{
    make();
    float *logits = floats("curve.logits");
    int32_t *y = labels("curve.y");
    int64_t m = find(golden, "curve.y")->elements, c = find(golden, "curve.logits")->shape[1];
    double got;
    OK(jem_eval_accuracy(logits, y, m, c, &got));
    ck_assert_double_eq_tol(got, number("curve.accuracy", 0), 1e-12);
    OK(jem_eval_nll(logits, y, m, c, &got));
    ck_assert_double_eq_tol(got, number("curve.nll", 0), 1e-12);
    OK(jem_eval_brier(logits, y, m, c, &got));
    ck_assert_double_eq_tol(got, number("curve.brier", 0), 1e-12);
    OK(jem_eval_ece(logits, y, m, c, 20, &got, NULL, NULL, NULL));
    ck_assert_double_eq_tol(got, number("curve.ece", 0), 1e-12);
    OK(jem_eval_temperature(logits, y, m, c, &got));
    ck_assert_double_eq_tol(got, number("curve.temperature", 0),
                            1e-6); /* found by comparing NLLs */
    for (int64_t i = 0; i < m * c; i++) logits[i] = (float)(logits[i] / got);
    OK(jem_eval_nll(logits, y, m, c, &got));
    ck_assert_double_eq_tol(got, number("curve.nll_scaled", 0), 1e-7);
    free(logits), free(y);
    drop();
}
END_TEST

START_TEST(samples)
{
    make();
    float *a = floats("frechet.a"), *b = floats("frechet.b"), *p = floats("inception.p");
    const int64_t *shape = find(golden, "inception.p")->shape;
    int64_t m = find(golden, "frechet.a")->shape[0], l = find(golden, "frechet.b")->shape[0];
    int64_t d = find(golden, "frechet.a")->shape[1];
    double got, deviation, scale = number("frechet.ab", 0);
    OK(jem_eval_frechet(a, m, b, l, d, &got));
    ck_assert_double_eq_tol(got, scale, 1e-9 * scale);
    OK(jem_eval_frechet(a, m, b, 4, d, &got)); /* singular; the reference has roots of 1e-16 */
    ck_assert_double_eq_tol(got, number("frechet.few_distance", 0), 1e-6 * scale);
    OK(jem_eval_inception(p, shape[0], shape[1], 1, &got, &deviation));
    ck_assert_double_eq_tol(got, number("inception.one", 0), 1e-9);
    ck_assert(deviation == 0);
    OK(jem_eval_inception(p, shape[0], shape[1], 4, &got, &deviation));
    ck_assert_double_eq_tol(got, number("inception.splits", 0), 1e-9);
    ck_assert_double_eq_tol(deviation, number("inception.splits", 1), 1e-9);
    free(a), free(b), free(p);
    drop();
}
END_TEST

TESTS("eval golden", scores, attacks, curves, samples)
