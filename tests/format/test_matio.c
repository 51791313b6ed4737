/* SVHN's arrays in the MATLAB files that only matio reads: 7.3 (HDF5) and big-endian. */
#include "format/svhn.h"
#include "helpers.h"
#include <math.h>
#include <matio.h>
#include <sys/stat.h>

enum { N = 3 };

static const int labels[N] = {1, 10, 5};

static int pixel(int64_t i, int64_t c, int64_t y, int64_t x)
{
    return (int)((7 * y + 3 * x + 50 * c + 11 * i) % 256);
}

static const char *file_of(void)
{
    static char path[4300];
    char folder[4200];
    snprintf(folder, sizeof folder, "%s", test_path("svhn"));
    snprintf(path, sizeof path, "%s/test_32x32.mat", folder);
    mkdir(folder, 0777);
    unlink(path);
    return path;
}

static jem_status read_it(int64_t limit, int64_t expected)
{
    jem__images images;
    jem_status status = jem__svhn_read(&images, test_path("svhn"), 1, limit);
    if (status) ck_assert(!images.pixels && !images.labels);
    if (!status && expected) {
        ck_assert(images.n == expected && images.c == 3 && images.h == 32 && images.w == 32);
        for (int64_t i = 0; i < expected; i++) {
            ck_assert_int_eq(images.labels[i], labels[i] % 10);
            for (int64_t j = 0; j < JEM__SVHN_IMAGE; j++)
                ck_assert_int_eq(images.pixels[i * JEM__SVHN_IMAGE + j],
                                 pixel(i, j / 1024, j / 32 % 32, j % 32));
        }
    }
    jem__images_clear(&images);
    return status;
}

/* MATLAB's order: rows run fastest. */
static double value_at(int64_t j)
{
    return pixel(j / JEM__SVHN_IMAGE, j / 1024 % 3, j % 32, j / 32 % 32);
}

typedef struct type {
    enum matio_classes class;
    enum matio_types type;
} type;

static void put(void *to, enum matio_classes class, int64_t i, double value)
{
    if (class == MAT_C_UINT8) ((uint8_t *)to)[i] = (uint8_t)value;
    if (class == MAT_C_INT32) ((int32_t *)to)[i] = (int32_t)value;
    if (class == MAT_C_SINGLE) ((float *)to)[i] = (float)value;
    if (class == MAT_C_DOUBLE) ((double *)to)[i] = value;
}

/* A file of version 7.3; y NULL: without labels. */
static void write_it(type t, int compressed, const double *y, size_t images, double first)
{
    static double values[N * JEM__SVHN_IMAGE], numbers[N];
    size_t x_shape[] = {32, 32, 3, images}, y_shape[] = {images, 1};
    enum matio_compression how = compressed ? MAT_COMPRESSION_ZLIB : MAT_COMPRESSION_NONE;
    mat_t *mat = Mat_CreateVer(file_of(), NULL, MAT_FT_MAT73);
    ck_assert_ptr_nonnull(mat);
    for (int64_t j = 0; j < (int64_t)images * JEM__SVHN_IMAGE; j++)
        put(values, t.class, j, j ? value_at(j) : first);
    matvar_t *v = Mat_VarCreate("X", t.class, t.type, 4, x_shape, values, 0);
    ck_assert_int_eq(Mat_VarWrite(mat, v, how), 0);
    Mat_VarFree(v);
    if (y) {
        for (size_t i = 0; i < images; i++) put(numbers, t.class, (int64_t)i, y[i]);
        v = Mat_VarCreate("y", t.class, t.type, 2, y_shape, numbers, 0);
        ck_assert_int_eq(Mat_VarWrite(mat, v, how), 0);
        Mat_VarFree(v);
    }
    Mat_Close(mat);
}

static const type u8 = {MAT_C_UINT8, MAT_T_UINT8}, f64 = {MAT_C_DOUBLE, MAT_T_DOUBLE};
static const double good[N] = {1, 10, 5};

