/* The replay buffer: chains that later draws continue. */
#ifndef JEM__SAMPLE_BUFFER_H
#define JEM__SAMPLE_BUFFER_H

#include <jem/config.h>

typedef struct jem__buffer {
    int64_t slots, image;
    int64_t blocks; /* classes when conditional, else 1; slots divide evenly */
    float restart;
    uint64_t seed, stream;
    float *values; /* [slots,image]; NULL until first needed */
    int64_t *age;  /* [slots]: steps taken; -1: the slot still has its start, unwritten */
    int64_t draws; /* chains drawn so far: the number of the next one */
} jem__buffer;

/* CONFIG if the slots do not divide by the blocks. */
jem_status jem__buffer_read(jem__buffer *buffer, const jem_config *config, int64_t image,
                            int64_t classes);
/* A block of slots for each class, if they divide evenly (CONFIG). Before the first draw. */
jem_status jem__buffer_by_class(jem__buffer *buffer, int64_t classes);
/* Allocates the slots, once. */
jem_status jem__buffer_fill(jem__buffer *buffer);
void jem__buffer_clear(jem__buffer *buffer);

/* The slot of chain number `chain` in block y (-1: in any), and whether it
   starts afresh. */
void jem__buffer_choose(const jem__buffer *buffer, int64_t chain, int32_t y, int64_t *slot,
                        int32_t *restart);
/* The class whose block a slot is in; -1 when there are no blocks. */
int32_t jem__buffer_class(const jem__buffer *buffer, int64_t slot);
/* x [n,image] and ages go to their slots in order: of a slot drawn twice the
   later chain stays. */
void jem__buffer_put(jem__buffer *buffer, const int64_t *slot, const int64_t *age, int64_t n,
                     const float *x);

#endif
