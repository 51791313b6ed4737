/* How digits and letters are drawn: pen strokes through points on a grid. */
#ifndef JEM__DATA_STROKES_H
#define JEM__DATA_STROKES_H

#include <stdint.h>

enum {
    JEM__STROKE_LINE = 1,  /* straight from point to point */
    JEM__STROKE_CURVE = 2, /* a smooth curve through the points */
    JEM__STROKE_LOOP = 3   /* the same, closed */
};
enum { JEM__STROKE_POINTS = 12, JEM__GLYPH_STROKES = 4, JEM__SYMBOL_VARIANTS = 3 };

typedef struct jem__stroke {
    uint8_t kind, points;
    int8_t at[2 * JEM__STROKE_POINTS]; /* x, y; y down; a symbol fills about +-60 by +-100 */
} jem__stroke;

/* One way to write a symbol. */
typedef struct jem__glyph {
    int8_t strokes;
    jem__stroke stroke[JEM__GLYPH_STROKES];
} jem__glyph;

typedef struct jem__symbol {
    const char *name;
    int8_t variants;
    jem__glyph variant[JEM__SYMBOL_VARIANTS];
} jem__symbol;

/* Images of a seed are made from these tables: a change to them changes the sets. */
extern const jem__symbol jem__digits[];
extern const jem__symbol jem__letters[]; /* none that a person could read as a digit */
extern const int32_t jem__digit_count, jem__letter_count;

#endif
