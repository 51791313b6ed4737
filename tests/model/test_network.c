/* Networks that a user puts together: building, text, files, clones, checkpoints, and
   text that is not what it should be. */
#include "base/random.h"
#include "format/safetensors.h"
#include "helpers.h"
#include <math.h>

enum { C = 2, H = 9, W = 7, IMAGE = C * H * W, N = 5, K = 3 };

static jem_config *config_of(const char *more)
{
    jem_config *config;
    OK(jem_config_create(&config));
    OK(jem_config_parse(config, "model.classes=3 model.seed=4 model.slice=2"));
    OK(jem_config_parse(config, more));
    return config;
}

static void images(float *x)
{
    for (int i = 0; i < N * IMAGE; i++) x[i] = sinf((float)(i * 37 % 1009));
}

/* All operators once. */
static jem_network *everything(void)
{
    jem_network *net;
    OK(jem_network_create(&net, C, H, W));
    int32_t x = jem_network_convolution(net, 0, "stem", 8, 3, 1, 1);
    x = jem_network_norm(net, x, "norm1", "batch");
    x = jem_network_activation(net, x, "relu");
    int32_t y = jem_network_convolution(net, x, "block.a", 8, 3, 1, 1);
    y = jem_network_norm(net, y, "block.norm", "group:4");
    x = jem_network_activation(net, jem_network_add(net, x, y), "leaky_relu");
    x = jem_network_pool(net, x, "max", 3, 2, 1);
    x = jem_network_convolution(net, x, "wide", 12, 1, 1, 0);
    x = jem_network_activation(net, jem_network_norm(net, x, "norm2", "act"), "silu");
    x = jem_network_pool(net, x, "average", 2, 1, 0);
    x = jem_network_dropout(net, x, 0.25);
    x = jem_network_linear(net, x, "hidden", 10);
    jem_network_activation(net, x, "silu");
    OK(jem_network_status(net));
    return net;
}

static const char text_of_everything[] =
    "convolution 0 stem 8 3 1 1; norm 1 norm1 batch; relu 2; convolution 3 block.a 8 3 1 1; "
    "norm 4 block.norm group:4; add 3 5; leaky_relu 6; max_pool 7 3 2 1; convolution 8 wide 12 1 1 "
    "0; norm 9 norm2 act; silu 10; average_pool 11 2 1 0; dropout 12 0.25; linear 13 hidden 10; "
    "silu 14";

START_TEST(building)
{
    jem_network *net = everything();
    char text[1024];
    int64_t c, h, w;
    jem_network_text(net, text, sizeof text);
    ck_assert_str_eq(text, text_of_everything);
    OK(jem_network_shape(net, 8, &c, &h, &w));
    ck_assert(c == 8 && h == 5 && w == 4);
    OK(jem_network_shape(net, 15, &c, &h, &w));
    ck_assert(c == 10 && h == 1 && w == 1);
    FAILS(JEM_ERROR_ARGUMENT, jem_network_shape(net, 16, NULL, NULL, NULL), "expected 0..15");

    jem_context *context = test_context(2);
    jem_config *config = config_of("");
    jem_model *model, *other;
    OK(jem_model_create_network(&model, context, net, config));
    jem_network_destroy(net);
    int64_t classes, features;
    OK(jem_model_info(model, &c, &h, &w, &classes, &features));
    ck_assert(c == C && h == H && w == W && classes == K && features == 10);
    ck_assert_int_ge(jem_model_parameter_find(model, "block.norm.weight"), 0);
    ck_assert_int_ge(jem_model_parameter_find(model, "class_output.bias"), 0);

    /* The setting is the same network. */
    OK(jem_config_parse(config, "model.architecture=network model.channels=2 model.height=9 "
                                "model.width=7"));
    OK(jem_config_set_str(config, "model.network", text_of_everything));
    OK(jem_model_create(&other, context, config));
    float x[N * IMAGE], a[N * K], b[N * K];
    images(x);
    OK(jem_model_logits(model, x, N, a, N * K));
    OK(jem_model_logits(other, x, N, b, N * K));
    ck_assert_mem_eq(a, b, sizeof a);
    jem_model_destroy(model);
    jem_model_destroy(other);
    jem_config_destroy(config);
    jem_context_destroy(context);
}
END_TEST

