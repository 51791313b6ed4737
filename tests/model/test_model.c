/* A model's life: creation, scoring, passes, files, bad input. */
#include "helpers.h"
#include <math.h>
#include <pthread.h>

enum { K = 5, C = 3, H = 11, W = 9, IMAGE = C * H * W, N = 7 };

static jem_model *model_of(jem_context *context, const char *more)
{
    jem_model *model;
    jem_config *config;
    OK(jem_config_create(&config));
    OK(jem_config_parse(config, "model.classes=5 model.channels=3 model.height=11 model.width=9 "
                                "model.class_names=a,b,,d"));
    OK(jem_config_parse(config, more));
    OK(jem_model_create(&model, context, config));
    jem_config_destroy(config);
    return model;
}

static void images(float *x, int64_t n)
{
    for (int64_t i = 0; i < n * IMAGE; i++) x[i] = sinf((float)(i * 37 % 1009));
}

START_TEST(creation)
{
    jem_context *context = test_context(1);
    jem_config *config;
    jem_model *model = NULL;
    OK(jem_config_create(&config));
    OK(jem_config_set_i64(config, "model.depth", 12));
    FAILS(JEM_ERROR_CONFIG, jem_model_create(&model, context, config), "6n+4");
    ck_assert_ptr_null(model);
    OK(jem_config_parse(config, "model.depth=16 model.widen_factor=2 model.classes=7"));
    OK(jem_model_create(&model, context, config));
    jem_config_destroy(config);
    int64_t c, h, w, k, f;
    OK(jem_model_info(model, &c, &h, &w, &k, &f));
    ck_assert(c == 3 && h == 32 && w == 32 && k == 7 && f == 128);
    int64_t shape[4], elements, index = jem_model_parameter_find(model, "f.layer2.1.conv2.weight");
    OK(jem_model_parameter_info(model, index, NULL, NULL, shape, &elements, NULL));
    ck_assert(shape[0] == 64 && shape[1] == 64 && shape[2] == 3 && elements == 64 * 64 * 9);
    ck_assert_int_eq(jem_model_parameter_find(model, "no such"), -1);
    /* U(-1/sqrt(fan_in), 1/sqrt(fan_in)), fan_in 576: the range is used up to its ends. */
    float *values, most = 0, bound = 1 / sqrtf(576);
    OK(jem_model_parameter_map(model, index, &values));
    for (int64_t i = 0; i < elements; i++) most = fmaxf(most, fabsf(values[i]));
    ck_assert(most <= bound && most > 0.999f * bound);
    OK(jem_model_parameter_unmap(model, index));
    /* Destroying the context first is fine. */
    jem_context_destroy(context);
    jem_model_destroy(model);
    jem_model_destroy(NULL);
}
END_TEST

START_TEST(class_names)
{
    jem_context *context = test_context(1);
    jem_model *model = model_of(context, "");
    char text[8];
    const char *names[] = {"a", "b", "2", "d", "4"};
    for (int i = 0; i < K; i++) {
        ck_assert_int_eq(jem_model_class_name(model, i, text, sizeof text), 1);
        ck_assert_str_eq(text, names[i]);
    }
    ck_assert_int_eq(jem_model_class_name(model, K, text, sizeof text), -1);
    /* Names of any length: all of it told, whole characters copied. */
    char names_of[512] = "", whole[256];
    for (int i = 0; i < 100; i++) strcat(names_of, "\xc3\xa4"); /* a umlaut */
    strcat(names_of, ",,last,,,beyond");
    for (int again = 0; again < 2; again++) {
        OK(jem_model_metadata_set(model, "class_names", names_of));
        ck_assert_int_eq(jem_model_class_name(model, 0, whole, sizeof whole), 200);
        ck_assert(strlen(whole) == 200 && !memcmp(whole, names_of, 200));
        ck_assert_int_eq(jem_model_class_name(model, 0, whole, 128), 200);
        ck_assert(strlen(whole) == 126 && !memcmp(whole, names_of, 126));
        ck_assert_int_eq(jem_model_class_name(model, 1, text, sizeof text), 1);
        ck_assert_str_eq(text, "1");
        ck_assert_int_eq(jem_model_class_name(model, 2, text, sizeof text), 4);
        ck_assert_str_eq(text, "last");
        ck_assert_int_eq(jem_model_class_name(model, 4, NULL, 0), 1);
    }
    FAILS(JEM_ERROR_STATE, jem_model_metadata_set(model, "depth", "16"), "depth");
    FAILS(JEM_ERROR_STATE, jem_model_metadata_set(model, "checksum", "0"), "or the file");
    FAILS(JEM_ERROR_STATE, jem_model_metadata_set(model, "format_version", "1"), "or the file");
    OK(jem_model_metadata_set(model, "author", "nobody \"quoted\""));
    char value[32];
    ck_assert_int_eq(jem_model_metadata_get(model, "author", value, sizeof value), 15);
    jem_model_destroy(model);
    jem_context_destroy(context);
}
END_TEST

