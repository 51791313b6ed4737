/* jem/loader.h: batches from a dataset, shuffled and augmented.

   What batch i holds is a function of (seed, stream, i) alone: thread count and
   interruptions do not change it. */
#ifndef JEM_LOADER_H
#define JEM_LOADER_H

#include <jem/dataset.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One thread at a time. Holds a reference to its dataset. */
typedef struct jem_loader jem_loader;

/* Keys: loader.batch, loader.shuffle, loader.repeat, loader.crop (reflect-pad
   by so many pixels, then a random crop), loader.flip, loader.noise (sigma of
   Gaussian noise), loader.prefetch (prepare the next batch in a thread),
   loader.seed, loader.stream. With repeat every batch is full: an epoch's last
   images are followed by the next epoch's first. Errors: ARGUMENT, CONFIG,
   MEMORY, STATE (an empty dataset). */
JEM_API jem_status jem_loader_create(jem_loader **loader, jem_dataset *dataset,
                                     const jem_config *config);
/* Frees it; NULL is fine. Any thread. */
JEM_API void jem_loader_destroy(jem_loader *loader);

/* The next batch: x [batch,C,H,W], y [batch] (either may be NULL), each with its capacity;
   *n images were written. JEM_END when not repeating and none is left. Errors: ARGUMENT,
   SHAPE (capacity), STATE, those of reading the dataset: the position then stays, and the
   call may be made again. */
JEM_API jem_status jem_loader_next(jem_loader *loader, float *x, int64_t x_capacity, int32_t *y,
                                   int64_t y_capacity, int64_t *n);

/* The number of the next batch, and setting it: seek costs nothing. Errors: ARGUMENT. */
JEM_API jem_status jem_loader_tell(const jem_loader *loader, int64_t *position);
JEM_API jem_status jem_loader_seek(jem_loader *loader, int64_t position);

#ifdef __cplusplus
}
#endif
#endif
