/* Images that the rest of the library reads without checks. */
#ifndef JEM__DATA_DATASET_H
#define JEM__DATA_DATASET_H

#include "base/context.h"
#include "base/random.h"
#include <jem/dataset.h>

/* Pixels and labels, shared by a dataset and its subsets. */
typedef struct jem__store {
    jem__count count;
    jem_type type;
    int64_t n, c, h, w, classes;
    void *pixels; /* [n,c,h,w] of type */
    int32_t *labels;
    const char *(*name)(int64_t k); /* static names of classes, or NULL: numbers */
} jem__store;

struct jem_dataset {
    jem__count count;
    jem_context *context;
    jem__store *store;
    int64_t n;
    int32_t *order; /* [n] images of the store, or NULL: all, in order */
};

/* A dataset that owns *store, which is let go of on failure too. */
jem_status jem__dataset_wrap(jem_dataset **dataset, jem_context *context, jem__store *store);
jem_status jem__store_create(jem__store **store);
void jem__store_drop(jem__store *store);
/* Checks n and c x h x w; *image gets the elements of an image. */
jem_status jem__store_check(const char *function, int64_t n, int64_t c, int64_t h, int64_t w,
                            int64_t *image);
/* Sets classes to the largest label + 1; refuses negative labels. */
jem_status jem__store_count_classes(jem__store *store, const char *function);

jem_dataset *jem__dataset_take(jem_dataset *dataset); /* one more reference */
/* Image i as float32 [C,H,W]; and its label. 0 <= i < n. */
void jem__dataset_image(const jem_dataset *dataset, int64_t i, float *x);
int32_t jem__dataset_label(const jem_dataset *dataset, int64_t i);

/* Writes 0..n-1 in random order (Fisher and Yates). */
void jem__shuffle(jem__random *random, int32_t *order, int64_t n);

#endif
