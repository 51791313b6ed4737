/* Where chains start: uniform noise, or Gaussians of the data's classes. */
#ifndef JEM__SAMPLE_START_H
#define JEM__SAMPLE_START_H

#include "base/threads.h"
#include <jem/dataset.h>

/* Class Gaussians N(mean_c, cov_c + 1e-4 I) without covariance matrices:
   x = mean_c + N_c^(-1/2) sum_i z_i (x_i - mean_c) + .01 e has that law (JEM++).
   At most the first 512 images of a class stand for it. */
typedef struct jem__gaussians {
    int64_t classes, image;
    int64_t *count; /* images of each class */
    float **images; /* [classes][count, image], the mean taken off */
    float *mean;    /* [classes, image] */
} jem__gaussians;

jem_status jem__gaussians_create(jem__gaussians **gaussians, const jem_dataset *data,
                                 int64_t classes);
void jem__gaussians_destroy(jem__gaussians *gaussians);

/* One start at an address. gaussians NULL: uniform in [-1,1]. y < 0: a random class. */
void jem__start(const jem__gaussians *gaussians, int32_t y, uint64_t seed, uint64_t stream,
                uint64_t index, int64_t image, float *x);

#endif
