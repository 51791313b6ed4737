/* Projected gradient descent on the loss's other side: runs of an attack on one
   piece of images. */
#ifndef JEM__EVAL_DESCENT_H
#define JEM__EVAL_DESCENT_H

#include "eval/eval.h"
#include <jem/pass.h>

typedef struct jem__descent {
    jem_model *model; /* the caller's */
    jem_pass *pass;
    jem__eval_shape shape;
    int32_t l2, random_start, refined;
    int64_t steps, restarts, room; /* images of a piece */
    float step_size;               /* 0: 2.5 eps / steps */
    uint64_t seed;
    jem__refiner refiner;
    float *gradient; /* [room, image], refined: the mean over copies */
    float *copies;   /* [copies, image] of all images: their own gradients */
    float *logits;   /* [room, classes] */
} jem__descent;

jem_status jem__descent_create(jem__descent *d, const char *function, jem_model *model,
                               const jem_config *config);
void jem__descent_clear(jem__descent *d);

/* Images under attack, side by side. */
typedef struct jem__targets {
    int64_t n;
    float *from, *x;    /* [n,image]: where they were, where they are */
    int32_t *y, *wrong; /* [n]: labels; misclassified at x */
    float *eps;         /* [n] */
    int64_t *index;     /* [n]: place in the piece */
    int64_t number;     /* of the piece's first image */
} jem__targets;

jem_status jem__targets_create(jem__targets *t, int64_t n, int64_t image);
void jem__targets_clear(jem__targets *t);

/* Which are wrong where they are; one look with random numbers `round`. */
jem_status jem__descent_judge(jem__descent *d, jem__targets *t, int64_t round);
/* One run, from x = from, of those that are not wrong yet. */
jem_status jem__descent_run(jem__descent *d, jem__targets *t, int64_t restart);

#endif