START_TEST(energies_follow_from_logits)
{
    jem_context *context = test_context(2);
    const char *const kinds[] = {"", "model.norm=batch model.activation=silu model.dropout=0.3"};
    for (int kind = 0; kind < 2; kind++) {
        jem_model *model = model_of(context, kinds[kind]);
        float x[N * IMAGE], logits[N * K], e[N], exy[N], eg[N], g[N * IMAGE];
        int32_t y[N] = {0, 1, 2, 3, 4, 0, 1};
        images(x, N);
        OK(jem_model_logits(model, x, N, logits, N * K));
        OK(jem_model_energy(model, x, NULL, N, e));
        OK(jem_model_energy(model, x, y, N, exy));
        OK(jem_model_energy_gradient(model, x, NULL, N, eg, g));
        for (int i = 0; i < N; i++) {
            double sum = 0;
            for (int j = 0; j < K; j++) sum += exp((double)logits[i * K + j]);
            ck_assert_double_eq_tol((double)e[i], -log(sum), 1e-6);
            ck_assert_float_eq(exy[i], -logits[i * K + y[i]]);
            ck_assert_float_eq_tol(eg[i], e[i], 1e-6f);
        }
        /* One image alone, and nothing at all, are batches too. */
        float one[K];
        OK(jem_model_logits(model, x + 3 * IMAGE, 1, one, K));
        for (int j = 0; j < K; j++) ck_assert_float_eq_tol(one[j], logits[3 * K + j], 1e-6f);
        OK(jem_model_logits(model, NULL, 0, NULL, 0));
        jem_model_destroy(model);
    }
    jem_context_destroy(context);
}
END_TEST

START_TEST(bad_input)
{
    jem_context *context = test_context(1);
    jem_model *model = model_of(context, "");
    static float x[N * IMAGE];
    float logits[N * K];
    int32_t y[N] = {0, 1, 2, 3, 5, 0, 0};
    images(x, N);
    FAILS(JEM_ERROR_ARGUMENT, jem_model_logits(NULL, x, N, logits, N * K), "NULL");
    FAILS(JEM_ERROR_ARGUMENT, jem_model_logits(model, NULL, N, logits, N * K), "NULL");
    FAILS(JEM_ERROR_ARGUMENT, jem_model_logits(model, x, -1, logits, N * K), ">= 0");
    FAILS(JEM_ERROR_SHAPE, jem_model_logits(model, x, N, logits, N * K - 1), "capacity");
    FAILS(JEM_ERROR_ARGUMENT, jem_model_energy(model, x, y, N, logits), "label 4 is 5");
    x[2 * IMAGE + 5] = NAN;
    FAILS(JEM_ERROR_ARGUMENT, jem_model_logits(model, x, N, logits, N * K), "image 2, value 5");
    x[2 * IMAGE + 5] = 255;
    FAILS(JEM_ERROR_ARGUMENT, jem_model_logits(model, x, N, logits, N * K), "255");
    jem_model *trusting = model_of(context, "model.check_input=0");
    OK(jem_model_logits(trusting, x, N, logits, N * K));
    jem_model_destroy(trusting);
    jem_model_destroy(model);
    jem_context_destroy(context);
}
END_TEST

