/* Images in rows and columns on a page, with names and a caption. */
#include "chains.h"
#include "draw.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Where things are, in points. */
typedef struct plan {
    double side_w, side_h, gap, left, top, width, height;
    int64_t columns, rows;
} plan;

/* 0..255, rounded as the library's own pictures are. */
static uint32_t level(float v)
{
    float scaled = (v < -1 ? -1.0F : v > 1 ? 1.0F : v) * 127.5F + 127.5F;
    return (uint32_t)(scaled + 0.5F);
}

static cairo_surface_t *surface_of(const sheet *s, int64_t index)
{
    int64_t plane = s->h * s->w;
    const float *x = s->x + index * s->c * plane;
    cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)s->w, (int)s->h);
    unsigned char *data = cairo_image_surface_get_data(surface);
    if (!data) return surface;
    cairo_surface_flush(surface);
    for (int64_t i = 0; i < plane; i++) {
        const float *g = s->c == 3 ? x + plane : x, *b = s->c == 3 ? x + 2 * plane : x;
        uint32_t pixel = level(x[i]) << 16 | level(g[i]) << 8 | level(b[i]);
        int64_t row = i / s->w, column = i % s->w;
        memcpy(data + row * cairo_image_surface_get_stride(surface) + 4 * column, &pixel,
               sizeof pixel);
    }
    cairo_surface_mark_dirty(surface);
    return surface;
}

/* Pixels stay squares, whatever the size of the page. */
static void draw_image(cairo_t *cr, const sheet *s, const plan *p, int64_t index)
{
    cairo_surface_t *surface = surface_of(s, index);
    int64_t row = index / p->columns, column = index % p->columns;
    cairo_save(cr);
    cairo_translate(cr, p->left + (double)column * (p->side_w + p->gap),
                    p->top + (double)row * (p->side_h + p->gap));
    cairo_scale(cr, p->side_w / (double)s->w, p->side_h / (double)s->h);
    cairo_set_source_surface(cr, surface, 0, 0);
    cairo_pattern_set_filter(cairo_get_source(cr), CAIRO_FILTER_NEAREST);
    cairo_rectangle(cr, 0, 0, (double)s->w, (double)s->h);
    cairo_fill(cr);
    cairo_restore(cr);
    cairo_surface_destroy(surface);
}

static plan plan_of(const sheet *s)
{
    plan p = {.gap = 2, .left = 24, .top = s->title ? 48 : 24};
    p.columns = s->columns > 0 ? s->columns : (int64_t)ceil(sqrt((double)s->n));
    p.rows = (s->n + p.columns - 1) / p.columns;
    /* Whole pixels of a PNG, which has two a point. */
    double side = s->h > s->w ? (double)s->h : (double)s->w, scale = ceil(80 / side) / 2;
    if (p.columns > 24 || p.rows > 40) scale = fmax(0.5, scale / 2);
    p.side_w = (double)s->w * scale;
    p.side_h = (double)s->h * scale;
    if (s->row_names) {
        size_t most = 0;
        for (int64_t r = 0; r < p.rows; r++)
            most = (size_t)fmax((double)most, (double)strlen(s->row_names[r]));
        p.left += 10 + 6.2 * (double)most;
    }
    if (s->column_names) p.top += 16;
    p.width = p.left + (double)p.columns * (p.side_w + p.gap) + 22;
    p.height = p.top + (double)p.rows * (p.side_h + p.gap) + 16;
    return p;
}

/* The page with its caption, which begins at *bottom. */
static plan page_of(const sheet *s, double *bottom)
{
    plan p = plan_of(s);
    *bottom = p.height + 10;
    p.width = fmax(p.width, 300);
    /* About six points a letter: enough lines for the caption. */
    if (s->caption)
        p.height += 24 + 15 * floor(6.0 * (double)strlen(s->caption) / (p.width - 60) + 1);
    return p;
}

int sheet_check(const char *path, const sheet *s)
{
    enum { MOST = 32767 }; /* cairo's */
    double bottom;
    plan p = page_of(s, &bottom);
    if (s->c != 1 && s->c != 3)
        return fail("%s: images have %" PRId64 " channels, a picture takes 1 or 3", path, s->c);
    if (has_suffix(path, ".pdf") || has_suffix(path, ".svg") || 2 * fmax(p.width, p.height) <= MOST)
        return 0;
    return fail("%s: %" PRId64 " images make a picture of %.0fx%.0f pixels, expected at most %d on "
                "a side",
                path, s->n, 2 * p.width, 2 * p.height, MOST);
}

int sheet_draw(const char *path, const sheet *s)
{
    double bottom;
    plan p = page_of(s, &bottom);
    page on;
    TRY(sheet_check(path, s));
    TRY(page_begin(&on, path, p.width, p.height, s->title));
    for (int64_t i = 0; i < s->n; i++) draw_image(on.cr, s, &p, i);
    for (int64_t r = 0; s->row_names && r < p.rows; r++)
        text(on.cr, p.left - 8, p.top + (double)r * (p.side_h + p.gap) + p.side_h / 2 + 4, 11, 1,
             ink, 0, s->row_names[r]);
    for (int64_t c = 0; s->column_names && c < p.columns; c++)
        text(on.cr, p.left + (double)c * (p.side_w + p.gap) + p.side_w / 2, p.top - 6, 10.5, 0.5,
             soft, 0, s->column_names[c]);
    if (s->caption) text_block(on.cr, 24, bottom, p.width - 48, 11, soft, s->caption);
    return page_end(&on, s->caption);
}
