/* SVHN's MATLAB files: those that SciPy writes, and damaged ones. */
#include "format/images.h"
#include "helpers.h"
#include <sys/stat.h>
#include <zlib.h>

enum { N = 3, IMAGE = 3 * 32 * 32 };

static int pixel(int64_t i, int64_t c, int64_t y, int64_t x)
{
    return (int)((7 * y + 3 * x + 50 * c + 11 * i) % 256); /* tests/golden/make_svhn.py */
}

static void check_images(const jem__images *images, int64_t n)
{
    static const int32_t labels[] = {1, 0, 5}; /* 10 stands for 0 */
    ck_assert(images->n == n && images->c == 3 && images->h == 32 && images->w == 32);
    ck_assert_int_eq(images->classes, 10);
    for (int64_t i = 0; i < n; i++) {
        ck_assert_int_eq(images->labels[i], labels[i]);
        for (int64_t c = 0; c < 3; c++)
            for (int64_t y = 0; y < 32; y++)
                for (int64_t x = 0; x < 32; x++)
                    ck_assert_int_eq(images->pixels[((i * 3 + c) * 32 + y) * 32 + x],
                                     pixel(i, c, y, x));
    }
}

START_TEST(as_scipy_writes_them)
{
    jem__images images;
    char folder[4200];
    snprintf(folder, sizeof folder, "%s", test_source("tests/golden/svhn"));
    for (int32_t test = 0; test < 2; test++) {
        OK(jem__svhn_read(&images, folder, test, 0));
        check_images(&images, N);
        jem__images_clear(&images);
        OK(jem__svhn_read(&images, folder, test, 2));
        check_images(&images, 2);
        jem__images_clear(&images);
    }
    FAILS(JEM_ERROR_IO, jem__svhn_read(&images, test_path("none"), 0, 0), "train_32x32.mat");
}
END_TEST

/* One folder with a test file of those bytes. */
static jem_status read_some(const uint8_t *bytes, int64_t size, int64_t limit)
{
    jem__images images;
    char path[4300], folder[4200];
    snprintf(folder, sizeof folder, "%s", test_path("svhn"));
    snprintf(path, sizeof path, "%s/test_32x32.mat", folder);
    mkdir(folder, 0777);
    test_put_new(path, bytes, size);
    jem_status status = jem__svhn_read(&images, folder, 1, limit);
    if (status)
        ck_assert(!images.pixels && !images.labels);
    else if (limit)
        check_images(&images, limit);
    jem__images_clear(&images);
    return status;
}

static jem_status read_bytes(const uint8_t *bytes, int64_t size)
{
    return read_some(bytes, size, 0);
}

