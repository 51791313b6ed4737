/* Validation during training: held-out images, and the best model on them so far. */
#ifndef JEM__TRAIN_VALIDATION_H
#define JEM__TRAIN_VALIDATION_H

#include "base/object.h"
#include <jem/dataset.h>
#include <jem/model.h>

typedef struct jem__validation {
    jem_dataset *data;   /* NULL: none */
    int64_t every, last; /* steps between validations; the step that ends the run */
    int32_t by_nll;
    /* Of the last one and of the best one: after which step (0: none yet), and results. */
    int64_t step, best_step;
    double results[4]; /* accuracy, NLL; the best one's */
    int64_t elements;
    float *best; /* [elements]: all parameters of the best model in order */
} jem__validation;

/* The results' places. */
enum { JEM__ACCURACY, JEM__NLL, JEM__BEST_ACCURACY, JEM__BEST_NLL };

/* Keys: trainer.validation (images to hold out), .validate_every, .best. *rest is what
   is left of data to train on: a new reference. */
jem_status jem__validation_read(jem__validation *validation, const jem_config *config,
                                jem_model *model, jem_dataset *data, jem_dataset **rest);
void jem__validation_clear(jem__validation *validation);
/* 1 if the model after `step` is to be validated and has not been. */
int32_t jem__validation_due(const jem__validation *validation, int64_t step);
/* Judges the model after `step`; nothing changes unless it ends well. JEM_CANCELLED if
 *cancel gets set. */
jem_status jem__validation_run(jem__validation *validation, jem_model *model, int64_t step,
                               const jem__flag *cancel);

/* How much more memory validations take. */
jem_status jem__validation_bytes(const jem__validation *validation, jem_model *model,
                                 int64_t *bytes);

#endif
