/* Packed files: what was written comes back, from any source; damage is named. */
#include "base/memory.h"
#include "data/packed.h"
#include "format/safetensors.h"
#include "helpers.h"
#include <math.h>

static jem_context *context;

static jem_status open_packed(jem_dataset **d, const char *path, const char *settings)
{
    char source[4400];
    jem_config *config;
    OK(jem_config_create(&config));
    OK(jem_config_parse(config, settings));
    snprintf(source, sizeof source, "packed:%s", path);
    jem_status status = jem_dataset_open(d, context, source, config);
    jem_config_destroy(config);
    return status;
}

/* Same shape, images, labels and class names. */
static void compare(const jem_dataset *a, const jem_dataset *b)
{
    int64_t one[5], other[5];
    char name[32], same[32];
    OK(jem_dataset_info(a, one, one + 1, one + 2, one + 3, one + 4));
    OK(jem_dataset_info(b, other, other + 1, other + 2, other + 3, other + 4));
    ck_assert_mem_eq(one, other, sizeof one);
    int64_t n = one[0], values = n * one[1] * one[2] * one[3];
    float *xa = malloc((size_t)values * 4 + 1), *xb = malloc((size_t)values * 4 + 1);
    int32_t *ya = malloc((size_t)n * 4 + 1), *yb = malloc((size_t)n * 4 + 1);
    OK(jem_dataset_read(a, 0, n, xa, INT64_MAX, ya));
    OK(jem_dataset_read(b, 0, n, xb, INT64_MAX, yb));
    ck_assert_mem_eq(xa, xb, (size_t)values * 4);
    ck_assert_mem_eq(ya, yb, (size_t)n * 4);
    for (int64_t k = 0; k < one[4]; k++) {
        jem_dataset_class_name(a, k, name, sizeof name);
        jem_dataset_class_name(b, k, same, sizeof same);
        ck_assert_str_eq(name, same);
    }
    free(xa);
    free(xb);
    free(ya);
    free(yb);
}

static jem_dataset *letters(const char *options)
{
    jem_dataset *d;
    char source[128];
    snprintf(source, sizeof source, "letters:%s", options);
    OK(jem_dataset_open(&d, context, source, NULL));
    return d;
}

/* An image of each value in turn. */
static jem_dataset *floats(int64_t n)
{
    float *x = malloc((size_t)n * 15 * sizeof *x);
    jem_dataset *d;
    for (int64_t i = 0; i < n * 15; i++) x[i] = (float)sin((double)i);
    OK(jem_dataset_create(&d, context, x, JEM_TYPE_F32, NULL, n, 1, 3, 5));
    free(x);
    return d;
}

START_TEST(round_trip)
{
    const char *path = test_path("set.jem");
    jem_dataset *sets[] = {letters("size=9,limit=700"), letters("size=8,channels=3,limit=130"),
                           floats(77), NULL},
                *d, *parts[4];
    int64_t chosen[] = {3, 129, 3, 0, 1, 2};
    OK(jem_dataset_subset(&sets[3], sets[1], chosen, 6));
    for (int i = 0; i < 4; i++) {
        jem__safetensors *set;
        OK(jem_dataset_save(sets[i], path));
        for (int map = 0; map < 2; map++) {
            OK(open_packed(&d, path, map ? "dataset.map=1" : ""));
            compare(d, sets[i]);
            OK(jem_dataset_split(&parts[0], &parts[1], d, 3, 1));
            OK(jem_dataset_split(&parts[2], &parts[3], sets[i], 3, 1));
            compare(parts[0], parts[2]);
            compare(parts[1], parts[3]);
            for (int j = 0; j < 4; j++) jem_dataset_destroy(parts[j]);
            jem_dataset_destroy(d);
        }
        OK(jem__safetensors_load(&set, path)); /* and any other reader */
        ck_assert_str_eq(jem__safetensors_find(set, "labels")->dtype, "I32");
        ck_assert_int_eq(jem__safetensors_find(set, "labels")->at % 8, 0);
        jem__safetensors_destroy(set);
        /* A packed file of a packed file, over itself. */
        uint8_t *before, *after;
        int64_t size, again;
        before = test_get(path, &size);
        OK(open_packed(&d, path, ""));
        OK(jem_dataset_save(d, path));
        compare(d, sets[i]);
        jem_dataset_destroy(d);
        after = test_get(path, &again);
        ck_assert_int_eq(size, again);
        ck_assert_mem_eq(before, after, (size_t)size);
        free(before);
        free(after);
        jem_dataset_destroy(sets[i]);
    }
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_save(NULL, path), "dataset");
    OK(open_packed(&d, path, "dataset.limit=2"));
    int64_t n, classes;
    OK(jem_dataset_info(d, &n, NULL, NULL, NULL, &classes));
    ck_assert(n == 2 && classes > 20);
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_save(d, NULL), "path");
    FAILS(JEM_ERROR_IO, jem_dataset_save(d, "/nonexistent/a.jem"), "/nonexistent");
    jem_dataset_destroy(d);
}
END_TEST

