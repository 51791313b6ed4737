/* A graph computed the plain way: NCHW, double, one loop nest an operator. What
   the engine is held against. */
#ifndef JEM_TESTS_REFERENCE_H
#define JEM_TESTS_REFERENCE_H

#include "model/internal.h"

typedef struct reference {
    const jem__graph *graph;
    double **parameters; /* one array each, plain layout */
    int64_t n;
    int training;
    uint64_t seed;
    int64_t dropout_stream, dropout_number;
} reference;

/* A copy of the model's graph and parameters for batches of n. */
reference *reference_create(jem_model *model, int64_t n, int training);
void reference_destroy(reference *r);
/* x [n,C,H,W] -> logits [n,k]. */
void reference_forward(const reference *r, const double *x, double *logits);

#endif
