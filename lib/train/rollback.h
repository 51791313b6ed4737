/* Roll-backs: the last good state, and what is changed when a run returns to it. */
#ifndef JEM__TRAIN_ROLLBACK_H
#define JEM__TRAIN_ROLLBACK_H

#include <jem/trainer.h>

/* A copy of the run proper (state.h). step -1: none. */
typedef struct jem__snapshot {
    int64_t step;
    uint8_t *bytes;
} jem__snapshot;

typedef struct jem__rollback {
    int64_t retries, every; /* settings; retries 0: no copies are kept */
    double response_rate, response_penalty;
    int64_t response_steps;
    double penalty;           /* of the settings, before any response */
    int64_t steps, steps_now; /* Langevin steps: as configured, and after the response */
    uint64_t seed;

    int64_t count, from, to;       /* roll-backs so far; the last one's steps */
    jem__snapshot good, candidate; /* candidate: good once `every` steps later */
    double rate;                   /* factor of the learning rate now */
    char reason[512];              /* of the last one */
} jem__rollback;

/* Reads the settings and makes room for the copies; the rest of the trainer is
   complete. */
jem_status jem__rollback_read(jem_trainer *trainer, const jem_config *config);
void jem__rollback_clear(jem__rollback *rollback);
/* Before a run's first step: a copy to go back to. */
jem_status jem__rollback_begin(jem_trainer *trainer);
/* After a step: copies the state when it is time, and the gap within half its limit. */
jem_status jem__rollback_keep(jem_trainer *trainer);
/* After a step that diverged: JEM_ROLLED_BACK, or DIVERGED when nothing is left to try. */
jem_status jem__rollback_run(jem_trainer *trainer);
/* Sets rate, penalty, steps and seed to what `count` roll-backs ask for. */
void jem__rollback_respond(jem_trainer *trainer);

#endif
