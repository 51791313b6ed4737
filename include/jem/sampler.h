/* jem/sampler.h: the Langevin sampler and its replay buffer.

   One step of every chain (Grathwohl et al. 2019, section 4; JEM++, SADA-JEM):

     x <- box(x - step_size * clamp(dE/dx) + noise * normal)

   with an optional clamp of each gradient element to [-c,c], an optional box
   [-1,1], and the noise before the box (default) or after it. JEM, JEM++ and
   SADA-JEM are settings of it. Random numbers are functions of (seed, stream,
   chain, step). The thread count does not change a bit of a chain; how many images are
   in a call, and model.slice, change the rounding of a step by less than 5e-6 of the
   gradient's norm (2e-6 without model.convolution=fast). */
#ifndef JEM_SAMPLER_H
#define JEM_SAMPLER_H

#include <jem/dataset.h>
#include <jem/pass.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One thread at a time, except _cancel. Holds references to model and data. */
typedef struct jem_sampler jem_sampler;

/* Keys: sampler.*. Errors: ARGUMENT, CONFIG (a buffer size not divisible by the
   classes when per-class), MEMORY. */
JEM_API jem_status jem_sampler_create(jem_sampler **sampler, jem_model *model,
                                      const jem_config *config);
/* Lets go of it; NULL is fine. Any thread. */
JEM_API void jem_sampler_destroy(jem_sampler *sampler);

/* The data whose class means and covariances sampler.start=gaussian draws
   starts from: N(mean_c, cov_c + 1e-4 I), clamped to the box (JEM++), as
     x = mean_c + N_c^(-1/2) sum_i z_i (x_i - mean_c) + .01 e       z, e normal
   over N_c images of the class, which needs no covariance matrix. The mean is that of
   all images; sampler.start_images (512; 0: all) of them give the covariance, whose
   relative error by that choice is 18 % on MNIST and 14 % on CIFAR-10 (Frobenius norm).
   Without this call starts come from what the model carries: see jem/starts.h.
   Errors: ARGUMENT, SHAPE (other image shape), STATE (a class without images), MEMORY,
   those of reading the data. */
JEM_API jem_status jem_sampler_set_data(jem_sampler *sampler, jem_dataset *data);

/* Draws n samples from the replay buffer: slots are chosen with replacement (of
   class y[i] when sampler.conditional is set), each restarts with probability
   sampler.restart, all move sampler.steps steps and go back to their slots (of
   a slot drawn twice the later chain stays). y [n] with conditional makes
   the chains follow E(x,y); without it they follow E(x) and y must be NULL.
   x [n,C,H,W] out. Errors: ARGUMENT, STATE (gaussian starts with neither data
   nor jem_model_starts_fit), SHAPE (capacity), DIVERGED (a non-finite chain; the buffer
   keeps its old contents), MEMORY, BACKEND, those of reading the data; JEM_CANCELLED leaves
   the buffer as it was. */
JEM_API jem_status jem_sampler_draw(jem_sampler *sampler, const int32_t *y, int64_t n, float *x,
                                    int64_t capacity);

/* Fresh starts x [n,C,H,W] from sampler.start, of classes y [n] or, with NULL, of any; start
   i is a function of (seed, stream, first + i). For chains that the caller owns: see
   jem_sampler_step. Errors: ARGUMENT, STATE and SHAPE as for draw, MEMORY, those of reading
   the data. */
JEM_API jem_status jem_sampler_draw_starts(jem_sampler *sampler, const int32_t *y, int64_t n,
                                           int64_t first, float *x, int64_t capacity);

/* Moves chains that the caller owns by `steps` steps in place: x [n,C,H,W], y or
   NULL as for energies. first is the number of the first chain and step the
   number of the first step, for the random numbers: a trajectory in pieces is that in
   one. At step 0 x is what a model takes; chains that go on may be anywhere. Errors as for
   draw. */
JEM_API jem_status jem_sampler_step(jem_sampler *sampler, float *x, const int32_t *y, int64_t n,
                                    int64_t first, int64_t step, int64_t steps);

/* The number of slots, and the images [n,C,H,W] in slots first..first+n-1: the ends of
   their chains, or a start where none was drawn. Errors: ARGUMENT (slots outside), SHAPE
   (capacity), MEMORY, and of starts STATE as for draw and those of reading the data. */
JEM_API jem_status jem_sampler_buffer_info(const jem_sampler *sampler, int64_t *slots);
JEM_API jem_status jem_sampler_buffer_get(const jem_sampler *sampler, int64_t first, int64_t n,
                                          float *x, int64_t capacity);

/* Steps that the chains of slots have taken: age [n]; -1 for a slot that still has its
   start. Errors: ARGUMENT. */
JEM_API jem_status jem_sampler_buffer_age(const jem_sampler *sampler, int64_t first, int64_t n,
                                          int64_t *age);
/* Puts n images [n,C,H,W] into slots first..first+n-1, as chains that have taken no step:
   a buffer from elsewhere. Errors: ARGUMENT (slots outside; a value that is not finite),
   MEMORY. */
JEM_API jem_status jem_sampler_buffer_set(jem_sampler *sampler, int64_t first, int64_t n,
                                          const float *x);
/* Takes over the buffer of a checkpoint (jem_trainer_save) with its ages; jem_config_load
   tells its sampler.buffer, which must be the sampler's, and its sampler.conditional. Any
   sampler takes chains of classes; one with sampler.conditional=1 takes no others.
   used (may be NULL): slots that were ever drawn; the others keep their starts. The
   count of draws stays. Errors: ARGUMENT, IO, FORMAT, SHAPE (another number of slots or
   size of images), CONFIG (chains of any class), MEMORY; the buffer then is as it was. */
JEM_API jem_status jem_sampler_buffer_load(jem_sampler *sampler, const char *path, int64_t *used);

/* Of the last draw: mean Euclidean distance from start to end, share of pixels
   at the box's edge, mean age of the drawn slots in steps; NaN before the first draw.
   Outputs may be NULL. Errors: ARGUMENT. */
JEM_API jem_status jem_sampler_stats(const jem_sampler *sampler, double *distance, double *clamped,
                                     double *age);

/* Stops a running call at its next step (JEM_CANCELLED), or else the next call. An atomic
   store: any thread, and signal handlers. NULL is fine. */
JEM_API void jem_sampler_cancel(jem_sampler *sampler);

#ifdef __cplusplus
}
#endif
#endif
