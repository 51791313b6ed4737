/* Networks whose convolutions go by Winograd's method against direct sums. */
#include "helpers.h"
#include "model/distance.h"
#include "model/internal.h"
#include <math.h>

enum { MOST = 9 };

static jem_model *model_of(jem_context *context, const char *settings)
{
    jem_config *config;
    jem_model *model;
    char text[512];
    snprintf(text, sizeof text,
             "model.widen_factor=2 model.activation=silu model.classes=3 model.seed=4 %s",
             settings);
    OK(jem_config_create(&config));
    OK(jem_config_parse(config, text));
    OK(jem_model_create(&model, context, config));
    jem_config_destroy(config);
    return model;
}

static float *images(const jem_model *model, int64_t n, int64_t *total)
{
    int64_t c, h, w;
    OK(jem_model_info(model, &c, &h, &w, NULL, NULL));
    *total = n * c * h * w;
    float *x = calloc((size_t)*total, sizeof *x);
    for (int64_t i = 0; i < *total; i++) x[i] = (float)sin((double)i * 0.7 + (double)(i / 31));
    return x;
}

static int32_t tilings(jem_model *model, int64_t n)
{
    const jem__plan *plan;
    OK(jem__model_plan(model, n, JEM__WANT_INPUT, &plan));
    return plan->tiling_count;
}

/* Gradients by the input; what they differ by from direct sums. */
static double error_of(jem_context *context, const char *settings, const char *method, int64_t n,
                       int32_t *count)
{
    char text[256];
    int64_t total;
    snprintf(text, sizeof text, "%s model.convolution=direct", settings);
    jem_model *plain = model_of(context, text);
    snprintf(text, sizeof text, "%s model.convolution=%s", settings, method);
    jem_model *model = model_of(context, text);
    float *x = images(model, n, &total);
    float *got = calloc((size_t)total, sizeof *got), *want = calloc((size_t)total, sizeof *want);
    float energy[2][MOST];
    OK(jem_model_energy_gradient(model, x, NULL, n, energy[0], got));
    OK(jem_model_energy_gradient(plain, x, NULL, n, energy[1], want));
    for (int64_t i = 0; i < n; i++) ck_assert_float_eq_tol(energy[0][i], energy[1][i], 1e-5f);
    double d = distance(got, want, total);
    *count = tilings(model, n);
    free(x);
    free(got);
    free(want);
    jem_model_destroy(model);
    jem_model_destroy(plain);
    return d;
}

START_TEST(methods_agree)
{
    static const char *const settings[] = {"model.slice=8", "model.slice=3",
                                           "model.height=13 model.width=9 model.channels=1",
                                           "model.height=7 model.width=30 model.slice=5"};
    jem_context *context = test_context(2);
    double exact = 0, fast = 0;
    for (int i = 0; i < 4; i++)
        for (int64_t n = 1; n <= MOST; n += 4) {
            int32_t count;
            exact = fmax(exact, error_of(context, settings[i], "exact", n, &count));
            if (i == 0) ck_assert_int_gt(count, 0);
            fast = fmax(fast, error_of(context, settings[i], "fast", n, &count));
            if (i == 0) ck_assert_int_gt(count, 0);
        }
    printf("against direct sums: exact %.2g, fast %.2g of the gradient's norm\n", exact, fast);
    ck_assert_double_lt(exact, 2e-6);
    ck_assert_double_lt(fast, 5e-6);
    jem_context_destroy(context);
}
END_TEST

/* Of the sum of the first logit over n images, in a batch: all weights, one after the other. */
static float *weight_gradients(jem_model *model, const float *x, int64_t n, int64_t *total)
{
    float logits[MOST * 3], dlogits[MOST * 3] = {0}, *gradients = NULL;
    jem_pass *pass;
    for (int64_t i = 0; i < n; i++) dlogits[3 * i] = 1;
    OK(jem_pass_create(&pass, model, JEM_PASS_TRAIN, n));
    OK(jem_pass_forward(pass, x, n, logits, MOST * 3));
    OK(jem_pass_backward(pass, dlogits, JEM_GRADIENT_PARAMETERS, NULL));
    jem_pass_destroy(pass);
    *total = 0;
    for (int64_t i = 0, elements; i < jem_model_parameter_count(model); i++) {
        OK(jem_model_parameter_info(model, i, NULL, NULL, NULL, &elements, NULL));
        gradients = realloc(gradients, (size_t)(*total + elements) * sizeof *gradients);
        OK(jem_model_gradient_get(model, i, gradients + *total, elements));
        *total += elements;
    }
    return gradients;
}

/* Tilings that only a plan with gradients by the weights has. */
static int32_t weight_tilings(jem_model *model, int64_t n)
{
    const jem__plan *with, *without;
    OK(jem__model_plan(model, n, JEM__WANT_INPUT | JEM__WANT_PARAMETERS, &with));
    OK(jem__model_plan(model, n, JEM__WANT_INPUT, &without));
    return with->tiling_count - without->tiling_count;
}

