/* Attacks: what they may never do, what they must find, where their numbers come from. */
#include "helpers.h"
#include <math.h>

enum { N = 21, K = 5, SIZE = 12, IMAGE = SIZE * SIZE };

static jem_context *context;
static jem_model *model;
static jem_config *config;
static float x[N * IMAGE], logits[N * K];
static int32_t y[N];

static void largest(const float *of, int32_t *best)
{
    for (int i = 0; i < N; i++) {
        best[i] = 0;
        for (int j = 1; j < K; j++)
            if (of[i * K + j] > of[i * K + best[i]]) best[i] = j;
    }
}

/* A network that answers the labels. */
static void make(int64_t threads, const char *settings)
{
    uint32_t state = 3;
    OK(jem_config_create(&config));
    OK(jem_config_parse(config, "model.classes=5 model.channels=1 model.height=12 model.width=12 "
                                "model.seed=8 attack.steps=8"));
    OK(jem_config_set_i64(config, "context.threads", threads));
    OK(jem_config_parse(config, settings));
    OK(jem_context_create(&context, config));
    OK(jem_model_create(&model, context, config));
    for (int i = 0; i < N * IMAGE; i++) {
        state = state * 1664525U + 1013904223U;
        x[i] = (float)(state >> 8) / 8388608.0F - 1;
    }
    OK(jem_model_logits(model, x, N, logits, N * K));
    largest(logits, y);
}

static void drop(void)
{
    jem_model_destroy(model);
    jem_context_destroy(context);
    jem_config_destroy(config);
}

static double distance(const float *a, const float *b, int l2)
{
    double sum = 0, most = 0;
    for (int j = 0; j < IMAGE; j++) {
        double by = fabs((double)a[j] - (double)b[j]);
        sum += by * by;
        most = fmax(most, by);
    }
    return l2 ? sqrt(sum) : most;
}

static int count(const int32_t *flags)
{
    int sum = 0;
    for (int i = 0; i < N; i++) sum += flags[i];
    return sum;
}

static const char *const norms[] = {"attack.norm=linf", "attack.norm=l2"};

static void check_bounds(const char *settings)
{
    static float found[N * IMAGE], of_found[N * K];
    static const double eps[2][3] = {{0.01, 0.05, 1.5}, {0.1, 0.5, 20}};
    int32_t robust[N], answer[N];
    make(2, settings);
    for (int l2 = 0; l2 < 2; l2++) {
        int before = N;
        OK(jem_config_parse(config, norms[l2]));
        for (int e = 0; e < 3; e++) {
            OK(jem_eval_attack(model, x, y, N, 0, eps[l2][e], config, robust, found));
            OK(jem_model_logits(model, found, N, of_found, N * K));
            largest(of_found, answer);
            for (int i = 0; i < N; i++) {
                ck_assert(distance(found + i * IMAGE, x + i * IMAGE, l2) <=
                          eps[l2][e] * (1 + 1e-5) + 1e-7);
                for (int j = 0; j < IMAGE; j++) ck_assert(fabsf(found[i * IMAGE + j]) <= 1);
                ck_assert_int_eq(robust[i], answer[i] == y[i]);
            }
            ck_assert_int_le(count(robust), before);
            before = count(robust);
        }
        ck_assert_int_lt(before, N); /* the largest eps breaks something */
    }
    drop();
}

START_TEST(inside_ball_and_box)
{
    check_bounds("attack.restarts=2");
    check_bounds("model.energy=head"); /* of which the classes know nothing */
}
END_TEST

START_TEST(no_eps_is_accuracy)
{
    static float found[N * IMAGE];
    int32_t robust[N];
    make(2, "");
    y[3] = (y[3] + 1) % K;
    y[20] = (y[20] + 1) % K;
    OK(jem_eval_attack(model, x, y, N, 0, 0, config, robust, found));
    for (int i = 0; i < N; i++) ck_assert_int_eq(robust[i], i != 3 && i != 20);
    ck_assert(!memcmp(found, x, sizeof found));
    OK(jem_config_parse(config, "attack.steps=0 attack.random_start=0"));
    OK(jem_eval_attack(model, x, y, N, 0, 0.5, config, robust, NULL));
    ck_assert_int_eq(count(robust), N - 2);
    OK(jem_eval_attack(model, x, NULL, 0, 0, 0.5, config, robust, NULL)); /* no images */
    drop();
}
END_TEST

