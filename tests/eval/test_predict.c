/* Calibrating, and the one call of an application. */
#include "helpers.h"
#include <math.h>

enum { N = 300, K = 5, SIZE = 12, IMAGE = SIZE * SIZE }; /* more than one piece */

static jem_context *context;
static jem_model *model;
static jem_dataset *data;
static jem_config *config;
static float x[N * IMAGE], logits[N * K];
static int32_t y[N];

/* A tenth of the labels is not the model's own. */
static void make(const char *settings)
{
    uint32_t state = 3;
    OK(jem_config_create(&config));
    OK(jem_config_parse(config, "context.threads=2 model.classes=5 model.channels=1 "
                                "model.height=12 model.width=12 model.seed=4 "
                                "model.class_names=a,b,c,d,e"));
    OK(jem_config_parse(config, settings));
    OK(jem_context_create(&context, config));
    OK(jem_model_create(&model, context, config));
    for (int i = 0; i < N * IMAGE; i++) {
        state = state * 1664525U + 1013904223U;
        x[i] = (float)(state >> 8) / 8388608.0F - 1;
    }
    OK(jem_model_logits(model, x, N, logits, N * K));
    for (int i = 0; i < N; i++) {
        y[i] = 0;
        for (int j = 1; j < K; j++)
            if (logits[i * K + j] > logits[i * K + y[i]]) y[i] = j;
        if (i % 10 == 0) y[i] = (y[i] + 1) % K;
    }
    OK(jem_dataset_create(&data, context, x, JEM_TYPE_F32, y, N, 1, SIZE, SIZE));
}

static void drop(void)
{
    jem_dataset_destroy(data);
    jem_model_destroy(model);
    jem_context_destroy(context);
    jem_config_destroy(config);
}

static void check_uncalibrated(const char *settings)
{
    static int32_t class[N], accepted[N];
    static float probability[N], log_px[N], energy[N];
    make(settings);
    OK(jem_model_predict(model, x, N, class, probability, log_px, accepted));
    OK(jem_model_energy(model, x, NULL, N, energy));
    for (int i = 0; i < N; i++) {
        double sum = 0, top = logits[i * K];
        for (int j = 0; j < K; j++) top = fmax(top, logits[i * K + j]);
        for (int j = 0; j < K; j++) sum += exp(logits[i * K + j] - top);
        ck_assert(logits[i * K + class[i]] == (float)top);
        ck_assert_float_eq_tol(probability[i], (float)(1 / sum), 1e-5F);
        ck_assert_float_eq_tol(log_px[i], -energy[i], 1e-5F);
        ck_assert_int_eq(accepted[i], -1);
    }
    drop();
}

START_TEST(not_calibrated)
{
    int32_t class[N], accepted[1];
    check_uncalibrated("");
    check_uncalibrated("model.energy=head"); /* log p(x) is the head's, classes the logits' */
    make("");
    OK(jem_model_predict(model, NULL, 0, NULL, NULL, NULL, NULL));
    OK(jem_model_predict(model, x, 1, NULL, NULL, NULL, accepted)); /* outputs may be NULL */
    FAILS(JEM_ERROR_ARGUMENT, jem_model_predict(NULL, x, 1, class, NULL, NULL, NULL), "model");
    FAILS(JEM_ERROR_ARGUMENT, jem_model_predict(model, NULL, 1, class, NULL, NULL, NULL), "x is");
    FAILS(JEM_ERROR_ARGUMENT, jem_model_predict(model, x, -1, class, NULL, NULL, NULL), "n is -1");
    x[2 * IMAGE + 1] = NAN;
    FAILS(JEM_ERROR_ARGUMENT, jem_model_predict(model, x, N, class, NULL, NULL, NULL), "image 2");
    drop();
}
END_TEST

static const char *const scores[] = {"log_px", "max_softmax",   "max_logit",       "neg_entropy",
                                     "mass",   "refine_log_px", "refine_distance", "refine_mass"};