/* The loader's batches, with and without its thread. */
START_TEST(same_batches)
{
    const char *path = test_path("loaded.jem");
    enum { BATCH = 16, VALUES = BATCH * 81 };
    jem_dataset *sets[3];
    jem_loader *loaders[3];
    jem_config *config;
    float x[3][VALUES];
    int32_t y[3][BATCH];
    int64_t n;
    sets[0] = letters("size=9,limit=100");
    OK(jem_dataset_save(sets[0], path));
    OK(open_packed(&sets[1], path, ""));
    OK(open_packed(&sets[2], path, "dataset.map=1"));
    OK(jem_config_create(&config));
    for (int prefetch = 0; prefetch < 2; prefetch++) {
        OK(jem_config_parse(config, "loader.batch=16 loader.crop=3 loader.flip=1"));
        OK(jem_config_set_i64(config, "loader.prefetch", prefetch));
        for (int i = 0; i < 3; i++) OK(jem_loader_create(&loaders[i], sets[i], config));
        for (int64_t step = 0; step < 20; step++) {
            for (int i = 0; i < 3; i++) {
                if (step == 10) OK(jem_loader_seek(loaders[i], 3));
                OK(jem_loader_next(loaders[i], x[i], INT64_MAX, y[i], INT64_MAX, &n));
                ck_assert_mem_eq(x[0], x[i], sizeof x[0]);
                ck_assert_mem_eq(y[0], y[i], sizeof y[0]);
            }
        }
        for (int i = 0; i < 3; i++) jem_loader_destroy(loaders[i]);
    }
    for (int i = 0; i < 3; i++) jem_dataset_destroy(sets[i]);
    jem_config_destroy(config);
}
END_TEST

/* Opens the bytes and reads all; the first failure. */
static jem_status try_bytes(const uint8_t *bytes, int64_t size)
{
    const char *path = test_path("try.jem");
    jem_dataset *d;
    float x[40 * 64];
    int32_t y[40];
    int64_t n;
    test_put_new(path, bytes, size);
    jem_status status = open_packed(&d, path, "");
    if (status) {
        ck_assert_ptr_null(d);
        return status;
    }
    OK(jem_dataset_info(d, &n, NULL, NULL, NULL, NULL));
    ck_assert_int_eq(n, 40);
    status = jem_dataset_read(d, 0, n, x, INT64_MAX, y);
    jem_dataset_destroy(d);
    return status;
}

