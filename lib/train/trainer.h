/* The trainer's own state: shared by the files of this room only. */
#ifndef JEM__TRAIN_TRAINER_H
#define JEM__TRAIN_TRAINER_H

#include "model/model.h"
#include "sample/sampler.h"
#include "train/average.h"
#include "train/guard.h"
#include "train/rollback.h"
#include "train/schedule.h"
#include "train/validation.h"
#include <jem/trainer.h>

/* In the order of their names in metrics.c. */
typedef enum jem__metric {
    JEM__METRIC_STEP,
    JEM__METRIC_IMAGES_PER_SECOND,
    JEM__METRIC_LOSS,
    JEM__METRIC_LOSS_PX,
    JEM__METRIC_LOSS_PYX,
    JEM__METRIC_ACCURACY,
    JEM__METRIC_ENERGY_DATA,
    JEM__METRIC_ENERGY_SAMPLE,
    JEM__METRIC_GAP,
    JEM__METRIC_GRADIENT_NORM,
    JEM__METRIC_DISTANCE,
    JEM__METRIC_CLAMPED,
    JEM__METRIC_BUFFER_AGE,
    JEM__METRIC_RATE,
    JEM__METRIC_SECONDS_LOAD,
    JEM__METRIC_SECONDS_SAMPLE,
    JEM__METRIC_SECONDS_PASS,
    JEM__METRIC_SECONDS_UPDATE,
    JEM__METRIC_ROLLBACKS,
    JEM__METRIC_LOSS_PXY,
    JEM__METRIC_GAP_PXY,
    JEM__METRIC_VALID_STEP,
    JEM__METRIC_VALID_ACCURACY,
    JEM__METRIC_VALID_NLL,
    JEM__METRIC_BEST_STEP,
    JEM__METRIC_BEST_ACCURACY,
    JEM__METRIC_BEST_NLL,
    JEM__METRIC_ENERGY_DATA_PXY,
    JEM__METRIC_ENERGY_SAMPLE_PXY,
    JEM__METRIC_RATE_FACTOR,
    JEM__METRIC_PENALTY,
    JEM__METRIC_SAMPLER_STEPS,
    JEM__METRIC_ALARMS,
    JEM__METRIC_COUNT
} jem__metric;

struct jem_trainer {
    jem_model *model;
    jem_config *config; /* as given, with the model's settings */
    jem_loader *px_loader, *labelled_loader;
    jem_sampler *sampler;
    jem_optimizer *optimizer;
    jem_pass *pass;
    jem__schedule schedule;

    int64_t iterations, image, classes, batch, px_batch;
    int64_t data_count, data_classes; /* facts that a checkpoint must meet */
    double px, pyx, pxy, penalty, gap_limit;
    int32_t sam, head_only;
    uint64_t seed;
    jem__guard guard;
    jem__rollback rollback;

    int64_t step; /* complete steps */
    jem__average average;
    jem__validation validation;
    int32_t running;
    double metrics[JEM__METRIC_COUNT];

    /* Work space of a step. */
    float *x_p, *x_q, *x_l; /* the batches; x_q: samples for p(x), then for p(x,y) */
    float *x_j;             /* the latter, in x_q */
    int32_t *y, *chain_y;   /* labels: of the labelled batch; of conditional chains */
    float *logits, *head;   /* of all batches; head NULL if the network has none */
    float *statistics;      /* those before the step */
};

/* One step, or nothing at all: see jem_trainer_step. */
jem_status jem__trainer_advance(jem_trainer *trainer);
/* Running means and variances, out of the model or back into it. */
void jem__trainer_keep_statistics(jem_trainer *trainer);
void jem__trainer_restore_statistics(jem_trainer *trainer);
/* Those of no step, after a return to another one. */
void jem__trainer_forget_metrics(jem_trainer *trainer);
/* What roll-backs and guards have come to, among the metrics. */
void jem__trainer_tell_policy(const jem_trainer *trainer, double *metrics);
/* Runs the validation that the last complete step is due, if any. */
jem_status jem__trainer_validate(jem_trainer *trainer);
/* Its results into the metrics. */
void jem__trainer_tell_validation(jem_trainer *trainer);

/* Gives loader.seed and sampler.seed the value of trainer.seed unless set. */
jem_status jem__trainer_seeds(jem_config *config);

#endif