START_TEST(each_score)
{
    static int32_t accepted[N], again[N], class[N];
    static float probability[N], s[N];
    double temperature, nll[2];
    float threshold;
    make("");
    OK(jem_eval_temperature(logits, y, N, K, &temperature));
    for (int i = 0; i < 8; i++) {
        char name[64];
        int64_t size, passing = 0;
        snprintf(name, sizeof name, "calibration.score=%s", scores[i]);
        OK(jem_config_parse(config, name));
        OK(jem_config_parse(config, "calibration.accept=0.9 sampler.steps=2 sampler.step_size=3"));
        OK(jem_model_calibrate(model, data, config));
        OK(jem_model_predict(model, x, N, class, probability, NULL, accepted));
        for (int j = 0; j < N; j++) passing += accepted[j] == 1;
        ck_assert_int_eq(passing, N * 9 / 10); /* no ties here */
        if (i < 5) {
            OK(jem_eval_score(model, scores[i], x, N, 0, config, s));
        } else { /* every image has chain 0 */
            for (int j = 0; j < N; j++)
                OK(jem_eval_score(model, scores[i], x + j * IMAGE, 1, 0, config, &s[j]));
        }
        OK(jem_eval_threshold(s, N, 0.9, &threshold));
        for (int j = 0; j < N; j++) {
            if (fabsf(s[j] - threshold) < 1e-4F * fabsf(threshold)) continue; /* rounding */
            ck_assert_int_eq(accepted[j], s[j] >= threshold);
        }
        if (i < 7) continue;
        /* The file, a copy and bytes in memory decide alike. */
        const char *path = test_path("calibrated.safetensors");
        jem_model *loaded, *copy, *read;
        OK(jem_model_save(model, path));
        OK(jem_model_load(&loaded, context, path));
        OK(jem_model_predict(loaded, x, N, NULL, NULL, NULL, again));
        ck_assert(!memcmp(accepted, again, sizeof again));
        OK(jem_model_clone(&copy, model));
        OK(jem_model_predict(copy, x, N, NULL, NULL, NULL, again));
        ck_assert(!memcmp(accepted, again, sizeof again));
        OK(jem_model_save_memory(model, NULL, 0, &size));
        void *bytes = malloc((size_t)size);
        OK(jem_model_save_memory(model, bytes, size, &size));
        OK(jem_model_load_memory(&read, context, bytes, size));
        OK(jem_model_predict(read, x, N, NULL, NULL, NULL, again));
        ck_assert(!memcmp(accepted, again, sizeof again));
        free(bytes);
        jem_model_destroy(read);
        jem_model_destroy(copy);
        jem_model_destroy(loaded);
    }
    for (int i = 0; i < N; i++) {
        double sum = 0;
        for (int j = 0; j < K; j++)
            sum += exp((logits[i * K + j] - (double)logits[i * K + class[i]]) / temperature);
        ck_assert_float_eq_tol(probability[i], (float)(1 / sum), 1e-5F);
    }
    /* The fitted temperature explains the labels better. */
    static float scaled[N * K];
    for (int i = 0; i < N * K; i++) scaled[i] = (float)(logits[i] / temperature);
    OK(jem_eval_nll(logits, y, N, K, &nll[0]));
    OK(jem_eval_nll(scaled, y, N, K, &nll[1]));
    ck_assert(nll[1] < nll[0]);
    drop();
}
END_TEST

/* A noisy chain's decision is the image's own, wherever it stands in a call. */
START_TEST(others_do_not_matter)
{
    static int32_t accepted[N], again[N];
    static float s[N], turned[N * IMAGE];
    double threshold = 0;
    char text[1024];
    make("");
    OK(jem_config_parse(config, "calibration.score=refine_distance calibration.accept=0.5 "
                                "sampler.steps=1 sampler.step_size=1e-3 sampler.noise=1"));
    OK(jem_model_calibrate(model, data, config));
    jem_model_metadata_get(model, "calibration", text, sizeof text);
    ck_assert(sscanf(strstr(text, "threshold="), "threshold=%lf", &threshold) == 1);
    OK(jem_model_predict(model, x, N, NULL, NULL, NULL, accepted));
    for (int i = 0; i < N; i++)
        memcpy(turned + i * IMAGE, x + (N - 1 - i) * IMAGE, IMAGE * sizeof *x);
    OK(jem_model_predict(model, turned, N, NULL, NULL, NULL, again));
    for (int i = 0; i < N; i++) {
        OK(jem_eval_score(model, "refine_distance", x + i * IMAGE, 1, 0, config, &s[i]));
        if (fabs(s[i] - threshold) < 1e-4) continue; /* rounding */
        ck_assert_int_eq(accepted[i], s[i] >= threshold);
        ck_assert_int_eq(again[N - 1 - i], accepted[i]);
    }
    drop();
}
END_TEST

