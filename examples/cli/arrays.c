/* .npy files in and out, checked against the shape of a model. */
#include "cli.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *type_name(jem_type type)
{
    static const char *const names[] = {"?", "uint8", "float32", "int32", "int64", "float64"};
    return type > 0 && type < COUNT(names) ? names[type] : names[0];
}

static void shape_text(char *text, size_t capacity, jem_type type, int64_t dimensions,
                       const int64_t *shape)
{
    size_t at = (size_t)snprintf(text, capacity, "%s [", type_name(type));
    for (int64_t i = 0; i < dimensions && at < capacity; i++)
        at += (size_t)snprintf(text + at, capacity - at, "%s%" PRId64, i ? "," : "", shape[i]);
    if (at < capacity) snprintf(text + at, capacity - at, "]");
}

int array_images(jem_array **array, const char *path, const jem_model *model, const float **x,
                 int64_t *n)
{
    jem_type type;
    int64_t dimensions, shape[8], c, h, w;
    const void *data;
    char got[256];
    *array = NULL;
    TRY(check(jem_model_info(model, &c, &h, &w, NULL, NULL)));
    TRY(check(jem_array_load(array, path)));
    TRY(check(jem_array_info(*array, &type, &dimensions, shape, &data)));
    if (type != JEM_TYPE_F32 || dimensions != 4 || shape[1] != c || shape[2] != h ||
        shape[3] != w) {
        shape_text(got, sizeof got, type, dimensions, shape);
        jem_array_destroy(*array);
        *array = NULL;
        return fail("%s: is %s, expected float32 [n,%" PRId64 ",%" PRId64 ",%" PRId64
                    "] with values in [-1,1]",
                    path, got, c, h, w);
    }
    *n = shape[0];
    *x = data;
    return 0;
}

static int read_labels(const char *path, const jem_array *array, int64_t classes, int64_t *n,
                       int32_t **labels)
{
    jem_type type;
    int64_t dimensions, shape[8];
    const void *data;
    char got[256];
    TRY(check(jem_array_info(array, &type, &dimensions, shape, &data)));
    if ((type != JEM_TYPE_I64 && type != JEM_TYPE_I32) || dimensions != 1 ||
        (*n >= 0 && shape[0] != *n)) {
        char count[32] = "n";
        if (*n >= 0) snprintf(count, sizeof count, "%" PRId64, *n);
        shape_text(got, sizeof got, type, dimensions, shape);
        return fail("%s: is %s, expected int64 or int32 [%s]", path, got, count);
    }
    *n = shape[0];
    *labels = allocate(*n, sizeof **labels);
    if (!*labels) return CODE_FAILED;
    for (int64_t i = 0; i < *n; i++) {
        int64_t label =
            type == JEM_TYPE_I64 ? ((const int64_t *)data)[i] : ((const int32_t *)data)[i];
        if (label < 0 || label >= classes)
            return fail("%s: label %" PRId64 " is %" PRId64 ", expected 0..%" PRId64, path, i,
                        label, classes - 1);
        (*labels)[i] = (int32_t)label;
    }
    return 0;
}

int array_labels(const char *path, const jem_model *model, int64_t *n, int32_t **labels)
{
    jem_array *array = NULL;
    int64_t classes;
    *labels = NULL;
    TRY(check(jem_model_info(model, NULL, NULL, NULL, &classes, NULL)));
    TRY(check(jem_array_load(&array, path)));
    int code = read_labels(path, array, classes, n, labels);
    jem_array_destroy(array);
    if (code) {
        free(*labels);
        *labels = NULL;
    }
    return code;
}

int array_save(const char *path, const float *values, int64_t dimensions, const int64_t *shape)
{
    return check(jem_array_save(path, values, JEM_TYPE_F32, dimensions, shape));
}

enum { GAP = 2 };

static int64_t grid_columns(int64_t n, int64_t columns)
{
    return columns > 0 ? columns : (int64_t)ceil(sqrt((double)n));
}

static int64_t grid_scale(int64_t h, int64_t w)
{
    int64_t side = h > w ? h : w;
    return side >= 128 ? 1 : side >= 64 ? 2 : side >= 24 ? 3 : 6;
}

int array_check_grid(const char *path, int64_t n, int64_t columns, int64_t h, int64_t w)
{
    enum { MOST_IMAGES = 1 << 20, MOST_PIXELS = 1000000 }; /* the library's, libpng's */
    int64_t scale = grid_scale(h, w), across = grid_columns(n, columns);
    int64_t width = across * (w * scale + GAP) + GAP;
    int64_t height = (n + across - 1) / across * (h * scale + GAP) + GAP;
    if (n <= MOST_IMAGES && width <= MOST_PIXELS && height <= MOST_PIXELS) return 0;
    return fail("%s: %" PRId64 " images make a picture of %" PRId64 "x%" PRId64
                " pixels, expected at most %d images and %d pixels on a side",
                path, n, width, height, MOST_IMAGES, MOST_PIXELS);
}

int array_save_grid(const char *path, const float *x, int64_t n, int64_t columns, int64_t c,
                    int64_t h, int64_t w)
{
    return check(
        jem_array_save_png(path, x, n, c, h, w, grid_columns(n, columns), grid_scale(h, w), GAP));
}
