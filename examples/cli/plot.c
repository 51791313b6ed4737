/* Charts in one style: title, a legend line above the axes, light grid, PNG at
   twice the logical size. */
#include "cli.h"
#include <cairo.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct colour {
    double r, g, b;
} colour;

/* Okabe and Ito's, which colour-blind readers can tell apart. */
static const colour palette[] = {{0.00, 0.45, 0.70}, {0.84, 0.37, 0.00}, {0.00, 0.62, 0.45},
                                 {0.80, 0.47, 0.65}, {0.90, 0.62, 0.00}, {0.34, 0.71, 0.91}};
static const colour ink = {0.15, 0.15, 0.18}, soft = {0.45, 0.45, 0.48}, grid = {0.90, 0.90, 0.91};

/* A rectangle on the page, and the values at its edges. */
typedef struct axes {
    cairo_t *cr;
    double left, top, width, height;
    double x0, x1, y0, y1;
} axes;

static double at_x(const axes *a, double x)
{
    return a->left + (x - a->x0) / (a->x1 - a->x0) * a->width;
}

static double at_y(const axes *a, double y)
{
    return a->top + a->height - (y - a->y0) / (a->y1 - a->y0) * a->height;
}

static void set_colour(cairo_t *cr, colour c, double alpha)
{
    cairo_set_source_rgba(cr, c.r, c.g, c.b, alpha);
}

/* ---- Text ---- */