START_TEST(damaged)
{
    const char *path = test_path("whole.jem");
    jem_dataset *d = letters("size=8,limit=40");
    int64_t size, tried = 0;
    OK(jem_dataset_save(d, path));
    jem_dataset_destroy(d);
    uint8_t *bytes = test_get(path, &size);
    OK(try_bytes(bytes, size));
    for (int64_t cut = 0; cut < size; cut += cut < 900 ? 7 : 53)
        ck_assert_int_eq(try_bytes(bytes, cut), JEM_ERROR_FORMAT);
    for (int64_t bit = 0; bit < size * 8; bit += bit < 900 * 8 ? 5 : 31, tried++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        jem_status status = try_bytes(bytes, size);
        ck_assert_msg(status == JEM_ERROR_FORMAT || status == JEM_ERROR_SHAPE, "bit %d: %s",
                      (int)bit, jem_status_name(status));
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    ck_assert_int_gt(tried, 2000);
    free(bytes);
    FAILS(JEM_ERROR_FORMAT, open_packed(&d, test_source("examples/models/glyphs.safetensors"), ""),
          "format is 'jem', expected 'jem-images'");
    FAILS(JEM_ERROR_IO, open_packed(&d, test_path(""), ""), "not a regular file");
    FAILS(JEM_ERROR_IO, open_packed(&d, test_path("absent.jem"), ""), "absent.jem");
}
END_TEST

/* A file whose checksums are right and whose content is not. */
START_TEST(hostile)
{
    enum { N = 4, IMAGE = 60, TABLE = 4 * N };
    const char *path = test_path("hostile.jem");
    const float none = NAN;
    uint32_t sum;
    int64_t size;
    float x[N * 15];
    jem_dataset *d = floats(N);
    OK(jem_dataset_save(d, path));
    jem_dataset_destroy(d);
    uint8_t *bytes = test_get(path, &size);
    uint8_t *seal = bytes + size - 8, *sums = seal - TABLE, *labels = sums - TABLE,
            *images = labels - N * IMAGE;

    memcpy(images + IMAGE + 8, &none, sizeof none); /* of image 1 */
    sum = jem__packed_sum(0, images + IMAGE, IMAGE);
    memcpy(sums + 4, &sum, 4);
    sum = jem__packed_sum(0, labels, 2 * TABLE);
    memcpy(seal + 4, &sum, 4);
    test_put(path, bytes, size);
    OK(open_packed(&d, path, ""));
    FAILS(JEM_ERROR_FORMAT, jem_dataset_read(d, 0, N, x, N * 15, NULL),
          "image 1 has a non-finite value at index 2");
    jem_dataset_destroy(d);

    char *classes = NULL;
    for (uint8_t *at = bytes; at < images - 12; at++)
        if (!memcmp(at, "\"classes\":\"1\"", 13)) classes = (char *)at;
    ck_assert_ptr_nonnull(classes);
    memcpy(classes, "\"classes\":\"0\"", 13);
    sum = jem__packed_sum(0, bytes, images - bytes);
    memcpy(seal, &sum, 4);
    test_put(path, bytes, size);
    FAILS(JEM_ERROR_FORMAT, open_packed(&d, path, ""), "expected a number in 1..65536");
    free(bytes);

    const uint8_t pixel = 0;
    const int32_t label = 65536;
    OK(jem_dataset_create(&d, context, &pixel, JEM_TYPE_U8, &label, 1, 1, 1, 1));
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_save(d, path), "65537 classes");
    jem_dataset_destroy(d);
}
END_TEST

/* A file of no images of h x w floats, with checksums that are right. */
static void put_empty(const char *path, int64_t h, int64_t w, const char *classes,
                      const char *names)
{
    const int64_t shape[] = {0, h, w, 1}, none = 0, two = 2;
    jem__safetensors *set;
    jem__text text = {0};
    OK(jem__safetensors_create(&set));
    OK(jem__safetensors_set_metadata(set, "format", JEM__PACKED_FORMAT));
    OK(jem__safetensors_set_metadata(set, "version", JEM__PACKED_VERSION));
    OK(jem__safetensors_set_metadata(set, "classes", classes));
    if (names) OK(jem__safetensors_set_metadata(set, "class_names", names));
    OK(jem__safetensors_add(set, "images", "F32", 4, shape, NULL));
    OK(jem__safetensors_add(set, "labels", "I32", 1, &none, NULL));
    OK(jem__safetensors_add(set, "checksums", "U32", 1, &none, NULL));
    OK(jem__safetensors_add(set, "seal", "U32", 1, &two, NULL));
    OK(jem__safetensors_header(set, &text));
    const uint32_t seal[] = {jem__packed_sum(0, text.bytes, text.length), 0};
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(fwrite(text.bytes, 1, (size_t)text.length, f), text.length);
    ck_assert_int_eq(fwrite(seal, 1, sizeof seal, f), sizeof seal);
    fclose(f);
    jem__free(text.bytes);
    jem__safetensors_destroy(set);
}

/* Images that nobody has may still be too large to be counted, and need no memory if they are
   not. */
START_TEST(no_images)
{
    const char *path = test_path("none.jem");
    const int64_t large = (int64_t)1 << 30;
    jem_dataset *d;
    put_empty(path, 2 * large, 2 * large, "1", NULL);
    FAILS(JEM_ERROR_SHAPE, open_packed(&d, path, ""), "more than can be addressed");
    FAILS(JEM_ERROR_SHAPE,
          jem_dataset_create(&d, context, NULL, JEM_TYPE_F32, NULL, 0, 1, 2 * large, 2 * large),
          "more than can be addressed");
    put_empty(path, large, large, "1", NULL);
    for (int map = 0; map < 2; map++) {
        OK(open_packed(&d, path, map ? "dataset.map=1" : ""));
        OK(jem_dataset_save(d, path));
        jem_dataset_destroy(d);
    }
}
END_TEST

