/* Scores of a small model against their definitions on its logits. */
#include "helpers.h"
#include <math.h>

enum { N = 300, K = 5, SIZE = 12, IMAGE = SIZE * SIZE }; /* more than one piece */

static jem_context *context;
static jem_model *model;
static float x[N * IMAGE];
static int32_t y[N];

static void make(void)
{
    jem_config *config;
    uint32_t state = 3;
    OK(jem_config_create(&config));
    OK(jem_config_parse(config, "context.threads=2 model.classes=5 model.channels=1 "
                                "model.height=12 model.width=12 model.seed=4"));
    OK(jem_context_create(&context, config));
    OK(jem_model_create(&model, context, config));
    jem_config_destroy(config);
    for (int i = 0; i < N * IMAGE; i++) {
        state = state * 1664525U + 1013904223U;
        x[i] = (float)(state >> 8) / 8388608.0F - 1;
    }
    for (int i = 0; i < N; i++) y[i] = i % K;
}

static void drop(void)
{
    jem_model_destroy(model);
    jem_context_destroy(context);
}

START_TEST(definitions)
{
    static float logits[N * K], scores[N], energy[N], gradient[N * IMAGE];
    make();
    OK(jem_model_logits(model, x, N, logits, N * K));
    OK(jem_model_energy_gradient(model, x, NULL, N, energy, gradient));
    OK(jem_eval_score(model, "log_px", x, N, 0, NULL, scores));
    for (int i = 0; i < N; i++) ck_assert_float_eq_tol(scores[i], -energy[i], 1e-4F);
    OK(jem_eval_score(model, "max_logit", x, N, 0, NULL, scores));
    for (int i = 0; i < N; i++) {
        float top = logits[i * K];
        for (int j = 1; j < K; j++) top = fmaxf(top, logits[i * K + j]);
        ck_assert_float_eq_tol(scores[i], top, 1e-5F);
    }
    static float softmax[N], entropy[N];
    OK(jem_eval_score(model, "max_softmax", x, N, 0, NULL, softmax));
    OK(jem_eval_score(model, "neg_entropy", x, N, 0, NULL, entropy));
    for (int i = 0; i < N; i++) {
        double sum = 0, top = 0, h = 0;
        for (int j = 0; j < K; j++) sum += exp((double)logits[i * K + j]);
        for (int j = 0; j < K; j++) {
            double p = exp((double)logits[i * K + j]) / sum;
            top = fmax(top, p);
            h -= p * log(p);
        }
        ck_assert_float_eq_tol(softmax[i], (float)top, 1e-5F);
        ck_assert_float_eq_tol(entropy[i], (float)-h, 1e-5F);
    }
    OK(jem_eval_score(model, "mass", x, N, 0, NULL, scores));
    for (int i = 0; i < N; i++) {
        double sum = 0;
        for (int j = 0; j < IMAGE; j++)
            sum += (double)gradient[i * IMAGE + j] * gradient[i * IMAGE + j];
        ck_assert_float_eq_tol(scores[i], (float)-sqrt(sum), 1e-5F);
        ck_assert(scores[i] < 0);
    }
    OK(jem_eval_score(model, "mass", NULL, 0, 0, NULL, NULL)); /* nothing to do */
    drop();
}
END_TEST

