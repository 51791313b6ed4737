/* Datasets whose images the host hands over. */
#include "helpers.h"
#include <math.h>
#include <pthread.h>

enum { N = 40, C = 3, H = 5, W = 4, IMAGE = C * H * W, CLASSES = 3 };

typedef struct host {
    jem_type type;
    int32_t fails, bad_label, bad_value, released;
    int64_t calls, images;
    pthread_t caller; /* the only thread that may be seen */
} host;

static uint8_t byte_of(int64_t i, int64_t j)
{
    return (uint8_t)(i * 31 + j * 7);
}

static int32_t read_images(void *user, const int64_t *indices, int64_t n, void *pixels,
                           int32_t *labels)
{
    host *h = user;
    ck_assert(pthread_equal(h->caller, pthread_self()));
    h->calls++;
    h->images += pixels ? n : 0;
    if (h->fails) return h->fails;
    for (int64_t i = 0; i < n; i++) {
        ck_assert(indices[i] >= 0 && indices[i] < N);
        if (labels) labels[i] = h->bad_label ? h->bad_label : (int32_t)(indices[i] % CLASSES);
        for (int64_t j = 0; pixels && j < IMAGE; j++)
            if (h->type == JEM_TYPE_U8)
                ((uint8_t *)pixels)[i * IMAGE + j] = byte_of(indices[i], j);
            else
                ((float *)pixels)[i * IMAGE + j] =
                    h->bad_value ? NAN : (float)byte_of(indices[i], j) / 127.5f - 1.0f;
    }
    return 0;
}

static void release(void *user)
{
    ((host *)user)->released++;
}

static jem_dataset *streamed(jem_context *context, host *h, jem_type type)
{
    jem_dataset *d;
    const jem_dataset_callbacks callbacks = {sizeof callbacks, h, read_images, release};
    *h = (host){.type = type, .caller = pthread_self()};
    OK(jem_dataset_create_callbacks(&d, context, &callbacks, type, N, C, H, W, CLASSES));
    return d;
}

/* The same images in memory. */
static jem_dataset *stored(jem_context *context)
{
    uint8_t pixels[N * IMAGE];
    int32_t labels[N];
    jem_dataset *d;
    for (int64_t i = 0; i < N; i++) {
        labels[i] = (int32_t)(i % CLASSES);
        for (int64_t j = 0; j < IMAGE; j++) pixels[i * IMAGE + j] = byte_of(i, j);
    }
    OK(jem_dataset_create(&d, context, pixels, JEM_TYPE_U8, labels, N, C, H, W));
    return d;
}

static void compare_reads(const jem_dataset *a, const jem_dataset *b)
{
    float xa[N * IMAGE], xb[N * IMAGE];
    int32_t ya[N], yb[N];
    int64_t n;
    OK(jem_dataset_info(a, &n, NULL, NULL, NULL, NULL));
    OK(jem_dataset_read(a, 0, n, xa, INT64_MAX, ya));
    OK(jem_dataset_read(b, 0, n, xb, INT64_MAX, yb));
    ck_assert_mem_eq(xa, xb, (size_t)(n * IMAGE) * sizeof *xa);
    ck_assert_mem_eq(ya, yb, (size_t)n * sizeof *ya);
    OK(jem_dataset_read(a, 0, n, NULL, 0, yb));
    ck_assert_mem_eq(ya, yb, (size_t)n * sizeof *ya);
}

static void compare_loaders(jem_dataset *a, jem_dataset *b)
{
    enum { BATCH = 9 };
    jem_loader *la, *lb;
    jem_config *config;
    float xa[BATCH * IMAGE], xb[BATCH * IMAGE];
    int32_t ya[BATCH], yb[BATCH];
    int64_t n;
    OK(jem_config_create(&config));
    OK(jem_config_parse(config, "loader.batch=9 loader.crop=2 loader.flip=1 loader.noise=0.1"));
    OK(jem_loader_create(&la, a, config));
    OK(jem_loader_create(&lb, b, config));
    for (int i = 0; i < 12; i++) {
        if (i == 6) {
            OK(jem_loader_seek(la, 2));
            OK(jem_loader_seek(lb, 2));
        }
        OK(jem_loader_next(la, xa, INT64_MAX, ya, INT64_MAX, &n));
        OK(jem_loader_next(lb, xb, INT64_MAX, yb, INT64_MAX, &n));
        ck_assert_mem_eq(xa, xb, sizeof xa);
        ck_assert_mem_eq(ya, yb, sizeof ya);
    }
    jem_loader_destroy(la);
    jem_loader_destroy(lb);
    jem_config_destroy(config);
}

