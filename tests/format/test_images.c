/* idx, CIFAR binary and PNG: real layouts in, clear errors for anything else. */
#include "base/memory.h"
#include "format/images.h"
#include "helpers.h"
#include <png.h>
#include <sys/stat.h>
#include <zlib.h>

enum { N = 3, H = 4, W = 5, PIXELS = N * H * W, CIFAR_RECORD = 3073 };

/* An idx file: magic, dimensions, data bytes 0, 1, 2, ... */
static int64_t idx_of(uint8_t *out, uint32_t magic, const uint32_t *shape, int dimensions,
                      int64_t data)
{
    uint8_t *at = out;
    for (int i = 3; i >= 0; i--) *at++ = (uint8_t)(magic >> 8 * i);
    for (int d = 0; d < dimensions; d++)
        for (int i = 3; i >= 0; i--) *at++ = (uint8_t)(shape[d] >> 8 * i);
    for (int64_t i = 0; i < data; i++) *at++ = (uint8_t)i;
    return at - out;
}

/* A folder of its own with a training set; image data may be short or wrong. */
static const char *idx_folder(const char *name, uint32_t magic, uint32_t n, int64_t data,
                              uint32_t labels)
{
    static char folder[4200];
    char path[8600];
    uint8_t bytes[256];
    snprintf(folder, sizeof folder, "%s", test_path(name));
    mkdir(folder, 0777);
    snprintf(path, sizeof path, "%s/train-images-idx3-ubyte", folder);
    test_put_new(path, bytes, idx_of(bytes, magic, (uint32_t[]){n, H, W}, 3, data));
    snprintf(path, sizeof path, "%s/train-labels-idx1-ubyte", folder);
    test_put_new(path, bytes, idx_of(bytes, 0x801, &labels, 1, labels));
    return folder;
}

START_TEST(idx)
{
    jem__images images;
    const char *folder = idx_folder("good", 0x803, N, PIXELS, N);
    OK(jem__idx_read(&images, folder, 0, 0));
    ck_assert(images.n == N && images.c == 1 && images.h == H && images.w == W);
    for (int i = 0; i < PIXELS; i++) ck_assert_int_eq(images.pixels[i], i);
    for (int i = 0; i < N; i++) ck_assert_int_eq(images.labels[i], i);
    jem__images_clear(&images);
    ck_assert_ptr_null(images.pixels);
    OK(jem__idx_read(&images, folder, 0, 2));
    ck_assert_int_eq(images.n, 2);
    jem__images_clear(&images);
    FAILS(JEM_ERROR_IO, jem__idx_read(&images, folder, 1, 0), "t10k-images-idx3-ubyte");

    FAILS(JEM_ERROR_FORMAT, jem__idx_read(&images, idx_folder("m", 0x802, N, PIXELS, N), 0, 0),
          "magic 00000802");
    FAILS(JEM_ERROR_FORMAT, jem__idx_read(&images, idx_folder("f", 0xd03, N, PIXELS, N), 0, 0),
          "magic 00000d03");
    FAILS(JEM_ERROR_FORMAT, jem__idx_read(&images, idx_folder("s", 0x803, N, PIXELS - 1, N), 0, 0),
          "has 75 bytes, expected 76 by its header");
    FAILS(JEM_ERROR_FORMAT, jem__idx_read(&images, idx_folder("l", 0x803, N, PIXELS, 2), 0, 0),
          "2 labels");
    FAILS(JEM_ERROR_FORMAT, jem__idx_read(&images, idx_folder("z", 0x803, 0, 0, 0), 0, 0),
          "no pixels");
    FAILS(JEM_ERROR_FORMAT, jem__idx_read(&images, idx_folder("h", 0x803, ~0u, 8, N), 0, 0),
          "expected");
    ck_assert_ptr_null(images.pixels);
}
END_TEST

