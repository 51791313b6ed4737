/* jem/starts.h: class Gaussians that a model carries, so that chains start near the
   data without the data (informative initialisation, JEM++).

   sampler.start=gaussian draws a start of class c from N(mean_c, cov_c + 1e-4 I),
   clamped to [-1,1]. With the data at hand (jem_sampler_set_data) no covariance matrix
   is needed; without it, the model's own tensors stand for it:

     x = mean_c + F_c z + sqrt(rest_c^2 + 1e-4) e       z, e normal

   F_c are the leading sampler.start_rank principal directions of the class, each times
   its standard deviation, and rest_c^2 is the variance that every pixel has besides.
   Means and variances of the pixels are therefore exact, covariances approximate.
   Rank 32 (the default): relative error of the covariance matrices in the Frobenius norm
   7 % on MNIST (0.6 MB) and 5 % on CIFAR-10 (2.2 MB); docs/sampling.md has a table.

   The file holds them as starts.mean and starts.rest (F32 [K,C,H,W]) and starts.factor
   (BF16 [K,rank,C,H,W]). */
#ifndef JEM_STARTS_H
#define JEM_STARTS_H

#include <jem/dataset.h>
#include <jem/model.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Fits them to all images of the data and keeps them in the model: saved with it, cloned,
   replacing older ones. Reads the data about five times; deterministic for any number of
   threads. A call that writes to the model: samplers made before do not see it.
   jem_trainer_create does this when sampler.start=gaussian and the model has none. Keys:
   sampler.start_rank, sampler.seed. Errors: ARGUMENT, SHAPE (other image shape; a label outside the
   classes), STATE (a class without images): the model then keeps what it had; MEMORY. */
JEM_API jem_status jem_model_starts_fit(jem_model *model, jem_dataset *data,
                                        const jem_config *config);

/* What the model carries: rank, size in the file in bytes (0: it carries none), and the share of
   the data's variance (0..1) that lies in the factor; the rest is independent noise of each
   pixel. Outputs may be NULL. Errors: ARGUMENT, FORMAT (tensors starts.* that do not fit
   the model), MEMORY. */
JEM_API jem_status jem_model_starts_info(const jem_model *model, int64_t *rank, int64_t *bytes,
                                         double *explained);

/* Takes them out of the model. A call that writes. Errors: ARGUMENT. */
JEM_API jem_status jem_model_starts_remove(jem_model *model);

#ifdef __cplusplus
}
#endif
#endif
