/* Datasets through the public interface. */
#include "helpers.h"
#include <math.h>

static jem_context *make_context(void)
{
    jem_context *context;
    OK(jem_context_create(&context, NULL));
    return context;
}

/* Image i is all i, label i % 7. */
static jem_dataset *numbered(jem_context *context, int64_t n)
{
    uint8_t *pixels = malloc((size_t)n * 6 + 1);
    int32_t *labels = malloc((size_t)n * sizeof *labels + 1);
    jem_dataset *d;
    for (int64_t i = 0; i < n * 6; i++) pixels[i] = (uint8_t)(i / 6);
    for (int64_t i = 0; i < n; i++) labels[i] = (int32_t)(i % 7);
    OK(jem_dataset_create(&d, context, pixels, JEM_TYPE_U8, labels, n, 1, 2, 3));
    free(pixels); /* the arrays were copied */
    free(labels);
    return d;
}

static int64_t count_of(const jem_dataset *d)
{
    int64_t n;
    OK(jem_dataset_info(d, &n, NULL, NULL, NULL, NULL));
    return n;
}

/* Which image of numbered() image i of d is. */
static int64_t identity(const jem_dataset *d, int64_t i)
{
    float x[6];
    int32_t y;
    OK(jem_dataset_read(d, i, 1, x, INT64_MAX, &y));
    int64_t v = lroundf((x[0] + 1) * 127.5f);
    ck_assert_int_eq(y, v % 7);
    return v;
}

START_TEST(bytes_and_floats)
{
    jem_context *context = make_context();
    jem_dataset *bytes, *floats;
    uint8_t v[] = {0, 255, 51, 204};
    float f[] = {-1, 1, -0.25f, 0.125f}, x[4];
    int32_t y[2] = {9, 9};
    int64_t n, c, h, w, classes;
    OK(jem_dataset_create(&bytes, context, v, JEM_TYPE_U8, NULL, 2, 2, 1, 1));
    OK(jem_dataset_create(&floats, context, f, JEM_TYPE_F32, (int32_t[]){4, 0}, 2, 1, 1, 2));
    jem_context_destroy(context); /* children keep it */
    OK(jem_dataset_info(floats, &n, &c, &h, &w, &classes));
    ck_assert(n == 2 && c == 1 && h == 1 && w == 2 && classes == 5);
    OK(jem_dataset_read(floats, 0, 2, x, INT64_MAX, y));
    ck_assert_mem_eq(x, f, sizeof f);
    ck_assert(y[0] == 4 && y[1] == 0);
    OK(jem_dataset_info(bytes, &n, &c, &h, &w, &classes));
    ck_assert(n == 2 && c == 2 && h == 1 && w == 1 && classes == 1);
    OK(jem_dataset_read(bytes, 0, 2, x, INT64_MAX, y));
    ck_assert(x[0] == -1 && x[1] == 1 && y[0] == 0 && y[1] == 0);
    for (int i = 0; i < 4; i++) ck_assert_float_eq(x[i], (float)v[i] / 127.5f - 1.0f);
    OK(jem_dataset_read(bytes, 1, 1, x, INT64_MAX, NULL));
    ck_assert_float_eq(x[0], 51 / 127.5f - 1.0f);
    OK(jem_dataset_read(bytes, 2, 0, NULL, 0, NULL));
    jem_dataset_destroy(bytes);
    jem_dataset_destroy(floats);
}
END_TEST

START_TEST(subset_shares)
{
    jem_context *context = make_context();
    jem_dataset *all = numbered(context, 20), *odd, *nested, *none;
    int64_t indices[] = {1, 3, 5, 7, 9, 19, 1}, again[] = {6, 5, 0}, classes;
    OK(jem_dataset_subset(&odd, all, indices, 7));
    jem_dataset_destroy(all);
    for (int i = 0; i < 7; i++) ck_assert_int_eq(identity(odd, i), indices[i]);
    OK(jem_dataset_subset(&nested, odd, again, 3));
    jem_dataset_destroy(odd);
    ck_assert_int_eq(identity(nested, 0), 1);
    ck_assert_int_eq(identity(nested, 1), 19);
    ck_assert_int_eq(identity(nested, 2), 1);
    OK(jem_dataset_info(nested, NULL, NULL, NULL, NULL, &classes));
    ck_assert_int_eq(classes, 7);
    OK(jem_dataset_subset(&none, nested, NULL, 0));
    ck_assert_int_eq(count_of(none), 0);
    jem_dataset_destroy(none);
    jem_dataset_destroy(nested);
    jem_context_destroy(context);
}
END_TEST