START_TEST(wrong_calls)
{
    jem_network *net;
    jem_model *model;
    jem_context *context = test_context(1);
    FAILS(JEM_ERROR_ARGUMENT, jem_network_create(&net, 0, 3, 3), "expected 1..4096");
    ck_assert_ptr_null(net);
    OK(jem_network_create(&net, 1, 4, 4));
    ck_assert_int_eq(jem_network_activation(net, 0, "relu"), 1);
    ck_assert_int_eq(jem_network_activation(net, 2, "relu"), JEM_ERROR_CONFIG);
    /* Later calls fail quietly; the first error is the one that is told. */
    ck_assert_int_eq(jem_network_activation(net, 0, "relu"), JEM_ERROR_CONFIG);
    FAILS(JEM_ERROR_CONFIG, jem_network_status(net), "statement 2 (relu): the value it reads");
    FAILS(JEM_ERROR_CONFIG, jem_model_create_network(&model, context, net, NULL), "statement 2");
    ck_assert_ptr_null(model);
    jem_network_destroy(net);
    jem_network_destroy(NULL);
    ck_assert_int_eq(jem_network_mean(NULL, 0), JEM_ERROR_ARGUMENT);

    char name[300];
    memset(name, 'a', sizeof name);
    name[299] = 0;
    for (int i = 0; i < 6; i++) {
        OK(jem_network_create(&net, 1, 4, 4));
        int32_t v = i == 0   ? jem_network_linear(net, 0, name, 3)
                    : i == 1 ? jem_network_linear(net, 0, name + 235, 3)
                    : i == 2 ? jem_network_linear(net, 0, NULL, 3)
                    : i == 3 ? jem_network_norm(net, 0, "n", NULL)
                    : i == 4 ? jem_network_activation(net, 0, "relu\n")
                             : jem_network_dropout(net, 0, NAN);
        ck_assert_int_lt(v, 0);
        jem_network_destroy(net);
    }
    jem_context_destroy(context);
}
END_TEST