START_TEST(dataset_and_array_agree)
{
    static const char *const names[] = {"log_px",          "max_softmax", "max_logit",
                                        "neg_entropy",     "mass",        "refine_log_px",
                                        "refine_distance", "refine_mass"};
    jem_config *config;
    static float scores[N + 1], of_data[N + 1], logits[N * K + 1], of_array[N * K];
    static int32_t labels[N];
    jem_dataset *data;
    make();
    OK(jem_config_create(&config));
    OK(jem_config_parse(config, "sampler.steps=2 sampler.noise=0.1"));
    OK(jem_dataset_create(&data, context, x, JEM_TYPE_F32, y, N, 1, SIZE, SIZE));
    for (int i = 0; i < 8; i++) {
        of_data[N] = 77;
        OK(jem_eval_score(model, names[i], x, N, 0, config, scores));
        OK(jem_eval_score_data(model, names[i], data, config, of_data, N));
        ck_assert(!memcmp(scores, of_data, N * sizeof *scores));
        ck_assert(of_data[N] == 77); /* nothing written past the images */
    }
    jem_config_destroy(config);
    logits[N * K] = 77;
    OK(jem_eval_logits(model, data, logits, N * K, labels, N));
    OK(jem_model_logits(model, x, N, of_array, N * K));
    for (int i = 0; i < N * K; i++) ck_assert_float_eq_tol(logits[i], of_array[i], 1e-5F);
    ck_assert(logits[N * K] == 77);
    ck_assert(!memcmp(labels, y, sizeof y));
    OK(jem_eval_logits(model, data, of_array, N * K, NULL, 0));
    ck_assert(!memcmp(logits, of_array, sizeof of_array));
    jem_dataset_destroy(data);
    drop();
}
END_TEST

/* A chain by hand: the sampler's own steps from the same number. */
START_TEST(refinement)
{
    enum { M = 20, FIRST = 1000 };
    static float moved[M * IMAGE], scores[M], again[M];
    float before[M], after[M], g[M * IMAGE], h[M * IMAGE];
    jem_config *config;
    jem_sampler *sampler;
    make();
    OK(jem_config_create(&config));
    OK(jem_config_parse(config, "sampler.steps=3 sampler.noise=0.05 sampler.step_size=20 "
                                "sampler.clamp=1 sampler.seed=7"));
    OK(jem_sampler_create(&sampler, model, config));
    memcpy(moved, x, sizeof moved);
    OK(jem_sampler_step(sampler, moved, NULL, M, FIRST, 0, 3));
    OK(jem_model_energy_gradient(model, x, NULL, M, before, g));
    OK(jem_model_energy_gradient(model, moved, NULL, M, after, h));
    OK(jem_eval_score(model, "refine_log_px", x, M, FIRST, config, scores));
    for (int i = 0; i < M; i++) {
        ck_assert_float_eq_tol(scores[i], after[i] - before[i], 1e-5F);
        ck_assert(scores[i] != 0);
    }
    /* In two parts, with the images' numbers: the same chains. */
    OK(jem_eval_score(model, "refine_log_px", x, 8, FIRST, config, again));
    OK(jem_eval_score(model, "refine_log_px", x + 8 * IMAGE, M - 8, FIRST + 8, config, again + 8));
    for (int i = 0; i < M; i++) ck_assert_float_eq_tol(scores[i], again[i], 1e-5F);
    OK(jem_eval_score(model, "refine_log_px", x, M, 0, config, again));
    ck_assert(memcmp(scores, again, sizeof scores) != 0);
    OK(jem_eval_score(model, "refine_distance", x, M, FIRST, config, scores));
    OK(jem_eval_score(model, "refine_mass", x, M, FIRST, config, again));
    for (int i = 0; i < M; i++) {
        double far = 0, a = 0, b = 0;
        for (int j = i * IMAGE; j < (i + 1) * IMAGE; j++) {
            far += ((double)moved[j] - x[j]) * ((double)moved[j] - x[j]);
            a += (double)g[j] * g[j];
            b += (double)h[j] * h[j];
        }
        ck_assert_float_eq_tol(scores[i], (float)-sqrt(far), 1e-4F);
        ck_assert_float_eq_tol(again[i], (float)(sqrt(b) - sqrt(a)), 1e-5F);
    }
    /* Without a step nothing changes, and nothing is told. */
    OK(jem_config_parse(config, "sampler.steps=0"));
    OK(jem_eval_score(model, "refine_log_px", x, M, 0, config, scores));
    for (int i = 0; i < M; i++) ck_assert(scores[i] == 0);
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_score(model, "mass", x, M, -1, config, scores),
          "first is -1");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_score(model, "mass", x, M, INT64_MAX, config, scores),
          "first");
    OK(jem_config_parse(config, "sampler.steps=3 sampler.step_size=1e6 sampler.clamp=0"));
    jem_status status = jem_eval_score(model, "refine_log_px", x, M, 0, config, scores);
    ck_assert(status < 0); /* far off, or not finite: told, not scored */
    jem_sampler_destroy(sampler);
    jem_config_destroy(config);
    drop();
}
END_TEST

