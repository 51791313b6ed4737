/* Class Gaussians that a model carries: the fit against covariances known exactly, the
   law of the draws, files. */
#include "helpers.h"
#include "model/model.h"
#include "sample/factor.h"
#include "sample/sampler.h"
#include <math.h>

/* An odd shape, so that nothing depends on squares or multiples. */
enum { K = 2, C = 3, H = 7, W = 9, IMAGE = C * H * W, PER_CLASS = 64, DATA = K * PER_CLASS };

/* Orthonormal images: the cosine transform's. */
static double base(int k, int j)
{
    return sqrt((k ? 2.0 : 1.0) / IMAGE) * cos(M_PI * (j + 0.5) * k / IMAGE);
}

/* Columns of a Hadamard matrix: sums 0 and orthogonal over the images of a class. */
static double sign(int i, int k)
{
    return __builtin_popcount((unsigned)(i & k)) % 2 ? -1 : 1;
}

static double spread(int c, int k)
{
    return (c ? 1.2 : 0.9) * pow(0.85, k);
}

static double mean_of(int c, int j)
{
    return c ? 0.3 * sin(j) : -0.2;
}

/* Image i of class c = mean + sum_k spread_k sign_ik base_k: its covariance over the class
   is exactly sum_k spread_k^2 base_k base_k^T over k = 1..63. */
static jem_dataset *known_data(jem_context *context)
{
    static float x[DATA * IMAGE];
    static int32_t y[DATA];
    jem_dataset *data;
    for (int n = 0; n < DATA; n++) {
        int c = n % K, i = n / K;
        y[n] = c;
        for (int j = 0; j < IMAGE; j++) {
            double v = mean_of(c, j);
            for (int k = 1; k < PER_CLASS; k++) v += spread(c, k) * sign(i, k) * base(k, j);
            x[n * IMAGE + j] = (float)v;
        }
    }
    OK(jem_dataset_create(&data, context, x, JEM_TYPE_F32, y, DATA, C, H, W));
    return data;
}

static double covariance(int c, int j, int l, int most)
{
    double sum = 0;
    for (int k = 1; k <= most; k++) sum += pow(spread(c, k), 2) * base(k, j) * base(k, l);
    return sum;
}

typedef struct bench {
    jem_context *context;
    jem_config *config;
    jem_model *model;
    jem_dataset *data;
} bench;

static bench bench_of(int64_t threads, const char *more)
{
    bench b = {.context = test_context(threads)};
    OK(jem_config_create(&b.config));
    OK(jem_config_parse(b.config, "model.classes=2 model.channels=3 model.height=7 model.width=9 "
                                  "model.depth=10 model.widen_factor=1 sampler.start=gaussian "
                                  "sampler.buffer=4"));
    OK(jem_config_parse(b.config, more));
    OK(jem_model_create(&b.model, b.context, b.config));
    b.data = known_data(b.context);
    return b;
}

static void bench_end(bench *b)
{
    jem_dataset_destroy(b->data);
    jem_model_destroy(b->model);
    jem_config_destroy(b->config);
    jem_context_destroy(b->context);
}

START_TEST(the_factor_is_the_best_of_its_rank)
{
    const int ranks[] = {0, 4, 16, 63, 80};
    for (int t = 0; t < 5; t++) {
        char setting[64];
        snprintf(setting, sizeof setting, "sampler.start_rank=%d", ranks[t]);
        bench b = bench_of(2, setting);
        jem__factor f;
        int64_t rank, bytes;
        double explained, inside = 0, all = 0;
        OK(jem_model_starts_fit(b.model, b.data, b.config));
        OK(jem__factor_load(&f, b.model));
        ck_assert_int_eq(f.rank, ranks[t]);
        for (int c = 0; c < K; c++) {
            double off = 0, whole = 0;
            for (int j = 0; j < IMAGE; j++)
                for (int l = 0; l < IMAGE; l++) {
                    double got = 0, want = covariance(c, j, l, ranks[t] < 63 ? ranks[t] : 63);
                    double full = covariance(c, j, l, 63);
                    for (int r = 0; r < f.rank; r++)
                        got += (double)f.factor[(c * f.rank + r) * IMAGE + j] *
                               (double)f.factor[(c * f.rank + r) * IMAGE + l];
                    off += (got - want) * (got - want);
                    whole += full * full;
                    if (j != l) continue;
                    double rest = (double)f.rest[c * IMAGE + j];
                    /* Exact where there is a rest to make up for the rounding of the factor. */
                    ck_assert_double_eq_tol(got + rest * rest, full,
                                            (ranks[t] < 16 ? 1e-4 : 4e-3) * full + 1e-5);
                    ck_assert_double_eq_tol((double)f.mean[c * IMAGE + j], mean_of(c, j), 1e-5);
                }
            ck_assert_double_lt(sqrt(off / whole), 0.02);
            for (int k = 1; k < PER_CLASS; k++) {
                all += pow(spread(c, k), 2);
                if (k <= ranks[t]) inside += pow(spread(c, k), 2);
            }
        }
        OK(jem_model_starts_info(b.model, &rank, &bytes, &explained));
        ck_assert_int_eq(rank, ranks[t]);
        ck_assert_int_eq(bytes, (int64_t)K * IMAGE * (8 + 2 * ranks[t]));
        ck_assert_double_eq_tol(explained, inside / all, 0.005);
        jem__factor_clear(&f);
        bench_end(&b);
    }
}
END_TEST

