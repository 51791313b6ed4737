/* Image files: idx, CIFAR binary, PNG. */
#ifndef JEM__FORMAT_IMAGES_H
#define JEM__FORMAT_IMAGES_H

#include <jem/status.h>

/* Raw labelled images, uint8 NCHW; free pixels and labels with jem__free. */
typedef struct jem__images {
    int64_t n, c, h, w;
    uint8_t *pixels; /* [n,c,h,w] */
    int32_t *labels; /* [n] */
} jem__images;

void jem__images_clear(jem__images *images); /* frees the arrays */

/* dir holds train-images-idx3-ubyte[.gz] and -labels-idx1-, or t10k-... for
   test; "-images.idx3-ubyte" spellings too. limit 0: all. */
jem_status jem__idx_read(jem__images *images, const char *dir, int32_t test, int64_t limit);
/* dir holds data_batch_1..5.bin (those that exist) or test_batch.bin; also in
 * dir/cifar-10-batches-bin. */
jem_status jem__cifar_read(jem__images *images, const char *dir, int32_t test, int64_t limit);

/* Writes 8-bit grey (c 1) or RGB (c 3) rows, atomically. pixels [h,w,c]. */
jem_status jem__png_write(const char *path, const uint8_t *pixels, int64_t w, int64_t h, int64_t c);

#endif