START_TEST(same_as_in_memory)
{
    jem_context *context = test_context(2);
    jem_dataset *d, *e = stored(context), *parts[4];
    host h;
    for (jem_type type = JEM_TYPE_U8; type <= JEM_TYPE_F32; type++) {
        int64_t chosen[] = {5, 39, 5, 0}, n, c, height, w, classes;
        d = streamed(context, &h, type);
        OK(jem_dataset_info(d, &n, &c, &height, &w, &classes));
        ck_assert(n == N && c == C && height == H && w == W && classes == CLASSES);
        ck_assert_int_eq(h.calls, 0);
        compare_reads(d, e);
        compare_loaders(d, e);
        OK(jem_dataset_split(&parts[0], &parts[1], d, 11, 3));
        OK(jem_dataset_split(&parts[2], &parts[3], e, 11, 3));
        compare_reads(parts[0], parts[2]);
        compare_reads(parts[1], parts[3]);
        compare_loaders(parts[1], parts[3]);
        for (int i = 0; i < 4; i++) jem_dataset_destroy(parts[i]);
        OK(jem_dataset_subset(&parts[0], d, chosen, 4));
        OK(jem_dataset_subset(&parts[1], e, chosen, 4));
        jem_dataset_destroy(d);
        ck_assert_int_eq(h.released, 0); /* the subset uses it */
        compare_reads(parts[0], parts[1]);
        jem_dataset_destroy(parts[0]);
        jem_dataset_destroy(parts[1]);
        ck_assert_int_eq(h.released, 1);
    }
    jem_dataset_destroy(e);
    jem_context_destroy(context);
}
END_TEST

