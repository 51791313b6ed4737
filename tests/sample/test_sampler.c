/* The sampler with a tiny model: starts, buffer, determinism, atomicity. */
#include "helpers.h"
#include "sample/sampler.h"
#include <math.h>

enum { K = 3, C = 1, H = 8, W = 8, IMAGE = C * H * W, SLOTS = 12, N = 10 };

static jem_config *config_of(const char *more)
{
    jem_config *config;
    OK(jem_config_create(&config));
    OK(jem_config_parse(config, "model.classes=3 model.channels=1 model.height=8 model.width=8 "
                                "model.slice=2 sampler.buffer=12 sampler.steps=3"));
    OK(jem_config_parse(config, more));
    return config;
}

/* One of everything, made and destroyed together. */
typedef struct bench {
    jem_context *context;
    jem_config *config;
    jem_model *model;
    jem_sampler *sampler;
} bench;

static bench bench_of(int64_t threads, const char *settings)
{
    bench b = {test_context(threads), config_of(settings), NULL, NULL};
    OK(jem_model_create(&b.model, b.context, b.config));
    OK(jem_sampler_create(&b.sampler, b.model, b.config));
    return b;
}

static void bench_end(bench *b)
{
    /* In an order that leaves the references to do their work. */
    jem_context_destroy(b->context);
    jem_model_destroy(b->model);
    jem_config_destroy(b->config);
    jem_sampler_destroy(b->sampler);
}

static void buffer_of(const bench *b, float *x)
{
    OK(jem_sampler_buffer_get(b->sampler, 0, SLOTS, x, INT64_MAX));
}

START_TEST(uniform_starts)
{
    bench b = bench_of(2, "sampler.seed=5");
    enum { MANY = 64 };
    static float x[MANY * IMAGE], y[MANY * IMAGE];
    double mean = 0, square = 0;
    OK(jem_sampler_draw_starts(b.sampler, NULL, MANY, 100, x, INT64_MAX));
    for (int i = 0; i < MANY * IMAGE; i++) {
        ck_assert(x[i] >= -1 && x[i] < 1);
        mean += (double)x[i] / (MANY * IMAGE);
        square += (double)x[i] * (double)x[i] / (MANY * IMAGE);
    }
    ck_assert_double_eq_tol(mean, 0, 4 * sqrt(1.0 / 3 / (MANY * IMAGE)));
    ck_assert_double_eq_tol(square, 1.0 / 3, 4 * sqrt(4.0 / 45 / (MANY * IMAGE)));
    /* Addressed by number. */
    OK(jem_sampler_draw_starts(b.sampler, NULL, 1, 130, y, INT64_MAX));
    ck_assert_int_eq(memcmp(y, x + 30 * IMAGE, IMAGE * sizeof *x), 0);
    ck_assert_int_ne(memcmp(y, x + 29 * IMAGE, IMAGE * sizeof *x), 0);
    bench_end(&b);
}
END_TEST

/* Two correlated pixels per image, the rest constant. */
static jem_dataset *correlated(jem_context *context, int64_t n)
{
    float *pixels = calloc((size_t)(n * IMAGE), sizeof *pixels);
    int32_t *labels = calloc((size_t)n, sizeof *labels);
    for (int64_t i = 0; i < n; i++) {
        int32_t y = labels[i] = (int32_t)(i % K);
        float a = sinf((float)i * 1.7f), b = cosf((float)i * 0.9f);
        float *x = pixels + i * IMAGE;
        for (int j = 0; j < IMAGE; j++) x[j] = 0.2f * (float)(y - 1);
        x[0] += 0.2f * a;
        x[1] += 0.1f * a + 0.05f * b;
    }
    jem_dataset *data;
    OK(jem_dataset_create(&data, context, pixels, JEM_TYPE_F32, labels, n, C, H, W));
    free(pixels);
    free(labels);
    return data;
}