/* A file must not make a decision last for hours. */
START_TEST(steps_have_a_bound)
{
    char text[1024], *steps;
    int32_t accepted;
    make("");
    OK(jem_config_parse(config, "calibration.score=refine_distance sampler.steps=1001"));
    FAILS(JEM_ERROR_CONFIG, jem_model_calibrate(model, data, config),
          "got 1001 with calibration.score=refine_distance, expected 0..1000");
    OK(jem_config_parse(config, "sampler.steps=1"));
    OK(jem_model_calibrate(model, data, config));
    jem_model_metadata_get(model, "calibration", text, sizeof text - 5);
    ck_assert((steps = strstr(text, "sampler.steps=1")) != NULL);
    memmove(steps + 20, steps + 15, strlen(steps + 15) + 1);
    memcpy(steps + 15, "00000", 5);
    OK(jem_model_metadata_set(model, "calibration", text));
    FAILS(JEM_ERROR_FORMAT, jem_model_predict(model, x, 1, NULL, NULL, NULL, &accepted),
          "metadata calibration: sampler.steps: got 100000");
    OK(jem_config_parse(config, "calibration.score=log_px sampler.steps=1001")); /* no chain */
    OK(jem_model_calibrate(model, data, config));
    drop();
}
END_TEST

/* One class is always right; logits that differ by nothing a temperature could make up for. */
START_TEST(temperatures_at_the_edge)
{
    static int32_t class[N];
    static float probability[N];
    char text[1024];
    float *weights;
    jem_model *one;
    jem_dataset *ones;
    jem_config *settings;
    make("");
    OK(jem_config_create(&settings));
    OK(jem_config_parse(settings, "model.classes=1 model.channels=1 model.height=12 "
                                  "model.width=12"));
    OK(jem_model_create(&one, context, settings));
    memset(class, 0, sizeof class);
    OK(jem_dataset_create(&ones, context, x, JEM_TYPE_F32, class, N, 1, SIZE, SIZE));
    OK(jem_model_calibrate(one, ones, NULL));
    jem_model_metadata_get(one, "calibration", text, sizeof text);
    ck_assert(strstr(text, "calibration.temperature=1 "));
    OK(jem_model_predict(one, x, N, class, probability, NULL, NULL));
    ck_assert(class[N - 1] == 0 && probability[N - 1] == 1);
    jem_dataset_destroy(ones);
    jem_model_destroy(one);
    jem_config_destroy(settings);

    for (int64_t p = 0; p < jem_model_parameter_count(model); p++) {
        const char *name;
        int64_t elements;
        OK(jem_model_parameter_info(model, p, &name, NULL, NULL, &elements, NULL));
        if (strncmp(name, "class_output", 12) != 0) continue;
        OK(jem_model_parameter_map(model, p, &weights));
        for (int64_t i = 0; i < elements; i++) weights[i] *= 1e-33F;
        OK(jem_model_parameter_unmap(model, p));
    }
    FAILS(JEM_ERROR_STATE, jem_model_calibrate(model, data, NULL), "expected within 1e-30..1e+30");
    drop();
}
END_TEST

