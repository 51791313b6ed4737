/* Images that the rest of the library reads without checks. */
#ifndef JEM__DATA_DATASET_H
#define JEM__DATA_DATASET_H

#include "base/context.h"
#include "base/random.h"
#include <jem/dataset.h>

typedef struct jem__store jem__store;

/* Images that are fetched when they are wanted: from a file, from the host. */
typedef struct jem__source {
    /* Images at indices of the store: pixels [n,c,h,w] of its type, labels [n]; either may be
       NULL. Many threads at once. */
    jem_status (*fetch)(const jem__store *store, const int64_t *indices, int64_t n, void *pixels,
                        int32_t *labels);
    void (*close)(jem__store *store);
    int32_t is_host; /* runs the host's code: only on the thread inside a public call */
} jem__source;

/* Pixels and labels, shared by a dataset and its subsets. */
struct jem__store {
    jem__count count;
    jem_type type;
    int64_t n, c, h, w, classes;
    void *pixels;                   /* [n,c,h,w] of type; NULL: the source has them */
    int32_t *labels;                /* [n]; NULL: the source has them */
    const jem__source *source;      /* NULL: all is in memory */
    void *opened;                   /* the source's own */
    const char *(*name)(int64_t k); /* static names of classes */
    char *names;                    /* or a line for each, or neither: numbers */
    const char **lines;             /* [classes] where each begins in names */
};

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
/* What arrays it has: n images of c x h x w. */
void jem__store_describe(jem__store *store, jem_type type, int64_t n, int64_t c, int64_t h,
                         int64_t w);
void jem__store_drop(jem__store *store);
int64_t jem__store_image_bytes(const jem__store *store);
/* Fetches all into memory and closes the source. */
jem_status jem__store_hold(jem__store *store);
/* Checks what describes the arrays; *image gets the elements of an image, whose bytes can be
   counted even where there are none. */
jem_status jem__store_check(const char *function, jem_type type, int64_t n, int64_t c, int64_t h,
                            int64_t w, int64_t *image);
/* Sets classes to the largest label + 1; refuses negative labels. */
jem_status jem__store_count_classes(jem__store *store, const char *function);

/* Finds the lines of names, which may be fewer or more than classes; *count: how many. */
jem_status jem__store_find_names(jem__store *store, int64_t *count);

jem_dataset *jem__dataset_take(jem_dataset *dataset); /* one more reference */
/* 1 if reading it runs the host's code: only on the thread inside a public call. */
int32_t jem__dataset_is_host(const jem_dataset *dataset);
/* Images at indices (each 0 <= i < dataset->n; overwritten) as float32 x [n,C,H,W], and labels
   y [n]; either may be NULL. */
jem_status jem__dataset_images(const jem_dataset *dataset, int64_t *indices, int64_t n, float *x,
                               int32_t *y);
/* The same as the store has them. */
jem_status jem__dataset_raw(const jem_dataset *dataset, int64_t *indices, int64_t n, void *pixels,
                            int32_t *y);
/* A dataset of the same images in memory, that any thread may read. */
jem_status jem__dataset_hold(jem_dataset **held, jem_dataset *dataset);

/* Fill a store from what stands behind the colon of "png:DIR" and "packed:FILE". */
jem_status jem__folder_open(jem__store *store, const char *dir, const jem_config *config);
jem_status jem__packed_open(jem__store *store, const char *path, const jem_config *config);

/* Writes 0..n-1 in random order (Fisher and Yates). */
void jem__shuffle(jem__random *random, int32_t *order, int64_t n);

#endif
