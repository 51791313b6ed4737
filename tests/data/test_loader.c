/* Batches: order, augmentation, seeking, prefetching. */
#include "helpers.h"
#include <math.h>
#include <pthread.h>

enum { SIDE = 8, IMAGE = SIDE * SIDE };

/* Image i begins with the value i/1000; label i. */
static jem_dataset *numbered(int64_t n)
{
    jem_context *context;
    jem_dataset *d;
    float *x = malloc((size_t)(n * IMAGE) * sizeof *x + 1);
    int32_t *y = malloc((size_t)n * sizeof *y + 1);
    for (int64_t i = 0; i < n * IMAGE; i++)
        x[i] = (float)(i / IMAGE) / 1000 + (float)(i % IMAGE) / 1e6f;
    for (int64_t i = 0; i < n; i++) y[i] = (int32_t)i;
    OK(jem_context_create(&context, NULL));
    OK(jem_dataset_create(&d, context, x, JEM_TYPE_F32, y, n, 1, SIDE, SIDE));
    jem_context_destroy(context);
    free(x);
    free(y);
    return d;
}

static jem_loader *load(jem_dataset *d, const char *settings)
{
    jem_config *config;
    jem_loader *l;
    OK(jem_config_create(&config));
    OK(jem_config_parse(config, settings));
    OK(jem_loader_create(&l, d, config));
    jem_config_destroy(config);
    return l;
}

typedef struct batch {
    float x[16 * IMAGE];
    int32_t y[16];
    int64_t n;
} batch;

static batch next(jem_loader *l)
{
    batch b;
    memset(&b, 0, sizeof b);
    OK(jem_loader_next(l, b.x, INT64_MAX, b.y, INT64_MAX, &b.n));
    return b;
}

static int same(const batch *a, const batch *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

START_TEST(epochs_are_permutations)
{
    jem_dataset *d = numbered(50);
    jem_loader *l = load(d, "loader.batch=16 loader.seed=3");
    int32_t order[150];
    int64_t at = 0, fixed = 0, repeated = 0;
    jem_dataset_destroy(d); /* the loader keeps it */
    while (at < 150) {
        batch b = next(l);
        ck_assert_int_eq(b.n, 16);
        for (int i = 0; i < 16; i++) {
            ck_assert_float_eq(b.x[i * IMAGE], (float)b.y[i] / 1000);
            if (at < 150) order[at++] = b.y[i];
        }
    }
    for (int epoch = 0; epoch < 3; epoch++) {
        int seen[50] = {0};
        for (int i = 0; i < 50; i++) seen[order[50 * epoch + i]]++;
        for (int i = 0; i < 50; i++) ck_assert_int_eq(seen[i], 1);
    }
    for (int i = 0; i < 50; i++) {
        fixed += order[i] == i;
        repeated += order[i] == order[i + 50];
    }
    ck_assert(fixed < 8 && repeated < 8);
    jem_loader_destroy(l);
}
END_TEST

START_TEST(without_shuffle)
{
    jem_dataset *d = numbered(10);
    jem_loader *l = load(d, "loader.batch=4 loader.shuffle=0 loader.repeat=0");
    int64_t n, position;
    float x[4 * IMAGE];
    int32_t y[4], expected = 0;
    for (int i = 0; i < 3; i++) {
        OK(jem_loader_next(l, x, INT64_MAX, y, INT64_MAX, &n));
        ck_assert_int_eq(n, i < 2 ? 4 : 2);
        for (int64_t k = 0; k < n; k++) ck_assert_int_eq(y[k], expected++);
    }
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(jem_loader_next(l, x, INT64_MAX, y, INT64_MAX, &n), JEM_END);
        ck_assert_int_eq(n, 0);
    }
    OK(jem_loader_tell(l, &position));
    ck_assert_int_eq(position, 3);
    OK(jem_loader_seek(l, 1));
    OK(jem_loader_next(l, NULL, 0, y, INT64_MAX, &n));
    ck_assert_int_eq(y[0], 4);
    OK(jem_loader_next(l, x, INT64_MAX, NULL, 0, &n));
    ck_assert_int_eq(n, 2);
    ck_assert_float_eq(x[0], 0.008f);
    jem_loader_destroy(l);
    jem_dataset_destroy(d);
}
END_TEST

