/* The learning rate of each step. */
#ifndef JEM__TRAIN_SCHEDULE_H
#define JEM__TRAIN_SCHEDULE_H

#include <jem/config.h>

/* rate * min(1, (step + 1) / warmup) * decay^(number of decays at or before step) */
typedef struct jem__schedule {
    double rate, decay;
    int64_t warmup, count;
    int64_t *at; /* [count] */
} jem__schedule;

/* Keys: optimizer.rate, trainer.warmup, trainer.decay, trainer.decay_at. CONFIG
   if the last is no list of whole numbers. */
jem_status jem__schedule_read(jem__schedule *schedule, const jem_config *config);
void jem__schedule_clear(jem__schedule *schedule);
double jem__schedule_rate(const jem__schedule *schedule, int64_t step);

#endif