/* Pixels of an uncompressed file have no checksum; all else must be refused or harmless. */
START_TEST(damaged)
{
    static const char *const names[] = {"tests/golden/svhn/train_32x32.mat",
                                        "tests/golden/svhn/test_32x32.mat"};
    for (int compressed = 1; compressed >= 0; compressed--) {
        int64_t size, refused = 0, tried = 0;
        uint8_t *bytes = test_get(test_source(names[!compressed]), &size);
        for (int64_t cut = 0; cut < size; cut += cut < 400 ? 5 : 197)
            ck_assert_int_eq(read_bytes(bytes, cut), JEM_ERROR_FORMAT);
        /* Bytes 0..123 are a text for people. */
        for (int64_t bit = 124 * 8; bit < size * 8; bit += bit < 400 * 8 ? 3 : 211, tried++) {
            bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            jem_status status = read_bytes(bytes, size);
            ck_assert(status == JEM_OK || status == JEM_ERROR_FORMAT);
            refused += status != JEM_OK;
            bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        if (compressed) ck_assert_int_ge(refused, tried * 98 / 100);
        if (!compressed) ck_assert_int_ge(refused, 130);
        free(bytes);
    }
}
END_TEST

/* A small file that claims a gigabyte of images. */
START_TEST(claims_too_much)
{
    int64_t size;
    uint8_t *bytes = test_get(test_source("tests/golden/svhn/test_32x32.mat"), &size);
    int64_t dims = 128 + 8 + 16 + 8 + 12; /* header, tag, flags, tag, three dimensions */
    ck_assert(bytes[dims] == N);
    bytes[dims + 2] = 5;
    FAILS(JEM_ERROR_FORMAT, read_bytes(bytes, size), "does not fit its dimensions");
    bytes[dims + 2] = 0;
    int64_t y = 128 + 8 + bytes[132] + 256 * bytes[133];
    ck_assert(bytes[y] == 14); /* the tag of the next array */
    FAILS(JEM_ERROR_FORMAT, read_bytes(bytes, y), "no array y");
    bytes[124] = 0;
    bytes[125] = 2; /* version 7.3 is HDF5 */
#ifdef JEM__MATIO
    FAILS(JEM_ERROR_FORMAT, read_bytes(bytes, size), "holds no array X");
#else
    FAILS(JEM_ERROR_FORMAT, read_bytes(bytes, size), "not a little-endian MATLAB 5 file");
#endif
    free(bytes);
}
END_TEST

/* Adds an element to a file, compressed, with so many zeros behind it. */
static int64_t pack(uint8_t *file, int64_t at, const uint8_t *element, int64_t size, int64_t zeros)
{
    uint8_t *plain = calloc((size_t)(size + zeros), 1);
    uLongf room = 1 << 16;
    memcpy(plain, element, (size_t)size);
    ck_assert_int_eq(compress(file + at + 8, &room, plain, (uLong)(size + zeros)), Z_OK);
    free(plain);
    for (int i = 0; i < 4; i++) file[at + 4 + i] = (uint8_t)(room >> 8 * i);
    memcpy(file + at, (uint8_t[4]){15}, 4);
    return at + 8 + (int64_t)room;
}

/* Nothing but padding may follow an array: deflate makes gigabytes of a megabyte. */
START_TEST(arrays_end)
{
    static uint8_t file[1 << 18];
    int64_t size;
    uint8_t *bytes = test_get(test_source("tests/golden/svhn/test_32x32.mat"), &size);
    int64_t x = 8 + bytes[132] + 256 * bytes[133], y = size - 128 - x;
    memcpy(file, bytes, 128);
    for (int64_t zeros = 0; zeros < 1 << 21; zeros = zeros ? 2 * zeros : 7)
        for (int i = 0; i < 2; i++) {
            int64_t at = pack(file, 128, bytes + 128, x, i ? 0 : zeros);
            at = pack(file, at, bytes + 128 + x, y, i ? zeros : 0);
            if (zeros < 8)
                OK(read_some(file, at, N));
            else
                FAILS(JEM_ERROR_FORMAT, read_bytes(file, at), "more than padding behind an array");
        }
    free(bytes);
}
END_TEST

/* The arrays come in any order; labels are counted, limit or not, before there is room for them. */
START_TEST(a_label_for_each_image)
{
    static uint8_t file[1 << 18], labels[56 + (1 << 20)];
    int64_t size;
    uint8_t *bytes = test_get(test_source("tests/golden/svhn/test_32x32.mat"), &size);
    int64_t x = 8 + bytes[132] + 256 * bytes[133], y = size - 128 - x;
    const uint8_t *of_y = bytes + 128 + x;
    memcpy(file, bytes, 128);
    int64_t at = pack(file, 128, of_y, y, 0);
    at = pack(file, at, bytes + 128, x, 0);
    for (int64_t limit = 1; limit <= N; limit++) OK(read_some(file, at, limit));
    /* Header, flags, dimensions and name of y, then 2^20 labels where there were three. */
    memcpy(labels, of_y, 48);
    ck_assert(labels[32] == N && labels[48 - 8] == 1);
    memset(labels + 32, 0, 4);
    labels[34] = 16;
    memcpy(labels + 48, (uint8_t[8]){2, 0, 0, 0, 0, 0, 16}, 8);
    memset(labels + 56, 1, 1 << 20);
    for (int first = 0; first < 2; first++)
        for (int64_t limit = 0; limit < 3; limit++) {
            at = first ? pack(file, 128, labels, sizeof labels, 0) : 128;
            at = pack(file, at, bytes + 128, x, 0);
            if (!first) at = pack(file, at, labels, sizeof labels, 0);
            FAILS(JEM_ERROR_FORMAT, read_some(file, at, limit), "1048576 labels for 3 images");
        }
    free(bytes);
}
END_TEST

TESTS("svhn", as_scipy_writes_them, damaged, claims_too_much, arrays_end, a_label_for_each_image)