START_TEST(version_7_3)
{
    const type types[] = {u8, f64, {MAT_C_SINGLE, MAT_T_SINGLE}, {MAT_C_INT32, MAT_T_INT32}};
    for (int t = 0; t < 4; t++)
        for (int compressed = 0; compressed < 2; compressed++) {
            write_it(types[t], compressed, good, N, value_at(0));
            OK(read_it(0, N));
            OK(read_it(2, 2));
        }
}
END_TEST

START_TEST(what_is_no_svhn)
{
    const double eleven[N] = {1, 11, 5};
    write_it(u8, 1, eleven, N, 0);
    FAILS(JEM_ERROR_FORMAT, read_it(0, N), "label 11 of image 1");
    write_it(u8, 1, NULL, N, 0);
    FAILS(JEM_ERROR_FORMAT, read_it(0, N), "no array y");
    write_it(f64, 1, good, N, 0.5);
    FAILS(JEM_ERROR_FORMAT, read_it(0, N), "element 0, is 0.5, expected an integer in 0..255");
    write_it(f64, 1, good, N, -1);
    FAILS(JEM_ERROR_FORMAT, read_it(0, N), "is -1");
    write_it(f64, 1, good, N, NAN);
    FAILS(JEM_ERROR_FORMAT, read_it(0, N), "nan");
    test_put_new(file_of(), (const uint8_t *)"no file of MATLAB", 17);
    FAILS(JEM_ERROR_FORMAT, read_it(0, N), "not a MATLAB file");
}
END_TEST

/* Flipped bits are not tried: HDF5 1.10.8 reads beyond its memory on some (docs/security.md). */
START_TEST(cut_short)
{
    int64_t size;
    char path[4300];
    write_it(u8, 1, good, N, 0);
    snprintf(path, sizeof path, "%s/test_32x32.mat", test_path("svhn"));
    uint8_t *bytes = test_get(path, &size);
    for (int64_t cut = 0; cut < size; cut += cut < 2000 ? 131 : 997) {
        test_put(path, bytes, cut);
        ck_assert_int_eq(read_it(0, 0), JEM_ERROR_FORMAT);
    }
    free(bytes);
}
END_TEST

/* ---- Big-endian: no library writes it any more ---- */

static int64_t put_words(uint8_t *file, int64_t at, int count, const uint32_t *words)
{
    for (int i = 0; i < count; i++)
        for (int b = 0; b < 4; b++) file[at++] = (uint8_t)(words[i] >> (24 - 8 * b));
    return at;
}

static int64_t put_array(uint8_t *file, int64_t at, char name, int count, const uint32_t *shape,
                         uint32_t n)
{
    const uint32_t dimensions = 4 * (uint32_t)count, room = (n + 7) / 8 * 8;
    at = put_words(file, at, 2, (uint32_t[]){14, 16 + 8 + dimensions + 16 + 8 + room});
    at = put_words(file, at, 4, (uint32_t[]){6, 8, 9, 0}); /* flags: uint8 */
    at = put_words(file, at, 2, (uint32_t[]){5, dimensions});
    at = put_words(file, at, count, shape);
    at = put_words(file, at, 4, (uint32_t[]){1, 1, (uint32_t)name << 24, 0});
    at = put_words(file, at, 2, (uint32_t[]){2, n});
    for (uint32_t i = 0; i < n; i++)
        file[at + i] = name == 'X' ? (uint8_t)value_at(i) : (uint8_t)labels[i];
    return at + room;
}

START_TEST(big_endian)
{
    static uint8_t file[1 << 15];
    memset(file, ' ', 124);
    memcpy(file + 124, "\1\0MI", 4);
    int64_t at = put_array(file, 128, 'X', 4, (uint32_t[]){32, 32, 3, N}, N * JEM__SVHN_IMAGE);
    at = put_array(file, at, 'y', 2, (uint32_t[]){N, 1}, N);
    test_put_new(file_of(), file, at);
    OK(read_it(0, N));
    for (int64_t cut = 100; cut < at; cut += 61) {
        test_put_new(file_of(), file, cut);
        ck_assert_int_eq(read_it(0, 0), JEM_ERROR_FORMAT);
    }
}
END_TEST

TESTS("matio", version_7_3, what_is_no_svhn, cut_short, big_endian)
