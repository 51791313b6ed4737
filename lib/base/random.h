/* Addressed randomness: every number is a function of its address.

   Philox 4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as
   1, 2, 3"). Key = seed mixed with purpose and stream; counter = (index, step,
   block). Same bits on every machine: no libm. */
#ifndef JEM__BASE_RANDOM_H
#define JEM__BASE_RANDOM_H

#include <stdint.h>

/* What a number is for: keeps uses apart under one seed. Pinned: checkpoints
   and golden tests depend on them. */
enum {
    JEM__RANDOM_INIT = 1,    /* initial weights: index = parameter */
    JEM__RANDOM_DROPOUT = 2, /* index = image in pass, step = forward number */
    JEM__RANDOM_NOISE = 3,   /* Langevin noise: index = chain, step = step */
    JEM__RANDOM_START = 4,   /* chain starts: index = chain */
    JEM__RANDOM_SLOT = 5,    /* buffer slots and restarts */
    JEM__RANDOM_SHUFFLE = 6, /* loader permutation: index = epoch */
    JEM__RANDOM_AUGMENT = 7, /* crop, flip, input noise: index = image number */
    JEM__RANDOM_GLYPH = 8,   /* synthetic images: index = image */
    JEM__RANDOM_SPLIT = 9,   /* dataset splits and choices: stream = kind */
    JEM__RANDOM_LABEL = 10,  /* random labels for conditional chains */
    JEM__RANDOM_RETRY = 11,  /* seeds after a roll-back: index = roll-back */
    JEM__RANDOM_COPY = 12,   /* noisy copies of an image: index = copy, step = round */
    JEM__RANDOM_ATTACK = 13, /* starts of attacks: index = image, step = restart */
    JEM__RANDOM_DERIVED = 14 /* images made from a dataset: stream = kind, index = image */
};

/* A sequence of numbers at one address. On the stack; no state elsewhere. */
typedef struct jem__random {
    uint32_t key[2];
    uint32_t counter[4];
    uint32_t block[4];
    int32_t used; /* words of block */
    int32_t half; /* a pair of normals has its second left */
} jem__random;

void jem__random_at(jem__random *r, uint64_t seed, uint32_t purpose, uint64_t stream,
                    uint64_t index, uint32_t step);
uint32_t jem__random_u32(jem__random *r);
uint32_t jem__random_below(jem__random *r, uint32_t n); /* unbiased, 0..n-1 */
float jem__random_uniform(jem__random *r);              /* [0,1), 24 bits */
float jem__random_normal(jem__random *r);

#endif