/* The same bits for any number of threads, in parts, and again. */
START_TEST(determinism)
{
    static float found[2][N * IMAGE], distances[2][N];
    int32_t robust[2][N];
    static const char *const ways[] = {
        "attack.norm=linf attack.restarts=2",
        "attack.norm=l2 attack.refined=1 refine.copies=2 refine.noise=0.05 sampler.steps=2 "
        "attack.steps=3 attack.bisections=2"};
    for (int way = 0; way < 2; way++) {
        for (int t = 0; t < 2; t++) {
            make(t ? 3 : 1, ways[way]);
            OK(jem_eval_attack(model, x, y, N, 7, way ? 0.5 : 0.05, config, robust[t], found[t]));
            OK(jem_eval_attack_distance(model, x, y, N, 7, way ? 0.5 : 0.05, config, distances[t],
                                        NULL));
            drop();
        }
        ck_assert(!memcmp(robust[0], robust[1], sizeof *robust));
        ck_assert(!memcmp(found[0], found[1], sizeof *found));
        ck_assert(!memcmp(distances[0], distances[1], sizeof *distances));
    }
    /* Random starts follow the image's number, not its place. */
    make(2, "attack.steps=0 attack.norm=l2");
    OK(jem_eval_attack(model, x, y, N, 7, 0.01, config, robust[0], found[0]));
    OK(jem_eval_attack(model, x + 4 * IMAGE, y + 4, N - 4, 11, 0.01, config, robust[0], found[1]));
    ck_assert(!memcmp(found[0] + 4 * IMAGE, found[1], (N - 4) * IMAGE * sizeof(float)));
    OK(jem_config_parse(config, "attack.seed=1"));
    OK(jem_eval_attack(model, x, y, N, 7, 0.01, config, robust[0], found[1]));
    ck_assert(memcmp(found[0], found[1], sizeof *found) != 0);
    drop();
}
END_TEST

/* A random start is spread over the whole ball. */
START_TEST(starts)
{
    enum { MANY = 400, PIXELS = 64 };
    static float from[MANY * PIXELS], found[MANY * PIXELS];
    static int32_t label[MANY], robust[MANY];
    make(2, "model.height=8 model.width=8 attack.steps=0");
    jem_model_destroy(model);
    OK(jem_model_create(&model, context, config));
    for (int l2 = 0; l2 < 2; l2++) {
        double sum = 0, square = 0, most = 0;
        OK(jem_config_parse(config, norms[l2]));
        float first;
        OK(jem_model_logits(model, from, 1, logits, K));
        label[0] = 0;
        for (int j = 1; j < K; j++)
            if (logits[j] > logits[label[0]]) label[0] = j;
        for (int i = 1; i < MANY; i++) label[i] = label[0];
        OK(jem_eval_attack(model, from, label, MANY, 0, 1e-3, config, robust, found));
        for (int i = 0; i < MANY; i++) {
            double length = 0;
            for (int j = 0; j < PIXELS; j++) {
                double v = found[i * PIXELS + j] / 1e-3;
                sum += v;
                length += v * v;
                most = fmax(most, fabs(v));
            }
            square += l2 ? sqrt(length) : length / PIXELS;
        }
        first = (float)(square / MANY);
        ck_assert(fabs(sum / (MANY * PIXELS)) < 0.02);
        /* mean square of U(-1,1): 1/3; mean radius in d dimensions: d / (d+1) */
        ck_assert_float_eq_tol(first, l2 ? PIXELS / (PIXELS + 1.0F) : 1 / 3.0F, 0.01F);
        ck_assert(most <= 1.001);
    }
    drop();
}
END_TEST

START_TEST(least_distance)
{
    static float found[N * IMAGE], of_found[N * K];
    float far[N], coarse[N];
    int32_t robust[N], answer[N];
    make(2, "attack.bisections=6");
    y[5] = (y[5] + 1) % K;
    for (int l2 = 0; l2 < 2; l2++) {
        double eps = l2 ? 3 : 0.2;
        OK(jem_config_parse(config, norms[l2]));
        OK(jem_config_parse(config, "attack.bisections=0"));
        OK(jem_eval_attack_distance(model, x, y, N, 0, eps, config, coarse, NULL));
        OK(jem_config_parse(config, "attack.bisections=6"));
        OK(jem_eval_attack_distance(model, x, y, N, 0, eps, config, far, found));
        OK(jem_eval_attack(model, x, y, N, 0, eps, config, robust, NULL));
        OK(jem_model_logits(model, found, N, of_found, N * K));
        largest(of_found, answer);
        int nearer = 0;
        for (int i = 0; i < N; i++) {
            ck_assert_int_eq(isinf(far[i]) != 0, robust[i]);
            if (isinf(far[i])) continue;
            ck_assert(far[i] <= coarse[i]);
            nearer += far[i] < 0.7F * coarse[i];
            ck_assert(answer[i] != y[i]);
            ck_assert_double_eq_tol(distance(found + i * IMAGE, x + i * IMAGE, l2), far[i], 1e-6);
        }
        ck_assert(far[5] == 0);
        ck_assert_int_gt(nearer, N / 3);
        OK(jem_eval_attack_distance(model, x, y, N, 0, 1e-7, config, far, NULL));
        for (int i = 0; i < N; i++) ck_assert(i == 5 ? far[i] == 0 : isinf(far[i]));
    }
    drop();
}
END_TEST