START_TEST(failures)
{
    jem_context *context = test_context(1);
    host h;
    jem_dataset *d = streamed(context, &h, JEM_TYPE_F32), *bytes;
    jem_loader *loader;
    float x[64 * IMAGE];
    int32_t y[64];
    int64_t n, position;
    OK(jem_loader_create(&loader, d, NULL));
    h.fails = 7;
    FAILS(JEM_ERROR_IO, jem_loader_next(loader, x, INT64_MAX, y, INT64_MAX, &n),
          "gave 7 for 64 images");
    FAILS(JEM_ERROR_IO, jem_dataset_read(d, 3, 2, x, INT64_MAX, y), "first of which is 3");
    h.fails = 0;
    h.bad_label = CLASSES;
    FAILS(JEM_ERROR_ARGUMENT, jem_loader_next(loader, x, INT64_MAX, y, INT64_MAX, &n),
          "the label 3, expected 0..2");
    h.bad_label = -1;
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_read(d, 3, 2, NULL, 0, y), "image 3 the label -1");
    h.bad_label = 0;
    h.bad_value = 1;
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_read(d, 3, 2, x, INT64_MAX, NULL),
          "image 3 a non-finite value");
    h.bad_value = 0;
    OK(jem_loader_tell(loader, &position));
    ck_assert_int_eq(position, 0);
    OK(jem_loader_next(loader, x, INT64_MAX, y, INT64_MAX, &n));
    ck_assert_int_eq(n, 64);
    jem_loader_destroy(loader);
    jem_dataset_destroy(d);

    jem_dataset_callbacks callbacks = {sizeof callbacks, &h, read_images, release};
    h = (host){0};
    FAILS(JEM_ERROR_ARGUMENT,
          jem_dataset_create_callbacks(&d, context, NULL, JEM_TYPE_U8, 1, 1, 1, 1, 1), "callbacks");
    FAILS(JEM_ERROR_ARGUMENT,
          jem_dataset_create_callbacks(&d, context, &callbacks, JEM_TYPE_I32, 1, 1, 1, 1, 1),
          "type is");
    FAILS(JEM_ERROR_ARGUMENT,
          jem_dataset_create_callbacks(&d, context, &callbacks, JEM_TYPE_U8, -1, 1, 1, 1, 1), "-1");
    FAILS(JEM_ERROR_SHAPE,
          jem_dataset_create_callbacks(&d, context, &callbacks, JEM_TYPE_U8, 1, 0, 1, 1, 1), "0x1");
    FAILS(JEM_ERROR_ARGUMENT,
          jem_dataset_create_callbacks(&d, context, &callbacks, JEM_TYPE_U8, 1, 1, 1, 1, 0),
          "classes is 0");
    FAILS(JEM_ERROR_ARGUMENT,
          jem_dataset_create_callbacks(&d, NULL, &callbacks, JEM_TYPE_U8, 1, 1, 1, 1, 1),
          "context");
    FAILS(JEM_ERROR_ARGUMENT,
          jem_dataset_create_callbacks(NULL, context, &callbacks, JEM_TYPE_U8, 1, 1, 1, 1, 1),
          "dataset");
    callbacks.struct_size -= 8;
    FAILS(JEM_ERROR_ARGUMENT,
          jem_dataset_create_callbacks(&d, context, &callbacks, JEM_TYPE_U8, 1, 1, 1, 1, 1),
          "struct_size");
    callbacks.struct_size += 8;
    callbacks.read = NULL;
    FAILS(JEM_ERROR_ARGUMENT,
          jem_dataset_create_callbacks(&d, context, &callbacks, JEM_TYPE_U8, 1, 1, 1, 1, 1),
          "read is NULL");
    ck_assert_ptr_null(d);
    ck_assert_int_eq(h.released, 0);
    callbacks.read = read_images;
    callbacks.release = NULL;
    OK(jem_dataset_create_callbacks(&bytes, context, &callbacks, JEM_TYPE_U8, 0, 1, 1, 1, 1));
    jem_dataset_destroy(bytes);
    jem_context_destroy(context);
}
END_TEST

/* A trainer and Gaussian starts ask the host on the calling thread alone, and learn the same as
   from memory; a step whose images fail can be made again. */
START_TEST(training)
{
    jem_context *context = test_context(2);
    host h;
    jem_dataset *data[] = {streamed(context, &h, JEM_TYPE_U8), stored(context)};
    float weights[2][16 * 3 * 9];
    jem_config *config;
    OK(jem_config_create(&config));
    OK(jem_config_parse(config,
                        "model.height=5 model.width=4 model.classes=3 loader.batch=8 "
                        "sampler.buffer=8 sampler.steps=1 sampler.start=gaussian loader.crop=1"));
    for (int i = 0; i < 2; i++) {
        jem_model *model;
        jem_trainer *trainer;
        OK(jem_model_create(&model, context, config));
        OK(jem_trainer_create(&trainer, model, data[i], config));
        for (int step = 0; step < 3; step++) {
            if (i == 0 && step == 1) {
                h.fails = 1;
                FAILS(JEM_ERROR_IO, jem_trainer_step(trainer), "read callback gave 1");
                h.fails = 0;
            }
            OK(jem_trainer_step(trainer));
        }
        OK(jem_model_parameter_get(model, jem_model_parameter_find(model, "f.conv1.weight"),
                                   weights[i], 16 * 3 * 9));
        OK(jem_model_starts_fit(model, data[i], config));
        jem_trainer_destroy(trainer);
        jem_model_destroy(model);
        jem_dataset_destroy(data[i]);
    }
    ck_assert_int_gt(h.images, 3 * 16);
    ck_assert_mem_eq(weights[0], weights[1], sizeof weights[0]);
    jem_config_destroy(config);
    jem_context_destroy(context);
}
END_TEST

TESTS("callbacks", same_as_in_memory, failures, training)