START_TEST(gaussian_starts)
{
    enum { DATA = 300, MANY = 2000 };
    bench b = bench_of(2, "sampler.start=gaussian");
    static float x[MANY * IMAGE], d[DATA * IMAGE];
    static int32_t y[MANY];
    FAILS(JEM_ERROR_STATE, jem_sampler_draw_starts(b.sampler, NULL, 1, 0, x, INT64_MAX),
          "set_data");
    FAILS(JEM_ERROR_STATE, jem_sampler_draw(b.sampler, NULL, 1, x, INT64_MAX), "set_data");
    FAILS(JEM_ERROR_STATE, jem_sampler_buffer_get(b.sampler, 0, 1, x, INT64_MAX), "set_data");
    jem_dataset *data = correlated(b.context, DATA);
    OK(jem_sampler_set_data(b.sampler, data));
    OK(jem_dataset_read(data, 0, DATA, d, INT64_MAX, NULL));
    jem_dataset_destroy(data); /* the sampler keeps what it needs */
    for (int i = 0; i < MANY; i++) y[i] = 2;
    OK(jem_sampler_draw_starts(b.sampler, y, MANY, 0, x, INT64_MAX));
    /* Mean and covariance of pixels 0, 1, 2 against those of the class. */
    double m[3] = {0}, s[3] = {0}, mc[3][3] = {{0}}, sc[3][3] = {{0}};
    for (int j = 0; j < 3; j++) {
        for (int i = 2; i < DATA; i += K) m[j] += (double)d[i * IMAGE + j] / (DATA / K);
        for (int i = 0; i < MANY; i++) s[j] += (double)x[i * IMAGE + j] / MANY;
    }
    for (int j = 0; j < 3; j++)
        for (int k = 0; k < 3; k++) {
            for (int i = 2; i < DATA; i += K)
                mc[j][k] += ((double)d[i * IMAGE + j] - m[j]) * ((double)d[i * IMAGE + k] - m[k]) /
                            (DATA / K);
            for (int i = 0; i < MANY; i++)
                sc[j][k] +=
                    ((double)x[i * IMAGE + j] - s[j]) * ((double)x[i * IMAGE + k] - s[k]) / MANY;
            if (j == k) mc[j][k] += 1e-4;
        }
    for (int j = 0; j < 3; j++) {
        ck_assert_double_eq_tol(s[j], m[j], 4 * sqrt(mc[j][j] / MANY));
        for (int k = 0; k < 3; k++) {
            double deviation = sqrt((mc[j][j] * mc[k][k] + mc[j][k] * mc[j][k]) / MANY);
            ck_assert_double_eq_tol(sc[j][k], mc[j][k], 4 * deviation);
        }
    }
    /* Without labels every class comes up. */
    int32_t seen[K] = {0};
    OK(jem_sampler_draw_starts(b.sampler, NULL, 60, 0, x, INT64_MAX));
    for (int i = 0; i < 60; i++) seen[(int)lroundf(x[i * IMAGE + 5] / 0.2f) + 1]++;
    for (int k = 0; k < K; k++) ck_assert_int_gt(seen[k], 5);
    bench_end(&b);
}
END_TEST

START_TEST(gaussian_data_must_fit)
{
    bench b = bench_of(1, "sampler.start=gaussian");
    jem_dataset *data;
    float pixels[4 * 9 * 9] = {0};
    int32_t labels[4] = {0, 0, 2, 2};
    OK(jem_dataset_create(&data, b.context, pixels, JEM_TYPE_F32, labels, 4, 1, 9, 9));
    FAILS(JEM_ERROR_SHAPE, jem_sampler_set_data(b.sampler, data), "9");
    jem_dataset_destroy(data);
    OK(jem_dataset_create(&data, b.context, pixels, JEM_TYPE_F32, labels, 4, C, H, W));
    FAILS(JEM_ERROR_STATE, jem_sampler_set_data(b.sampler, data), "class 1");
    jem_dataset_destroy(data);
    labels[1] = 7;
    OK(jem_dataset_create(&data, b.context, pixels, JEM_TYPE_F32, labels, 4, C, H, W));
    FAILS(JEM_ERROR_SHAPE, jem_sampler_set_data(b.sampler, data), "label 7");
    jem_dataset_destroy(data);
    bench_end(&b);
}
END_TEST

