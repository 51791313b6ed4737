/* "png:DIR": folders of PNG files. */
#include "base/memory.h"
#include "data/dataset.h"
#include "format/images.h"
#include "helpers.h"
#include <math.h>
#include <sys/stat.h>

enum { MOST = 64 };

static jem_context *context;

static void folder(const char *name)
{
    ck_assert_int_eq(mkdir(name, 0777), 0);
}

/* An image of one value (c 1), or of value, 2 * value, 255 - value (c 3). */
static void put_image(const char *dir, const char *name, int64_t c, int64_t w, int64_t h, int value)
{
    char path[8500];
    uint8_t pixels[MOST * MOST * 3];
    for (int64_t i = 0; i < w * h * c; i += c)
        for (int64_t k = 0; k < c; k++)
            pixels[i + k] = (uint8_t)(k == 0 ? value : k == 1 ? 2 * value : 255 - value);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    OK(jem__png_write(path, pixels, w, h, c));
}

static int value(float x)
{
    return (int)lroundf((x + 1) * 127.5f);
}

static jem_status open_set(jem_dataset **d, const char *dir, const char *settings)
{
    char source[8500];
    jem_config *config;
    OK(jem_config_create(&config));
    OK(jem_config_parse(config, settings));
    snprintf(source, sizeof source, "png:%s", dir);
    jem_status status = jem_dataset_open(d, context, source, config);
    jem_config_destroy(config);
    return status;
}

static void check_name(const jem_dataset *d, int64_t k, const char *name)
{
    char text[64];
    ck_assert_int_eq(jem_dataset_class_name(d, k, text, sizeof text), (int64_t)strlen(name));
    ck_assert_str_eq(text, name);
}

/* bird: 10, 11, 12; Cat: 20; ant (upper case comes first): none; zebra, in colour: 30. */
static const char *zoo(void)
{
    static char dir[4300];
    char sub[4400];
    snprintf(dir, sizeof dir, "%s", test_path("zoo"));
    if (mkdir(dir, 0777)) return dir;
    for (int i = 0; i < 4; i++) {
        snprintf(sub, sizeof sub, "%s/%s", dir, (const char *[]){"bird", "Cat", "ant", "zebra"}[i]);
        folder(sub);
        if (i == 0) {
            put_image(sub, "c.PNG", 1, 6, 4, 12);
            put_image(sub, "a.png", 1, 6, 4, 10);
            put_image(sub, "b.png", 1, 6, 4, 11);
            put_image(sub, ".hidden.png", 1, 6, 4, 99);
            put_image(sub, "notes.txt", 1, 6, 4, 99);
        }
        if (i == 1) put_image(sub, "1.png", 1, 6, 4, 20);
        if (i == 3) put_image(sub, "1.png", 3, 6, 4, 30);
    }
    snprintf(sub, sizeof sub, "%s/.git", dir);
    folder(sub);
    put_image(dir, "beside.png", 1, 6, 4, 99);
    return dir;
}

START_TEST(classes_take_turns)
{
    jem_dataset *d;
    int64_t n, c, h, w, classes;
    float x[5 * 3 * 24];
    int32_t y[5];
    static const int values[] = {20, 10, 30, 11, 12}, labels[] = {0, 2, 3, 2, 2};
    for (int lazy = 0; lazy < 2; lazy++) {
        OK(open_set(&d, zoo(), lazy ? "dataset.memory=0" : ""));
        ck_assert_int_eq(d->store->source != NULL, lazy);
        OK(jem_dataset_info(d, &n, &c, &h, &w, &classes));
        ck_assert(n == 5 && c == 3 && h == 4 && w == 6 && classes == 4);
        check_name(d, 0, "Cat");
        check_name(d, 1, "ant");
        check_name(d, 2, "bird");
        check_name(d, 3, "zebra");
        OK(jem_dataset_read(d, 0, 5, x, INT64_MAX, y));
        for (int i = 0; i < 5; i++) {
            ck_assert_int_eq(y[i], labels[i]);
            int colour = y[i] == 3;
            for (int j = 0; j < 24; j++) {
                ck_assert_int_eq(value(x[i * 72 + j]), values[i]);
                ck_assert_int_eq(value(x[i * 72 + 24 + j]), colour ? 60 : values[i]);
                ck_assert_int_eq(value(x[i * 72 + 48 + j]), colour ? 225 : values[i]);
            }
        }
        jem_dataset_destroy(d);
    }
    OK(open_set(&d, zoo(), "dataset.limit=2 dataset.channels=1"));
    OK(jem_dataset_info(d, &n, &c, NULL, NULL, &classes));
    ck_assert(n == 2 && c == 1 && classes == 4);
    jem_dataset_destroy(d);
    OK(open_set(&d, zoo(), "dataset.channels=1"));
    OK(jem_dataset_read(d, 2, 1, x, INT64_MAX, y));
    ck_assert_int_eq(value(x[0]), (int)lroundf(0.299f * 30 + 0.587f * 60 + 0.114f * 225));
    jem_dataset_destroy(d);
    FAILS(JEM_ERROR_CONFIG, open_set(&d, zoo(), "dataset.channels=2"), "1 or 3");
}
END_TEST

