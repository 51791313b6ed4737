/* Chains that walk, pictures of where they end, and a strip of how they got there. */
#ifndef CHAINS_H
#define CHAINS_H

#include "cli.h"

typedef struct chains {
    jem_sampler *sampler;
    float *x;         /* [n,c,h,w] */
    const int32_t *y; /* [n] or NULL */
    int64_t n, c, h, w, steps;
} chains;

/* Snapshots of a few chains at a few steps, the first and the last among them. */
enum { STRIP_ROWS = 12, STRIP_MOMENTS = 10 };

typedef struct strip {
    int64_t rows, moments;
    int64_t chain[STRIP_ROWS], at[STRIP_MOMENTS];
    float *x; /* [rows,moments,c,h,w] */
} strip;

/* ---- chains.c ---- */

/* steps of all chains, under a progress bar; s may be NULL. */
int chains_walk(const chains *k, strip *s);
/* The first chain of each class, as many as there is room for; without labels the first
   chains. */
int strip_begin(strip *s, const chains *k, int64_t rows);
/* class names beside the rows when the chains have labels. */
int strip_draw(const strip *s, const chains *k, const jem_model *model, const char *path,
               const char *caption);
/* Whether it can be drawn. */
int strip_check(const strip *s, const chains *k, const jem_model *model, const char *path,
                const char *caption);
void strip_end(strip *s);

/* ---- sheet.c: images on a page ---- */

typedef struct sheet {
    const char *title, *caption; /* either may be NULL */
    const float *x;              /* [n,c,h,w] in [-1,1], c 1 or 3 */
    int64_t n, c, h, w;
    int64_t columns;          /* 0: about square */
    char (*row_names)[64];    /* or NULL */
    char (*column_names)[64]; /* or NULL; of all columns */
} sheet;

int sheet_draw(const char *path, const sheet *s);
/* Whether it can be drawn; reads no x. */
int sheet_check(const char *path, const sheet *s);

/* ---- buffer.c: starts from a saved replay buffer ---- */

/* What is asked of a buffer. */
typedef struct wanted {
    uint64_t seed;
    int by_class;     /* an .npy file has a block of slots for each class */
    const int32_t *y; /* [n] or NULL */
    int64_t n;
    int fewer; /* they may be fewer, if there are not as many: n is their number then */
} wanted;

/* x [n] from the slots of a checkpoint, or of an .npy file: chosen at random by seed,
   none twice; of a buffer with a block for each class, those of class y. Only slots that
   were ever drawn. Tells in `how` where they come from. */
int buffer_starts(const char *path, jem_model *model, wanted *want, float *x, char *how,
                  size_t capacity);

#endif
