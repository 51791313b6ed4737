/* Where chains begin: U(-1,1), or Gaussians of the data's classes, from the data or from
   what the model carries of them. */
#ifndef JEM__SAMPLE_START_H
#define JEM__SAMPLE_START_H

#include "sample/factor.h"
#include <jem/dataset.h>

/* What an index counts: keeps the random numbers of the three apart. */
enum {
    JEM__START_CALLER = 0,  /* chains that the caller numbers */
    JEM__START_SLOT = 1,    /* first contents of a buffer slot */
    JEM__START_RESTART = 2, /* restarts, by the number of the chain drawn */
    JEM__START_CHOICE = 3,  /* (images of a class that stand for it) */
    JEM__START_FACTOR = 4   /* (first directions of a fit) */
};

typedef struct jem__starts {
    int32_t gaussian;
    uint64_t seed, stream;
    int64_t image, classes;
    int64_t images; /* of a class give its covariance, at most (0: all); the mean takes all */
    /* Gaussian, once there is data. */
    jem_dataset *chosen; /* the images, class by class */
    int64_t *first;      /* [classes + 1]: where each class begins in chosen */
    float *mean;         /* [classes,image] */
    /* Gaussian without data: classes 0 if the model has none. */
    jem__factor factor;
} jem__starts;

void jem__starts_read(jem__starts *starts, const jem_config *config);
/* On failure what was set before stays. */
jem_status jem__starts_set_data(jem__starts *starts, jem_dataset *data);
void jem__starts_clear(jem__starts *starts);

/* One start x [image], a function of (seed, stream, kind, index). y -1: of a
   random class. Any thread. STATE when Gaussian with neither. */
jem_status jem__start_draw(const jem__starts *starts, int32_t kind, uint64_t index, int32_t y,
                           float *x);

#endif
