/* Everything that the rest of a run depends on, as a table of arrays. Checkpoints
   write it to a file, roll-backs keep copies of it in memory. */
#ifndef JEM__TRAIN_STATE_H
#define JEM__TRAIN_STATE_H

#include "train/optimizer.h"
#include "train/trainer.h"

typedef struct jem__entry {
    char name[120];
    const char *dtype;                  /* "F32", "F64" or "I64" */
    int64_t dimensions, shape[4], size; /* size in bytes */
    void *data;                         /* in the trainer */
    /* NULL: every file has it. Else files that lack the entry of this name ("": any
       file) may lack it; a count then has its standard value. */
    const char *with;
    int64_t standard;
    int64_t least; /* of the values of an I64 */
} jem__entry;

typedef struct jem__state {
    jem__entry *entries;
    int64_t count, room;
    int64_t run, bytes; /* entries of the run proper, which come first, and their bytes */
    int64_t positions[2];
    jem__optimizer_state optimizer;
    jem__sampler_state sampler; /* buffer NULL: the run does not sample */
} jem__state;

/* The table of a trainer as it is now. Pointers lead into the trainer. The caller
   clears it, also after a failure. */
jem_status jem__state_of(jem__state *state, const jem_trainer *trainer);
void jem__state_clear(jem__state *state);
/* To be called once the arrays have been written. */
void jem__state_applied(const jem__state *state, jem_trainer *trainer);
/* The run proper to bytes [state->bytes] or back. */
void jem__state_copy_out(const jem__state *state, uint8_t *bytes);
void jem__state_copy_in(const jem__state *state, const uint8_t *bytes);

#endif