START_TEST(sizes)
{
    jem_dataset *d;
    char dir[4300], sub[4400];
    float x[2 * 25];
    int64_t h, w;
    snprintf(dir, sizeof dir, "%s", test_path("sizes"));
    folder(dir);
    snprintf(sub, sizeof sub, "%s/one", dir);
    folder(sub);
    put_image(sub, "a.png", 1, 6, 4, 40);
    put_image(sub, "b.png", 1, 20, 30, 50);
    for (int lazy = 0; lazy < 2; lazy++) {
        FAILS(JEM_ERROR_SHAPE, open_set(&d, dir, lazy ? "dataset.memory=0" : ""),
              "b.png: 20x30 pixels (width, height), expected 6x4");
        ck_assert_ptr_null(d);
        OK(open_set(&d, dir, lazy ? "dataset.resize=5 dataset.memory=0" : "dataset.resize=5"));
        OK(jem_dataset_info(d, NULL, NULL, &h, &w, NULL));
        ck_assert(h == 5 && w == 5);
        OK(jem_dataset_read(d, 0, 2, x, INT64_MAX, NULL));
        for (int i = 0; i < 50; i++) ck_assert_int_eq(value(x[i]), i < 25 ? 40 : 50);
        jem_dataset_destroy(d);
    }
}
END_TEST

START_TEST(splits)
{
    jem_dataset *d;
    char dir[4300], sub[4500];
    float x[1];
    snprintf(dir, sizeof dir, "%s", test_path("splits"));
    folder(dir);
    for (int i = 0; i < 4; i++) {
        snprintf(sub, sizeof sub, "%s/%s", dir,
                 (const char *[]){"train", "train/k", "test", "test/k"}[i]);
        folder(sub);
        if (i % 2) put_image(sub, "1.png", 1, 1, 1, 60 + i);
    }
    for (int test = 0; test < 2; test++) {
        OK(open_set(&d, dir, test ? "dataset.split=test" : ""));
        OK(jem_dataset_read(d, 0, 1, x, INT64_MAX, NULL));
        ck_assert_int_eq(value(x[0]), test ? 63 : 61);
        jem_dataset_destroy(d);
    }
}
END_TEST

/* A class has the number that it has in train, whatever other folders test lacks. */
START_TEST(classes_are_those_of_train)
{
    static const char *const folders[] = {"train", "train/a", "train/b", "train/c", "train/d",
                                          "test",  "test/c",  "test/a",  "test/d"};
    static const int32_t labels[] = {0, 2, 2}, values[] = {17, 16, 99};
    jem_dataset *d;
    char dir[4300], sub[4500];
    float x[3];
    int32_t y[3];
    int64_t n, classes;
    snprintf(dir, sizeof dir, "%s", test_path("numbers"));
    folder(dir);
    for (int i = 0; i < 9; i++) {
        snprintf(sub, sizeof sub, "%s/%s", dir, folders[i]);
        folder(sub);
        if (i % 5 && i < 8) put_image(sub, "1.png", 1, 1, 1, 10 + i);
        if (i == 6) put_image(sub, "2.png", 1, 1, 1, 99);
    }
    for (int lazy = 0; lazy < 2; lazy++) {
        OK(open_set(&d, dir, lazy ? "dataset.split=test dataset.memory=0" : "dataset.split=test"));
        OK(jem_dataset_info(d, &n, NULL, NULL, NULL, &classes));
        ck_assert(n == 3 && classes == 4);
        check_name(d, 2, "c");
        OK(jem_dataset_read(d, 0, 3, x, INT64_MAX, y));
        for (int i = 0; i < 3; i++) ck_assert(y[i] == labels[i] && value(x[i]) == values[i]);
        jem_dataset_destroy(d);
    }
    snprintf(sub, sizeof sub, "%s/test/bb", dir);
    folder(sub);
    FAILS(JEM_ERROR_FORMAT, open_set(&d, dir, "dataset.split=test"),
          "numbers/test/bb: is no class: no folder of that name in ");
    OK(open_set(&d, dir, ""));
    jem_dataset_destroy(d);
    snprintf(dir + strlen(dir), 8, "/test"); /* by itself it has classes of its own */
    OK(open_set(&d, dir, "dataset.split=test"));
    check_name(d, 1, "bb");
    jem_dataset_destroy(d);
}
END_TEST