/* Mean and variance of a normal that is clamped to [-1,1]. */
static void clamped(double m, double s, double *mean, double *variance)
{
    double first = 0, second = 0, width = 16 * s / 4000;
    for (int i = 0; i < 4000; i++) { /* midpoints over +-8 sigma */
        double z = -8 * s + (i + 0.5) * width, v = fmin(1, fmax(-1, m + z));
        double p = exp(-z * z / (2 * s * s)) / (s * sqrt(2 * M_PI)) * width;
        first += p * v;
        second += p * v * v;
    }
    *mean = first;
    *variance = second - first * first;
}

/* Class y's draws have the moments of the clamped Gaussian: of each pixel, and of pairs
   of pixels that the box does not reach. */
static void check_law(jem_sampler *sampler, int y, double slack)
{
    enum { MANY = 2500 };
    float *x = malloc(MANY * IMAGE * sizeof *x);
    int32_t labels[MANY];
    for (int i = 0; i < MANY; i++) labels[i] = y;
    OK(jem_sampler_draw_starts(sampler, labels, MANY, 77, x, INT64_MAX));
    double m[IMAGE], s[IMAGE], worst = 0;
    for (int j = 0; j < IMAGE; j++) {
        double sum = 0, square = 0, mean, variance, sigma = sqrt(covariance(y, j, j, 63) + 1e-4);
        for (int i = 0; i < MANY; i++) {
            double v = (double)x[i * IMAGE + j];
            ck_assert(v >= -1 && v <= 1);
            sum += v;
            square += v * v;
        }
        m[j] = sum / MANY;
        s[j] = square / MANY - m[j] * m[j];
        clamped(mean_of(y, j), sigma, &mean, &variance);
        ck_assert_double_eq_tol(m[j], mean, 4.5 * sqrt(variance / MANY));
        ck_assert_double_eq_tol(s[j], variance, 5 * variance * sqrt(2.0 / MANY) + 1e-4);
    }
    for (int j = 0; j < IMAGE; j += 5) /* correlations, which the clamp hardly moves here */
        for (int l = j + 1; l < IMAGE; l += 7) {
            double sum = 0, scale = sqrt(s[j] * s[l]);
            for (int i = 0; i < MANY; i++)
                sum += ((double)x[i * IMAGE + j] - m[j]) * ((double)x[i * IMAGE + l] - m[l]);
            double want = covariance(y, j, l, 63) /
                          sqrt((covariance(y, j, j, 63) + 1e-4) * (covariance(y, l, l, 63) + 1e-4));
            worst = fmax(worst, fabs(sum / MANY / scale - want));
        }
    ck_assert_msg(worst < slack, "correlations off by %g", worst);
    free(x);
}

START_TEST(draws_have_the_law)
{
    /* Rank 63 holds all of the covariance; 5 leaves much to the pixels' own noise. */
    for (int t = 0; t < 3; t++) {
        bench b = bench_of(1, t == 1 ? "sampler.start_rank=5" : "sampler.start_rank=63");
        jem_sampler *sampler;
        if (t < 2) OK(jem_model_starts_fit(b.model, b.data, b.config));
        OK(jem_sampler_create(&sampler, b.model, b.config));
        if (t == 2) OK(jem_sampler_set_data(sampler, b.data));
        check_law(sampler, t == 1, t == 1 ? 0.5 : 0.09);
        jem_sampler_destroy(sampler);
        bench_end(&b);
    }
}
END_TEST

