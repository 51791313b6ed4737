/* Pixels of applications and pictures -> planes of a wanted size. */
#ifndef JEM__FORMAT_PIXELS_H
#define JEM__FORMAT_PIXELS_H

#include <jem/model.h>

int64_t jem__pixel_bytes(jem_pixel_format format); /* of one pixel; 0: no such format */
/* One image, stride bytes from row to row, to x [c,h,w] in [-1,1]; c 1 or 3. Grey is repeated,
   colour becomes luma for c 1, alpha lies over black; another size is resampled. */
jem_status jem__pixels_convert(const uint8_t *pixels, int64_t width, int64_t height, int64_t stride,
                               jem_pixel_format format, int64_t c, int64_t h, int64_t w, float *x);

#endif