/* Text that a file could hold; none may crash, hang or ask for much memory. */
START_TEST(hostile_text)
{
    static const struct {
        const char *text, *word;
    } cases[] = {
        {";", "unknown operator ''"},
        {"relu 0;", NULL}, /* a last semicolon is fine */
        {"relu", "has 1 words, expected 2"},
        {"relu 0 0", "has 3 words"},
        {"relu -1", "'-1', expected 0..0"},
        {"relu 1", "expected 0..0"},
        {"relu 0x0", "expected 0..0"},
        {"relu 99999999999999999999", "expected 0..0"},
        {"RELU 0", "unknown operator 'RELU'"},
        {"relu 0; relu 0", "nothing reads value 1"},
        {"linear 0 a 4; relu 1; linear 0 b 3", "nothing reads value 2"},
        {"linear 0 a 0", "outputs is '0', expected 1..65536"},
        {"linear 0 a 65537", "expected 1..65536"},
        {"linear 0 a/b 3", "letters"},
        {"linear 0 .a 3", "letters"},
        {"linear 0 a. 3", "letters"},
        {"linear 0 class_output 3", "own names"},
        {"linear 0 energy_output.x 3", "own names"},
        {"linear 0 a 3; linear 1 a 3", "another layer has this name"},
        {"linear 0 a 3; linear 1 a.b 3", NULL},
        {"linear 0 a 65536; linear 1 b 65536", "too many weights"},
        {"convolution 0 a 4 10 1 0", "smaller than the kernel"},
        {"convolution 0 a 4 3 0 1", "stride is '0'"},
        {"convolution 0 a 4 3 1 3", "pad is '3', expected 0..2"},
        {"convolution 0 a 4 65 1 0", "kernel is '65'"},
        {"convolution 0 a 4 64 1 63", NULL},
        {"max_pool 0 3 1 2", "pad is '2', expected 0..1"},
        {"max_pool 0 17 1 8", "window is '17'"},
        {"max_pool 0 8 1 0", "windows of 8"},
        {"average_pool 0 1 64 0", NULL},
        {"norm 0 a none", "leave it out"},
        {"norm 0 a group:0", "groups is '0'"},
        {"norm 0 a group:3", "groups is '3', expected 1..2"},
        {"norm 0 a group:", "groups is ''"},
        {"mean 0; norm 1 a instance", "at least 2 values"},
        {"norm 0 a weird", "norm 'weird'"},
        {"dropout 0 1", "0..0.95"},
        {"dropout 0 nan", "0..0.95"},
        {"dropout 0 0,5", "0..0.95"},
        {"mean 0; add 0 1", "expected equal shapes"},
        {"add 0 0", NULL},
        {"", NULL}, /* a linear classifier */
    };
    jem_context *context = test_context(1);
    jem_config *config = config_of("model.architecture=network model.channels=2 model.height=7 "
                                   "model.width=9");
    jem_model *model;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        OK(jem_config_set_str(config, "model.network", cases[i].text));
        jem_status status = jem_model_create(&model, context, config);
        char text[512] = "";
        jem_last_error(text, sizeof text);
        if (cases[i].word) {
            ck_assert_msg(status == JEM_ERROR_CONFIG || status == JEM_ERROR_SHAPE,
                          "'%s': status %d", cases[i].text, status);
            ck_assert_msg(strstr(text, cases[i].word), "'%s': error '%s' lacks '%s'", cases[i].text,
                          text, cases[i].word);
        } else {
            ck_assert_msg(status == JEM_OK, "'%s': %s", cases[i].text, text);
        }
        jem_model_destroy(model);
    }
    /* Too many operators, and a word without an end. */
    static char many[20000];
    for (int i = 0; i < 1100; i++) snprintf(many + strlen(many), 16, "relu %d;", i);
    OK(jem_config_set_str(config, "model.network", many));
    FAILS(JEM_ERROR_CONFIG, jem_model_create(&model, context, config), "more than 1024");
    memset(many, 'x', sizeof many - 1);
    OK(jem_config_set_str(config, "model.network", many));
    FAILS(JEM_ERROR_CONFIG, jem_model_create(&model, context, config), "too long words");
    jem_config_destroy(config);
    jem_context_destroy(context);
}
END_TEST

/* Mutations of a good text: refused or accepted, never worse; what is accepted computes. */
START_TEST(mutated_text)
{
    static const char letters[] = "0123456789 ;:.relumaxpnobcst";
    jem_context *context = test_context(1);
    jem_config *config = config_of("model.architecture=network model.channels=2 model.height=9 "
                                   "model.width=7");
    jem__random r;
    float x[N * IMAGE], logits[N * K];
    int accepted = 0;
    jem__random_at(&r, 8, 0, 0, 0, 0);
    images(x);
    for (int i = 0; i < 1000; i++) {
        char text[sizeof text_of_everything];
        jem_model *model;
        memcpy(text, text_of_everything, sizeof text);
        for (int m = 0; m < 1 + i % 3; m++)
            text[jem__random_below(&r, sizeof text - 1)] =
                letters[jem__random_below(&r, sizeof letters - 1)];
        OK(jem_config_set_str(config, "model.network", text));
        if (jem_model_create(&model, context, config)) continue;
        int64_t elements = 0, n;
        for (int64_t p = 0; p < jem_model_parameter_count(model); p++) {
            OK(jem_model_parameter_info(model, p, NULL, NULL, NULL, &n, NULL));
            elements += n;
        }
        if (elements < 20000) OK(jem_model_logits(model, x, N, logits, N * K));
        accepted++;
        jem_model_destroy(model);
    }
    ck_assert_int_gt(accepted, 50);
    ck_assert_int_lt(accepted, 900);
    jem_config_destroy(config);
    jem_context_destroy(context);
}
END_TEST