/* Two classes of 8x8 images of one grey each: -v and v, give or take `by`. */
static jem_dataset *two_classes(jem_context *context, float v, float by)
{
    float pixels[80 * 64];
    int32_t y[80];
    jem_dataset *data;
    for (int i = 0; i < 80; i++) {
        y[i] = i % 2;
        for (int j = 0; j < 64; j++) pixels[i * 64 + j] = (i % 2 ? v : -v) + (i / 2 % 2 ? by : -by);
    }
    OK(jem_dataset_create(&data, context, pixels, JEM_TYPE_F32, y, 80, 1, 8, 8));
    return data;
}

START_TEST(the_box_cuts_both_tails)
{
    /* A mean of .95 and a wide spread: half of the draws stand at 1. */
    jem_context *context = test_context(1);
    jem_config *config;
    jem_model *model;
    jem_dataset *data = two_classes(context, 0.95F, 0.4F);
    jem_sampler *sampler;
    float x[400 * 64];
    int32_t ones[400];
    for (int i = 0; i < 400; i++) ones[i] = 1;
    OK(jem_config_create(&config));
    OK(jem_config_parse(config, "model.classes=2 model.channels=1 model.height=8 model.width=8 "
                                "sampler.start=gaussian sampler.start_rank=3"));
    OK(jem_model_create(&model, context, config));
    for (int with_data = 0; with_data < 2; with_data++) {
        double mean, variance, sum = 0;
        OK(jem_model_starts_fit(model, data, config));
        OK(jem_sampler_create(&sampler, model, config));
        if (with_data) OK(jem_sampler_set_data(sampler, data));
        OK(jem_sampler_draw_starts(sampler, ones, 400, 0, x, INT64_MAX));
        for (int i = 0; i < 400 * 64; i++) sum += (double)x[i] / (400 * 64);
        clamped(0.95, sqrt(0.16 + 1e-4), &mean, &variance);
        ck_assert_double_eq_tol(sum, mean, 4 * sqrt(variance / 400)); /* pixels move as one */
        jem_sampler_destroy(sampler);
    }
    jem_dataset_destroy(data);
    jem_model_destroy(model);
    jem_config_destroy(config);
    jem_context_destroy(context);
}
END_TEST

START_TEST(any_number_of_images_gives_the_covariance)
{
    /* One image of 700 in class 0 is off: only when all of them count does it show. */
    enum { MANY = 700, DRAWS = 1500 };
    const int counts[] = {0, 699, 1000};
    jem_context *context = test_context(1);
    static float pixels[(MANY + 1) * 64], x[DRAWS * 64];
    static int32_t y[MANY + 1], zeros[DRAWS];
    jem_dataset *data;
    for (int i = 0; i < MANY; i++) pixels[i * 64 + 3] = i == 650 ? 1 : 0;
    y[MANY] = 1;
    OK(jem_dataset_create(&data, context, pixels, JEM_TYPE_F32, y, MANY + 1, 1, 8, 8));
    for (int t = 0; t < 3; t++) {
        jem_config *config;
        jem_model *model;
        jem_sampler *sampler;
        double square = 0, still = 0, n = counts[t] == 699 ? 699 : 700;
        OK(jem_config_create(&config));
        OK(jem_config_parse(config, "model.classes=2 model.channels=1 model.height=8 model.width=8 "
                                    "sampler.start=gaussian"));
        OK(jem_config_set_i64(config, "sampler.start_images", counts[t]));
        OK(jem_model_create(&model, context, config));
        OK(jem_sampler_create(&sampler, model, config));
        OK(jem_sampler_set_data(sampler, data));
        OK(jem_sampler_draw_starts(sampler, zeros, DRAWS, 0, x, INT64_MAX));
        for (int i = 0; i < DRAWS; i++) {
            square += pow((double)x[i * 64 + 3] - 1.0 / MANY, 2) / DRAWS;
            still += pow((double)x[i * 64 + 4], 2) / DRAWS;
        }
        ck_assert_double_eq_tol(square, 1 / n + 1e-4, 6 / n * sqrt(2.0 / DRAWS));
        ck_assert_double_eq_tol(still, 1e-4, 6e-4 * sqrt(2.0 / DRAWS));
        jem_sampler_destroy(sampler);
        jem_model_destroy(model);
        jem_config_destroy(config);
    }
    jem_dataset_destroy(data);
    jem_context_destroy(context);
}
END_TEST

