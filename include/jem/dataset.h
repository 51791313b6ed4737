/* jem/dataset.h: labelled images. */
#ifndef JEM_DATASET_H
#define JEM_DATASET_H

#include <jem/context.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Images with labels; immutable, so any number of threads may read it. */
typedef struct jem_dataset jem_dataset;

typedef int32_t jem_type;
enum {
    JEM_TYPE_U8 = 1,  /* pixels 0..255, mapped to v/127.5 - 1 */
    JEM_TYPE_F32 = 2, /* values in [-1,1], taken as they are */
    JEM_TYPE_I32 = 3, /* (arrays only) */
    JEM_TYPE_I64 = 4, /* (arrays only) */
    JEM_TYPE_F64 = 5  /* (arrays only) */
};

/* Opens "KIND:WHERE":
     cifar:DIR        CIFAR-10 binary: data_batch_*.bin or test_batch.bin
     idx:DIR          MNIST's format, plain or .gz, under its usual file names
     glyphs:OPTIONS   the built-in synthetic digits; no download (may be empty)
     letters:OPTIONS  its out-of-distribution companion, letters without O I l S Z B
     noise:OPTIONS    uniform noise
   Keys: dataset.split (train|test), dataset.limit, dataset.seed,
   dataset.size and dataset.channels (generated sets: without a limit 20000
   images to train, 2000 to test). OPTIONS are the same
   keys without "dataset.", as in "glyphs:size=32,channels=3,limit=1000".
   Errors: ARGUMENT, IO, FORMAT, CONFIG, MEMORY. The text names the file. */
JEM_API jem_status jem_dataset_open(jem_dataset **dataset, jem_context *context, const char *source,
                                    const jem_config *config);

/* Copies the caller's arrays: pixels [n,c,h,w] of type U8 or F32, labels [n]
   >= 0, or NULL (all 0). Errors: ARGUMENT (non-finite values are named),
   SHAPE, MEMORY. */
JEM_API jem_status jem_dataset_create(jem_dataset **dataset, jem_context *context,
                                      const void *pixels, jem_type type, const int32_t *labels,
                                      int64_t n, int64_t c, int64_t h, int64_t w);

/* The images at indices [count], shared with the parent, not copied.
   Errors: ARGUMENT (an index outside), MEMORY. */
JEM_API jem_status jem_dataset_subset(jem_dataset **subset, jem_dataset *dataset,
                                      const int64_t *indices, int64_t count);
/* A random split by seed: first gets count images, second the rest. */
JEM_API jem_status jem_dataset_split(jem_dataset **first, jem_dataset **second,
                                     jem_dataset *dataset, int64_t count, uint64_t seed);
/* per_class images of each class, chosen by seed. Errors: ARGUMENT (a class with
   fewer is named), MEMORY. */
JEM_API jem_status jem_dataset_balanced(jem_dataset **subset, jem_dataset *dataset,
                                        int64_t per_class, uint64_t seed);
JEM_API void jem_dataset_destroy(jem_dataset *dataset);

/* Count, shape, number of classes (largest label + 1; all of a generated set's;
   a subset has its parent's). Outputs may be NULL. */
JEM_API jem_status jem_dataset_info(const jem_dataset *dataset, int64_t *count, int64_t *channels,
                                    int64_t *height, int64_t *width, int64_t *classes);
/* Images first..first+n-1 as float32 [n,C,H,W] in [-1,1], without augmentation;
   labels [n]. Either output may be NULL. Errors: ARGUMENT (out of bounds). */
JEM_API jem_status jem_dataset_read(const jem_dataset *dataset, int64_t first, int64_t n, float *x,
                                    int32_t *y);
/* The name of class k (contract of jem_last_error), or -1. */
JEM_API int64_t jem_dataset_class_name(const jem_dataset *dataset, int64_t k, char *buffer,
                                       int64_t capacity);

#ifdef __cplusplus
}
#endif
#endif