START_TEST(smaller_than_a_batch)
{
    jem_dataset *d = numbered(3);
    jem_loader *l = load(d, "loader.batch=16 loader.repeat=1");
    int seen[3] = {0};
    for (int i = 0; i < 3; i++) {
        batch b = next(l);
        ck_assert_int_eq(b.n, 16);
        for (int k = 0; k < 16; k++) seen[b.y[k]]++;
    }
    for (int k = 0; k < 3; k++) ck_assert_int_eq(seen[k], 16);
    jem_loader_destroy(l);
    l = load(d, "loader.batch=16 loader.repeat=0");
    ck_assert_int_eq(next(l).n, 3);
    jem_loader_destroy(l);
    jem_dataset_destroy(d);
}
END_TEST

static const char everything[] =
    "loader.batch=16 loader.crop=2 loader.flip=1 loader.noise=0.05 loader.seed=9 loader.prefetch=";

static jem_loader *load_all(jem_dataset *d, const char *prefetch, const char *more)
{
    char settings[200];
    snprintf(settings, sizeof settings, "%s%s %s", everything, prefetch, more);
    return load(d, settings);
}

START_TEST(prefetch_changes_nothing)
{
    jem_dataset *d = numbered(41);
    jem_loader *ahead = load_all(d, "1", ""), *plain = load_all(d, "0", "");
    for (int i = 0; i < 30; i++) {
        batch a = next(ahead), b = next(plain);
        ck_assert(same(&a, &b));
    }
    jem_loader_destroy(ahead);
    jem_loader_destroy(plain);
    jem_dataset_destroy(d);
}
END_TEST

START_TEST(seek_equals_the_sequence)
{
    jem_dataset *d = numbered(41);
    static batch all[20];
    const int64_t jumps[] = {7, 7, 0, 19, 3, 4, 18, 1};
    for (int prefetch = 0; prefetch < 2; prefetch++) {
        jem_loader *l = load_all(d, prefetch ? "1" : "0", ""), *fresh;
        int64_t position;
        for (int i = 0; i < 20; i++) all[i] = next(l);
        for (int i = 0; i < 8; i++) {
            OK(jem_loader_seek(l, jumps[i]));
            batch b = next(l);
            ck_assert(same(&b, &all[jumps[i]]));
            OK(jem_loader_tell(l, &position));
            ck_assert_int_eq(position, jumps[i] + 1);
            fresh = load_all(d, prefetch ? "1" : "0", "");
            OK(jem_loader_seek(fresh, jumps[i]));
            b = next(fresh);
            ck_assert(same(&b, &all[jumps[i]]));
            jem_loader_destroy(fresh);
        }
        jem_loader_destroy(l);
    }
    jem_dataset_destroy(d);
}
END_TEST

START_TEST(seed_and_stream_matter)
{
    jem_dataset *d = numbered(41);
    jem_loader *a = load_all(d, "0", ""), *b = load_all(d, "0", "loader.seed=10"),
               *c = load_all(d, "0", "loader.stream=1");
    batch x = next(a), y = next(b), z = next(c);
    ck_assert(memcmp(x.y, y.y, sizeof x.y) != 0 && memcmp(x.y, z.y, sizeof x.y) != 0);
    ck_assert(memcmp(y.y, z.y, sizeof y.y) != 0);
    jem_loader_destroy(a);
    jem_loader_destroy(b);
    jem_loader_destroy(c);
    jem_dataset_destroy(d);
}
END_TEST

/* The same image is augmented anew in each epoch. */
START_TEST(augmentation_varies)
{
    jem_dataset *d = numbered(1);
    jem_loader *l = load(d, "loader.batch=16 loader.crop=2 loader.flip=1");
    batch b = next(l);
    int different = 0;
    for (int i = 1; i < 16; i++)
        different += memcmp(b.x, b.x + i * IMAGE, IMAGE * sizeof *b.x) != 0;
    ck_assert_int_ge(different, 10);
    for (int i = 0; i < 16 * IMAGE; i++) ck_assert(b.x[i] >= 0 && b.x[i] < 1e-4f);
    jem_loader_destroy(l);
    jem_dataset_destroy(d);
}
END_TEST