START_TEST(files_carry_them)
{
    float first[3 * IMAGE], x[3 * IMAGE];
    int32_t y[3] = {0, 1, 1};
    int64_t sizes[2];
    uint8_t *bytes[2];
    for (int threads = 1; threads <= 2; threads++) {
        bench b = bench_of(threads, "sampler.start_rank=12");
        jem_sampler *sampler;
        jem_model *again;
        char path[64];
        OK(jem_model_starts_fit(b.model, b.data, b.config));
        snprintf(path, sizeof path, "starts%d.safetensors", threads);
        OK(jem_model_save(b.model, test_path(path)));
        bytes[threads - 1] = test_get(test_path(path), &sizes[threads - 1]);
        OK(jem_sampler_create(&sampler, b.model, b.config));
        OK(jem_sampler_draw_starts(sampler, y, 3, 5, first, INT64_MAX));
        jem_sampler_destroy(sampler);
        OK(jem_model_load(&again, b.context, test_path(path)));
        OK(jem_sampler_create(&sampler, again, b.config));
        OK(jem_sampler_draw_starts(sampler, y, 3, 5, x, INT64_MAX));
        ck_assert_int_eq(memcmp(x, first, sizeof x), 0);
        OK(jem_sampler_draw(sampler, NULL, 3, x, INT64_MAX)); /* the buffer begins with them too */
        jem_sampler_destroy(sampler);
        jem_model_destroy(again);
        OK(jem_model_clone(&again, b.model));
        OK(jem_model_starts_remove(b.model)); /* the copy keeps its own */
        OK(jem_sampler_create(&sampler, again, b.config));
        OK(jem_sampler_draw_starts(sampler, y, 3, 5, x, INT64_MAX));
        ck_assert_int_eq(memcmp(x, first, sizeof x), 0);
        jem_sampler_destroy(sampler);
        OK(jem_sampler_create(&sampler, b.model, b.config));
        FAILS(JEM_ERROR_STATE, jem_sampler_draw_starts(sampler, y, 3, 5, x, INT64_MAX),
              "jem_model_starts_fit");
        jem_sampler_destroy(sampler);
        jem_model_destroy(again);
        bench_end(&b);
    }
    ck_assert(sizes[0] == sizes[1] && memcmp(bytes[0], bytes[1], (size_t)sizes[0]) == 0);
    free(bytes[0]);
    free(bytes[1]);
}
END_TEST

static void put_tensor(jem_model *model, const char *name, int64_t rank, float value)
{
    float *values = malloc((size_t)(K * (rank ? rank : 1) * IMAGE) * sizeof *values);
    jem__tensor_info t = {.name = name, .dtype = "F32", .bytes = (const uint8_t *)values};
    const int64_t shape[] = {K, rank, C, H, W};
    t.elements = 1;
    for (int i = 0; i < 5; i++)
        if (i != 1 || rank) t.elements *= t.shape[t.dimensions++] = shape[i];
    for (int64_t i = 0; i < t.elements; i++) values[i] = value;
    t.size = t.elements * 4;
    OK(jem__model_extra_set(model, &t));
    free(values);
}

START_TEST(tensors_that_do_not_fit_are_refused)
{
    bench b = bench_of(1, "");
    jem_sampler *sampler;
    put_tensor(b.model, "starts.mean", 0, 0);
    FAILS(JEM_ERROR_FORMAT, jem_sampler_create(&sampler, b.model, b.config), "no starts.rest");
    put_tensor(b.model, "starts.rest", 0, 0.5F);
    put_tensor(b.model, "starts.factor", 0, 0);
    FAILS(JEM_ERROR_FORMAT, jem_sampler_create(&sampler, b.model, b.config), "[2,rank,3,7,9]");
    put_tensor(b.model, "starts.factor", 2, NAN);
    FAILS(JEM_ERROR_FORMAT, jem_sampler_create(&sampler, b.model, b.config), "element 0");
    FAILS(JEM_ERROR_FORMAT, jem_model_starts_info(b.model, NULL, NULL, NULL), "element 0");
    put_tensor(b.model, "starts.factor", 2, 0.1F);
    OK(jem_sampler_create(&sampler, b.model, b.config));
    jem_sampler_destroy(sampler);
    OK(jem_config_parse(b.config, "sampler.start=uniform")); /* who needs none never looks */
    put_tensor(b.model, "starts.mean", 0, INFINITY);
    OK(jem_sampler_create(&sampler, b.model, b.config));
    jem_sampler_destroy(sampler);
    bench_end(&b);
}
END_TEST