/* align 0: left, 0.5: centred, 1: right of x. Returns the width. */
static double text(cairo_t *cr, double x, double y, double size, double align, colour c, int bold,
                   const char *words)
{
    cairo_text_extents_t extents;
    cairo_select_font_face(cr, "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                           bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(cr, size);
    cairo_text_extents(cr, words, &extents);
    set_colour(cr, c, 1);
    cairo_move_to(cr, x - align * extents.x_advance, y);
    cairo_show_text(cr, words);
    return extents.x_advance;
}

static void text_upwards(cairo_t *cr, double x, double y, double size, const char *words)
{
    cairo_save(cr);
    cairo_translate(cr, x, y);
    cairo_rotate(cr, -1.5707963267948966);
    text(cr, 0, 0, size, 0.5, soft, 0, words);
    cairo_restore(cr);
}

/* A line sample and a name; returns where the next may begin. */
static double legend(cairo_t *cr, double x, double y, colour c, const char *name)
{
    set_colour(cr, c, 1);
    cairo_set_line_width(cr, 3);
    cairo_move_to(cr, x, y - 4);
    cairo_line_to(cr, x + 16, y - 4);
    cairo_stroke(cr);
    return x + 21 + text(cr, x + 21, y, 11, 0, ink, 0, name) + 16;
}

/* ---- Axes ---- */

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

/* Widens an empty or bad range. */
static void mend_range(double *low, double *high)
{
    if (!(isfinite(*low) && isfinite(*high)) || *low > *high) *low = 0, *high = 1;
    double least = fabs(*low) * 1e-6 + 1e-9;
    if (*high - *low < least) {
        double by = *low == 0 ? 0.5 : fabs(*low) * 0.05;
        *low -= by;
        *high += by;
    }
}

static void draw_axes(const axes *a, const char *x_label, const char *y_label)
{
    cairo_t *cr = a->cr;
    char words[40];
    double bottom = a->top + a->height, step = nice_step(a->x1 - a->x0, a->width / 80);
    cairo_set_line_width(cr, 1);
    for (double v = ceil(a->x0 / step - 1e-9) * step; v <= a->x1 + step * 1e-6; v += step) {
        set_colour(cr, soft, 1);
        cairo_move_to(cr, at_x(a, v), bottom);
        cairo_line_to(cr, at_x(a, v), bottom + 4);
        cairo_stroke(cr);
        tick_text(words, sizeof words, v, step);
        text(cr, at_x(a, v), bottom + 17, 10.5, 0.5, soft, 0, words);
    }
    step = nice_step(a->y1 - a->y0, a->height / 45);
    for (double v = ceil(a->y0 / step - 1e-9) * step; v <= a->y1 + step * 1e-6; v += step) {
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

static void clip(const axes *a)
{
    cairo_save(a->cr);
    cairo_rectangle(a->cr, a->left, a->top - 1, a->width + 1, a->height + 2);
    cairo_clip(a->cr);
}

/* ---- The page ---- */

static cairo_t *page_begin(double width, double height, const char *title)
{
    cairo_surface_t *surface =
        cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)(2 * width), (int)(2 * height));
    cairo_t *cr = cairo_create(surface);
    cairo_surface_destroy(surface); /* cr keeps it */
    cairo_scale(cr, 2, 2);
    cairo_set_source_rgb(cr, 1, 1, 1);
    cairo_paint(cr);
    cairo_set_line_join(cr, CAIRO_LINE_JOIN_ROUND);
    text(cr, 24, 32, 16, 0, ink, 1, title);
    return cr;
}

/* Written beside the file and renamed, so that the old picture stays whole. */
static int page_end(cairo_t *cr, const char *path)
{
    char beside[4200];
    struct stat info;
    int in_place = !stat(path, &info) && !S_ISREG(info.st_mode); /* /dev/stdout */
    snprintf(beside, sizeof beside, "%s%s", path, in_place ? "" : ".tmp");
    cairo_status_t status = cairo_surface_write_to_png(cairo_get_target(cr), beside);
    if (status == CAIRO_STATUS_SUCCESS) status = cairo_status(cr);
    cairo_destroy(cr);
    if (status != CAIRO_STATUS_SUCCESS) {
        if (!in_place) unlink(beside);
        return fail("%s: cannot write: %s", path, cairo_status_to_string(status));
    }
    if (!in_place && rename(beside, path)) {
        unlink(beside);
        return fail("%s: cannot rename the finished picture", path);
    }
    return 0;
}

/* ---- Curves ---- */

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The range of y over all series; of long ones without the outermost 0.5 %,
   so that one spike does not flatten the rest. */
static int y_range(const plot_panel *p, double *low, double *high)
{
    int64_t total = 0, n = 0;
    for (int64_t s = 0; s < p->count; s++) total += p->series[s].count;
    double *values = allocate(total, sizeof *values);
    if (!values) return CODE_FAILED;
    for (int64_t s = 0; s < p->count; s++)
        for (int64_t i = 0; i < p->series[s].count; i++)
            if (isfinite(p->series[s].y[i])) values[n++] = p->series[s].y[i];
    qsort(values, (size_t)n, sizeof *values, ascending);
    *low = *high = NAN;
    if (n) {
        *low = values[n / 200];
        *high = values[n - 1 - n / 200];
    }
    free(values);
    mend_range(low, high);
    double margin = 0.04 * (*high - *low);
    *low -= margin;
    *high += margin;
    return 0;
}

/* The mean over +-half neighbours; 0: the values themselves. */
static void stroke_curve(const axes *a, const plot_series *s, int64_t half)
{
    int pen = 0;
    for (int64_t i = 0; i < s->count; i++) {
        double sum = 0, count = 0;
        for (int64_t j = i - half; j <= i + half; j++)
            if (j >= 0 && j < s->count && isfinite(s->y[j])) sum += s->y[j], count++;
        if (!isfinite(s->y[i]) || !count) {
            pen = 0;
            continue;
        }
        double x = at_x(a, s->x[i]), y = at_y(a, sum / count);
        y = y < -1e4 ? -1e4 : y > 1e4 ? 1e4 : y; /* cairo counts in 24 bits */
        if (pen)
            cairo_line_to(a->cr, x, y);
        else
            cairo_move_to(a->cr, x, y);
        if (!pen) cairo_line_to(a->cr, x, y); /* a lone point: a dot, by round caps */
        pen = 1;
    }
    cairo_set_line_cap(a->cr, CAIRO_LINE_CAP_ROUND);
    cairo_stroke(a->cr);
    cairo_set_line_cap(a->cr, CAIRO_LINE_CAP_BUTT);
}

static int draw_panel(cairo_t *cr, const plot_panel *p, double left, double top, double width,
                      double height)
{
    axes a = {cr, left, top + 44, width, height - 44, 0, 1, p->low, p->high};
    double x = left;
    a.x0 = INFINITY, a.x1 = -INFINITY;
    for (int64_t s = 0; s < p->count; s++)
        for (int64_t i = 0; i < p->series[s].count; i++) {
            a.x0 = fmin(a.x0, p->series[s].x[i]);
            a.x1 = fmax(a.x1, p->series[s].x[i]);
        }
    mend_range(&a.x0, &a.x1);
    if (p->low == p->high) TRY(y_range(p, &a.y0, &a.y1));
    text(cr, left, top + 14, 12.5, 0, ink, 1, p->title);
    for (int64_t s = 0; s < p->count; s++)
        if (p->series[s].name) x = legend(cr, x, top + 34, palette[s], p->series[s].name);
    draw_axes(&a, p->x_label, p->y_label);
    clip(&a);
    for (int64_t s = 0; s < p->count; s++) {
        int64_t half = p->series[s].count >= 120 ? p->series[s].count / 100 : 0;
        if (half) {
            set_colour(cr, palette[s], 0.22);
            cairo_set_line_width(cr, 0.8);
            stroke_curve(&a, &p->series[s], 0);
        }
        set_colour(cr, palette[s], 1);
        cairo_set_line_width(cr, 1.8);
        stroke_curve(&a, &p->series[s], half);
    }
    cairo_restore(cr);
    return 0;
}

int plot_lines(const char *path, const char *title, const plot_panel *panels, int64_t count)
{
    const double width = 390, height = 230;
    int64_t columns = count > 1 ? 2 : 1, rows = (count + columns - 1) / columns;
    cairo_t *cr =
        page_begin(36 + (double)columns * (width + 78), 54 + (double)rows * (height + 58), title);
    for (int64_t i = 0; i < count; i++)
        if (draw_panel(cr, &panels[i], 78 + (double)(i % columns) * (width + 78),
                       50 + (double)(i / columns) * (height + 58), width, height)) {
            cairo_destroy(cr);
            return CODE_FAILED;
        }
    return page_end(cr, path);
}

/* ---- Reliability diagram ---- */

static void bar(const axes *a, double x0, double x1, double y0, double y1, colour c, double alpha)
{
    set_colour(a->cr, c, alpha);
    cairo_rectangle(a->cr, at_x(a, x0) + 0.5, at_y(a, y1), at_x(a, x1) - at_x(a, x0) - 1,
                    at_y(a, y0) - at_y(a, y1));
    cairo_fill(a->cr);
}

/* From the accuracy to the mean confidence: beyond the bar, or inside it. */
static void gap(const axes *a, double x0, double x1, double confidence, double accuracy)
{
    double low = fmin(confidence, accuracy), high = fmax(confidence, accuracy);
    bar(a, x0, x1, low, high, palette[1], confidence < accuracy ? 0.5 : 0.25);
    set_colour(a->cr, palette[1], 1);
    cairo_set_line_width(a->cr, 1);
    cairo_rectangle(a->cr, at_x(a, x0) + 1, at_y(a, high), at_x(a, x1) - at_x(a, x0) - 2,
                    at_y(a, low) - at_y(a, high));
    cairo_stroke(a->cr);
}

int plot_reliability(const char *path, const char *title, int64_t bins, const double *confidence,
                     const double *accuracy, const int64_t *count, double ece)
{
    static const double dashes[] = {5, 4};
    cairo_t *cr = page_begin(500, 660, title);
    axes a = {cr, 78, 96, 390, 390, 0, 1, 0, 1}, below = {cr, 78, 514, 390, 90, 0, 1, 0, 1};
    char words[64];
    double total = 0, most = 0, x = legend(cr, 78, 78, palette[0], "accuracy");
    legend(cr, x, 78, palette[1], "gap to the mean confidence");
    for (int64_t b = 0; b < bins; b++) {
        total += (double)count[b];
        most = fmax(most, (double)count[b]);
    }
    draw_axes(&a, NULL, "accuracy");
    for (int64_t b = 0; b < bins; b++) {
        double lo = (double)b / (double)bins, hi = (double)(b + 1) / (double)bins;
        if (!count[b]) continue;
        bar(&a, lo, hi, 0, accuracy[b], palette[0], 0.85);
        gap(&a, lo, hi, confidence[b], accuracy[b]);
    }
    set_colour(cr, ink, 0.8);
    cairo_set_line_width(cr, 1.2);
    cairo_set_dash(cr, dashes, 2, 0);
    cairo_move_to(cr, at_x(&a, 0), at_y(&a, 0));
    cairo_line_to(cr, at_x(&a, 1), at_y(&a, 1));
    cairo_stroke(cr);
    cairo_set_dash(cr, NULL, 0, 0);
    snprintf(words, sizeof words, "ECE %.2f %%, %.0f images, %" PRId64 " bins", 100 * ece, total,
             bins);
    text(cr, 78, 58, 11, 0, ink, 1, words);

    below.y1 = total > 0 ? 1.05 * most / total : 1;
    draw_axes(&below, "confidence (largest class probability)", "share of images");
    for (int64_t b = 0; b < bins && total > 0; b++)
        bar(&below, (double)b / (double)bins, (double)(b + 1) / (double)bins, 0,
            (double)count[b] / total, soft, 0.6);
    return page_end(cr, path);
}

/* ---- Histograms ---- */

enum { CELLS = 70 };

static int ascending_float(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Where 99 % of every set lie: a few strays must not squeeze the rest. */
static int score_range(const plot_set *sets, int64_t count, double *low, double *high)
{
    *low = INFINITY, *high = -INFINITY;
    for (int64_t s = 0; s < count; s++) {
        int64_t n = sets[s].count;
        float *sorted = allocate(n, sizeof *sorted);
        if (!sorted) return CODE_FAILED;
        memcpy(sorted, sets[s].scores, (size_t)n * sizeof *sorted);
        qsort(sorted, (size_t)n, sizeof *sorted, ascending_float);
        if (n) {
            *low = fmin(*low, sorted[n / 200]);
            *high = fmax(*high, sorted[n - 1 - n / 200]);
        }
        free(sorted);
    }
    mend_range(low, high);
    double margin = 0.03 * (*high - *low);
    *low -= margin;
    *high += margin;
    return 0;
}

static void draw_histogram(const axes *a, const plot_set *set, colour c)
{
    double cells[CELLS] = {0}, most = 1;
    for (int64_t i = 0; i < set->count; i++) {
        double share = (set->scores[i] - a->x0) / (a->x1 - a->x0);
        if (share >= 0 && share < 1) most = fmax(most, ++cells[(int)(share * CELLS)]);
    }
    for (int fill = 1; fill >= 0; fill--) {
        cairo_move_to(a->cr, at_x(a, a->x0), at_y(a, 0));
        for (int i = 0; i < CELLS; i++) {
            double y = at_y(a, cells[i] / most);
            cairo_line_to(a->cr, a->left + a->width * i / CELLS, y);
            cairo_line_to(a->cr, a->left + a->width * (i + 1) / CELLS, y);
        }
        cairo_line_to(a->cr, at_x(a, a->x1), at_y(a, 0));
        set_colour(a->cr, c, fill ? 0.22 : 1);
        cairo_set_line_width(a->cr, 1.4);
        if (fill)
            cairo_fill(a->cr);
        else
            cairo_stroke(a->cr);
    }
}

int plot_histograms(const char *path, const char *title, const char *x_label, const plot_set *sets,
                    int64_t count)
{
    double low, high, top = 50 + 19 * (double)count;
    TRY(score_range(sets, count, &low, &high));
    cairo_t *cr = page_begin(776, top + 400, title);
    axes a = {cr, 78, top + 8, 670, 330, low, high, 0, 1.05};
    for (int64_t s = 0; s < count; s++)
        legend(cr, 78, 56 + 19 * (double)s, palette[s % COUNT(palette)], sets[s].name);
    draw_axes(&a, x_label, "images per score (peak of each set = 1)");
    clip(&a);
    for (int64_t s = 0; s < count; s++) draw_histogram(&a, &sets[s], palette[s % COUNT(palette)]);
    cairo_restore(cr);
    return page_end(cr, path);
}