START_TEST(refined_copies)
{
    enum { M = 5, COPIES = 3 };
    static float logits[M * K], one[M * K], copies[M * COPIES * IMAGE], of_copies[M * COPIES * K];
    jem_config *config;
    jem_sampler *sampler;
    make();
    OK(jem_config_create(&config));
    OK(jem_config_parse(config, "sampler.steps=2 sampler.noise=0.05 sampler.step_size=20 "
                                "refine.copies=3"));
    /* Without noise of their own, copies differ by their chains' numbers alone. */
    for (int i = 0; i < M * COPIES; i++)
        memcpy(copies + i * IMAGE, x + i / COPIES * IMAGE, IMAGE * sizeof *x);
    OK(jem_sampler_create(&sampler, model, config));
    OK(jem_sampler_step(sampler, copies, NULL, M * COPIES, 4 * COPIES, 0, 2));
    jem_sampler_destroy(sampler);
    OK(jem_model_logits(model, copies, M * COPIES, of_copies, M * COPIES * K));
    OK(jem_eval_refined_logits(model, x, M, 4, config, logits, M * K));
    for (int i = 0; i < M; i++)
        for (int j = 0; j < K; j++) {
            float mean = 0;
            for (int c = 0; c < COPIES; c++) mean += of_copies[(i * COPIES + c) * K + j] / COPIES;
            ck_assert_float_eq_tol(logits[i * K + j], mean, 1e-5F);
        }
    OK(jem_config_parse(config, "refine.noise=0.2"));
    OK(jem_eval_refined_logits(model, x, M, 4, config, one, M * K));
    ck_assert(memcmp(logits, one, sizeof one) != 0);
    /* Averaging noise over many copies leads back to the image without noise. */
    OK(jem_config_parse(config, "refine.copies=100 sampler.steps=0 refine.noise=0.01"));
    OK(jem_eval_refined_logits(model, x, M, 0, config, logits, M * K));
    OK(jem_model_logits(model, x, M, one, M * K));
    for (int i = 0; i < M * K; i++) ck_assert_float_eq_tol(logits[i], one[i], 2e-3F);
    FAILS(JEM_ERROR_SHAPE, jem_eval_refined_logits(model, x, M, 0, config, logits, M * K - 1),
          "capacity");
    FAILS(JEM_ERROR_ARGUMENT,
          jem_eval_refined_logits(model, x, M, INT64_MAX / 4, config, logits, M * K), "first");
    /* Copies may begin anywhere; a chain that ends beyond the range of images has diverged. */
    OK(jem_config_parse(config, "sampler.steps=1 sampler.clamp=1 refine.noise=10"));
    OK(jem_eval_refined_logits(model, x, M, 0, config, logits, M * K));
    OK(jem_config_parse(config, "sampler.steps=0"));
    FAILS(JEM_ERROR_DIVERGED, jem_eval_refined_logits(model, x, M, 0, config, logits, M * K),
          "left the range");
    OK(jem_config_parse(config, "sampler.steps=1 sampler.clamp=0 refine.noise=0.01 "
                                "sampler.noise=1000"));
    FAILS(JEM_ERROR_DIVERGED, jem_eval_refined_logits(model, x, M, 0, config, logits, M * K),
          "left the range");
    static const char *const refined[] = {"refine_log_px", "refine_mass", "refine_distance"};
    for (int i = 0; i < 3; i++)
        FAILS(JEM_ERROR_DIVERGED, jem_eval_score(model, refined[i], x, M, 0, config, one),
              "left the range");
    jem_config_destroy(config);
    drop();
}
END_TEST

