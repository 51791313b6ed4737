/* The sampler's struct, for the files of this folder. */
#ifndef JEM__SAMPLE_INTERNAL_H
#define JEM__SAMPLE_INTERNAL_H

#include "model/model.h"
#include "sample/buffer.h"
#include "sample/langevin.h"
#include "sample/sampler.h"
#include "sample/start.h"

/* Set in the numbers of the buffer's chains. */
static const uint64_t jem__drawn_chain = (uint64_t)1 << 63;

/* Draws before their commit. */
typedef struct jem__pending {
    int64_t n, room;
    int64_t *slot, *age; /* [room]: of all */
    int32_t *fresh;      /* [room]: starts here; of the last draw */
    float *start;        /* [room,image]: likewise */
} jem__pending;

typedef struct jem__draw_stats {
    double distance, clamped, age;
} jem__draw_stats;

struct jem_sampler {
    jem__count count;
    jem_model *model;
    jem_pass *pass; /* made when first needed */
    jem_pass_mode mode;
    int64_t image, classes, steps;
    int32_t conditional;
    int32_t apart; /* 1: each chain of a walk has a number of its own; 0: that of the first */
    jem__mover mover;
    jem__starts starts;
    jem__buffer buffer;
    jem__pending pending;
    jem__draw_stats last, next; /* means of the last draw; sums of the pending ones */
    jem__flag cancel;
};

jem_status jem__sampler_check_count(const char *function, int64_t n);
/* The pass of one image: a walk arranges its own slices, for any n. */
jem_status jem__sampler_need_pass(jem_sampler *s);
/* Langevin steps of chains numbered from `chain` on, from number `step` on. */
jem_status jem__sampler_walk(jem_sampler *s, float *x, const int32_t *y, int64_t n, uint64_t chain,
                             int64_t step, int64_t steps);
void jem__pending_clear(jem__pending *pending);

#endif
