/* jem/array.h: NumPy .npy files in and out, image grids as PNG. */
#ifndef JEM_ARRAY_H
#define JEM_ARRAY_H

#include <jem/dataset.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An array read from a file; immutable, any thread. */
typedef struct jem_array jem_array;

/* Reads .npy (versions 1 to 3; C order; u1, i4, i8, f4, f8, little-endian).
   Errors: ARGUMENT, IO, FORMAT, MEMORY. The text names the file. */
JEM_API jem_status jem_array_load(jem_array **array, const char *path);
/* Frees it; NULL is fine. */
JEM_API void jem_array_destroy(jem_array *array);
/* Type, number of dimensions (at most 8), shape [8], bytes; outputs may be NULL.
   data stays the array's: valid until it is destroyed. Errors: ARGUMENT. */
JEM_API jem_status jem_array_info(const jem_array *array, jem_type *type, int64_t *dimensions,
                                  int64_t *shape, const void **data);
/* Writes a C-order array of 0 to 8 dimensions as .npy, atomically. Errors: ARGUMENT, SHAPE
   (a negative size), IO, MEMORY. */
JEM_API jem_status jem_array_save(const char *path, const void *data, jem_type type,
                                  int64_t dimensions, const int64_t *shape);
/* Writes n images [n,c,h,w] in [-1,1], c 1 or 3, as one PNG: a grid of
   `columns` columns, images enlarged by the whole factor `scale` (>= 1), with
   a gap of `gap` pixels (>= 0). Values outside [-1,1] are clamped.
   Errors: ARGUMENT, FORMAT (a picture larger than PNG's readers take), IO, MEMORY. */
JEM_API jem_status jem_array_save_png(const char *path, const float *x, int64_t n, int64_t c,
                                      int64_t h, int64_t w, int64_t columns, int64_t scale,
                                      int64_t gap);

#ifdef __cplusplus
}
#endif
#endif
