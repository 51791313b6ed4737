/* Charts in one style: title, a legend line above the axes, light grid. */
#include "draw.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

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
    page p;
    TRY(page_begin(&p, path, 36 + (double)columns * (width + 78), 54 + (double)rows * (height + 58),
                   title));
    for (int64_t i = 0; i < count; i++) {
        int64_t row = i / columns, column = i % columns;
        if (draw_panel(p.cr, &panels[i], 78 + (double)column * (width + 78),
                       50 + (double)row * (height + 58), width, height)) {
            page_drop(&p);
            return CODE_FAILED;
        }
    }
    return page_end(&p, NULL);
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
    page p;
    TRY(page_begin(&p, path, 500, 660, title));
    cairo_t *cr = p.cr;
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
    return page_end(&p, NULL);
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

/* Steps over cells [n], the highest of them at 1. */
static void draw_cells(const axes *a, const double *cells, int64_t n, colour c)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++) most = fmax(most, cells[i]);
    if (!(most > 0)) return;
    for (int fill = 1; fill >= 0; fill--) {
        cairo_move_to(a->cr, at_x(a, a->x0), at_y(a, 0));
        for (int64_t i = 0; i < n; i++) {
            double y = at_y(a, cells[i] / most);
            cairo_line_to(a->cr, a->left + a->width * (double)i / (double)n, y);
            cairo_line_to(a->cr, a->left + a->width * (double)(i + 1) / (double)n, y);
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

int plot_counts(const char *path, const char *title, const char *x_label, double low, double high,
                int64_t bins, const plot_cells *sets, int64_t count)
{
    page p;
    double top = 50 + 19 * (double)count;
    TRY(page_begin(&p, path, 776, top + 400, title));
    axes a = {p.cr, 78, top + 8, 670, 330, low, high, 0, 1.05};
    for (int64_t s = 0; s < count; s++)
        legend(p.cr, 78, 56 + 19 * (double)s, palette[s % PALETTE], sets[s].name);
    draw_axes(&a, x_label, "images per score (peak of each set = 1)");
    clip(&a);
    for (int64_t s = 0; s < count; s++) draw_cells(&a, sets[s].cells, bins, palette[s % PALETTE]);
    cairo_restore(p.cr);
    return page_end(&p, NULL);
}

static void count_cells(const plot_set *set, double low, double high, double *cells)
{
    for (int i = 0; i < CELLS; i++) cells[i] = 0;
    for (int64_t i = 0; i < set->count; i++) {
        double share = (set->scores[i] - low) / (high - low);
        if (share >= 0 && share < 1) cells[(int)(share * CELLS)]++;
    }
}

int plot_histograms(const char *path, const char *title, const char *x_label, const plot_set *sets,
                    int64_t count)
{
    enum { MOST = 8 };
    double low, high, cells[MOST][CELLS];
    plot_cells counted[MOST];
    if (count > MOST) return fail("%s: more than %d histograms in one picture", path, MOST);
    TRY(score_range(sets, count, &low, &high));
    for (int64_t s = 0; s < count; s++) {
        count_cells(&sets[s], low, high, cells[s]);
        counted[s] = (plot_cells){sets[s].name, cells[s]};
    }
    return plot_counts(path, title, x_label, low, high, CELLS, counted, count);
}

/* ---- Receiver operating characteristic ---- */

int plot_roc(const char *path, const char *title, const plot_series *curves, int64_t count)
{
    static const double dashes[] = {5, 4};
    double top = 50 + 19 * (double)count;
    page p;
    TRY(page_begin(&p, path, 500, top + 470, title));
    axes a = {p.cr, 78, top + 8, 390, 390, 0, 1, 0, 1};
    for (int64_t s = 0; s < count; s++)
        legend(p.cr, 78, 56 + 19 * (double)s, palette[s % PALETTE], curves[s].name);
    draw_axes(&a, "unknown images accepted (false positives)",
              "known images accepted (true positives)");
    set_colour(p.cr, soft, 1);
    cairo_set_line_width(p.cr, 1);
    cairo_set_dash(p.cr, dashes, 2, 0);
    cairo_move_to(p.cr, at_x(&a, 0), at_y(&a, 0));
    cairo_line_to(p.cr, at_x(&a, 1), at_y(&a, 1));
    cairo_stroke(p.cr);
    cairo_set_dash(p.cr, NULL, 0, 0);
    clip(&a);
    cairo_set_line_width(p.cr, 1.8);
    for (int64_t s = 0; s < count; s++) {
        set_colour(p.cr, palette[s % PALETTE], 1);
        stroke_curve(&a, &curves[s], 0);
    }
    cairo_restore(p.cr);
    return page_end(&p, NULL);
}