START_TEST(bad_input)
{
    float scores[N], logits[N * K], spoilt[2 * IMAGE] = {0};
    jem_dataset *data, *other;
    make();
    OK(jem_dataset_create(&data, context, x, JEM_TYPE_F32, y, 10, 1, SIZE, SIZE));
    OK(jem_dataset_create(&other, context, x, JEM_TYPE_F32, y, 10, 1, SIZE, SIZE / 2));
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_score(NULL, "mass", x, 1, 0, NULL, scores), "model is NULL");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_score(model, NULL, x, 1, 0, NULL, scores), "NULL");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_score(model, "logpx", x, 1, 0, NULL, scores), "max_softmax");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_score(model, "mass", NULL, 1, 0, NULL, scores), "x is NULL");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_score(model, "mass", x, 1, 0, NULL, NULL), "output is NULL");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_score(model, "mass", x, -1, 0, NULL, scores), "n is -1");
    spoilt[IMAGE + 3] = NAN;
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_score(model, "log_px", spoilt, 2, 0, NULL, scores),
          "image 1");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_score_data(model, "mass", NULL, NULL, scores, 10),
          "data is NULL");
    FAILS(JEM_ERROR_SHAPE, jem_eval_score_data(model, "mass", data, NULL, scores, 9),
          "capacity of scores is 9");
    FAILS(JEM_ERROR_SHAPE, jem_eval_score_data(model, "mass", other, NULL, scores, 10), "1x12x12");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_logits(NULL, data, logits, 10 * K, NULL, 0),
          "model is NULL");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_logits(model, data, NULL, 10 * K, NULL, 0),
          "logits is NULL");
    FAILS(JEM_ERROR_SHAPE, jem_eval_logits(model, data, logits, 10 * K - 1, NULL, 0),
          "at least 10");
    FAILS(JEM_ERROR_SHAPE, jem_eval_logits(model, data, logits, 10 * K, y, 9), "labels is 9");
    FAILS(JEM_ERROR_SHAPE, jem_eval_logits(model, other, logits, 10 * K, NULL, 0), "1x12x6");
    jem_dataset_destroy(other);
    jem_dataset_destroy(data);
    drop();
}
END_TEST

/* Chains through batch norm that was sampled in training mode: an image's score and refined
   logits are the same alone and among others. */
START_TEST(others_do_not_matter)
{
    enum { M = 5 };
    float scores[M], alone, logits[M * K], own[K];
    jem_config *config;
    make();
    jem_model_destroy(model);
    OK(jem_config_create(&config));
    OK(jem_config_parse(config, "model.classes=5 model.channels=1 model.height=12 model.width=12 "
                                "model.norm=batch sampler.mode=training sampler.steps=3 "
                                "sampler.noise=0"));
    OK(jem_model_create(&model, context, config));
    OK(jem_eval_score(model, "refine_log_px", x, M, 0, config, scores));
    OK(jem_eval_refined_logits(model, x, M, 0, config, logits, M * K));
    for (int i = 0; i < M; i++) {
        OK(jem_eval_score(model, "refine_log_px", x + i * IMAGE, 1, i, config, &alone));
        ck_assert_float_eq_tol(alone, scores[i], 1e-5F);
        OK(jem_eval_refined_logits(model, x + i * IMAGE, 1, i, config, own, K));
        for (int j = 0; j < K; j++) ck_assert_float_eq_tol(own[j], logits[i * K + j], 1e-5F);
    }
    jem_config_destroy(config);
    drop();
}
END_TEST

TESTS("eval scores", definitions, dataset_and_array_agree, refinement, refined_copies,
      others_do_not_matter, bad_input)