/* What one calibration keeps, another one replaces; all right: temperature 1. */
START_TEST(kept_settings)
{
    char text[1024];
    int32_t accepted;
    make("");
    OK(jem_config_parse(config, "calibration.score=refine_distance sampler.steps=3 "
                                "sampler.noise=0.2"));
    OK(jem_model_calibrate(model, data, config));
    jem_model_metadata_get(model, "calibration", text, sizeof text);
    ck_assert(strstr(text, "sampler.steps=3") && strstr(text, "calibration.images=300"));
    OK(jem_model_calibrate(model, data, NULL)); /* defaults */
    jem_model_metadata_get(model, "calibration", text, sizeof text);
    ck_assert(strstr(text, "calibration.score=log_px") && !strstr(text, "sampler"));
    ck_assert(!strstr(text, "calibration.temperature=1 "));

    for (int i = 0; i < N; i += 10) y[i] = (y[i] + K - 1) % K;
    jem_dataset *easy;
    OK(jem_dataset_create(&easy, context, x, JEM_TYPE_F32, y, N, 1, SIZE, SIZE));
    OK(jem_model_calibrate(model, easy, NULL));
    jem_model_metadata_get(model, "calibration", text, sizeof text);
    ck_assert(strstr(text, "calibration.temperature=1 "));
    for (int i = 0; i < N; i++) y[i] = (y[i] + 1 + i % 4) % K; /* all wrong */
    jem_dataset *hard;
    OK(jem_dataset_create(&hard, context, x, JEM_TYPE_F32, y, N, 1, SIZE, SIZE));
    FAILS(JEM_ERROR_STATE, jem_model_calibrate(model, hard, NULL), "better than chance");
    jem_dataset_destroy(hard);
    jem_dataset_destroy(easy);

    FAILS(JEM_ERROR_ARGUMENT, jem_model_calibrate(NULL, data, NULL), "model is NULL");
    FAILS(JEM_ERROR_ARGUMENT, jem_model_calibrate(model, NULL, NULL), "validation is NULL");
    FAILS(JEM_ERROR_CONFIG, jem_config_parse(config, "calibration.score=best"), "refine_mass");
    FAILS(JEM_ERROR_CONFIG, jem_config_parse(config, "calibration.accept=1.5"), "1.5");

    /* An entry that something else wrote. */
    static const char *const bad[] = {"", "calibration.score=log_px", "nonsense",
                                      "calibration.score=log_px calibration.temperature=0 "
                                      "calibration.threshold=1",
                                      "calibration.score=best calibration.temperature=1 "
                                      "calibration.threshold=1"};
    for (int i = 0; i < 5; i++) {
        OK(jem_model_metadata_set(model, "calibration", bad[i]));
        FAILS(JEM_ERROR_FORMAT, jem_model_predict(model, x, 1, NULL, NULL, NULL, &accepted),
              "calibration");
    }
    drop();
}
END_TEST

/* What was measured on other weights is gone, whatever changes them. */
START_TEST(stale)
{
    jem_optimizer *optimizer, *sam;
    int32_t accepted;
    float *weights;
    make("");
    OK(jem_optimizer_create(&optimizer, model, NULL));
    OK(jem_config_parse(config, "optimizer.sam_rho=0.1"));
    OK(jem_optimizer_create(&sam, model, config));
    OK(jem_model_calibrate(model, data, NULL));
    OK(jem_optimizer_ascend(sam)); /* and back: it is as it was */
    OK(jem_optimizer_restore(sam));
    ck_assert_int_gt(jem_model_metadata_get(model, "calibration", NULL, 0), 0);
    jem_optimizer_destroy(sam);
    for (int way = 0; way < 2; way++) {
        OK(jem_model_calibrate(model, data, NULL));
        OK(jem_model_predict(model, x, 1, NULL, NULL, NULL, &accepted));
        ck_assert_int_ne(accepted, -1);
        if (way == 0) {
            OK(jem_optimizer_step(optimizer, NULL));
        } else {
            OK(jem_model_parameter_map(model, 0, &weights));
            OK(jem_model_parameter_unmap(model, 0));
        }
        ck_assert_int_eq(jem_model_metadata_get(model, "calibration", NULL, 0), -1);
        OK(jem_model_predict(model, x, 1, NULL, NULL, NULL, &accepted));
        ck_assert_int_eq(accepted, -1);
    }
    jem_optimizer_destroy(optimizer);
    drop();
}
END_TEST

TESTS("eval predict", not_calibrated, each_score, others_do_not_matter, steps_have_a_bound,
      temperatures_at_the_edge, kept_settings, stale)