START_TEST(passes)
{
    jem_context *context = test_context(1);
    jem_model *model = model_of(context, "");
    jem_pass *pass, *infer;
    float x[N * IMAGE], logits[N * K], dx[N * IMAGE], d[N * K] = {1};
    images(x, N);
    FAILS(JEM_ERROR_ARGUMENT, jem_pass_create(&pass, model, 9, N), "mode 9");
    FAILS(JEM_ERROR_ARGUMENT, jem_pass_create(&pass, model, JEM_PASS_TRAIN, 0), "max_batch");
    OK(jem_pass_create(&pass, model, JEM_PASS_TRAIN, N));
    OK(jem_pass_create(&infer, model, JEM_PASS_INFER, N));
    FAILS(JEM_ERROR_STATE, jem_pass_backward(pass, d, JEM_GRADIENT_INPUT, dx), "no forward");
    FAILS(JEM_ERROR_SHAPE, jem_pass_forward(pass, x, N + 1, logits, INT64_MAX), "expected 1..7");
    OK(jem_pass_forward(pass, x, N, logits, INT64_MAX));
    FAILS(JEM_ERROR_ARGUMENT, jem_pass_backward(pass, d, JEM_GRADIENT_INPUT, NULL), "dx");
    OK(jem_pass_backward(pass, d, JEM_GRADIENT_INPUT | JEM_GRADIENT_PARAMETERS, dx));
    FAILS(JEM_ERROR_STATE, jem_pass_backward(pass, d, JEM_GRADIENT_INPUT, dx), "no forward");
    OK(jem_pass_forward(infer, x, N, logits, INT64_MAX));
    FAILS(JEM_ERROR_STATE, jem_pass_backward(infer, d, JEM_GRADIENT_INPUT, dx), "no such");
    OK(jem_pass_forward(pass, x, N, logits, INT64_MAX));
    OK(jem_model_parameter_unmap(model, 0));
    FAILS(JEM_ERROR_STATE, jem_pass_backward(pass, d, JEM_GRADIENT_INPUT, dx), "changed");
    jem_model_destroy(model); /* the passes keep it */
    OK(jem_pass_forward(infer, x, 2, logits, INT64_MAX));
    jem_pass_destroy(pass);
    jem_pass_destroy(infer);
    jem_context_destroy(context);
}
END_TEST

START_TEST(clones_are_independent)
{
    jem_context *context = test_context(2);
    jem_model *model = model_of(context, "model.norm=batch"), *copy;
    float x[N * IMAGE], a[N * K], b[N * K], *values;
    images(x, N);
    OK(jem_model_logits(model, x, N, a, N * K));
    OK(jem_model_clone(&copy, model));
    OK(jem_model_parameter_map(model, 0, &values));
    values[0] += 1;
    OK(jem_model_parameter_unmap(model, 0));
    OK(jem_model_logits(copy, x, N, b, N * K));
    ck_assert_mem_eq(a, b, sizeof a);
    OK(jem_model_logits(model, x, N, b, N * K));
    ck_assert_mem_ne(a, b, sizeof a);
    jem_model_destroy(model);
    jem_model_destroy(copy);
    jem_context_destroy(context);
}
END_TEST

START_TEST(files)
{
    jem_context *context = test_context(2);
    jem_model *model = model_of(context, "model.norm=batch model.activation=silu"), *loaded;
    float x[N * IMAGE], a[N * K], b[N * K];
    int64_t size;
    images(x, N);
    OK(jem_model_metadata_set(model, "note", "line\n\"two\" \xc3\xa9"));
    OK(jem_model_logits(model, x, N, a, N * K));
    OK(jem_model_save_memory(model, NULL, 0, &size));
    char *bytes = malloc((size_t)size);
    FAILS(JEM_ERROR_SHAPE, jem_model_save_memory(model, bytes, size - 1, &size), "expected");
    OK(jem_model_save_memory(model, bytes, size, &size));
    OK(jem_model_load_memory(&loaded, context, bytes, size));
    OK(jem_model_logits(loaded, x, N, b, N * K));
    ck_assert_mem_eq(a, b, sizeof a);
    char note[32];
    jem_model_metadata_get(loaded, "note", note, sizeof note);
    ck_assert_str_eq(note, "line\n\"two\" \xc3\xa9");
    jem_model_destroy(loaded);
    /* Every truncation is refused with a text, and none crashes. */
    for (int64_t n = 0; n < size; n += n < 4000 ? 7 : 4093) {
        ck_assert_int_lt(jem_model_load_memory(&loaded, context, bytes, n), 0);
        ck_assert_ptr_null(loaded);
    }
    char path[4200];
    snprintf(path, sizeof path, "%s/m.safetensors", test_folder());
    OK(jem_model_save(model, path));
    OK(jem_model_load(&loaded, context, path));
    OK(jem_model_logits(loaded, x, N, b, N * K));
    ck_assert_mem_eq(a, b, sizeof a);
    jem_model_destroy(loaded);
    unlink(path);
    FAILS(JEM_ERROR_IO, jem_model_load(&loaded, context, path), "m.safetensors");
    FAILS(JEM_ERROR_IO, jem_model_save(model, "/nonexistent/m.safetensors"), "/nonexistent");
    free(bytes);
    jem_model_destroy(model);
    jem_context_destroy(context);
}
END_TEST