/* A sure network's gradient is 0 in floats; the attack must not be fooled. */
START_TEST(saturated)
{
    int32_t robust[2][N];
    make(2, "");
    OK(jem_eval_attack(model, x, y, N, 0, 0.1, config, robust[0], NULL));
    ck_assert_int_lt(count(robust[0]), N / 2);
    for (int which = 0; which < 2; which++) {
        int64_t elements, at = jem_model_parameter_find(model, which ? "class_output.bias"
                                                                     : "class_output.weight");
        float *values;
        OK(jem_model_parameter_info(model, at, NULL, NULL, NULL, &elements, NULL));
        OK(jem_model_parameter_map(model, at, &values));
        for (int64_t i = 0; i < elements; i++) values[i] *= 1 << 20;
        OK(jem_model_parameter_unmap(model, at));
    }
    OK(jem_model_logits(model, x, N, logits, N * K));
    OK(jem_eval_attack(model, x, y, N, 0, 0.1, config, robust[1], NULL));
    ck_assert_int_le(count(robust[1]), count(robust[0]) + 2);
    drop();
}
END_TEST

/* Attacks on refined logits: one copy and no chain is the plain network, judged at
   the end; a chain's random numbers are fresh in each round. */
START_TEST(refined)
{
    static float plain[N * IMAGE], found[N * IMAGE];
    int32_t robust[N], again[N];
    make(2, "attack.steps=4 attack.random_start=0 sampler.steps=0");
    OK(jem_eval_attack(model, x, y, N, 0, 0.03, config, robust, plain));
    OK(jem_config_parse(config, "attack.refined=1"));
    OK(jem_eval_attack(model, x, y, N, 0, 0.03, config, again, found));
    for (int i = 0; i < N; i++) {
        if (!robust[i]) continue; /* else the plain attack stopped on its way */
        ck_assert_int_eq(again[i], 1);
        ck_assert(!memcmp(plain + i * IMAGE, found + i * IMAGE, IMAGE * sizeof(float)));
    }
    ck_assert_int_gt(count(robust), 0);
    ck_assert_int_lt(count(again), N);
    OK(jem_config_parse(config, "refine.copies=3 sampler.steps=0"));
    OK(jem_eval_attack(model, x, y, N, 0, 0.03, config, robust, plain));
    for (int i = 0; i < N * IMAGE; i++) ck_assert_float_eq_tol(plain[i], found[i], 1e-5F);
    OK(jem_config_parse(config, "sampler.steps=2 sampler.step_size=2 sampler.noise=0.1"));
    OK(jem_eval_attack(model, x, y, N, 0, 0.03, config, robust, plain));
    ck_assert(memcmp(plain, found, sizeof found) != 0);
    for (int i = 0; i < N; i++)
        ck_assert(distance(plain + i * IMAGE, x + i * IMAGE, 0) <= 0.03 * (1 + 1e-4));
    drop();
}
END_TEST

/* One step of an attack on refined logits, by its formula: chains with the attack's random
   numbers carry two copies of the image to x'; the gradient of the loss of their mean logits is
   taken there (EOT), and goes straight to the image (BPDA). */
