/* A class Gaussian in few numbers: mean, a low-rank factor, what is left per pixel.

   cov_c ~ F_c F_c^T + diag(rest_c^2), F_c the leading principal directions of the
   class scaled by their standard deviations, rest_c such that every pixel keeps its
   variance. Among factors of that rank none is nearer in the Frobenius norm. */
#ifndef JEM__SAMPLE_FACTOR_H
#define JEM__SAMPLE_FACTOR_H

#include "base/random.h"
#include "model/model.h"
#include <jem/dataset.h>

/* Variance of the noise on top of every class Gaussian is the square of this (JEM++). */
#define JEM__START_RIDGE 0.01F

typedef struct jem__factor {
    int64_t classes, rank, image;
    float *mean;   /* [classes,image] */
    float *factor; /* [classes,rank,image] */
    float *rest;   /* [classes,image] */
} jem__factor;

/* From all images of each class, by `sweeps` block power iterations, which share the
   classes among the workers; the same bits for any number of threads. Errors: those of
   jem__survey_of, and MEMORY. */
jem_status jem__factor_fit(jem__factor *factor, const char *function, jem_context *context,
                           jem_dataset *data, int64_t image, int64_t classes, int64_t rank,
                           uint64_t seed);
void jem__factor_clear(jem__factor *factor);
/* The share of the variance that the factor holds, over all classes. */
double jem__factor_explained(const jem__factor *factor);
/* x [image]: a draw of class y, clamped to [-1,1]; room [image] for normals. */
void jem__factor_draw(const jem__factor *factor, jem__random *random, int32_t y, float *x,
                      float *room);

/* As tensors starts.mean, starts.rest (F32) and starts.factor (BF16) of the model.
   load leaves *factor empty (classes 0) when the model has none; FORMAT when they do
   not fit it. */
jem_status jem__factor_store(const jem__factor *factor, jem_model *model);
jem_status jem__factor_load(jem__factor *factor, const jem_model *model);

#endif
