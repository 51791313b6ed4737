/* jem/dataset.h: labelled images. */
#ifndef JEM_DATASET_H
#define JEM_DATASET_H

#include <jem/context.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Images with labels; immutable, so any number of threads may read it. */
typedef struct jem_dataset jem_dataset;

/* The type of an array's elements. */
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
     cifar100:DIR     CIFAR-100 binary, its 100 fine classes: train.bin or test.bin
     idx:DIR          MNIST's format, plain or .gz, under its usual file names
     svhn:DIR         SVHN's train_32x32.mat or test_32x32.mat
     png:DIR          a folder of PNG files for each class, the classes being the sorted names of
                      the folders; below DIR/train or DIR/test where there is such a folder;
                      the classes of DIR/test are those of DIR/train, if that is there
     packed:FILE      what jem_dataset_save wrote, of any size; both splits are the whole file
     glyphs:OPTIONS   the built-in synthetic digits; no download (may be empty)
     letters:OPTIONS  its out-of-distribution companion, letters without O I l S Z B
     noise:OPTIONS    uniform noise
   Keys: dataset.split (train|test), dataset.limit, dataset.seed,
   dataset.size and dataset.channels (generated sets: without a limit 20000
   images to train, 2000 to test), dataset.resize, dataset.memory, dataset.map. OPTIONS are the
   same keys without "dataset.", as in "glyphs:size=32,channels=3,limit=1000".

   PNG files may be grey, coloured, with palette, alpha (laid over black), of 1 to 16 bits, and
   interlaced. With dataset.channels set, or when some file has colour, grey is repeated and
   colour becomes luma, as in jem_model_prepare. Images come from the classes in turn. Folders
   beyond dataset.memory and packed files are read when images are wanted: a file that has gone or
   changed since is an error of that call. Errors: ARGUMENT, IO, FORMAT, SHAPE (images of several
   sizes), CONFIG, MEMORY. The text names the file. */
JEM_API jem_status jem_dataset_open(jem_dataset **dataset, jem_context *context, const char *source,
                                    const jem_config *config);

/* A dataset of the caller's arrays, copied: pixels [n,c,h,w] of type U8 or F32, labels [n]
   >= 0, or NULL (all 0). Errors: ARGUMENT (non-finite values are named),
   SHAPE, MEMORY. */
JEM_API jem_status jem_dataset_create(jem_dataset **dataset, jem_context *context,
                                      const void *pixels, jem_type type, const int32_t *labels,
                                      int64_t n, int64_t c, int64_t h, int64_t w);

/* Data that do not fit in memory, or come from elsewhere. */
typedef struct jem_dataset_callbacks {
    int64_t struct_size; /* sizeof(jem_dataset_callbacks) */
    void *user;
    /* Writes the images at indices [n], each 0..n_of_dataset-1, in that order and perhaps one
       several times: pixels [n,c,h,w] of the dataset's type, labels [n] in 0..classes-1. Either
       may be NULL and is then not wanted. The same index must give the same image every time.
       Non-zero: failed; the call that wanted the images returns JEM_ERROR_IO and may be made
       again. */
    int32_t (*read)(void *user, const int64_t *indices, int64_t n, void *pixels, int32_t *labels);
    void (*release)(void *user); /* once, after the last use of user; may be NULL */
} jem_dataset_callbacks;

/* A dataset that asks the host for images. The table is copied. Threads: read runs on the thread
   that is inside a call of libjem (jem_dataset_read, _save and _balanced, jem_trainer_create,
   jem_loader_next, jem_trainer_step, _run, jem_sampler_set_data, jem_model_starts_fit, jem_eval_*),
   never on one of libjem's own, so loader.prefetch has no effect; it must be ready for several
   threads only if the host uses the dataset from several. It may call libjem, except with the
   handles of that call. release runs inside the jem_*_destroy that gives up the last reference.
   When this function fails, user stays the caller's and release is not called. pixels, type, n, c,
   h, w as for jem_dataset_create. Errors: ARGUMENT, SHAPE, MEMORY; of reading: IO, ARGUMENT (a
   non-finite value or a wrong label, named by its image). */
JEM_API jem_status jem_dataset_create_callbacks(jem_dataset **dataset, jem_context *context,
                                                const jem_dataset_callbacks *callbacks,
                                                jem_type type, int64_t n, int64_t c, int64_t h,
                                                int64_t w, int64_t classes);

/* Writes the dataset as one file for "packed:FILE", atomically, piece by piece: neither this nor
   reading it needs memory for the images. It holds pixels (of the dataset's type), labels and class
   names, all with checksums; it is a safetensors file (docs/data.md). Errors: ARGUMENT, IO,
   MEMORY, those of reading. */
JEM_API jem_status jem_dataset_save(const jem_dataset *dataset, const char *path);

/* The images at indices [n], in that order, shared with the parent, not copied.
   Errors: ARGUMENT (an index outside), MEMORY. */
JEM_API jem_status jem_dataset_subset(jem_dataset **subset, jem_dataset *dataset,
                                      const int64_t *indices, int64_t n);
/* A random split by seed: first gets n images, second the rest. Errors: ARGUMENT (n
   outside 0..count), MEMORY; then both are NULL. */
JEM_API jem_status jem_dataset_split(jem_dataset **first, jem_dataset **second,
                                     jem_dataset *dataset, int64_t n, uint64_t seed);
/* per_class images of each class, chosen by seed. Errors: ARGUMENT (a class with
   fewer is named), MEMORY, those of reading the labels. */
JEM_API jem_status jem_dataset_balanced(jem_dataset **subset, jem_dataset *dataset,
                                        int64_t per_class, uint64_t seed);
/* As many images of the same shape, all of label 0, that stand for what a model has not seen:
     uniform          noise, U(-1,1) for each value
     constant         one colour, U(-1,1) for each channel
     interpolations   (x_i + x_j) / 2 of image i and another one
   Each image depends on seed and its index only. Made when read; the dataset is kept for it.
   Errors: ARGUMENT (interpolations need two images), MEMORY. */
JEM_API jem_status jem_dataset_derive(jem_dataset **derived, jem_dataset *dataset, const char *kind,
                                      uint64_t seed);
/* Lets go of it; NULL is fine; subsets, loaders, samplers and trainers keep what they need.
   Any thread. */
JEM_API void jem_dataset_destroy(jem_dataset *dataset);

/* Count, shape, number of classes (largest label + 1; all of a generated set's, of cifar100, svhn,
   png and packed sets; a subset has its parent's). Outputs may be NULL. Any thread. Errors:
   ARGUMENT. */
JEM_API jem_status jem_dataset_info(const jem_dataset *dataset, int64_t *count, int64_t *channels,
                                    int64_t *height, int64_t *width, int64_t *classes);
/* Images first..first+n-1: x [n,C,H,W], float32 in [-1,1], without augmentation, and labels
   y [n]. Either output may be NULL. Any thread. Errors: ARGUMENT (out of bounds), SHAPE
   (capacity); those of a source that is read when it is wanted (IO, FORMAT, SHAPE, MEMORY). */
JEM_API jem_status jem_dataset_read(const jem_dataset *dataset, int64_t first, int64_t n, float *x,
                                    int64_t capacity, int32_t *y);
/* The name of class k; its number in digits where the data name none. Contract of
   jem_last_error. Any thread. Errors: ARGUMENT (k is no class). */
JEM_API int64_t jem_dataset_class_name(const jem_dataset *dataset, int64_t k, char *buffer,
                                       int64_t capacity);

#ifdef __cplusplus
}
#endif
#endif