START_TEST(idx_gzip_and_other_spelling)
{
    jem__images images;
    char folder[4200], path[4300], other[8600];
    snprintf(folder, sizeof folder, "%s", idx_folder("packed", 0x803, N, PIXELS, N));
    int64_t size;
    snprintf(path, sizeof path, "%s/train-images-idx3-ubyte", folder);
    uint8_t *bytes = test_get(path, &size);
    unlink(path);
    snprintf(path, sizeof path, "%s/train-images-idx3-ubyte.gz", folder);
    gzFile gz = gzopen(path, "wb");
    gzwrite(gz, bytes, (unsigned)size / 2);
    gzclose(gz);
    gz = gzopen(path, "ab"); /* the other half in a member of its own */
    gzwrite(gz, bytes + size / 2, (unsigned)(size - size / 2));
    gzclose(gz);
    free(bytes);
    snprintf(path, sizeof path, "%s/train-labels-idx1-ubyte", folder);
    snprintf(other, sizeof other, "%s/train-labels.idx1-ubyte", folder);
    ck_assert_int_eq(rename(path, other), 0);
    OK(jem__idx_read(&images, folder, 0, 0));
    ck_assert(images.n == N && images.pixels[PIXELS - 1] == PIXELS - 1 && images.labels[2] == 2);
    jem__images_clear(&images);

    /* More in it than its header states: inflated no further than that. */
    static const uint8_t zeros[1 << 16];
    snprintf(path, sizeof path, "%s/train-images-idx3-ubyte.gz", folder);
    bytes = test_get(path, &size);
    gz = gzopen(path, "ab");
    for (int i = 0; i < 100; i++) gzwrite(gz, zeros, sizeof zeros);
    gzclose(gz);
    FAILS(JEM_ERROR_FORMAT, jem__idx_read(&images, folder, 0, 0), "inflates to more than 76");
    test_put_new(path, bytes, size - 1);
    free(bytes);
    FAILS(JEM_ERROR_FORMAT, jem__idx_read(&images, folder, 0, 0), "truncated");
    gz = gzopen(path, "wb");
    gzwrite(gz, "\0\0\10\3\0\0\0\3\0\0\0\4\0\0\0\5", 16);
    for (int i = 0; i < 100; i++) gzwrite(gz, zeros, sizeof zeros);
    gzclose(gz);
    FAILS(JEM_ERROR_FORMAT, jem__idx_read(&images, folder, 0, 0), "inflates to more than 76");
}
END_TEST

/* 2^31 images of one pixel, or labels, are within the bound on bytes, and too many all the same:
   the header is enough to tell. */
START_TEST(idx_counts)
{
    static const uint8_t header[2][16] = {{0, 0, 8, 3, 0x80, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1},
                                          {0, 0, 8, 1, 0x80, 0, 0, 0}};
    static const char *const names[] = {"images-idx3", "labels-idx1"};
    jem__images images;
    char folder[4200], path[4300];
    for (int i = 0; i < 2; i++) {
        snprintf(folder, sizeof folder, "%s", idx_folder(names[i], 0x803, N, PIXELS, N));
        snprintf(path, sizeof path, "%s/train-%s-ubyte", folder, names[i]);
        test_put_new(path, header[i], i ? 8 : 16);
        FAILS(JEM_ERROR_FORMAT, jem__idx_read(&images, folder, 0, 0),
              "states 2147483648 entries, expected at most 2147483647");
        ck_assert_ptr_null(images.pixels);
    }
}
END_TEST

