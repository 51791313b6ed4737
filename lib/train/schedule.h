/* The learning rate of each step. */
#ifndef JEM__TRAIN_SCHEDULE_H
#define JEM__TRAIN_SCHEDULE_H

#include <jem/config.h>

/* rate * min(1, (step + 1) / warmup), times decay^(number of decays at or before
   step), or from the end of the warm-up to the last step a cosine (Loshchilov and
   Hutter 2016): end + (1 - end) (1 + cos(pi t / T)) / 2. */
typedef struct jem__schedule {
    double rate, decay, end;
    int64_t warmup, iterations, count;
    int64_t *at; /* [count] */
    int32_t cosine;
} jem__schedule;

/* Keys: optimizer.rate, trainer.warmup, .schedule, .decay, .decay_at, .rate_end,
   .iterations. CONFIG if decay_at is no list of whole numbers. */
jem_status jem__schedule_read(jem__schedule *schedule, const jem_config *config);
void jem__schedule_clear(jem__schedule *schedule);
double jem__schedule_rate(const jem__schedule *schedule, int64_t step);

#endif
