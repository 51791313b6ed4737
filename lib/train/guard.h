/* Guards: limits beyond which a step's numbers count as diverging. */
#ifndef JEM__TRAIN_GUARD_H
#define JEM__TRAIN_GUARD_H

#include <jem/config.h>

typedef struct jem__guard {
    double energy, gradient, clamped, distance; /* limits; 0: none */
    int64_t patience;                           /* steps in a row */
    int64_t alarms;                             /* steps in a row so far: part of a run's state */
    int32_t alarmed;                            /* by the step at work */
} jem__guard;

void jem__guard_read(jem__guard *guard, const jem_config *config);
/* Judges the metrics of step number `step` before it changes anything. NaN: does
   not apply. DIVERGED, naming the number and its limit, when it is the last of
   `patience` steps in a row. */
jem_status jem__guard_check(jem__guard *guard, const double *metrics, int64_t step);
/* The step was taken. */
void jem__guard_commit(jem__guard *guard);

#endif
