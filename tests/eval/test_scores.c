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
    OK(jem_eval_score(model, "log_px", x, N, scores));
    for (int i = 0; i < N; i++) ck_assert_float_eq_tol(scores[i], -energy[i], 1e-4F);
    OK(jem_eval_score(model, "max_logit", x, N, scores));
    for (int i = 0; i < N; i++) {
        float top = logits[i * K];
        for (int j = 1; j < K; j++) top = fmaxf(top, logits[i * K + j]);
        ck_assert_float_eq_tol(scores[i], top, 1e-5F);
    }
    static float softmax[N], entropy[N];
    OK(jem_eval_score(model, "max_softmax", x, N, softmax));
    OK(jem_eval_score(model, "neg_entropy", x, N, entropy));
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
    OK(jem_eval_score(model, "mass", x, N, scores));
    for (int i = 0; i < N; i++) {
        double sum = 0;
        for (int j = 0; j < IMAGE; j++)
            sum += (double)gradient[i * IMAGE + j] * gradient[i * IMAGE + j];
        ck_assert_float_eq_tol(scores[i], (float)-sqrt(sum), 1e-5F);
        ck_assert(scores[i] < 0);
    }
    OK(jem_eval_score(model, "mass", NULL, 0, NULL)); /* nothing to do */
    drop();
}
END_TEST

START_TEST(dataset_and_array_agree)
{
    static const char *const names[] = {"log_px", "max_softmax", "max_logit", "neg_entropy",
                                        "mass"};
    static float scores[N + 1], of_data[N + 1], logits[N * K + 1], of_array[N * K];
    static int32_t labels[N];
    jem_dataset *data;
    make();
    OK(jem_dataset_create(&data, context, x, JEM_TYPE_F32, y, N, 1, SIZE, SIZE));
    for (int i = 0; i < 5; i++) {
        of_data[N] = 77;
        OK(jem_eval_score(model, names[i], x, N, scores));
        OK(jem_eval_score_data(model, names[i], data, of_data, N));
        ck_assert(!memcmp(scores, of_data, N * sizeof *scores));
        ck_assert(of_data[N] == 77); /* nothing written past the images */
    }
    logits[N * K] = 77;
    OK(jem_eval_logits(model, data, logits, labels, N));
    OK(jem_model_logits(model, x, N, of_array, N * K));
    for (int i = 0; i < N * K; i++) ck_assert_float_eq_tol(logits[i], of_array[i], 1e-5F);
    ck_assert(logits[N * K] == 77);
    ck_assert(!memcmp(labels, y, sizeof y));
    OK(jem_eval_logits(model, data, of_array, NULL, N));
    ck_assert(!memcmp(logits, of_array, sizeof of_array));
    jem_dataset_destroy(data);
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
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_score(NULL, "mass", x, 1, scores), "model is NULL");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_score(model, NULL, x, 1, scores), "NULL");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_score(model, "logpx", x, 1, scores), "max_softmax");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_score(model, "mass", NULL, 1, scores), "x is NULL");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_score(model, "mass", x, 1, NULL), "scores is NULL");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_score(model, "mass", x, -1, scores), "n is -1");
    spoilt[IMAGE + 3] = NAN;
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_score(model, "log_px", spoilt, 2, scores), "image 1");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_score_data(model, "mass", NULL, scores, 10), "data is NULL");
    FAILS(JEM_ERROR_SHAPE, jem_eval_score_data(model, "mass", data, scores, 9), "capacity is 9");
    FAILS(JEM_ERROR_SHAPE, jem_eval_score_data(model, "mass", other, scores, 10), "1x12x12");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_logits(NULL, data, logits, NULL, 10), "model is NULL");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_logits(model, data, NULL, NULL, 10), "logits is NULL");
    FAILS(JEM_ERROR_SHAPE, jem_eval_logits(model, data, logits, NULL, 9), "at least 10");
    FAILS(JEM_ERROR_SHAPE, jem_eval_logits(model, other, logits, NULL, 10), "1x12x6");
    jem_dataset_destroy(other);
    jem_dataset_destroy(data);
    drop();
}
END_TEST

TESTS("eval scores", definitions, dataset_and_array_agree, bad_input)