/* Act norm starts from the first training batch, and from that alone. */
START_TEST(initial_values_from_data)
{
    jem_context *context = test_context(2);
    jem_model *model = model_of(context, "model.norm=act"), *copy;
    float x[N * IMAGE], logits[N * K], *values, loc[16], scale[16], done;
    int64_t p = jem_model_parameter_find(model, "f.layer1.0.bn1.loc"), shape[4], dimensions;
    int64_t last = jem_model_parameter_find(model, "f.bn1.initialized");
    jem_pass *pass;
    OK(jem_model_parameter_info(model, p, NULL, &dimensions, shape, NULL, NULL));
    ck_assert(dimensions == 4 && shape[0] == 1 && shape[1] == 16 && shape[2] == 1 && shape[3] == 1);
    OK(jem_model_parameter_info(model, last, NULL, &dimensions, NULL, NULL, NULL));
    ck_assert_int_eq(dimensions, 0);
    images(x, N);

    /* Evaluation and sampling leave it as it is; so does a batch that overflows. */
    OK(jem_pass_create(&pass, model, JEM_PASS_TRAIN_INPUT, N));
    OK(jem_pass_forward(pass, x, N, logits, INT64_MAX));
    jem_pass_destroy(pass);
    OK(jem_model_parameter_get(model, last, &done, 1));
    ck_assert(done == 0);
    OK(jem_model_clone(&copy, model));
    OK(jem_model_parameter_map(copy, 0, &values));
    for (int i = 0; i < 27; i++) values[i] = 3e38f;
    OK(jem_model_parameter_unmap(copy, 0));
    OK(jem_pass_create(&pass, copy, JEM_PASS_TRAIN, N));
    FAILS(JEM_ERROR_DIVERGED, jem_pass_forward(pass, x, N, logits, INT64_MAX),
          "first training batch");
    jem_pass_destroy(pass);
    OK(jem_model_parameter_get(copy, p, loc, 16));
    OK(jem_model_parameter_get(copy, p + 1, scale, 16));
    OK(jem_model_parameter_get(copy, p + 2, &done, 1));
    ck_assert(loc[0] == 0 && scale[0] == 1 && done == 0);
    jem_model_destroy(copy);

    OK(jem_pass_create(&pass, model, JEM_PASS_TRAIN, N));
    OK(jem_pass_forward(pass, x, N, logits, INT64_MAX));
    OK(jem_model_parameter_get(model, p, loc, 16));
    OK(jem_model_parameter_get(model, last, &done, 1));
    ck_assert(loc[0] != 0 && done == 1);
    x[0] += 0.5f;
    OK(jem_pass_forward(pass, x, N, logits, INT64_MAX));
    OK(jem_model_parameter_get(model, p, scale, 16));
    ck_assert_mem_eq(loc, scale, sizeof loc);
    jem_pass_destroy(pass);
    jem_model_destroy(model);
    jem_context_destroy(context);
}
END_TEST

/* A norm of one value would be zero everywhere. */
START_TEST(norms_need_values)
{
    jem_context *context = test_context(1);
    jem_config *config;
    jem_model *model;
    jem_pass *pass;
    OK(jem_config_create(&config));
    OK(jem_config_parse(config, "model.height=3 model.width=4 model.channels=1"));
    OK(jem_config_parse(config, "model.norm=instance"));
    FAILS(JEM_ERROR_SHAPE, jem_model_create(&model, context, config), "f.bn1: 64 groups");
    OK(jem_config_parse(config, "model.norm=act"));
    OK(jem_model_create(&model, context, config));
    float x[12] = {0}, logits[10];
    OK(jem_pass_create(&pass, model, JEM_PASS_TRAIN, 1));
    FAILS(JEM_ERROR_SHAPE, jem_pass_forward(pass, x, 1, logits, INT64_MAX),
          "one value per channel");
    jem_pass_destroy(pass);
    jem_model_destroy(model);
    jem_config_destroy(config);
    jem_context_destroy(context);
}
END_TEST

/* jem_pass_energy and jem_pass_backward_energy: the same as the losses on logits where those
   tell E(x), and a head of its own otherwise. */
