/* What training needs of a sampler beyond the public calls. */
#ifndef JEM__SAMPLE_SAMPLER_H
#define JEM__SAMPLE_SAMPLER_H

#include "base/object.h"
#include <jem/sampler.h>

/* The state that a continued run depends on: buffer values [slots,C,H,W], steps
   taken by each slot's chain [slots] (-1: a start that is not drawn yet, whose
   values count for nothing), number of chains drawn so far. Pointers into the
   sampler; restoring is writing through them. Allocates the buffer (MEMORY). */
typedef struct jem__sampler_state {
    int64_t slots, image; /* image = C*H*W */
    float *buffer;
    int64_t *age;
    int64_t *draws;
} jem__sampler_state;
jem_status jem__sampler_state_of(jem_sampler *sampler, jem__sampler_state *state);
int32_t jem__sampler_has_blocks(const jem_sampler *sampler); /* of slots, one for each class */
/* Slots and values of a slot, without making the buffer. */
void jem__sampler_buffer_shape(const jem_sampler *sampler, int64_t *slots, int64_t *image);

/* jem_sampler_draw in two halves: the buffer, the counter and the statistics
   change at the commit only, which takes the x of all draws since _forget, one after
   the other, and cannot fail. All of them start from the buffer as it is; of a slot
   drawn twice the later chain stays. y NULL: of any class. */
void jem__sampler_forget(jem_sampler *sampler);
jem_status jem__sampler_draw_pending(jem_sampler *sampler, const int32_t *y, int64_t n, float *x);
void jem__sampler_commit(jem_sampler *sampler, const float *x);
/* jem_sampler_stats of the draws that are not committed yet. */
void jem__sampler_pending_stats(const jem_sampler *sampler, double *distance, double *clamped,
                                double *age);
/* From the next draw on: steps of a draw, and the seed of slots, starts and noise. */
void jem__sampler_set_run(jem_sampler *sampler, int64_t steps, uint64_t seed);

/* How much more memory the sampler holds at most in draws of these numbers of chains, all
   pending at once. */
jem_status jem__sampler_draw_bytes(jem_sampler *sampler, const int64_t *sizes, int64_t count,
                                   int64_t *bytes);

/* A cancel that no call has taken up yet; taking it up clears it. */
int32_t jem__sampler_cancelled(const jem_sampler *sampler);
const jem__flag *jem__sampler_cancel_flag(const jem_sampler *sampler);
void jem__sampler_cancel_taken(jem_sampler *sampler);

/* Chains in evaluation mode whatever sampler.mode says, before the first of them: what
   becomes of an image then does not depend on those beside it. */
void jem__sampler_evaluate(jem_sampler *sampler);

/* jem_sampler_step of images that may be anywhere at step 0, too. */
jem_status jem__sampler_step_on(jem_sampler *sampler, float *x, int64_t n, int64_t first,
                                int64_t step, int64_t steps);
/* All chains of a step have the first one's number. */
void jem__sampler_share_number(jem_sampler *sampler);

/* Blocks of slots by class, as sampler.conditional has them, before the first draw:
   draws may then be conditional or not. CONFIG if the slots do not divide. */
jem_status jem__sampler_by_class(jem_sampler *sampler);
/* One more reference. */
jem_sampler *jem__sampler_take(jem_sampler *sampler);
jem_context *jem__sampler_context(const jem_sampler *sampler);
/* Of slots that exist. */
void jem__sampler_ages(const jem_sampler *sampler, int64_t first, int64_t n, int64_t *age);
int32_t jem__sampler_conditional(const jem_sampler *sampler);

#endif
