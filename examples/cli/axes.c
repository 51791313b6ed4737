/* Axes: ticks, grid, labels. */
#include "draw.h"
#include <math.h>

double at_x(const axes *a, double x)
{
    return a->left + (x - a->x0) / (a->x1 - a->x0) * a->width;
}

double at_y(const axes *a, double y)
{
    return a->top + a->height - (y - a->y0) / (a->y1 - a->y0) * a->height;
}

/* 1, 2 or 5 times a power of ten: about `count` steps over the range. */
static double nice_step(double range, double count)
{
    double raw = range / count, unit = pow(10, floor(log10(raw))), part = raw / unit;
    return unit * (part < 1.5 ? 1 : part < 3.5 ? 2 : part < 7.5 ? 5 : 10);
}

static void tick_text(char *words, size_t capacity, double value, double step)
{
    int digits = step < 1 ? (int)ceil(-log10(step) - 1e-9) : 0;
    if (fabs(value) < step * 1e-6) value = 0;
    if (fabs(value) >= 1e6 || digits > 5)
        snprintf(words, capacity, "%.3g", value);
    else
        snprintf(words, capacity, "%.*f", digits, value);
}

void mend_range(double *low, double *high)
{
    if (!(isfinite(*low) && isfinite(*high)) || *low > *high) *low = 0, *high = 1;
    double least = fabs(*low) * 1e-6 + 1e-9;
    if (*high - *low < least) {
        double by = *low == 0 ? 0.5 : fabs(*low) * 0.05;
        *low -= by;
        *high += by;
    }
}

enum { MOST_TICKS = 100 }; /* where rounding would let the step vanish */

void draw_axes(const axes *a, const char *x_label, const char *y_label)
{
    cairo_t *cr = a->cr;
    char words[40];
    double bottom = a->top + a->height, step = nice_step(a->x1 - a->x0, a->width / 80);
    cairo_set_line_width(cr, 1);
    double first = ceil(a->x0 / step - 1e-9) * step;
    for (int i = 0; i < MOST_TICKS && first + i * step <= a->x1 + step * 1e-6; i++) {
        double v = first + i * step;
        set_colour(cr, soft, 1);
        cairo_move_to(cr, at_x(a, v), bottom);
        cairo_line_to(cr, at_x(a, v), bottom + 4);
        cairo_stroke(cr);
        tick_text(words, sizeof words, v, step);
        text(cr, at_x(a, v), bottom + 17, 10.5, 0.5, soft, 0, words);
    }
    step = nice_step(a->y1 - a->y0, a->height / 45);
    first = ceil(a->y0 / step - 1e-9) * step;
    for (int i = 0; i < MOST_TICKS && first + i * step <= a->y1 + step * 1e-6; i++) {
        double v = first + i * step;
        set_colour(cr, grid, 1);
        cairo_move_to(cr, a->left, at_y(a, v));
        cairo_line_to(cr, a->left + a->width, at_y(a, v));
        cairo_stroke(cr);
        tick_text(words, sizeof words, v, step);
        text(cr, a->left - 7, at_y(a, v) + 4, 10.5, 1, soft, 0, words);
    }
    set_colour(cr, soft, 1);
    cairo_move_to(cr, a->left, a->top);
    cairo_line_to(cr, a->left, bottom);
    cairo_line_to(cr, a->left + a->width, bottom);
    cairo_stroke(cr);
    if (x_label) text(cr, a->left + a->width / 2, bottom + 34, 11.5, 0.5, soft, 0, x_label);
    if (y_label) text_upwards(cr, a->left - 46, a->top + a->height / 2, 11.5, y_label);
}

void clip(const axes *a)
{
    cairo_save(a->cr);
    cairo_rectangle(a->cr, a->left, a->top - 1, a->width + 1, a->height + 2);
    cairo_clip(a->cr);
}