/* Every bit of the image file's header, and every length of the file. */
START_TEST(idx_damaged)
{
    jem__images images;
    uint8_t bytes[256];
    char folder[4200], path[4300];
    snprintf(folder, sizeof folder, "%s", idx_folder("damaged", 0x803, N, PIXELS, N));
    snprintf(path, sizeof path, "%s/train-images-idx3-ubyte", folder);
    int64_t size = idx_of(bytes, 0x803, (uint32_t[]){N, H, W}, 3, PIXELS);
    for (int64_t cut = 0; cut < size; cut++) {
        test_put_new(path, bytes, cut);
        ck_assert_int_eq(jem__idx_read(&images, folder, 0, 0), JEM_ERROR_FORMAT);
    }
    for (int bit = 0; bit < 16 * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        test_put_new(path, bytes, size);
        ck_assert_int_eq(jem__idx_read(&images, folder, 0, 0), JEM_ERROR_FORMAT);
        ck_assert_ptr_null(images.pixels);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}
END_TEST

static void cifar_batch(const char *folder, const char *name, int records, int more, int bad)
{
    char path[8600];
    int64_t size = records * CIFAR_RECORD + more;
    uint8_t *bytes = calloc(1, (size_t)size + 1);
    for (int r = 0; r < records; r++) {
        bytes[r * CIFAR_RECORD] = (uint8_t)(r == bad ? 10 : r % 10);
        for (int i = 1; i < CIFAR_RECORD; i++) bytes[r * CIFAR_RECORD + i] = (uint8_t)(i + r);
    }
    snprintf(path, sizeof path, "%s/%s", folder, name);
    test_put_new(path, bytes, size);
    free(bytes);
}

START_TEST(cifar)
{
    jem__images images;
    char folder[4200], inner[4300];
    snprintf(folder, sizeof folder, "%s", test_path("cifar"));
    snprintf(inner, sizeof inner, "%s/cifar-10-batches-bin", folder);
    mkdir(folder, 0777);
    FAILS(JEM_ERROR_IO, jem__cifar_read(&images, folder, 0, 0), "data_batch_1.bin");
    FAILS(JEM_ERROR_IO, jem__cifar_read(&images, folder, 1, 0), "test_batch.bin");
    cifar_batch(folder, "data_batch_1.bin", 2, 0, -1);
    cifar_batch(folder, "data_batch_3.bin", 3, 0, -1);
    OK(jem__cifar_read(&images, folder, 0, 0));
    ck_assert(images.n == 5 && images.c == 3 && images.h == 32 && images.w == 32);
    ck_assert(images.labels[1] == 1 && images.labels[4] == 2);
    ck_assert(images.pixels[0] == 1 && images.pixels[4 * 3072 + 3071] == (uint8_t)(3072 + 2));
    jem__images_clear(&images);
    OK(jem__cifar_read(&images, folder, 0, 3));
    ck_assert_int_eq(images.n, 3);
    jem__images_clear(&images);
    /* The folder that the archive unpacks to is found, too. */
    mkdir(inner, 0777);
    cifar_batch(inner, "test_batch.bin", 4, 0, -1);
    OK(jem__cifar_read(&images, folder, 1, 0));
    ck_assert_int_eq(images.n, 4);
    jem__images_clear(&images);

    cifar_batch(inner, "test_batch.bin", 2, -1, -1);
    FAILS(JEM_ERROR_FORMAT, jem__cifar_read(&images, folder, 1, 0), "multiple of 3073");
    cifar_batch(inner, "test_batch.bin", 0, 0, -1);
    FAILS(JEM_ERROR_FORMAT, jem__cifar_read(&images, folder, 1, 0), "multiple of 3073");
    cifar_batch(inner, "test_batch.bin", 3, 0, 2);
    FAILS(JEM_ERROR_FORMAT, jem__cifar_read(&images, folder, 1, 0), "record 2 has label 10");
    ck_assert_ptr_null(images.pixels);
}
END_TEST

/* What libpng reads back is what was written. */
/* A line for each class, as written under Windows, and no UTF-8. */
START_TEST(cifar100_names)
{
    jem__images images;
    char folder[4200], path[4300];
    static const uint8_t record[3074] = {0, 7};
    snprintf(folder, sizeof folder, "%s", test_path("cifar100"));
    mkdir(folder, 0777);
    snprintf(path, sizeof path, "%s/train.bin", folder);
    test_put(path, record, sizeof record);
    snprintf(path, sizeof path, "%s/fine_label_names.txt", folder);
    test_put(path, "a\r\nb\r\n", 6);
    OK(jem__cifar100_read(&images, folder, 0, 0));
    ck_assert_str_eq(images.names, "a\nb\n");
    ck_assert_int_eq(images.labels[0], 7);
    jem__images_clear(&images);
    test_put(path, "a\n\xFF\n", 4);
    FAILS(JEM_ERROR_FORMAT, jem__cifar100_read(&images, folder, 0, 0), "UTF-8");
}
END_TEST

START_TEST(png)
{
    enum { PW = 7, PH = 3 };
    for (int c = 1; c <= 3; c += 2) {
        uint8_t pixels[PW * PH * 3], back[PW * PH * 3];
        for (int i = 0; i < PW * PH * c; i++) pixels[i] = (uint8_t)(i * 11);
        const char *path = test_path(c == 1 ? "grey.png" : "colour.png");
        OK(jem__png_write(path, pixels, PW, PH, c));
        png_image image = {.version = PNG_IMAGE_VERSION};
        ck_assert(png_image_begin_read_from_file(&image, path));
        ck_assert(image.width == PW && image.height == PH);
        ck_assert_uint_eq(image.format, c == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB);
        ck_assert(png_image_finish_read(&image, NULL, back, 0, NULL));
        ck_assert_mem_eq(pixels, back, (size_t)(PW * PH * c));
    }
    uint8_t one = 0;
    FAILS(JEM_ERROR_IO, jem__png_write("/nonexistent/a.png", &one, 1, 1, 1), "/nonexistent");
}
END_TEST

TESTS("images", idx, idx_gzip_and_other_spelling, idx_counts, idx_damaged, cifar, cifar100_names,
      png)
