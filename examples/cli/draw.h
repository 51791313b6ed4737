/* What the pictures of the command share: a page (PNG, PDF or SVG by the name of its
   file), text, axes. Units are points; PNG has two pixels a point. */
#ifndef DRAW_H
#define DRAW_H

#include "cli.h"
#include <cairo.h>

typedef struct colour {
    double r, g, b;
} colour;

/* Okabe and Ito's, which colour-blind readers can tell apart. */
enum { PALETTE = 6 };
extern const colour palette[PALETTE], ink, soft, grid;

/* ---- page.c ---- */

/* An open page draws to cr; page_end writes the file, page_drop forgets it. */
typedef struct page {
    cairo_t *cr;
    const char *path; /* the file to be */
    char beside[4300];
} page;

/* White, with the title at the top left unless it is NULL. */
int page_begin(page *p, const char *path, double width, double height, const char *title);
/* Written beside the file and renamed, so that an old picture stays whole. comment
   (may be NULL) says in the file how the picture was made: a PNG text chunk, the
   subject of a PDF, a comment in an SVG. */
int page_end(page *p, const char *comment);
void page_drop(page *p);
/* A PNG, PDF or SVG by its name? */
int page_suffix(const char *path);

/* ---- Text, in page.c ---- */

void set_colour(cairo_t *cr, colour c, double alpha);
/* align 0: left, 0.5: centred, 1: right of x. Returns the width. */
double text(cairo_t *cr, double x, double y, double size, double align, colour c, int bold,
            const char *words);
void text_upwards(cairo_t *cr, double x, double y, double size, const char *words);
/* Text in lines of at most `width`, broken at spaces; returns the y after the last one. */
double text_block(cairo_t *cr, double x, double y, double width, double size, colour c,
                  const char *words);
double text_width(cairo_t *cr, double size, const char *words);
/* A line sample and a name; returns where the next may begin. */
double legend(cairo_t *cr, double x, double y, colour c, const char *name);

/* ---- axes.c ---- */

/* A rectangle on the page, and the values at its edges. */
typedef struct axes {
    cairo_t *cr;
    double left, top, width, height;
    double x0, x1, y0, y1;
} axes;

double at_x(const axes *a, double x);
double at_y(const axes *a, double y);
/* Widens an empty or bad range. */
void mend_range(double *low, double *high);
/* Ticks, a light grid, labels (may be NULL). */
void draw_axes(const axes *a, const char *x_label, const char *y_label);
/* Until cairo_restore. */
void clip(const axes *a);

#endif