/* The same answers, and the same network, from a file, a clone, a checkpoint. */
START_TEST(files_and_clones)
{
    jem_context *context = test_context(2);
    jem_config *config = config_of("model.energy=head");
    jem_network *net = everything();
    jem_model *model, *copies[2];
    float x[N * IMAGE], a[N * K], b[N * K], e[N], f[N];
    int64_t size;
    images(x);
    OK(jem_model_create_network(&model, context, net, config));
    jem_pass *pass; /* statistics and initial values that are not the first ones */
    OK(jem_pass_create(&pass, model, JEM_PASS_TRAIN, N));
    OK(jem_pass_forward(pass, x, N, a, INT64_MAX));
    jem_pass_destroy(pass);
    OK(jem_model_logits(model, x, N, a, N * K));
    OK(jem_model_energy(model, x, NULL, N, e));
    OK(jem_model_save_memory(model, NULL, 0, &size));
    void *bytes = malloc((size_t)size);
    OK(jem_model_save_memory(model, bytes, size, &size));
    OK(jem_model_load_memory(&copies[0], context, bytes, size));
    OK(jem_model_clone(&copies[1], model));
    for (int i = 0; i < 2; i++) {
        char text[1024];
        OK(jem_model_logits(copies[i], x, N, b, N * K));
        ck_assert_mem_eq(a, b, sizeof a);
        OK(jem_model_energy(copies[i], x, NULL, N, f));
        ck_assert_mem_eq(e, f, sizeof e);
        jem_model_metadata_get(copies[i], "network", text, sizeof text);
        ck_assert_str_eq(text, text_of_everything);
        ck_assert_int_eq(jem_model_metadata_get(copies[i], "depth", text, sizeof text),
                         JEM_ERROR_ARGUMENT);
        FAILS(JEM_ERROR_STATE, jem_model_metadata_set(copies[i], "network", ""), "cannot be set");
        jem_model_destroy(copies[i]);
    }
    free(bytes);
    jem_model_destroy(model);
    jem_network_destroy(net);
    jem_config_destroy(config);
    jem_context_destroy(context);
}
END_TEST

/* Features are what the classifier reads, also where that is an image. */
START_TEST(features_of_images)
{
    static const char *const texts[] = {"", "convolution 0 a 17 3 2 1; silu 1"};
    static const int64_t counts[] = {IMAGE, 17 * 5 * 4};
    float x[N * IMAGE], features[N * 17 * 5 * 4], logits[N * K], weight[K * 17 * 5 * 4], bias[K];
    images(x);
    for (int i = 0; i < 2; i++) {
        jem_context *context = test_context(2);
        jem_config *config = config_of("model.architecture=network model.channels=2 model.height=9 "
                                       "model.width=7");
        jem_model *model;
        int64_t count;
        OK(jem_config_set_str(config, "model.network", texts[i]));
        OK(jem_model_create(&model, context, config));
        OK(jem_model_info(model, NULL, NULL, NULL, NULL, &count));
        ck_assert_int_eq(count, counts[i]);
        FAILS(JEM_ERROR_SHAPE, jem_model_features(model, x, N, features, N * count - 1),
              "expected");
        OK(jem_model_features(model, x, N, features, N * count));
        if (i == 0) ck_assert_mem_eq(features, x, sizeof x);
        OK(jem_model_logits(model, x, N, logits, N * K));
        int64_t p = jem_model_parameter_find(model, "class_output.weight");
        OK(jem_model_parameter_get(model, p, weight, K * count));
        OK(jem_model_parameter_get(model, p + 1, bias, K));
        for (int64_t j = 0; j < N * K; j++) {
            double sum = (double)bias[j % K];
            for (int64_t f = 0; f < count; f++)
                sum += (double)weight[j % K * count + f] * (double)features[j / K * count + f];
            ck_assert_double_eq_tol((double)logits[j], sum, 1e-5);
        }
        jem_model_destroy(model);
        jem_config_destroy(config);
        jem_context_destroy(context);
    }
}
END_TEST