START_TEST(same_bits_on_any_number_of_threads)
{
    const char *const settings[] = {
        "sampler.restart=0.3", "sampler.mode=training model.norm=batch sampler.clamp=1",
        "model.dropout=0.3 sampler.mode=training", "sampler.conditional=1"};
    int32_t y[N] = {0, 1, 2, 2, 1, 0, 0, 0, 1, 2};
    for (int s = 0; s < 4; s++) {
        float x[2][N * IMAGE], buffer[2][SLOTS * IMAGE];
        for (int threads = 1; threads <= 2; threads++) {
            bench b = bench_of(threads, settings[s]);
            for (int i = 0; i < 3; i++)
                OK(jem_sampler_draw(b.sampler, s == 3 ? y : NULL, N, x[threads - 1], INT64_MAX));
            buffer_of(&b, buffer[threads - 1]);
            bench_end(&b);
        }
        ck_assert_int_eq(memcmp(x[0], x[1], sizeof x[0]), 0);
        ck_assert_int_eq(memcmp(buffer[0], buffer[1], sizeof buffer[0]), 0);
    }
}
END_TEST

START_TEST(draws_continue_their_slots)
{
    /* Without restart, noise or step, a draw shows slots as they are. */
    bench b = bench_of(2, "sampler.restart=0 sampler.noise=0 sampler.step_size=0");
    float before[SLOTS * IMAGE], after[SLOTS * IMAGE], x[N * IMAGE];
    double distance, clamped, age;
    buffer_of(&b, before);
    OK(jem_sampler_draw(b.sampler, NULL, N, x, INT64_MAX));
    for (int i = 0; i < N; i++) {
        int found = 0;
        for (int s = 0; s < SLOTS; s++)
            found |= memcmp(x + i * IMAGE, before + s * IMAGE, IMAGE * sizeof *x) == 0;
        ck_assert(found);
    }
    buffer_of(&b, after);
    ck_assert_int_eq(memcmp(before, after, sizeof before), 0);
    OK(jem_sampler_stats(b.sampler, &distance, &clamped, &age));
    ck_assert(distance == 0 && clamped == 0 && age == 0);
    for (int i = 0; i < 40; i++) OK(jem_sampler_draw(b.sampler, NULL, N, x, INT64_MAX));
    OK(jem_sampler_stats(b.sampler, NULL, NULL, &age));
    ck_assert(age > 20); /* about 40 draws of 10 from 12 slots, 3 steps each */
    bench_end(&b);
}
END_TEST

START_TEST(restarts_forget)
{
    bench b = bench_of(2, "sampler.restart=1 sampler.noise=0 sampler.step_size=0");
    float before[SLOTS * IMAGE], x[2][N * IMAGE];
    double age;
    buffer_of(&b, before);
    for (int d = 0; d < 2; d++) OK(jem_sampler_draw(b.sampler, NULL, N, x[d], INT64_MAX));
    OK(jem_sampler_stats(b.sampler, NULL, NULL, &age));
    ck_assert(age == 0);
    for (int i = 0; i < 2 * N; i++) {
        for (int s = 0; s < SLOTS; s++)
            ck_assert_int_ne(memcmp(x[0] + i * IMAGE, before + s * IMAGE, IMAGE * 4), 0);
        for (int j = 0; j < i; j++) /* no start comes twice */
            ck_assert_int_ne(memcmp(x[0] + i * IMAGE, x[0] + j * IMAGE, IMAGE * 4), 0);
    }
    bench_end(&b);
}
END_TEST

START_TEST(later_chain_keeps_a_shared_slot)
{
    bench b = bench_of(2, "sampler.buffer=1 sampler.noise=0.1");
    float x[N * IMAGE], slot[IMAGE];
    OK(jem_sampler_draw(b.sampler, NULL, N, x, INT64_MAX));
    OK(jem_sampler_buffer_get(b.sampler, 0, 1, slot, INT64_MAX));
    ck_assert_int_eq(memcmp(slot, x + (N - 1) * IMAGE, sizeof slot), 0);
    /* Two chains from one slot part company: each has its own noise. */
    ck_assert_int_ne(memcmp(x, x + IMAGE, sizeof slot), 0);
    bench_end(&b);
}
END_TEST