/* Every class of many has its name at once: a walk from the text's beginning for each would take
   longer than a test may. */
START_TEST(many_names)
{
    enum { NAME = 8 };
    const char *path = test_path("many.jem");
    char *names = malloc(JEM__PACKED_CLASSES * NAME + 1), name[16], expected[16];
    jem_dataset *d;
    for (int k = 0; k < JEM__PACKED_CLASSES; k++)
        snprintf(names + k * NAME, NAME + 1, "c%06d\n", k);
    put_empty(path, 1, 1, "65536", names);
    for (int copy = 0; copy < 2; copy++) {
        OK(open_packed(&d, path, ""));
        for (int k = 0; k < JEM__PACKED_CLASSES; k++) {
            snprintf(expected, sizeof expected, "c%06d", k);
            ck_assert_int_eq(jem_dataset_class_name(d, k, name, sizeof name), NAME - 1);
            ck_assert(strcmp(name, expected) == 0);
        }
        OK(jem_dataset_save(d, path));
        jem_dataset_destroy(d);
    }
    free(names);
}
END_TEST

START_TEST(names_that_do_not_fit)
{
    const char *path = test_path("names.jem");
    char longest[JEM__PACKED_NAME + 1], name[JEM__PACKED_NAME];
    jem_dataset *d;
    put_empty(path, 1, 1, "3", "a\nb\n");
    FAILS(JEM_ERROR_FORMAT, open_packed(&d, path, ""), "class_names has 2 lines, expected 3");
    put_empty(path, 1, 1, "3", "a\nb\nc\nd");
    FAILS(JEM_ERROR_FORMAT, open_packed(&d, path, ""), "class_names has 4 lines, expected 3");
    put_empty(path, 1, 1, "3", "a\n\nc"); /* a class without a name; no line break at the end */
    OK(open_packed(&d, path, ""));
    jem_dataset_class_name(d, 1, name, sizeof name);
    ck_assert_str_eq(name, "1");
    jem_dataset_class_name(d, 2, name, sizeof name);
    ck_assert_str_eq(name, "c");
    jem_dataset_destroy(d);
    memset(longest, 'x', sizeof longest);
    longest[JEM__PACKED_NAME] = 0;
    put_empty(path, 1, 1, "1", longest);
    FAILS(JEM_ERROR_FORMAT, open_packed(&d, path, ""), "class 0 is longer than expected");
    longest[JEM__PACKED_NAME - 1] = 0;
    put_empty(path, 1, 1, "1", longest);
    OK(open_packed(&d, path, ""));
    jem_dataset_class_name(d, 0, name, sizeof name);
    ck_assert_str_eq(name, longest);
    jem_dataset_destroy(d);
}
END_TEST

/* The file shrinks, or its bytes change, while it is open. */
START_TEST(changes_later)
{
    const char *path = test_path("later.jem");
    jem_dataset *d = letters("size=8,limit=1000"), *packed;
    float x[64];
    int64_t size;
    OK(jem_dataset_save(d, path));
    OK(open_packed(&packed, path, ""));
    uint8_t *bytes = test_get(path, &size);
    ck_assert_int_eq(truncate(path, 40000), 0);
    OK(jem_dataset_read(packed, 3, 1, x, INT64_MAX, NULL));
    FAILS(JEM_ERROR_IO, jem_dataset_read(packed, 900, 1, x, INT64_MAX, NULL),
          "later.jem: shrank from");
    memset(bytes + size / 2, 0, 64);
    test_put(path, bytes, size);
    int64_t broken = 0;
    for (int64_t i = 0; i < 1000; i++) {
        jem_status status = jem_dataset_read(packed, i, 1, x, INT64_MAX, NULL);
        if (status) FAILS(JEM_ERROR_FORMAT, status, "is damaged (its checksum differs)");
        broken += status != 0;
    }
    ck_assert(broken == 1 || broken == 2);
    free(bytes);
    jem_dataset_destroy(packed);
    jem_dataset_destroy(d);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        round_trip, same_batches,          damaged,       hostile, no_images,
        many_names, names_that_do_not_fit, changes_later, NULL};
    context = test_context(2);
    int result = test_run("packed", tests);
    jem_context_destroy(context);
    return result;
}