START_TEST(noise_moments)
{
    jem_dataset *d = numbered(64);
    jem_loader *l = load(d, "loader.batch=16 loader.noise=0.1 loader.shuffle=0"),
               *clean = load(d, "loader.batch=16 loader.shuffle=0");
    double sum = 0, squares = 0, n = 100 * 16 * IMAGE;
    for (int i = 0; i < 100; i++) {
        batch a = next(l), b = next(clean);
        for (int k = 0; k < 16 * IMAGE; k++) {
            double e = (double)a.x[k] - (double)b.x[k];
            sum += e;
            squares += e * e;
        }
    }
    ck_assert_double_eq_tol(sum / n, 0, 5 * 0.1 / sqrt(n));
    ck_assert_double_eq_tol(sqrt(squares / n), 0.1, 5 * 0.1 / sqrt(2 * n));
    jem_loader_destroy(l);
    jem_loader_destroy(clean);
    jem_dataset_destroy(d);
}
END_TEST

/* Destroyed before the first batch, and while the next one is being prepared. */
START_TEST(destroy_at_any_time)
{
    jem_dataset *d = numbered(41);
    for (int i = 0; i < 50; i++) {
        jem_loader *l = load_all(d, "1", "");
        for (int k = 0; k < i % 3; k++) next(l);
        jem_loader_destroy(l);
    }
    jem_loader_destroy(NULL);
    jem_dataset_destroy(d);
}
END_TEST

static void *drain(void *user)
{
    jem_loader *l = load_all(user, "1", "");
    static _Thread_local batch last;
    for (int i = 0; i < 40; i++) last = next(l);
    jem_loader_destroy(l);
    batch *out = malloc(sizeof *out);
    *out = last;
    return out;
}

START_TEST(one_dataset_many_loaders)
{
    jem_dataset *d = numbered(41);
    pthread_t threads[3];
    void *out[3];
    for (int i = 0; i < 3; i++) ck_assert_int_eq(pthread_create(&threads[i], NULL, drain, d), 0);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], &out[i]);
    ck_assert(same(out[0], out[1]) && same(out[0], out[2]));
    for (int i = 0; i < 3; i++) free(out[i]);
    jem_dataset_destroy(d);
}
END_TEST

START_TEST(bad_arguments)
{
    jem_dataset *d = numbered(5), *empty;
    jem_loader *l = (jem_loader *)1;
    jem_config *config;
    int64_t n = 3;
    OK(jem_config_create(&config));
    OK(jem_config_parse(config, "loader.crop=8"));
    FAILS(JEM_ERROR_CONFIG, jem_loader_create(&l, d, config), "images are 8x8");
    ck_assert_ptr_null(l);
    OK(jem_config_parse(config, "loader.crop=7 loader.batch=2"));
    OK(jem_dataset_subset(&empty, d, NULL, 0));
    FAILS(JEM_ERROR_STATE, jem_loader_create(&l, empty, config), "empty");
    FAILS(JEM_ERROR_ARGUMENT, jem_loader_create(&l, NULL, config), "dataset");
    FAILS(JEM_ERROR_ARGUMENT, jem_loader_create(NULL, d, config), "loader");
    OK(jem_loader_create(&l, d, config));
    FAILS(JEM_ERROR_ARGUMENT, jem_loader_next(l, NULL, 0, NULL, 0, NULL), "n is NULL");
    FAILS(JEM_ERROR_ARGUMENT, jem_loader_next(NULL, NULL, 0, NULL, 0, &n), "loader");
    ck_assert_int_eq(n, 0);
    FAILS(JEM_ERROR_ARGUMENT, jem_loader_seek(l, -1), "-1");
    FAILS(JEM_ERROR_ARGUMENT, jem_loader_seek(l, INT64_MAX), "expected 0..");
    FAILS(JEM_ERROR_ARGUMENT, jem_loader_seek(NULL, 0), "loader");
    FAILS(JEM_ERROR_ARGUMENT, jem_loader_tell(NULL, &n), "loader");
    FAILS(JEM_ERROR_ARGUMENT, jem_loader_tell(l, NULL), "position");
    OK(jem_loader_seek(l, (int64_t)1 << 40)); /* as far as it goes */
    OK(jem_loader_next(l, NULL, 0, NULL, 0, &n));
    ck_assert_int_eq(n, 2);
    FAILS(JEM_ERROR_STATE, jem_loader_next(l, NULL, 0, NULL, 0, &n), "no batch after");
    jem_loader_destroy(l);
    jem_config_destroy(config);
    jem_dataset_destroy(empty);
    jem_dataset_destroy(d);
}
END_TEST

TESTS("loader", epochs_are_permutations, without_shuffle, smaller_than_a_batch,
      prefetch_changes_nothing, seek_equals_the_sequence, seed_and_stream_matter,
      augmentation_varies, noise_moments, destroy_at_any_time, one_dataset_many_loaders,
      bad_arguments)