START_TEST(energy_of_a_pass)
{
    static const char *const kinds[] = {"model.norm=batch", "model.norm=batch model.energy=head"};
    float x[N * IMAGE], logits[N * K], energy[N], plain[N], slope[N], dx[N * IMAGE],
        want[N * IMAGE];
    float dlogits[N * K] = {0};
    jem_context *context = test_context(2);
    images(x, N);
    for (int i = 0; i < N; i++) slope[i] = 1.0f / N;
    for (int head = 0; head < 2; head++) {
        jem_model *model = model_of(context, kinds[head]);
        jem_pass *pass;
        OK(jem_pass_create(&pass, model, JEM_PASS_GRADIENT, N));
        FAILS(JEM_ERROR_STATE, jem_pass_energy(pass, energy), "no forward");
        OK(jem_pass_forward(pass, x, N, logits, INT64_MAX));
        OK(jem_pass_energy(pass, energy));
        OK(jem_model_energy(model, x, NULL, N, plain));
        for (int i = 0; i < N; i++) ck_assert_float_eq_tol(energy[i], plain[i], 2e-6f);
        OK(jem_model_gradient_zero(model));
        OK(jem_pass_backward_energy(pass, NULL, slope, 3, dx));
        FAILS(JEM_ERROR_STATE, jem_pass_energy(pass, energy), "gone back");
        OK(jem_model_energy_gradient(model, x, NULL, N, energy, want));
        for (int i = 0; i < N * IMAGE; i++) ck_assert_float_eq_tol(dx[i], want[i] / N, 1e-7f);
        float bias[K], of_head;
        int64_t at = jem_model_parameter_find(model, "class_output.bias");
        OK(jem_model_gradient_get(model, at, bias, K));
        if (head) {
            for (int k = 0; k < K; k++) ck_assert(bias[k] == 0);
            at = jem_model_parameter_find(model, "energy_output.bias");
            OK(jem_model_gradient_get(model, at, &of_head, 1));
            ck_assert_float_eq_tol(of_head, -1, 1e-6f);
        } else {
            OK(jem_loss_energy(logits, NULL, N, K, 1, NULL, dlogits));
            for (int k = 0; k < K; k++) {
                float sum = 0;
                for (int i = 0; i < N; i++) sum += dlogits[i * K + k];
                ck_assert_float_eq_tol(bias[k], sum, 1e-6f);
            }
        }
        jem_pass_destroy(pass);
        jem_model_destroy(model);
    }
    jem_context_destroy(context);
}
END_TEST

/* The pass of output layers alone: their gradients to the bit, and no others. */
START_TEST(gradients_of_outputs)
{
    static const char *const kinds[] = {
        "", "model.norm=batch model.energy=head", "model.activation=silu model.slice=3",
        "model.energy=head model.activation=silu model.dropout=0.5"};
    float x[N * IMAGE], logits[2][N * K], d[N * K], slope[N];
    jem_context *context = test_context(2);
    images(x, N);
    for (int i = 0; i < N * K; i++) d[i] = cosf((float)i);
    for (int i = 0; i < N; i++) slope[i] = 0.1f * (float)(i + 1);
    for (int kind = 0; kind < 4; kind++) {
        jem_model *model = model_of(context, kinds[kind]);
        int64_t count = jem_model_parameter_count(model), outputs = 0;
        float *kept[2][64] = {{NULL}};
        for (int head = 0; head < 2; head++) {
            jem_pass *pass;
            OK(jem_pass_create(&pass, model, head ? JEM_PASS_HEAD : JEM_PASS_GRADIENT, N));
            OK(jem_model_gradient_zero(model));
            OK(jem_pass_forward(pass, x, N, logits[head], INT64_MAX));
            if (head) {
                float dx[N * IMAGE];
                FAILS(JEM_ERROR_STATE, jem_pass_backward(pass, d, JEM_GRADIENT_INPUT, dx),
                      "no such gradient");
            }
            OK(jem_pass_backward_energy(pass, d, slope, JEM_GRADIENT_PARAMETERS, NULL));
            for (int64_t p = 0; p < count; p++) {
                int64_t n;
                jem_parameter_kind k;
                OK(jem_model_parameter_info(model, p, NULL, NULL, NULL, &n, &k));
                if (k != JEM_PARAMETER_TRAINABLE) continue;
                kept[head][p] = malloc((size_t)n * sizeof(float));
                OK(jem_model_gradient_get(model, p, kept[head][p], n));
            }
            jem_pass_destroy(pass);
        }
        ck_assert_mem_eq(logits[0], logits[1], sizeof logits[0]);
        for (int64_t p = 0; p < count; p++) {
            const char *name;
            int64_t n;
            OK(jem_model_parameter_info(model, p, &name, NULL, NULL, &n, NULL));
            if (!kept[0][p]) continue;
            int output = strstr(name, "_output.") != NULL;
            outputs += output;
            for (int64_t i = 0; i < n; i++)
                ck_assert_msg(kept[1][p][i] == (output ? kept[0][p][i] : 0), "%s", name);
            free(kept[0][p]);
            free(kept[1][p]);
        }
        ck_assert_int_eq(outputs, kind % 2 ? 4 : 2);
        jem_model_destroy(model);
    }
    jem_context_destroy(context);
}
END_TEST