/* Sizes that are no multiple of a tile's, and batches of tiles whose last one overlaps. */
START_TEST(weight_gradients_agree)
{
    static const char *const settings[] = {"model.slice=8", "model.slice=5",
                                           "model.height=13 model.width=9 model.channels=1",
                                           "model.height=31 model.width=30"};
    static const char *const methods[] = {"exact", "fast"};
    jem_context *context = test_context(2);
    for (int i = 0; i < 8; i++) {
        char text[256];
        int64_t pixels, n = i % 2 ? 9 : 6, all;
        snprintf(text, sizeof text, "%s model.convolution=direct", settings[i / 2]);
        jem_model *plain = model_of(context, text);
        snprintf(text, sizeof text, "%s model.convolution=%s", settings[i / 2], methods[i % 2]);
        jem_model *model = model_of(context, text);
        float *x = images(model, n, &pixels);
        float *got = weight_gradients(model, x, n, &all),
              *want = weight_gradients(plain, x, n, &all);
        double d = distance(got, want, all);
        ck_assert_int_gt(weight_tilings(model, n), 0);
        ck_assert_double_lt(d, i % 2 ? 5e-6 : 2e-6);
        free(x);
        free(got);
        free(want);
        jem_model_destroy(model);
        jem_model_destroy(plain);
    }
    jem_context_destroy(context);
}
END_TEST

/* What the public header says: others in the batch, and the slice, change rounding only. */
START_TEST(batches_change_rounding_only)
{
    enum { ALL = 16, PIXELS = 12 * 12, LARGEST = ALL * PIXELS };
    static const char *const methods[] = {"direct", "exact", "fast"};
    static const int64_t slices[] = {1, 3, 8};
    static float want[LARGEST], got[LARGEST];
    jem_context *context = test_context(2);
    for (int i = 0; i < 9; i++) {
        char text[256];
        int64_t total;
        double most = 0;
        snprintf(text, sizeof text,
                 "model.height=12 model.width=12 model.channels=1 model.convolution=%s "
                 "model.slice=%d",
                 methods[i / 3], (int)slices[i % 3]);
        jem_model *model = model_of(context, text);
        float *x = images(model, ALL, &total);
        OK(jem_model_energy_gradient(model, x, NULL, ALL, NULL, i % 3 ? got : want));
        if (i % 3) most = distance(got, want, total);
        for (int64_t n = 1; n <= 9; n += 8) {
            OK(jem_model_energy_gradient(model, x + PIXELS, NULL, n, NULL, got));
            most = fmax(most, distance(got, want + PIXELS, n * PIXELS));
        }
        ck_assert_double_lt(most, i / 3 == 2 ? 5e-6 : 2e-6);
        free(x);
        jem_model_destroy(model);
    }
    jem_context_destroy(context);
}
END_TEST

/* Threads share out slices; the products of one slice are one thread's. */
START_TEST(threads_do_not_matter)
{
    float gradient[2][MOST * 3 * 32 * 32];
    for (int64_t threads = 1; threads <= 2; threads++) {
        jem_context *context = test_context(threads);
        jem_model *model = model_of(context, "model.convolution=fast model.slice=4");
        int64_t total;
        float *x = images(model, MOST, &total);
        OK(jem_model_energy_gradient(model, x, NULL, MOST, NULL, gradient[threads - 1]));
        free(x);
        jem_model_destroy(model);
        jem_context_destroy(context);
    }
    ck_assert_mem_eq(gradient[0], gradient[1], sizeof gradient[0]);
}
END_TEST

/* New weights reach the transformed ones. */
START_TEST(weights_are_followed)
{
    jem_context *context = test_context(1);
    jem_model *a = model_of(context, "model.convolution=exact"), *b;
    int64_t total, i = jem_model_parameter_find(a, "f.layer1.0.conv2.weight"), elements;
    float *x = images(a, 2, &total), before[6], after[6], clone[6];
    OK(jem_model_logits(a, x, 2, before, 6));
    OK(jem_model_parameter_info(a, i, NULL, NULL, NULL, &elements, NULL));
    float *w = calloc((size_t)elements, sizeof *w);
    OK(jem_model_parameter_set(a, i, w, elements));
    OK(jem_model_logits(a, x, 2, after, 6));
    ck_assert_float_ne(before[0], after[0]);
    OK(jem_model_clone(&b, a));
    OK(jem_model_logits(b, x, 2, clone, 6));
    ck_assert_mem_eq(after, clone, sizeof after);
    free(w);
    free(x);
    jem_model_destroy(a);
    jem_model_destroy(b);
    jem_context_destroy(context);
}
END_TEST

/* Running statistics that a pass moves reach the weights that a batch norm is folded into. */
START_TEST(statistics_are_followed)
{
    enum { N = 6 };
    jem_context *context = test_context(2);
    jem_model *model =
                  model_of(context, "model.convolution=fast model.norm=batch model.channels=1"),
              *again;
    int64_t total;
    float *x = images(model, N, &total), energy[3][N], logits[N * 3];
    jem_pass *pass;
    OK(jem_model_energy(model, x, NULL, N, energy[0]));
    OK(jem_pass_create(&pass, model, JEM_PASS_TRAIN, N));
    OK(jem_pass_forward(pass, x, N, logits, N * 3));
    OK(jem_model_energy(model, x, NULL, N, energy[1]));
    OK(jem_model_clone(&again, model));
    OK(jem_model_energy(again, x, NULL, N, energy[2]));
    ck_assert_float_ne(energy[0][0], energy[1][0]);
    ck_assert_mem_eq(energy[1], energy[2], sizeof energy[1]);
    free(x);
    jem_pass_destroy(pass);
    jem_model_destroy(model);
    jem_model_destroy(again);
    jem_context_destroy(context);
}
END_TEST

TESTS("winograd", methods_agree, weight_gradients_agree, batches_change_rounding_only,
      threads_do_not_matter, weights_are_followed, statistics_are_followed)