/* A residual block of batch norm, activation and convolution, twice each; its last value. */
static int32_t block(jem_network *net, int32_t in, int32_t number, int64_t channels, int64_t stride)
{
    char names[5][16];
    int64_t before;
    for (int i = 0; i < 5; i++) snprintf(names[i], sizeof names[i], "b%d.%d", (int)number, i);
    OK(jem_network_shape(net, in, &before, NULL, NULL));
    int32_t x = jem_network_activation(net, jem_network_norm(net, in, names[0], "batch"), "relu");
    x = jem_network_convolution(net, x, names[1], channels, 3, stride, 1);
    x = jem_network_activation(net, jem_network_norm(net, x, names[2], "batch"), "relu");
    x = jem_network_convolution(net, x, names[3], channels, 3, 1, 1);
    if (before != channels) in = jem_network_convolution(net, in, names[4], channels, 1, stride, 0);
    return jem_network_add(net, x, in);
}

/* What a network makes of an image is bounded by what no real one needs. */
START_TEST(large_values)
{
    jem_network *net;
    int32_t x, number = 0;
    /* Wide-ResNet 28-10, also of images of 64x64. */
    for (int64_t side = 32; side <= 64; side *= 2) {
        OK(jem_network_create(&net, 3, side, side));
        x = jem_network_convolution(net, 0, "stem", 16, 3, 1, 1);
        for (int64_t group = 0; group < 3; group++)
            for (int i = 0; i < 4; i++)
                x = block(net, x, number++, (int64_t)160 << group, group && !i ? 2 : 1);
        OK(jem_network_status(net));
        jem_network_destroy(net);
    }
    OK(jem_network_create(&net, 3, 64, 64));
    x = jem_network_convolution(net, 0, "stem", 640, 3, 1, 1);
    for (int i = 0; i < 3; i++) x = block(net, x, number++, 640, 1);
    OK(jem_network_status(net));
    jem_network_destroy(net);

    OK(jem_network_create(&net, 1, 64, 64));
    jem_network_convolution(net, 0, "wide", 4096, 1, 1, 0);
    FAILS(JEM_ERROR_CONFIG, jem_network_status(net),
          "statement 1 (convolution): its result has 16777216 elements an image, expected at most "
          "4194304");
    jem_network_destroy(net);
    OK(jem_network_create(&net, 1, 64, 64));
    x = jem_network_convolution(net, 0, "wide", 1024, 1, 1, 0);
    for (int i = 0; i < 16; i++) x = jem_network_activation(net, x, "relu");
    FAILS(JEM_ERROR_CONFIG, jem_network_status(net),
          "statement 16 (relu): all values up to it have 67112960 elements an image, expected at "
          "most 67108864");
    jem_network_destroy(net);
    /* Large images may have large values: 128 times as large. */
    OK(jem_network_create(&net, 3, 256, 256));
    x = jem_network_convolution(net, 0, "wide", 384, 1, 1, 0);
    for (int i = 0; i < 6; i++) x = jem_network_activation(net, x, "relu");
    OK(jem_network_status(net));
    jem_network_convolution(net, x, "wider", 385, 1, 1, 0);
    FAILS(JEM_ERROR_CONFIG, jem_network_status(net), "expected at most 25165824");
    jem_network_destroy(net);
    jem_context *context = test_context(1);
    jem_config *config = config_of("model.architecture=network model.network=\"mean 0\" "
                                   "model.height=8192 model.width=8192");
    jem_model *model;
    FAILS(JEM_ERROR_CONFIG, jem_model_create(&model, context, config),
          "images have 201326592 elements, expected at most 67108864");
    jem_config_destroy(config);
    jem_context_destroy(context);
}
END_TEST

