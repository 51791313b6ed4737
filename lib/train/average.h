/* The exponential moving average of a model's weights and running statistics. */
#ifndef JEM__TRAIN_AVERAGE_H
#define JEM__TRAIN_AVERAGE_H

#include "model/model.h"

/* After steps 1..t it is the mean of the models after them, with weights that fall by
   decay a step and sum to 1 (as Adam corrects its means): initial weights take no part. */
typedef struct jem__average {
    double decay; /* 0: there is none */
    int64_t elements;
    float *values; /* [elements]: all parameters in order */
} jem__average;

/* Key: trainer.ema. Begins with the model as it is. */
jem_status jem__average_read(jem__average *average, const jem_config *config, jem_model *model);
void jem__average_clear(jem__average *average);
/* Takes in the model after complete step t = 1, 2, ... */
void jem__average_add(jem__average *average, jem_model *model, int64_t t);

/* All parameters and statistics of a model in order, out and in. */
int64_t jem__model_elements(jem_model *model);
void jem__model_copy_out(jem_model *model, float *values);
void jem__model_copy_in(jem_model *model, const float *values);
/* A copy of model with these values. */
jem_status jem__model_with(jem_model **copy, const jem_model *model, const float *values);

#endif
