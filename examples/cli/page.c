/* Pages and text. */
#include "draw.h"
#include <cairo-pdf.h>
#include <cairo-svg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const colour palette[PALETTE] = {{0.00, 0.45, 0.70}, {0.84, 0.37, 0.00}, {0.00, 0.62, 0.45},
                                 {0.80, 0.47, 0.65}, {0.90, 0.62, 0.00}, {0.34, 0.71, 0.91}};
const colour ink = {0.15, 0.15, 0.18}, soft = {0.45, 0.45, 0.48}, grid = {0.90, 0.90, 0.91};

/* ---- Text ---- */

void set_colour(cairo_t *cr, colour c, double alpha)
{
    cairo_set_source_rgba(cr, c.r, c.g, c.b, alpha);
}

double text_width(cairo_t *cr, double size, const char *words)
{
    cairo_text_extents_t extents;
    char clean[1024]; /* of what is no UTF-8 cairo makes an error of the whole picture */
    text_clean(clean, sizeof clean, words);
    cairo_set_font_size(cr, size);
    cairo_text_extents(cr, clean, &extents);
    return extents.x_advance;
}

double text(cairo_t *cr, double x, double y, double size, double align, colour c, int bold,
            const char *words)
{
    cairo_select_font_face(cr, "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                           bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    char clean[1024];
    text_clean(clean, sizeof clean, words);
    double width = text_width(cr, size, clean);
    set_colour(cr, c, 1);
    cairo_move_to(cr, x - align * width, y);
    cairo_show_text(cr, clean);
    return width;
}

void text_upwards(cairo_t *cr, double x, double y, double size, const char *words)
{
    cairo_save(cr);
    cairo_translate(cr, x, y);
    cairo_rotate(cr, -1.5707963267948966);
    text(cr, 0, 0, size, 0.5, soft, 0, words);
    cairo_restore(cr);
}

double text_block(cairo_t *cr, double x, double y, double width, double size, colour c,
                  const char *words)
{
    char line[512];
    cairo_select_font_face(cr, "sans-serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
    while (*words) {
        size_t most = 0;
        for (size_t n = 1; n < sizeof line; n++) {
            if (words[n] && words[n] != ' ') continue;
            memcpy(line, words, n);
            line[n] = 0;
            if (most && text_width(cr, size, line) > width) break;
            most = n;
            if (!words[n]) break;
        }
        if (!most) most = strnlen(words, sizeof line - 1);
        memcpy(line, words, most);
        line[most] = 0;
        text(cr, x, y, size, 0, c, 0, line);
        y += 1.35 * size;
        words += most;
        while (*words == ' ') words++;
    }
    return y;
}

double legend(cairo_t *cr, double x, double y, colour c, const char *name)
{
    set_colour(cr, c, 1);
    cairo_set_line_width(cr, 3);
    cairo_move_to(cr, x, y - 4);
    cairo_line_to(cr, x + 16, y - 4);
    cairo_stroke(cr);
    return x + 21 + text(cr, x + 21, y, 11, 0, ink, 0, name) + 16;
}

/* ---- The page ---- */

int page_suffix(const char *path)
{
    return has_suffix(path, ".png") || has_suffix(path, ".pdf") || has_suffix(path, ".svg");
}

static cairo_surface_t *surface_of(const char *path, const char *beside, double width,
                                   double height)
{
    if (has_suffix(path, ".pdf")) return cairo_pdf_surface_create(beside, width, height);
    if (!has_suffix(path, ".svg"))
        return cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)(2 * width), (int)(2 * height));
    cairo_surface_t *surface = cairo_svg_surface_create(beside, width, height);
    cairo_svg_surface_set_document_unit(surface, CAIRO_SVG_UNIT_PX);
    return surface;
}

int page_begin(page *p, const char *path, double width, double height, const char *title)
{
    p->path = path;
    beside_of(p->beside, sizeof p->beside, path);
    cairo_surface_t *surface = surface_of(path, p->beside, width, height);
    p->cr = cairo_create(surface);
    cairo_surface_destroy(surface); /* cr keeps it */
    if (cairo_status(p->cr) != CAIRO_STATUS_SUCCESS) {
        int code = fail("%s: cannot write: %s", path, cairo_status_to_string(cairo_status(p->cr)));
        page_drop(p);
        return code;
    }
    if (cairo_surface_get_type(surface) == CAIRO_SURFACE_TYPE_IMAGE) cairo_scale(p->cr, 2, 2);
    cairo_set_source_rgb(p->cr, 1, 1, 1);
    cairo_paint(p->cr);
    cairo_set_line_join(p->cr, CAIRO_LINE_JOIN_ROUND);
    if (title) text(p->cr, 24, 32, 16, 0, ink, 1, title);
    return 0;
}

void page_drop(page *p)
{
    cairo_destroy(p->cr);
    p->cr = NULL;
    if (strcmp(p->path, p->beside) != 0) unlink(p->beside);
}

int page_end(page *p, const char *comment)
{
    cairo_surface_t *surface = cairo_get_target(p->cr);
    if (has_suffix(p->path, ".pdf") && comment)
        cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_SUBJECT, comment);
    cairo_status_t status = CAIRO_STATUS_SUCCESS;
    if (cairo_surface_get_type(surface) == CAIRO_SURFACE_TYPE_IMAGE)
        status = cairo_surface_write_to_png(surface, p->beside);
    else
        cairo_surface_finish(surface);
    if (status == CAIRO_STATUS_SUCCESS) status = cairo_surface_status(surface);
    if (status == CAIRO_STATUS_SUCCESS) status = cairo_status(p->cr);
    int code = 0;
    if (status != CAIRO_STATUS_SUCCESS)
        code = fail("%s: cannot write: %s", p->path, cairo_status_to_string(status));
    else if (comment && !has_suffix(p->path, ".pdf") && strcmp(p->path, p->beside) != 0)
        code = comment_write(p->beside, p->path, comment);
    if (!code && strcmp(p->path, p->beside) != 0 && rename(p->beside, p->path))
        code = fail("%s: cannot rename the finished picture", p->path);
    if (code) {
        page_drop(p);
        return code;
    }
    cairo_destroy(p->cr);
    return 0;
}