START_TEST(classes_have_their_blocks)
{
    bench b = bench_of(2, "sampler.conditional=1 sampler.noise=0.1");
    float before[SLOTS * IMAGE], after[SLOTS * IMAGE], x[N * IMAGE];
    int32_t y[N];
    for (int i = 0; i < N; i++) y[i] = 1;
    buffer_of(&b, before);
    OK(jem_sampler_draw(b.sampler, y, N, x, INT64_MAX));
    buffer_of(&b, after);
    int changed = 0, block = SLOTS / K;
    for (int s = 0; s < SLOTS; s++) {
        int same = memcmp(before + s * IMAGE, after + s * IMAGE, IMAGE * sizeof *x) == 0;
        ck_assert(same || s / block == 1);
        changed += !same;
    }
    ck_assert_int_gt(changed, 1);
    bench_end(&b);
    jem_config *config = config_of("sampler.conditional=1 sampler.buffer=10");
    jem_context *context = test_context(1);
    jem_model *model;
    jem_sampler *sampler = (jem_sampler *)&b;
    OK(jem_model_create(&model, context, config));
    FAILS(JEM_ERROR_CONFIG, jem_sampler_create(&sampler, model, config), "10 slots");
    ck_assert_ptr_null(sampler);
    jem_config_destroy(config);
    jem_model_destroy(model);
    jem_context_destroy(context);
}
END_TEST

/* Steps follow -dE/dx as the public gradient gives it. */
START_TEST(steps_go_downhill)
{
    bench b = bench_of(2, "sampler.noise=0 sampler.step_size=0.5");
    float x[N * IMAGE], moved[N * IMAGE], g[N * IMAGE];
    int32_t y[N] = {0, 1, 2, 0, 1, 2, 0, 1, 2, 0};
    OK(jem_sampler_draw_starts(b.sampler, NULL, N, 0, x, INT64_MAX));
    for (int labelled = 0; labelled < 2; labelled++) {
        memcpy(moved, x, sizeof x);
        OK(jem_model_energy_gradient(b.model, x, labelled ? y : NULL, N, NULL, g));
        OK(jem_sampler_step(b.sampler, moved, labelled ? y : NULL, N, 0, 0, 1));
        for (int i = 0; i < N * IMAGE; i++)
            ck_assert_float_eq_tol(moved[i], x[i] - 0.5f * g[i], 1e-6f);
    }
    bench_end(&b);
}
END_TEST

START_TEST(steps_in_parts)
{
    bench b = bench_of(2, "sampler.noise=0.05 sampler.clamp=1");
    float whole[N * IMAGE], parts[N * IMAGE];
    OK(jem_sampler_draw_starts(b.sampler, NULL, N, 0, whole, INT64_MAX));
    memcpy(parts, whole, sizeof whole);
    OK(jem_sampler_step(b.sampler, whole, NULL, N, 40, 0, 6));
    OK(jem_sampler_step(b.sampler, parts, NULL, N, 40, 0, 2));
    OK(jem_sampler_step(b.sampler, parts, NULL, N, 40, 2, 4));
    ck_assert_int_eq(memcmp(whole, parts, sizeof whole), 0);
    bench_end(&b);
    /* Far outside too: where a step begins is a matter of the chain. */
    b = bench_of(1, "sampler.noise=40");
    memcpy(parts, whole, sizeof whole);
    OK(jem_sampler_step(b.sampler, whole, NULL, N, 40, 0, 2));
    OK(jem_sampler_step(b.sampler, parts, NULL, N, 40, 0, 1));
    OK(jem_sampler_step(b.sampler, parts, NULL, N, 40, 1, 1));
    ck_assert_int_eq(memcmp(whole, parts, sizeof whole), 0);
    FAILS(JEM_ERROR_ARGUMENT, jem_sampler_step(b.sampler, parts, NULL, N, 40, 0, 1), "-1..1");
    bench_end(&b);
}
END_TEST

START_TEST(errors_leave_the_buffer)
{
    bench b = bench_of(2, "sampler.noise=0.1");
    float before[SLOTS * IMAGE], after[SLOTS * IMAGE], x[N * IMAGE], twin[N * IMAGE];
    OK(jem_sampler_draw(b.sampler, NULL, N, x, INT64_MAX));
    buffer_of(&b, before);
    /* Cancelled before it began: taken up once. */
    jem_sampler_cancel(b.sampler);
    ck_assert_int_eq(jem_sampler_draw(b.sampler, NULL, N, x, INT64_MAX), JEM_CANCELLED);
    buffer_of(&b, after);
    ck_assert_int_eq(memcmp(before, after, sizeof before), 0);
    /* Diverged: a weight is not a number. */
    float *values, kept;
    OK(jem_model_parameter_map(b.model, 0, &values));
    kept = values[0];
    values[0] = NAN;
    OK(jem_model_parameter_unmap(b.model, 0));
    FAILS(JEM_ERROR_DIVERGED, jem_sampler_draw(b.sampler, NULL, N, x, INT64_MAX), "step 0");
    FAILS(JEM_ERROR_DIVERGED, jem_sampler_draw(b.sampler, NULL, N, x, INT64_MAX), "chain");
    buffer_of(&b, after);
    ck_assert_int_eq(memcmp(before, after, sizeof before), 0);
    OK(jem_model_parameter_map(b.model, 0, &values));
    values[0] = kept;
    OK(jem_model_parameter_unmap(b.model, 0));
    /* The next draw is the one that would have come. */
    OK(jem_sampler_draw(b.sampler, NULL, N, x, INT64_MAX));
    bench other = bench_of(1, "sampler.noise=0.1");
    for (int i = 0; i < 2; i++) OK(jem_sampler_draw(other.sampler, NULL, N, twin, INT64_MAX));
    ck_assert_int_eq(memcmp(x, twin, sizeof x), 0);
    bench_end(&other);
    bench_end(&b);
}
END_TEST