static void refined_step(jem_sampler *sampler, jem_pass *pass, int64_t i, double size, float *to)
{
    enum { COPIES = 2 };
    static float end[COPIES * IMAGE], dx[COPIES * IMAGE];
    float f[COPIES * K], mean[K], df[COPIES * K];
    double g[IMAGE], length = 0, sum = 0;
    for (int c = 0; c < COPIES; c++) memcpy(end + c * IMAGE, x + i * IMAGE, IMAGE * sizeof *end);
    OK(jem_sampler_step(sampler, end, NULL, COPIES, i * COPIES, 0, 2));
    OK(jem_pass_forward(pass, end, COPIES, f, COPIES * K));
    for (int k = 0; k < K; k++) mean[k] = (f[k] + f[K + k]) / COPIES;
    for (int k = 0; k < K; k++)
        if (k != y[i]) sum += exp((double)mean[k]);
    /* softmax - onehot, over 1 - p(y given x) */
    for (int k = 0; k < COPIES * K; k++)
        df[k] = (float)(k % K == y[i] ? -1 : exp((double)mean[k % K]) / sum);
    OK(jem_pass_backward(pass, df, JEM_GRADIENT_INPUT, dx));
    for (int k = 0; k < IMAGE; k++) {
        g[k] = (double)dx[k] + (double)dx[IMAGE + k];
        length += g[k] * g[k];
    }
    for (int k = 0; k < IMAGE; k++) {
        double moved = (double)x[i * IMAGE + k] + size * g[k] / sqrt(length);
        to[k] = (float)fmin(fmax(moved, -1), 1);
    }
}

START_TEST(refined_steps)
{
    static float found[N * IMAGE], want[IMAGE];
    int32_t robust[N];
    jem_sampler *sampler;
    jem_pass *pass;
    int checked = 0;
    make(2, "attack.steps=1 attack.random_start=0 attack.refined=1 attack.norm=l2 "
            "attack.step_size=0.5 refine.copies=2 sampler.steps=2 sampler.step_size=5 "
            "sampler.noise=0.1");
    OK(jem_eval_attack(model, x, y, N, 0, 10, config, robust, found));
    OK(jem_sampler_create(&sampler, model, config));
    OK(jem_pass_create(&pass, model, JEM_PASS_INPUT_GRADIENT, 2));
    for (int64_t i = 0; i < N; i++) {
        if (distance(found + i * IMAGE, x + i * IMAGE, 1) == 0)
            continue; /* wrong before the step */
        refined_step(sampler, pass, i, 0.5, want);
        double off = distance(found + i * IMAGE, want, 1);
        ck_assert_msg(off < 1e-4, "image %d is %g off, after a step of 0.5", (int)i, off);
        checked++;
    }
    ck_assert_int_gt(checked, N / 2);
    jem_pass_destroy(pass);
    jem_sampler_destroy(sampler);
    drop();
}
END_TEST

START_TEST(one_class)
{
    int32_t robust[2], none[2] = {0, 0};
    OK(jem_config_create(&config));
    OK(jem_config_parse(config, "model.classes=1 model.channels=1 model.height=12 model.width=12"));
    OK(jem_context_create(&context, config));
    OK(jem_model_create(&model, context, config));
    OK(jem_eval_attack(model, x, none, 2, 0, 0.5, config, robust, NULL));
    ck_assert(robust[0] == 1 && robust[1] == 1);
    drop();
}
END_TEST

START_TEST(bad_input)
{
    int32_t robust[N];
    float far[N];
    make(1, "");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_attack(NULL, x, y, N, 0, 1, NULL, robust, NULL), "model is");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_attack(model, NULL, y, N, 0, 1, NULL, robust, NULL), "x is");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_attack(model, x, NULL, N, 0, 1, NULL, robust, NULL), "y is");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_attack(model, x, y, N, 0, 1, NULL, NULL, NULL), "output");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_attack(model, x, y, N, 0, -1, NULL, robust, NULL), "eps");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_attack(model, x, y, N, 0, NAN, NULL, robust, NULL), "eps");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_attack(model, x, y, N, -1, 1, NULL, robust, NULL), "first");
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_attack_distance(model, x, y, N, 0, 1, NULL, NULL, NULL),
          "output");
    OK(jem_config_parse(config, "attack.refined=1 attack.steps=1000000 attack.restarts=100000"));
    FAILS(JEM_ERROR_CONFIG, jem_eval_attack(model, x, y, N, 0, 1, config, robust, NULL), "2^32");
    y[2] = K;
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_attack(model, x, y, N, 0, 1, NULL, robust, NULL), "label 2");
    y[2] = 0;
    x[3 * IMAGE + 1] = 1.01F;
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_attack(model, x, y, N, 0, 1, NULL, robust, NULL), "image 3");
    x[3 * IMAGE + 1] = NAN;
    FAILS(JEM_ERROR_ARGUMENT, jem_eval_attack_distance(model, x, y, N, 0, 1, NULL, far, NULL),
          "image 3");
    drop();
}
END_TEST

TESTS("eval attack", inside_ball_and_box, no_eps_is_accuracy, determinism, starts, least_distance,
      saturated, refined, refined_steps, one_class, bad_input)
