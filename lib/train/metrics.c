#include "base/status.h"
#include "train/trainer.h"
#include <inttypes.h>
#include <string.h>

static const char *const names[JEM__METRIC_COUNT] = {"step",
                                                     "images_per_second",
                                                     "loss",
                                                     "loss_px",
                                                     "loss_pyx",
                                                     "accuracy",
                                                     "energy_data",
                                                     "energy_sample",
                                                     "gap",
                                                     "gradient_norm",
                                                     "distance",
                                                     "clamped",
                                                     "buffer_age",
                                                     "rate",
                                                     "seconds_load",
                                                     "seconds_sample",
                                                     "seconds_pass",
                                                     "seconds_update",
                                                     "rollbacks",
                                                     "loss_pxy",
                                                     "gap_pxy",
                                                     "valid_step",
                                                     "valid_accuracy",
                                                     "valid_nll",
                                                     "best_step",
                                                     "best_accuracy",
                                                     "best_nll",
                                                     "energy_data_pxy",
                                                     "energy_sample_pxy",
                                                     "rate_factor",
                                                     "penalty",
                                                     "sampler_steps",
                                                     "alarms"};

int64_t jem_trainer_metric_count(void)
{
    return JEM__METRIC_COUNT;
}

const char *jem_trainer_metric_name(int64_t index)
{
    return index >= 0 && index < JEM__METRIC_COUNT ? names[index] : NULL;
}

jem_status jem_trainer_metrics(const jem_trainer *trainer, double *values, int64_t capacity)
{
    JEM__REQUIRE(trainer, "jem_trainer_metrics");
    JEM__REQUIRE(values, "jem_trainer_metrics");
    if (capacity < JEM__METRIC_COUNT)
        return jem__fail(JEM_ERROR_SHAPE,
                         "jem_trainer_metrics: capacity is %" PRId64 ", expected at least %d",
                         capacity, JEM__METRIC_COUNT);
    memcpy(values, trainer->metrics, sizeof trainer->metrics);
    return JEM_OK;
}
