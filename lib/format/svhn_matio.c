/* SVHN's arrays in MATLAB files of other kinds than libjem's own reader takes: 7.3 (HDF5) and
   big-endian ones, numbers of any type. Built with -Dmatio=enabled; the only file that includes
   matio.h and hdf5.h. */
#include "base/gzip.h"
#include "base/memory.h"
#include "base/status.h"
#include "format/svhn.h"
#include <hdf5.h>
#include <inttypes.h>
#include <matio.h>
#include <pthread.h>

/* Neither matio nor HDF5 promise to be called from several threads. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static double number(const matvar_t *v, int64_t i)
{
    switch (v->class_type) {
    case MAT_C_DOUBLE:
        return ((const double *)v->data)[i];
    case MAT_C_SINGLE:
        return ((const float *)v->data)[i];
    case MAT_C_INT64:
        return (double)((const int64_t *)v->data)[i];
    case MAT_C_UINT64:
        return (double)((const uint64_t *)v->data)[i];
    case MAT_C_INT32:
        return ((const int32_t *)v->data)[i];
    case MAT_C_UINT32:
        return ((const uint32_t *)v->data)[i];
    case MAT_C_INT16:
        return ((const int16_t *)v->data)[i];
    case MAT_C_UINT16:
        return ((const uint16_t *)v->data)[i];
    case MAT_C_INT8:
        return ((const int8_t *)v->data)[i];
    case MAT_C_UINT8:
        return ((const uint8_t *)v->data)[i];
    default:
        return -1;
    }
}

/* The bytes of an array [shape], whose last dimension is whatever the file has. */
static jem_status get_bytes(uint8_t **bytes, mat_t *mat, matvar_t *v, const char *path,
                            int64_t *shape, int dimensions, int64_t file_size)
{
    int64_t n = 1;
    int32_t fits = v->rank == dimensions && !v->isComplex;
    for (int i = 0; fits && i < dimensions; i++) {
        if (shape[i] < 0) shape[i] = v->dims[i] > INT32_MAX ? 0 : (int64_t)v->dims[i];
        fits = (int64_t)v->dims[i] == shape[i] && shape[i] > 0 && jem__multiply(n, shape[i], &n);
    }
    if (!fits || n / JEM__MOST_INFLATION > file_size)
        return jem__fail(JEM_ERROR_FORMAT, "%s: %s is not one array %s", path, v->name,
                         dimensions == 4 ? "X [32,32,3,n]" : "y [n,1]");
    if (Mat_VarReadDataAll(mat, v) || !v->data)
        return jem__fail(JEM_ERROR_FORMAT, "%s: matio cannot read %s: damaged, or out of memory",
                         path, v->name);
    JEM__TRY(jem__alloc(bytes, n, 1));
    for (int64_t i = 0; i < n; i++) {
        double value = number(v, i);
        if (!(value >= 0 && value <= 255) || value != (double)(uint8_t)value)
            return jem__fail(JEM_ERROR_FORMAT,
                             "%s: %s, element %" PRId64 ", is %g, expected an integer in 0..255",
                             path, v->name, i, value);
        (*bytes)[i] = (uint8_t)value;
    }
    return JEM_OK;
}

static jem_status get_array(uint8_t **bytes, mat_t *mat, const char *name, const char *path,
                            int64_t *shape, int dimensions, int64_t file_size)
{
    matvar_t *v = Mat_VarReadInfo(mat, name);
    if (!v) return jem__fail(JEM_ERROR_FORMAT, "%s: holds no array %s", path, name);
    jem_status status = get_bytes(bytes, mat, v, path, shape, dimensions, file_size);
    Mat_VarFree(v);
    return status;
}

static jem_status read_arrays(jem__images *out, mat_t *mat, const char *path, int64_t file_size,
                              int64_t limit)
{
    int64_t x_shape[] = {JEM__SVHN_SIZE, JEM__SVHN_SIZE, JEM__SVHN_PLANES, -1};
    uint8_t *x = NULL, *y = NULL;
    jem_status status = get_array(&x, mat, "X", path, x_shape, 4, file_size);
    int64_t y_shape[] = {x_shape[3], 1}, n = limit > 0 && limit < x_shape[3] ? limit : x_shape[3];
    if (!status) status = get_array(&y, mat, "y", path, y_shape, 2, file_size);
    if (!status) status = jem__alloc(&out->pixels, n, JEM__SVHN_IMAGE);
    if (!status) status = jem__svhn_labels(out, y, x_shape[3], path);
    if (!status) out->n = n;
    for (int64_t i = 0; !status && i < n; i++)
        jem__svhn_turn(out->pixels + i * JEM__SVHN_IMAGE, x + i * JEM__SVHN_IMAGE);
    jem__free(x);
    jem__free(y);
    return status;
}

static jem_status read_file(jem__images *images, const char *path, int64_t file_size, int64_t limit)
{
    mat_t *mat = Mat_Open(path, MAT_ACC_RDONLY);
    if (!mat) return jem__fail(JEM_ERROR_FORMAT, "%s: not a MATLAB file", path);
    jem_status status = read_arrays(images, mat, path, file_size, limit);
    Mat_Close(mat);
    return status;
}

jem_status jem__svhn_matio(jem__images *images, const char *path, int64_t file_size, int64_t limit)
{
    H5E_auto2_t print;
    void *user;
    pthread_mutex_lock(&lock);
    /* A library prints nothing by itself. */
    H5Eget_auto2(H5E_DEFAULT, &print, &user);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    jem_status status = read_file(images, path, file_size, limit);
    H5Eset_auto2(H5E_DEFAULT, print, user);
    pthread_mutex_unlock(&lock);
    return status;
}