START_TEST(prepared_pixels)
{
    jem_context *context = test_context(1);
    jem_model *model = model_of(context, "");
    uint8_t bgr[H * (W * 3 + 5)],
        rgba[2 * 2 * 4] = {255, 0, 0, 255, 255, 0, 0, 255, 255, 0, 0, 255, 255, 0, 0, 0};
    float x[IMAGE];
    for (size_t i = 0; i < sizeof bgr; i++) bgr[i] = (uint8_t)(i * 7);
    OK(jem_model_prepare(model, bgr, W, H, W * 3 + 5, JEM_PIXEL_BGR8, 0, x, INT64_MAX));
    for (int c = 0; c < C; c++)
        for (int i = 0; i < H; i++)
            for (int j = 0; j < W; j++)
                ck_assert_float_eq_tol(x[(c * H + i) * W + j],
                                       bgr[i * (W * 3 + 5) + j * 3 + 2 - c] / 127.5f - 1, 1e-6f);
    FAILS(JEM_ERROR_SHAPE,
          jem_model_prepare(model, rgba, 2, 2, 0, JEM_PIXEL_RGBA8, 0, x, INT64_MAX), "9x11");
    FAILS(JEM_ERROR_ARGUMENT,
          jem_model_prepare(model, rgba, 2, 2, 7, JEM_PIXEL_RGBA8, 1, x, INT64_MAX), "stride");
    OK(jem_model_prepare(model, rgba, 2, 2, 0, JEM_PIXEL_RGBA8, 1, x, INT64_MAX));
    ck_assert_float_eq_tol(x[0], 1, 1e-5f);          /* red, top left */
    ck_assert_float_eq_tol(x[H * W], -1, 1e-5f);     /* no green */
    ck_assert_float_eq_tol(x[H * W - 1], -1, 1e-5f); /* transparent, bottom right */
    /* A constant image stays constant at any size. */
    uint8_t flat[40 * 40];
    memset(flat, 200, sizeof flat);
    OK(jem_model_prepare(model, flat, 40, 40, 0, JEM_PIXEL_GREY8, 1, x, INT64_MAX));
    for (int i = 0; i < IMAGE; i++) ck_assert_float_eq_tol(x[i], 200 / 127.5f - 1, 1e-5f);
    jem_model_destroy(model);
    jem_context_destroy(context);
}
END_TEST

typedef struct scorer {
    jem_model *model;
    const float *x;
    float gradient[N * IMAGE];
    jem_status status;
    pthread_t thread;
} scorer;

static void *score(void *user)
{
    scorer *s = user;
    for (int i = 0; i < 5 && !s->status; i++)
        s->status = jem_model_energy_gradient(s->model, s->x, NULL, N, NULL, s->gradient);
    return NULL;
}

START_TEST(many_threads_score_one_model)
{
    enum { THREADS = 8 };
    jem_context *context = test_context(2);
    jem_model *model = model_of(context, "model.norm=batch");
    float x[N * IMAGE], want[N * IMAGE];
    scorer *s = calloc(THREADS, sizeof *s);
    images(x, N);
    OK(jem_model_energy_gradient(model, x, NULL, N, NULL, want));
    for (int i = 0; i < THREADS; i++) {
        s[i].model = model;
        s[i].x = x;
        ck_assert_int_eq(pthread_create(&s[i].thread, NULL, score, &s[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(s[i].thread, NULL);
        ck_assert_int_eq(s[i].status, JEM_OK);
        ck_assert_mem_eq(s[i].gradient, want, sizeof want);
    }
    free(s);
    jem_model_destroy(model);
    jem_context_destroy(context);
}
END_TEST

TESTS("model", creation, class_names, energies_follow_from_logits, bad_input, passes,
      clones_are_independent, files, initial_values_from_data, norms_need_values, energy_of_a_pass,
      gradients_of_outputs, prepared_pixels, many_threads_score_one_model)