START_TEST(split_partitions)
{
    jem_context *context = make_context();
    jem_dataset *all = numbered(context, 100), *a, *b, *c, *d;
    int64_t seen[100] = {0}, moved = 0, same = 0;
    OK(jem_dataset_split(&a, &b, all, 30, 5));
    OK(jem_dataset_split(&c, &d, all, 30, 6));
    ck_assert_int_eq(count_of(a), 30);
    ck_assert_int_eq(count_of(b), 70);
    for (int64_t i = 0; i < 30; i++) {
        seen[identity(a, i)]++;
        moved += identity(a, i) != i;
        same += identity(a, i) == identity(c, i);
    }
    for (int64_t i = 0; i < 70; i++) seen[identity(b, i)]++;
    for (int i = 0; i < 100; i++) ck_assert_int_eq(seen[i], 1);
    ck_assert_int_gt(moved, 20);
    ck_assert_int_lt(same, 10);
    jem_dataset_destroy(c);
    jem_dataset_destroy(d);
    OK(jem_dataset_split(&c, &d, all, 30, 5));
    for (int64_t i = 0; i < 30; i++) ck_assert_int_eq(identity(a, i), identity(c, i));
    jem_dataset_destroy(c);
    jem_dataset_destroy(d);
    jem_dataset_destroy(a);
    jem_dataset_destroy(b);
    OK(jem_dataset_split(&a, &b, all, 100, 0));
    ck_assert(count_of(a) == 100 && count_of(b) == 0);
    jem_dataset_destroy(a);
    jem_dataset_destroy(b);
    jem_dataset_destroy(all);
    jem_context_destroy(context);
}
END_TEST

START_TEST(balanced)
{
    jem_context *context = make_context();
    jem_dataset *all = numbered(context, 100), *a, *b, *some;
    int64_t seen[100] = {0}, classes[7] = {0}, moved = 0;
    OK(jem_dataset_balanced(&a, all, 3, 5));
    ck_assert_int_eq(count_of(a), 21);
    for (int64_t i = 0; i < 21; i++) {
        int64_t v = identity(a, i);
        ck_assert_int_eq(seen[v]++, 0);
        classes[v % 7]++;
        moved += v >= 21;
    }
    for (int k = 0; k < 7; k++) ck_assert_int_eq(classes[k], 3);
    ck_assert_int_gt(moved, 10);
    /* The same seed, the same images; another, others. */
    OK(jem_dataset_balanced(&b, all, 3, 5));
    for (int64_t i = 0; i < 21; i++) ck_assert_int_eq(identity(a, i), identity(b, i));
    jem_dataset_destroy(b);
    OK(jem_dataset_balanced(&b, all, 3, 6));
    int64_t same = 0;
    for (int64_t i = 0; i < 21; i++) same += seen[identity(b, i)];
    ck_assert_int_lt(same, 12);
    jem_dataset_destroy(a);
    jem_dataset_destroy(b);
    /* Of 30 images classes 2..6 have four each. */
    int64_t first[30];
    for (int64_t i = 0; i < 30; i++) first[i] = i;
    OK(jem_dataset_subset(&some, all, first, 30));
    OK(jem_dataset_balanced(&a, some, 4, 0));
    ck_assert_int_eq(count_of(a), 28);
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_balanced(&b, some, 5, 0), "class 2 has 4 images");
    ck_assert_ptr_null(b);
    jem_dataset_destroy(a);
    jem_dataset_destroy(some);
    jem_dataset_destroy(all);
    jem_context_destroy(context);
}
END_TEST

