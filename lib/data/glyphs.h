/* Synthetic images: digits, letters, noise. */
#ifndef JEM__DATA_GLYPHS_H
#define JEM__DATA_GLYPHS_H

#include "base/threads.h"

/* Pinned: part of the address of every image. */
enum { JEM__GLYPHS_DIGITS = 1, JEM__GLYPHS_LETTERS = 2, JEM__GLYPHS_NOISE = 3 };

typedef struct jem__glyph_set {
    int32_t kind, test; /* test: the other split; the two share no image */
    uint64_t seed;
    int64_t size, channels; /* square images, 8..1024; 1 or 3 */
} jem__glyph_set;

int64_t jem__glyphs_classes(int32_t kind);
/* The name of a symbol (not of noise), static. */
const char *jem__glyphs_name(int32_t kind, int64_t k);

/* Images 0..n-1 of a set: pixels [n,C,S,S], labels [n]. Image i depends on set
   and i alone, not on n or on the number of threads. */
jem_status jem__glyphs_draw(jem__pool *pool, const jem__glyph_set *set, int64_t n, uint8_t *pixels,
                            int32_t *labels);

#endif
