/* npy in and out, by NumPy's rules; grids of images. */
#include "helpers.h"
#include <math.h>
#include <png.h>

/* A version 1 file of this dictionary and so many data bytes; returns its path. */
static const char *npy_of(const char *dictionary, int version, int64_t data)
{
    uint8_t bytes[1024] = "\x93NUMPY";
    int64_t start = version == 1 ? 10 : 12, length = (int64_t)strlen(dictionary);
    bytes[6] = (uint8_t)version;
    bytes[8] = (uint8_t)length;
    bytes[9] = (uint8_t)(length >> 8);
    memcpy(bytes + start, dictionary, (size_t)length);
    for (int64_t i = 0; i < data; i++) bytes[start + length + i] = (uint8_t)i;
    const char *path = test_path("array.npy");
    test_put(path, bytes, start + length + data);
    return path;
}

START_TEST(round_trip)
{
    static const struct {
        jem_type type;
        int64_t size;
    } types[] = {{JEM_TYPE_U8, 1},
                 {JEM_TYPE_F32, 4},
                 {JEM_TYPE_I32, 4},
                 {JEM_TYPE_I64, 8},
                 {JEM_TYPE_F64, 8}};
    uint8_t bytes[24 * 8];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * 7);
    for (int t = 0; t < 5; t++)
        for (int64_t dimensions = 0; dimensions <= 4; dimensions++) {
            const int64_t shape[] = {2, 3, 1, 4};
            int64_t count = 1, got, back[8];
            for (int64_t d = 0; d < dimensions; d++) count *= shape[d];
            OK(jem_array_save(test_path("a.npy"), bytes, types[t].type, dimensions, shape));
            jem_array *array;
            jem_type type;
            const void *data;
            OK(jem_array_load(&array, test_path("a.npy")));
            OK(jem_array_info(array, &type, &got, back, &data));
            ck_assert(type == types[t].type && got == dimensions);
            ck_assert_mem_eq(back, shape, (size_t)dimensions * 8);
            ck_assert_mem_eq(data, bytes, (size_t)(count * types[t].size));
            /* Data that NumPy can map: aligned to 64 in the file. */
            int64_t size;
            uint8_t *file = test_get(test_path("a.npy"), &size);
            ck_assert_int_eq((size - count * types[t].size) % 64, 0);
            free(file);
            jem_array_destroy(array);
        }
    FAILS(JEM_ERROR_ARGUMENT, jem_array_save(test_path("a.npy"), bytes, 77, 1, (int64_t[]){1}),
          "type");
    FAILS(JEM_ERROR_ARGUMENT,
          jem_array_save(test_path("a.npy"), bytes, JEM_TYPE_U8, 9, (int64_t[9]){0}), "8");
    FAILS(JEM_ERROR_IO, jem_array_save("/nonexistent/a", bytes, JEM_TYPE_U8, 0, NULL), "/nonexist");
}
END_TEST