START_TEST(generated)
{
    jem_context *context = make_context();
    jem_config *config;
    jem_dataset *plain, *options, *keys, *letters;
    int64_t n, c, h, w, classes;
    char name[8];
    float a[64], b[64];
    OK(jem_dataset_open(&plain, context, "glyphs:size=8", NULL));
    OK(jem_dataset_info(plain, &n, &c, &h, &w, &classes));
    ck_assert(n == 20000 && c == 1 && h == 8 && w == 8 && classes == 10);
    ck_assert_int_eq(jem_dataset_class_name(plain, 7, name, sizeof name), 1);
    ck_assert_str_eq(name, "7");
    ck_assert_int_eq(jem_dataset_class_name(plain, 10, name, sizeof name), -1);
    ck_assert_int_eq(jem_dataset_class_name(plain, -1, name, sizeof name), -1);

    /* OPTIONS win over the config, and are the same keys. */
    OK(jem_config_create(&config));
    OK(jem_config_parse(config, "dataset.size=8 dataset.limit=30 dataset.seed=3"));
    OK(jem_dataset_open(&keys, context, "glyphs:", config));
    OK(jem_config_parse(config, "dataset.size=9 dataset.limit=0 dataset.seed=0"));
    OK(jem_dataset_open(&options, context, "glyphs:size=8,limit=30,seed=3", config));
    ck_assert_int_eq(count_of(options), 30);
    OK(jem_dataset_read(keys, 29, 1, a, INT64_MAX, NULL));
    OK(jem_dataset_read(options, 29, 1, b, INT64_MAX, NULL));
    ck_assert_mem_eq(a, b, sizeof a);
    OK(jem_dataset_read(plain, 29, 1, b, INT64_MAX, NULL));
    ck_assert_mem_ne(a, b, sizeof a);

    OK(jem_dataset_open(&letters, context, "letters:split=test,size=8,channels=3", NULL));
    OK(jem_dataset_info(letters, &n, &c, NULL, NULL, &classes));
    ck_assert(n == 2000 && c == 3 && classes > 20);
    jem_dataset_class_name(letters, 0, name, sizeof name);
    ck_assert_str_eq(name, "A");
    jem_dataset_destroy(letters);
    OK(jem_dataset_open(&letters, context, "noise:limit=5", NULL));
    OK(jem_dataset_info(letters, &n, &c, &h, NULL, &classes));
    ck_assert(n == 5 && c == 1 && h == 28 && classes == 1);
    jem_dataset_destroy(letters);
    jem_dataset_destroy(options);
    jem_dataset_destroy(keys);
    jem_dataset_destroy(plain);
    jem_config_destroy(config);
    jem_context_destroy(context);
}
END_TEST

START_TEST(bad_sources)
{
    jem_context *context = make_context();
    jem_dataset *d = (jem_dataset *)1;
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_open(&d, context, "tiff:x", NULL), "letters, noise");
    ck_assert_ptr_null(d);
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_open(&d, context, "", NULL), "KIND:WHERE");
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_open(&d, context, "glyphs", NULL), "'glyphs'");
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_open(&d, context, "idx:", NULL), "no folder");
    FAILS(JEM_ERROR_CONFIG, jem_dataset_open(&d, context, "glyphs:sise=3", NULL), "dataset.size");
    FAILS(JEM_ERROR_CONFIG, jem_dataset_open(&d, context, "glyphs:size=4", NULL), "8..1024");
    FAILS(JEM_ERROR_CONFIG, jem_dataset_open(&d, context, "glyphs:size", NULL), "key=value");
    FAILS(JEM_ERROR_CONFIG, jem_dataset_open(&d, context, "glyphs:seed=1 model.depth=16", NULL),
          "key=value");
    FAILS(JEM_ERROR_CONFIG, jem_dataset_open(&d, context, "letters:channels=2", NULL), "1 or 3");
    FAILS(JEM_ERROR_CONFIG, jem_dataset_open(&d, context, "noise:limit=9000000000000", NULL),
          "at most");
    FAILS(JEM_ERROR_CONFIG, jem_dataset_open(&d, context, "noise:size=1024,limit=100000", NULL),
          "at most");
    FAILS(JEM_ERROR_CONFIG, jem_dataset_open(&d, context, "glyphs:split=both", NULL), "train|test");
    FAILS(JEM_ERROR_IO, jem_dataset_open(&d, context, "idx:/nowhere/at/all", NULL), "/nowhere");
    FAILS(JEM_ERROR_IO, jem_dataset_open(&d, context, "cifar:/nowhere/at/all", NULL), "/nowhere");
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_open(&d, context, NULL, NULL), "source");
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_open(&d, NULL, "glyphs:", NULL), "context");
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_open(NULL, context, "glyphs:", NULL), "dataset");
    ck_assert_ptr_null(d);
    jem_context_destroy(context);
}
END_TEST