/* Draws before a commit start from the same buffer, are numbered on, and the later of
   two chains from one slot stays. */
START_TEST(draws_add_up)
{
    bench b = bench_of(2, "sampler.restart=0"), whole = bench_of(1, "sampler.restart=0");
    float x[N * IMAGE], one[N * IMAGE];
    float before[SLOTS * IMAGE], after[SLOTS * IMAGE];
    enum { FIRST = N / 2 };
    OK(jem__sampler_draw_pending(b.sampler, NULL, FIRST, x));
    OK(jem__sampler_draw_pending(b.sampler, NULL, N - FIRST, x + FIRST * IMAGE));
    OK(jem__sampler_draw_pending(whole.sampler, NULL, N, one));
    ck_assert_mem_eq(x, one, sizeof x);
    jem__sampler_commit(b.sampler, x);
    jem__sampler_commit(whole.sampler, one);
    buffer_of(&b, before);
    buffer_of(&whole, after);
    ck_assert_mem_eq(before, after, sizeof before);
    double d[2], c[2], a[2];
    OK(jem_sampler_stats(b.sampler, &d[0], &c[0], &a[0]));
    OK(jem_sampler_stats(whole.sampler, &d[1], &c[1], &a[1]));
    ck_assert(d[0] == d[1] && c[0] == c[1] && a[0] == a[1]);
    bench_end(&whole);
    bench_end(&b);
}
END_TEST

/* Blocks by class serve conditional draws; the others take any slot. */
START_TEST(both_kinds_of_draws)
{
    bench b = bench_of(1, "sampler.restart=0 sampler.steps=0"),
          odd = bench_of(1, "sampler.buffer=7");
    float x[N * IMAGE], slots[SLOTS * IMAGE];
    int32_t y[N], seen[K] = {0};
    FAILS(JEM_ERROR_CONFIG, jem__sampler_by_class(odd.sampler), "7 slots");
    OK(jem__sampler_by_class(b.sampler));
    buffer_of(&b, slots);
    for (int round = 0; round < 40; round++) {
        for (int i = 0; i < N; i++) y[i] = (int32_t)((round + i) % K);
        jem__sampler_forget(b.sampler);
        OK(jem__sampler_draw_pending(b.sampler, round % 2 ? y : NULL, N, x));
        for (int i = 0; i < N; i++) {
            int64_t slot = 0, block = SLOTS / K;
            while (memcmp(x + i * IMAGE, slots + slot * IMAGE, IMAGE * sizeof *x)) slot++;
            ck_assert_int_lt(slot, SLOTS);
            if (round % 2) ck_assert_int_eq(slot / block, y[i]);
            if (round % 2 == 0) seen[slot / block]++;
        }
        jem__sampler_commit(b.sampler, x);
    }
    for (int k = 0; k < K; k++) ck_assert_int_gt(seen[k], 5);
    bench_end(&odd);
    bench_end(&b);
}
END_TEST