START_TEST(headers)
{
    static const struct {
        const char *dictionary;
        int version;
        int64_t data;
        const char *word; /* NULL: fine */
    } cases[] = {
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", 1, 24, NULL},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", 2, 24, NULL},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", 3, 24, NULL},
        {"{\"shape\":(6,),\"fortran_order\":False,\"descr\":\"<f4\"}\n", 1, 24, NULL},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': ()}\n", 1, 1, NULL},
        {"{'descr': '=i4', 'fortran_order': False, 'shape': (0, 9)}\n", 1, 0, NULL},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", 4, 24, "version 1 to 3"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", 1, 23, "expected 24"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", 1, 25, "expected 24"},
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (2, 3), }\n", 1, 24, "'>f4'"},
        {"{'descr': '<f2', 'fortran_order': False, 'shape': (2, 3), }\n", 1, 12, "'<f2'"},
        {"{'descr': '', 'fortran_order': False, 'shape': (2, 3), }\n", 1, 12, "descr"},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (2, 3), }\n", 1, 12, "'|O'"},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (6,), }\n", 1, 24, "descr"},
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }\n", 1, 24, "Fortran"},
        {"{'descr': '<f4', 'shape': (2, 3), }\n", 1, 24, "lacks"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, -3), }\n", 1, 24, "shape"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, }\n", 1, 24, "shape"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296, 9), }\n", 1,
         24, "overflows"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }\n", 1, 24,
         "shape"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,6), }\n", 1, 24,
         "shape"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (6,)\n", 1, 24, "damaged"},
        {"no dictionary\n", 1, 24, "{"},
        {"", 1, 24, "header of 0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        jem_array *array;
        const char *path = npy_of(cases[i].dictionary, cases[i].version, cases[i].data);
        jem_status status = jem_array_load(&array, path);
        char text[512] = "";
        jem_last_error(text, sizeof text);
        if (cases[i].word) {
            ck_assert_msg(status == JEM_ERROR_FORMAT, "%s", cases[i].dictionary);
            ck_assert_msg(strstr(text, cases[i].word) && strstr(text, "array.npy"),
                          "%s: '%s' lacks '%s'", cases[i].dictionary, text, cases[i].word);
            ck_assert_ptr_null(array);
        } else {
            ck_assert_msg(status == JEM_OK, "%s: %s", cases[i].dictionary, text);
        }
        jem_array_destroy(array);
    }
    jem_array *array;
    FAILS(JEM_ERROR_IO, jem_array_load(&array, test_path("absent.npy")), "absent.npy");
}
END_TEST

/* Every prefix is an error; no flipped bit is more than another array. */
START_TEST(damage)
{
    jem_array *array;
    static const int64_t shape[] = {3, 5};
    float x[15] = {0};
    const char *path = test_path("damage.npy");
    OK(jem_array_save(path, x, JEM_TYPE_F32, 2, shape));
    int64_t size;
    uint8_t *bytes = test_get(path, &size);
    for (int64_t cut = 0; cut < size; cut++) {
        test_put(path, bytes, cut);
        ck_assert_int_eq(jem_array_load(&array, path), JEM_ERROR_FORMAT);
        ck_assert_ptr_null(array);
    }
    for (int64_t bit = 0; bit < size * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        test_put(path, bytes, size);
        jem_status status = jem_array_load(&array, path);
        ck_assert(status == JEM_OK || status == JEM_ERROR_FORMAT);
        jem_array_destroy(array);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    free(bytes);
}
END_TEST

/* Two 2x3 images in a row of two, enlarged twice, one pixel between: 13 wide, 4 high. */
START_TEST(grid)
{
    const float x[12] = {-1, -0.5f, 0, 0.5f, 1, 2, -3, -1, -1, 1, 1, 1};
    const char *path = test_path("grid.png");
    uint8_t back[64 * 64];
    OK(jem_array_save_png(path, x, 2, 1, 2, 3, 2, 2, 1));
    png_image image = {.version = PNG_IMAGE_VERSION};
    ck_assert(png_image_begin_read_from_file(&image, path));
    uint32_t w = image.width;
    ck_assert_uint_eq(image.format, PNG_FORMAT_GRAY);
    ck_assert(png_image_finish_read(&image, NULL, back, 0, NULL));
    uint32_t left = (w - 13) / 2, top = (image.height - 4) / 2; /* the gap may frame the grid */
    for (uint32_t i = 0; i < 2; i++)
        for (uint32_t r = 0; r < 4; r++)
            for (uint32_t c = 0; c < 6; c++) {
                float v = fminf(1, fmaxf(-1, x[i * 6 + r / 2 * 3 + c / 2]));
                ck_assert_int_eq(back[(top + r) * w + left + i * 7 + c],
                                 (int)lrintf((v + 1) * 127.5f));
            }
    FAILS(JEM_ERROR_ARGUMENT, jem_array_save_png(path, x, 2, 2, 2, 3, 2, 2, 1), "c 1 or 3");
    FAILS(JEM_ERROR_ARGUMENT, jem_array_save_png(path, x, 2, 1, 2, 3, 0, 2, 1), "columns 0");
}
END_TEST

TESTS("array", round_trip, headers, damage, grid)