START_TEST(data_must_fit)
{
    bench b = bench_of(1, "");
    jem_dataset *data;
    int64_t rank, bytes;
    float pixels[3 * 4 * IMAGE] = {0};
    int32_t y[4] = {0, 0, 0, 2};
    OK(jem_dataset_create(&data, b.context, pixels, JEM_TYPE_F32, y, 4, C, W, H));
    FAILS(JEM_ERROR_SHAPE, jem_model_starts_fit(b.model, data, b.config), "3x9x7");
    jem_dataset_destroy(data);
    OK(jem_dataset_create(&data, b.context, pixels, JEM_TYPE_F32, y, 4, C, H, W));
    FAILS(JEM_ERROR_SHAPE, jem_model_starts_fit(b.model, data, b.config), "label 2");
    jem_dataset_destroy(data);
    OK(jem_dataset_create(&data, b.context, pixels, JEM_TYPE_F32, y, 3, C, H, W));
    FAILS(JEM_ERROR_STATE, jem_model_starts_fit(b.model, data, b.config), "class 1");
    OK(jem_model_starts_info(b.model, &rank, &bytes, NULL));
    ck_assert(rank == 0 && bytes == 0);
    jem_dataset_destroy(data);
    FAILS(JEM_ERROR_ARGUMENT, jem_model_starts_fit(NULL, b.data, NULL), "model is NULL");
    FAILS(JEM_ERROR_ARGUMENT, jem_model_starts_fit(b.model, NULL, NULL), "data is NULL");
    OK(jem_model_starts_fit(b.model, b.data, NULL));
    bench_end(&b);
}
END_TEST

START_TEST(training_leaves_them_in_the_model)
{
    bench b = bench_of(2, "loader.batch=8 sampler.steps=1 sampler.clamp=1 trainer.iterations=1 "
                          "loader.flip=0 loader.crop=0 sampler.start_rank=7");
    jem_trainer *trainer;
    int64_t rank;
    OK(jem_trainer_create(&trainer, b.model, b.data, b.config));
    OK(jem_model_starts_info(b.model, &rank, NULL, NULL));
    ck_assert_int_eq(rank, 7);
    jem_trainer_destroy(trainer);
    bench_end(&b);
}
END_TEST

START_TEST(restarts_stay_in_their_class)
{
    /* Chains of p(x) in a buffer of blocks by class: every one restarts. */
    enum { SLOTS = 20, DRAWS = 40 };
    jem_context *context = test_context(1);
    jem_dataset *data = two_classes(context, 0.5F, 0.1F);
    jem_config *config;
    jem_model *model;
    jem_sampler *sampler;
    jem__sampler_state state;
    float x[DRAWS * 64];
    OK(jem_config_create(&config));
    OK(jem_config_parse(config, "model.classes=2 model.channels=1 model.height=8 model.width=8 "
                                "sampler.start=gaussian sampler.buffer=20 sampler.restart=1 "
                                "sampler.steps=1 sampler.step_size=1e-6 sampler.noise=0"));
    OK(jem_model_create(&model, context, config));
    OK(jem_sampler_create(&sampler, model, config));
    OK(jem_sampler_set_data(sampler, data));
    OK(jem__sampler_by_class(sampler));
    OK(jem_sampler_draw(sampler, NULL, DRAWS, x, INT64_MAX));
    OK(jem__sampler_state_of(sampler, &state));
    for (int64_t slot = 0; slot < SLOTS; slot++) {
        double sum = 0;
        if (state.age[slot] < 0) continue; /* never drawn */
        for (int j = 0; j < 64; j++) sum += (double)state.buffer[slot * 64 + j] / 64;
        ck_assert_double_eq_tol(sum, slot < SLOTS / 2 ? -0.5 : 0.5, 0.4);
    }
    jem_sampler_destroy(sampler);
    jem_dataset_destroy(data);
    jem_model_destroy(model);
    jem_config_destroy(config);
    jem_context_destroy(context);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {the_factor_is_the_best_of_its_rank,
                            draws_have_the_law,
                            the_box_cuts_both_tails,
                            any_number_of_images_gives_the_covariance,
                            files_carry_them,
                            tensors_that_do_not_fit_are_refused,
                            data_must_fit,
                            training_leaves_them_in_the_model,
                            restarts_stay_in_their_class,
                            NULL};
    return test_run("starts", tests);
}