/* A file that claims a large network is refused before there is room for it. */
START_TEST(large_claims)
{
    jem_context *context = test_context(1);
    jem__safetensors *set;
    jem_model *model;
    int64_t size;
    OK(jem__safetensors_create(&set));
    const char *const pairs[][2] = {
        {"format", "jem"}, {"architecture", "network"}, {"channels", "4096"}, {"height", "32"},
        {"width", "64"},   {"classes", "65536"},        {"network", ""}};
    for (int i = 0; i < 7; i++) OK(jem__safetensors_set_metadata(set, pairs[i][0], pairs[i][1]));
    OK(jem__safetensors_save_memory(set, NULL, 0, &size));
    void *bytes = malloc((size_t)size);
    OK(jem__safetensors_save_memory(set, bytes, size, &size));
    FAILS(JEM_ERROR_FORMAT, jem_model_load_memory(&model, context, bytes, size),
          "class_output.weight is missing, expected shape [65536,8388608]");
    free(bytes);
    jem__safetensors_destroy(set);
    jem_context_destroy(context);
}
END_TEST

/* Trains, stops, resumes from the settings that the checkpoint recorded. */
START_TEST(training_resumes)
{
    jem_context *context = test_context(2);
    jem_config *config =
        config_of("dataset.limit=60 dataset.size=9 loader.batch=6 model.classes=10 "
                  "trainer.px_batch=4 sampler.buffer=12 sampler.steps=2 "
                  "optimizer.rate=1e-3 trainer.iterations=4");
    jem_config *recorded;
    jem_network *net;
    jem_dataset *data;
    jem_model *models[2];
    jem_trainer *trainers[2];
    char path[4200];
    snprintf(path, sizeof path, "%s/net.safetensors", test_folder());
    OK(jem_dataset_open(&data, context, "glyphs:", config));
    OK(jem_network_create(&net, 1, 9, 9));
    int32_t x = jem_network_convolution(net, 0, "c", 6, 3, 1, 1);
    x = jem_network_activation(net, jem_network_norm(net, x, "n", "act"), "silu");
    jem_network_dropout(net, jem_network_pool(net, x, "max", 2, 2, 0), 0.2);
    OK(jem_model_create_network(&models[0], context, net, config));
    jem_network_destroy(net);
    OK(jem_trainer_create(&trainers[0], models[0], data, config));
    for (int i = 0; i < 2; i++) OK(jem_trainer_step(trainers[0]));
    OK(jem_trainer_save(trainers[0], path));
    OK(jem_trainer_run(trainers[0], NULL));

    OK(jem_config_load(&recorded, path));
    OK(jem_model_create(&models[1], context, recorded));
    OK(jem_trainer_create(&trainers[1], models[1], data, recorded));
    OK(jem_trainer_resume(trainers[1], path));
    OK(jem_trainer_run(trainers[1], NULL));
    for (int64_t p = 0; p < jem_model_parameter_count(models[0]); p++) {
        int64_t n;
        float *a, *b;
        OK(jem_model_parameter_info(models[0], p, NULL, NULL, NULL, &n, NULL));
        OK(jem_model_parameter_map(models[0], p, &a));
        OK(jem_model_parameter_map(models[1], p, &b));
        ck_assert_mem_eq(a, b, (size_t)n * sizeof *a);
    }
    for (int i = 0; i < 2; i++) {
        jem_trainer_destroy(trainers[i]);
        jem_model_destroy(models[i]);
    }
    jem_dataset_destroy(data);
    jem_config_destroy(recorded);
    jem_config_destroy(config);
    jem_context_destroy(context);
}
END_TEST

TESTS("network", building, wrong_calls, hostile_text, mutated_text, files_and_clones,
      features_of_images, large_values, large_claims, training_resumes)