START_TEST(uncommitted_draws_are_forgotten)
{
    bench b = bench_of(2, "");
    float x[N * IMAGE], again[N * IMAGE], before[SLOTS * IMAGE], after[SLOTS * IMAGE];
    double distance;
    buffer_of(&b, before);
    OK(jem__sampler_draw_pending(b.sampler, NULL, N, x));
    buffer_of(&b, after);
    ck_assert_int_eq(memcmp(before, after, sizeof before), 0);
    OK(jem_sampler_stats(b.sampler, &distance, NULL, NULL));
    ck_assert(isnan(distance));
    jem__sampler_forget(b.sampler);
    OK(jem__sampler_draw_pending(b.sampler, NULL, N, again));
    ck_assert_int_eq(memcmp(x, again, sizeof x), 0);
    jem__sampler_commit(b.sampler, again);
    buffer_of(&b, after);
    ck_assert_int_ne(memcmp(before, after, sizeof before), 0);
    OK(jem_sampler_stats(b.sampler, &distance, NULL, NULL));
    ck_assert(distance > 0);
    OK(jem_sampler_draw(b.sampler, NULL, N, again, INT64_MAX));
    ck_assert_int_ne(memcmp(x, again, sizeof x), 0);
    bench_end(&b);
}
END_TEST

START_TEST(bad_arguments)
{
    bench b = bench_of(1, ""), c = bench_of(1, "sampler.conditional=1");
    float x[N * IMAGE] = {0};
    int32_t y[2] = {0, 3};
    int64_t slots;
    FAILS(JEM_ERROR_ARGUMENT, jem_sampler_create(NULL, b.model, NULL), "sampler");
    FAILS(JEM_ERROR_ARGUMENT, jem_sampler_draw(NULL, NULL, 1, x, INT64_MAX), "NULL");
    FAILS(JEM_ERROR_ARGUMENT, jem_sampler_draw(b.sampler, NULL, -1, x, INT64_MAX), "n is -1");
    FAILS(JEM_ERROR_ARGUMENT, jem_sampler_draw(b.sampler, NULL, 1, NULL, INT64_MAX), "x is NULL");
    FAILS(JEM_ERROR_ARGUMENT, jem_sampler_draw(b.sampler, y, 1, x, INT64_MAX), "expected NULL");
    FAILS(JEM_ERROR_ARGUMENT, jem_sampler_draw(c.sampler, NULL, 1, x, INT64_MAX), "labels");
    FAILS(JEM_ERROR_ARGUMENT, jem_sampler_draw(c.sampler, y, 2, x, INT64_MAX), "label 1 is 3");
    FAILS(JEM_ERROR_ARGUMENT, jem_sampler_draw_starts(b.sampler, NULL, 1, -1, x, INT64_MAX),
          "first");
    FAILS(JEM_ERROR_ARGUMENT, jem_sampler_draw_starts(b.sampler, NULL, 1, INT64_MAX, x, INT64_MAX),
          "first");
    FAILS(JEM_ERROR_ARGUMENT, jem_sampler_step(b.sampler, x, NULL, 1, 0, 0, -1), "steps");
    FAILS(JEM_ERROR_ARGUMENT, jem_sampler_step(b.sampler, x, NULL, 1, 0, UINT32_MAX, 1), "2^32");
    FAILS(JEM_ERROR_ARGUMENT, jem_sampler_step(b.sampler, x, y, 2, 0, 0, 1), "label");
    x[3] = NAN;
    FAILS(JEM_ERROR_ARGUMENT, jem_sampler_step(b.sampler, x, NULL, 1, 0, 0, 1), "value 3");
    FAILS(JEM_ERROR_ARGUMENT, jem_sampler_buffer_get(b.sampler, 5, SLOTS - 4, x, INT64_MAX),
          "0..12");
    FAILS(JEM_ERROR_ARGUMENT, jem_sampler_buffer_get(b.sampler, INT64_MAX, 1, x, INT64_MAX),
          "0..12");
    OK(jem_sampler_buffer_info(b.sampler, &slots));
    ck_assert_int_eq(slots, SLOTS);
    OK(jem_sampler_draw(b.sampler, NULL, 0, NULL, INT64_MAX));
    jem_sampler_cancel(NULL);
    jem_sampler_destroy(NULL);
    bench_end(&b);
    bench_end(&c);
}
END_TEST

TESTS("sampler", uniform_starts, gaussian_starts, gaussian_data_must_fit,
      same_bits_on_any_number_of_threads, draws_continue_their_slots, restarts_forget,
      later_chain_keeps_a_shared_slot, classes_have_their_blocks, steps_go_downhill, steps_in_parts,
      errors_leave_the_buffer, draws_add_up, both_kinds_of_draws, uncommitted_draws_are_forgotten,
      bad_arguments)