/* Files that change while the set is open; the loader can go on after the error. */
START_TEST(files_that_change)
{
    jem_dataset *d;
    jem_loader *loader;
    jem_config *config;
    char dir[4300], sub[4400], path[4500];
    float x[24];
    int64_t n, position;
    snprintf(dir, sizeof dir, "%s", test_path("changing"));
    folder(dir);
    snprintf(sub, sizeof sub, "%s/k", dir);
    folder(sub);
    snprintf(path, sizeof path, "%s/a.png", sub);
    OK(jem_config_create(&config));
    for (int prefetch = 0; prefetch < 2; prefetch++) {
        put_image(sub, "a.png", 1, 6, 4, 70);
        OK(open_set(&d, dir, "dataset.memory=0"));
        OK(jem_config_parse(config, prefetch ? "loader.batch=1 loader.prefetch=1"
                                             : "loader.batch=1 loader.prefetch=0"));
        OK(jem_loader_create(&loader, d, config));
        unlink(path);
        FAILS(JEM_ERROR_IO, jem_loader_next(loader, x, INT64_MAX, NULL, 0, &n), "a.png");
        ck_assert_int_eq(n, 0);
        put_image(sub, "a.png", 1, 4, 6, 70);
        FAILS(JEM_ERROR_SHAPE, jem_loader_next(loader, x, INT64_MAX, NULL, 0, &n), "4x6 pixels");
        test_put(path, "nothing", 7);
        FAILS(JEM_ERROR_FORMAT, jem_loader_next(loader, x, INT64_MAX, NULL, 0, &n),
              "a.png: libpng");
        OK(jem_loader_tell(loader, &position));
        ck_assert_int_eq(position, 0);
        put_image(sub, "a.png", 1, 6, 4, 71);
        OK(jem_loader_next(loader, x, INT64_MAX, NULL, 0, &n));
        ck_assert(n == 1 && value(x[5]) == 71);
        jem_loader_destroy(loader);
        jem_dataset_destroy(d);
    }
    jem_config_destroy(config);
}
END_TEST

START_TEST(bad_folders)
{
    jem_dataset *d = (jem_dataset *)1;
    char dir[4300], sub[4400], path[4500];
    FAILS(JEM_ERROR_IO, open_set(&d, test_path("nowhere"), ""), "nowhere: cannot open");
    ck_assert_ptr_null(d);
    FAILS(JEM_ERROR_ARGUMENT, open_set(&d, "", ""), "no folder or file after the colon");
    snprintf(dir, sizeof dir, "%s", test_path("bad"));
    folder(dir);
    FAILS(JEM_ERROR_IO, open_set(&d, dir, ""), "no PNG files there");
    snprintf(sub, sizeof sub, "%s/k", dir);
    folder(sub);
    snprintf(path, sizeof path, "%s/a.png", sub);
    ck_assert_int_eq(mkfifo(path, 0666), 0); /* must not be waited for */
    FAILS(JEM_ERROR_IO, open_set(&d, dir, ""), "a.png: is not a regular file");
    unlink(path);
    test_put(path, "\x89PNG\r\n\x1a\n", 8);
    FAILS(JEM_ERROR_FORMAT, open_set(&d, dir, ""), "a.png: not a PNG file");
    unlink(path);
    snprintf(path, sizeof path, "%s/two\nlines", dir);
    folder(path);
    FAILS(JEM_ERROR_FORMAT, open_set(&d, dir, ""), "line break");
    FAILS(JEM_ERROR_IO, jem_dataset_open(&d, context, "idx:/dev", NULL), "/dev");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        classes_take_turns, sizes,       splits, classes_are_those_of_train,
        files_that_change,  bad_folders, NULL};
    context = test_context(2);
    int result = test_run("folder", tests);
    jem_context_destroy(context);
    return result;
}
