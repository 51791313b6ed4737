/* Shared by the files of this room. */
#ifndef JEM__EVAL_EVAL_H
#define JEM__EVAL_EVAL_H

#include <jem/dataset.h>
#include <jem/model.h>
#include <jem/sampler.h>

/* ---- Logits ---- */

/* Refuses NULL, counts below 1, labels outside the classes, non-finite logits. */
jem_status jem__eval_check(const char *function, const float *logits, const int32_t *y, int64_t n,
                           int64_t k, const void *out);
/* The first of equal ones. */
int64_t jem__eval_largest(const float *logits, int64_t k);
/* Sum of exp((logit - top) beta), which is at least 1 if top is the largest logit. */
double jem__eval_exponentials(const float *logits, int64_t k, double top, double beta);
/* The beta = 1/temperature of least -log p(y|x), and *found = 1. There is none
   if all are right (-1), or if labels do no better than chance (-2). The logits are good. */
double jem__eval_fit(const float *logits, const int32_t *y, int64_t n, int64_t k, int32_t *found);
/* Tells why there is none. */
jem_status jem__eval_no_fit(const char *function, int32_t found, int64_t n);

/* ---- Images, piece by piece ---- */

typedef struct jem__eval_shape {
    int64_t classes, image, piece; /* values of an image, images of a piece */
} jem__eval_shape;

jem_status jem__eval_shape_of(jem__eval_shape *shape, const jem_model *model);
/* n >= 0 good images at x, and somewhere to write to. n = 0 needs nothing. */
jem_status jem__eval_check_images(const char *function, const jem_model *model, const float *x,
                                  int64_t n, const void *out);
/* A chain that ended beyond what the model takes is the chain's failure (DIVERGED), not an
   argument's. first: the number of x's first chain. */
jem_status jem__eval_check_reach(const jem_model *model, const float *x, int64_t n, int64_t first);
/* Numbers of images first..first+n-1, of which each has so many chains of its own. */
jem_status jem__eval_check_first(const char *function, int64_t first, int64_t n, int64_t chains);
/* The images of a dataset have the model's shape and there is room for them. */
jem_status jem__eval_check_data(const char *function, const jem_model *model,
                                const jem_dataset *data, int64_t *count);

/* ---- A named score ---- */

typedef struct jem__score jem__score;
typedef struct jem__scorer {
    jem_model *model; /* the caller's */
    const jem__score *score;
    jem__eval_shape shape;
    jem_sampler *sampler; /* of refine_* */
    int32_t alone;        /* see jem__scorer_alone */
    int64_t steps;
    float *scratch, *moved, *before;
} jem__scorer;

/* Errors: ARGUMENT (an unknown name: the text lists them), CONFIG, MEMORY. */
jem_status jem__scorer_create(jem__scorer *scorer, const char *function, const char *name,
                              jem_model *model, const jem_config *config);
void jem__scorer_clear(jem__scorer *scorer);
/* From now on the chain of every image has number 0, so that a score does not depend on the
   image's place in a call. */
void jem__scorer_alone(jem__scorer *scorer);
/* Of n <= piece good images, of which the first has this number. */
jem_status jem__scorer_run(jem__scorer *scorer, const float *x, int64_t n, int64_t number,
                           float *scores);
/* Of all images of a dataset of the model's shape: scores [count]. */
jem_status jem__scorer_run_data(jem__scorer *scorer, const char *function, const jem_dataset *data,
                                int64_t count, float *scores);
/* The score of one image's logits into *score; 0 if this score needs more. */
int32_t jem__scorer_of_logits(const jem__scorer *scorer, const float *logits, float *score);
int32_t jem__scorer_is(const jem__scorer *scorer, const char *name);

/* ---- Refined copies ---- */

typedef struct jem__refiner {
    jem_model *model; /* the caller's */
    jem_sampler *sampler;
    jem__eval_shape shape;
    int64_t copies, steps, room; /* copies of an image; of a chain; images at a time */
    float noise;
    uint64_t seed, stream;
    float *x;      /* [room * copies, image]: the copies, refined */
    float *logits; /* [room * copies, classes] */
} jem__refiner;

/* Takes rounds of at most `rounds` different random numbers per copy. */
jem_status jem__refiner_create(jem__refiner *r, const char *function, jem_model *model,
                               const jem_config *config, int64_t rounds);
void jem__refiner_clear(jem__refiner *r);
/* Copies of n <= room images, numbered from `number`, in r->x, and their mean logits [n,classes].
 */
jem_status jem__refiner_run(jem__refiner *r, const float *x, int64_t n, int64_t number,
                            int64_t round, float *logits);

#endif