START_TEST(bad_arrays)
{
    jem_context *context = make_context();
    jem_dataset *d, *e = (jem_dataset *)1;
    float x[6] = {0, 0, 0, 0, NAN, 0};
    uint8_t v[6] = {0};
    int32_t y[2] = {0, -3};
    int64_t big = (int64_t)1 << 62;
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_create(&d, context, x, JEM_TYPE_F32, NULL, 2, 1, 1, 3),
          "image 1 has a non-finite value at index 1");
    x[4] = INFINITY;
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_create(&d, context, x, JEM_TYPE_F32, NULL, 2, 1, 1, 3),
          "non-finite");
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_create(&d, context, v, JEM_TYPE_U8, y, 2, 1, 1, 3),
          "label -3 of image 1");
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_create(&d, context, v, JEM_TYPE_I64, y, 1, 1, 1, 1),
          "JEM_TYPE_U8");
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_create(&d, context, v, JEM_TYPE_U8, NULL, -1, 1, 1, 1),
          "-1");
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_create(&d, context, v, JEM_TYPE_U8, NULL, big, 1, 1, 1),
          "n is");
    FAILS(JEM_ERROR_SHAPE, jem_dataset_create(&d, context, v, JEM_TYPE_U8, NULL, 1, 0, 1, 1),
          "0x1x1");
    FAILS(JEM_ERROR_SHAPE, jem_dataset_create(&d, context, v, JEM_TYPE_U8, NULL, 4, big, 2, 1),
          "addressed");
    FAILS(JEM_ERROR_SHAPE, jem_dataset_create(&d, context, v, JEM_TYPE_U8, NULL, 4, big, big, big),
          "addressed");
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_create(&d, context, NULL, JEM_TYPE_U8, NULL, 1, 1, 1, 1),
          "pixels");
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_create(&d, NULL, v, JEM_TYPE_U8, NULL, 1, 1, 1, 1),
          "context");
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_create(NULL, context, v, JEM_TYPE_U8, NULL, 1, 1, 1, 1),
          "dataset");
    ck_assert_ptr_null(d);

    OK(jem_dataset_create(&d, context, v, JEM_TYPE_U8, NULL, 6, 1, 1, 1));
    int64_t outside[] = {0, 6}, negative[] = {-1};
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_subset(&e, d, outside, 2), "indices[1] is 6");
    ck_assert_ptr_null(e);
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_subset(&e, d, negative, 1), "indices[0] is -1");
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_subset(&e, d, NULL, 1), "indices");
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_subset(&e, d, outside, -1), "count");
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_subset(&e, d, outside, big), "count");
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_subset(&e, NULL, outside, 1), "dataset");
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_subset(NULL, d, outside, 1), "subset");
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_split(&e, &e, d, 7, 0), "0..6");
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_split(&e, &e, d, -1, 0), "0..6");
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_split(&e, NULL, d, 1, 0), "second");
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_split(NULL, &e, d, 1, 0), "first");
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_split(&e, &e, NULL, 1, 0), "dataset");
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_balanced(&e, d, 0, 0), "per_class is 0");
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_balanced(&e, d, 7, 0), "expected 1..6");
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_balanced(NULL, d, 1, 0), "subset");
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_balanced(&e, NULL, 1, 0), "dataset");
    ck_assert_ptr_null(e);
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_read(d, 0, 7, x, INT64_MAX, y), "7 images");
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_read(d, 6, 1, x, INT64_MAX, y), "from 6");
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_read(d, INT64_MAX, INT64_MAX, x, INT64_MAX, y), "has 6");
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_read(d, -1, 1, x, INT64_MAX, y), "has 6");
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_read(d, 0, -1, x, INT64_MAX, y), "has 6");
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_read(NULL, 0, 1, x, INT64_MAX, y), "dataset");
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_info(NULL, NULL, NULL, NULL, NULL, NULL), "dataset");
    ck_assert_int_eq(jem_dataset_class_name(NULL, 0, NULL, 0), -1);
    jem_dataset_destroy(d);
    jem_dataset_destroy(NULL);
    jem_context_destroy(context);
}
END_TEST

START_TEST(mnist)
{
    const char *dir = test_data("data/mnist");
    char source[4200];
    if (!dir) return;
    snprintf(source, sizeof source, "idx:%s", dir);
    jem_context *context = make_context();
    jem_config *config;
    jem_dataset *d;
    int64_t n, c, h, w, classes, sum = 0;
    static float x[100 * 784];
    int32_t y[100];
    char name[4];
    OK(jem_config_create(&config));
    OK(jem_config_parse(config, "dataset.split=test"));
    OK(jem_dataset_open(&d, context, source, config));
    OK(jem_dataset_info(d, &n, &c, &h, &w, &classes));
    ck_assert(n == 10000 && c == 1 && h == 28 && w == 28 && classes == 10);
    OK(jem_dataset_read(d, 0, 100, x, INT64_MAX, y));
    const int32_t first[] = {7, 2, 1, 0, 4, 1, 4, 9, 5, 9};
    ck_assert_mem_eq(y, first, sizeof first);
    for (int i = 0; i < 784; i++) sum += lroundf((x[i] + 1) * 127.5f);
    ck_assert_int_eq(sum, 18454); /* of the first test image */
    ck_assert_int_eq(jem_dataset_class_name(d, 3, name, sizeof name), 1);
    ck_assert_str_eq(name, "3");
    jem_dataset_destroy(d);
    OK(jem_config_parse(config, "dataset.limit=60"));
    OK(jem_dataset_open(&d, context, source, config));
    ck_assert_int_eq(count_of(d), 60);
    jem_dataset_destroy(d);
    jem_config_destroy(config);
    jem_context_destroy(context);
}
END_TEST

TESTS("dataset", bytes_and_floats, subset_shares, split_partitions, balanced, generated,
      bad_sources, bad_arrays, mnist)
