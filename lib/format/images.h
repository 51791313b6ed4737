/* Image files: idx, CIFAR binary, SVHN's .mat, PNG. */
#ifndef JEM__FORMAT_IMAGES_H
#define JEM__FORMAT_IMAGES_H

#include <jem/status.h>

/* Raw labelled images, uint8 NCHW; free the arrays with jem__free. */
typedef struct jem__images {
    int64_t n, c, h, w;
    int64_t classes; /* 0: not known */
    uint8_t *pixels; /* [n,c,h,w] */
    int32_t *labels; /* [n] */
    char *names;     /* of the classes, a line each, or NULL */
} jem__images;

void jem__images_clear(jem__images *images); /* frees the arrays */

/* dir holds train-images-idx3-ubyte[.gz] and -labels-idx1-, or t10k-... for
   test; "-images.idx3-ubyte" spellings too. limit 0: all. */
jem_status jem__idx_read(jem__images *images, const char *dir, int32_t test, int64_t limit);
/* dir holds data_batch_1..5.bin (those that exist) or test_batch.bin; also in
 * dir/cifar-10-batches-bin. */
jem_status jem__cifar_read(jem__images *images, const char *dir, int32_t test, int64_t limit);
/* dir holds train.bin or test.bin of CIFAR-100, and perhaps fine_label_names.txt; also in
   dir/cifar-100-binary. The labels are the fine ones. */
jem_status jem__cifar100_read(jem__images *images, const char *dir, int32_t test, int64_t limit);
/* dir holds SVHN's train_32x32.mat or test_32x32.mat; label 10 of the files is digit 0. */
jem_status jem__svhn_read(jem__images *images, const char *dir, int32_t test, int64_t limit);

/* Writes 8-bit grey (c 1) or RGB (c 3) rows, atomically. pixels [h,w,c]. */
jem_status jem__png_write(const char *path, const uint8_t *pixels, int64_t w, int64_t h, int64_t c);

/* Width, height, and whether a PNG file has colour (a palette counts as such). */
jem_status jem__png_info(const char *path, int64_t *w, int64_t *h, int32_t *colour);
/* Reads a PNG file of any kind as 8-bit RGBA: pixels [*h,*w,4], the caller's. */
jem_status jem__png_read(uint8_t **pixels, int64_t *w, int64_t *h, const char *path);

#endif
