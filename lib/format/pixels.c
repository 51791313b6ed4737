#include "format/pixels.h"
#include "base/memory.h"
#include "base/status.h"
#include <math.h>
#include <string.h>

/* Where the bytes of a pixel are. */
typedef struct pixel_layout {
    int64_t bytes, red, green, blue, alpha; /* alpha -1: none */
} pixel_layout;

static const pixel_layout *layout_of(jem_pixel_format format)
{
    static const pixel_layout layouts[] = {
        {1, 0, 0, 0, -1}, {3, 0, 1, 2, -1}, {3, 2, 1, 0, -1}, {4, 0, 1, 2, 3}};
    return format >= JEM_PIXEL_GREY8 && format <= JEM_PIXEL_RGBA8 ? &layouts[format - 1] : NULL;
}

/* One plane of an application image as floats 0..255: a colour, or its luma. */
enum { RED, GREEN, BLUE, LUMA };
static void read_row(const uint8_t *row, int64_t width, const pixel_layout *l, int colour,
                     float *out)
{
    for (int64_t i = 0; i < width; i++, row += l->bytes) {
        float r = row[l->red], g = row[l->green], b = row[l->blue];
        float v = colour == RED     ? r
                  : colour == GREEN ? g
                  : colour == BLUE  ? b
                  : l->bytes == 1   ? r
                                    : 0.299f * r + 0.587f * g + 0.114f * b; /* BT.601 */
        out[i] = l->alpha < 0 ? v : v * (float)row[l->alpha] / 255.0f;
    }
}

/* The weight of source sample i in an output that lies at `at` between them: a box as wide as
   the scale when shrinking, a triangle when enlarging. */
static float overlap(double at, int64_t i, double scale)
{
    double half = scale > 1 ? scale / 2 : 1;
    if (scale > 1) {
        double low = at - half > (double)i - 0.5 ? at - half : (double)i - 0.5;
        double high = at + half < (double)i + 0.5 ? at + half : (double)i + 0.5;
        return high > low ? (float)(high - low) : 0;
    }
    double d = fabs(at - (double)i);
    return d < 1 ? (float)(1 - d) : 0;
}

/* What output j of `size` takes from `count` samples: those of from..to, edges repeated. */
typedef struct window {
    double at, scale;
    int64_t from, to;
} window;

static window window_of(int64_t j, int64_t count, int64_t size)
{
    double scale = (double)count / (double)size;
    double at = ((double)j + 0.5) * scale - 0.5, reach = (scale > 1 ? scale / 2 : 1) + 1;
    return (window){at, scale, (int64_t)floor(at - reach), (int64_t)ceil(at + reach)};
}

static int64_t inside(int64_t i, int64_t count)
{
    return i < 0 ? 0 : i >= count ? count - 1 : i;
}

/* Resamples a row of `count` samples to `size`. */
static void resample(const float *in, int64_t count, float *out, int64_t size)
{
    for (int64_t j = 0; j < size; j++) {
        window v = window_of(j, count, size);
        float sum = 0, weights = 0;
        for (int64_t i = v.from; i <= v.to; i++) {
            float w = overlap(v.at, i, v.scale);
            sum += w * in[inside(i, count)];
            weights += w;
        }
        out[j] = sum / weights;
    }
}

/* The rows of one plane, from above, each as wide as the output. Windows of rows overlap by a few,
   so only the last ones are kept: a tall image would fill memory. */
enum { KEPT = 8 };
typedef struct rows {
    const uint8_t *pixels;
    int64_t width, height, stride, w;
    const pixel_layout *layout;
    int colour;
    float *wide;   /* [width] */
    float *narrow; /* [KEPT,w] row i is at i % KEPT */
    int64_t end;   /* rows made so far */
} rows;

static const float *row_of(rows *r, int64_t i)
{
    for (; r->end <= i; r->end++) {
        float *to = r->narrow + r->end % KEPT * r->w;
        const uint8_t *from = r->pixels + r->end * r->stride;
        if (r->width == r->w) {
            read_row(from, r->width, r->layout, r->colour, to);
        } else {
            read_row(from, r->width, r->layout, r->colour, r->wide);
            resample(r->wide, r->width, to, r->w);
        }
    }
    return r->narrow + i % KEPT * r->w;
}

/* Output row j: a window of rows. */
static void mix_rows(rows *r, int64_t j, int64_t h, float *x)
{
    window v = window_of(j, r->height, h);
    float weights = 0;
    for (int64_t k = 0; k < r->w; k++) x[k] = 0;
    for (int64_t i = v.from; i <= v.to; i++) {
        float w = overlap(v.at, i, v.scale);
        const float *row = row_of(r, inside(i, r->height));
        for (int64_t k = 0; k < r->w; k++) x[k] += w * row[k];
        weights += w;
    }
    for (int64_t k = 0; k < r->w; k++) x[k] /= weights;
}

static void plane(rows *r, int64_t h, float *x)
{
    r->end = 0;
    for (int64_t j = 0; j < h; j++, x += r->w) {
        if (r->height == h)
            memcpy(x, row_of(r, j), (size_t)r->w * sizeof *x);
        else
            mix_rows(r, j, h, x);
        for (int64_t k = 0; k < r->w; k++) x[k] = x[k] / 127.5f - 1.0f;
    }
}

int64_t jem__pixel_bytes(jem_pixel_format format)
{
    const pixel_layout *l = layout_of(format);
    return l ? l->bytes : 0;
}

jem_status jem__pixels_convert(const uint8_t *pixels, int64_t width, int64_t height, int64_t stride,
                               jem_pixel_format format, int64_t c, int64_t h, int64_t w, float *x)
{
    const pixel_layout *l = layout_of(format);
    if (!l) return jem__fail(JEM_ERROR_ARGUMENT, "pixel format %d is none", (int)format);
    rows r = {pixels, width, height, stride, w, l, 0, NULL, NULL, 0};
    jem_status status = jem__alloc(&r.wide, width, sizeof *r.wide);
    if (!status) status = jem__alloc(&r.narrow, KEPT * w, sizeof *r.narrow);
    for (int64_t k = 0; !status && k < c; k++) {
        r.colour = c == 1 ? LUMA : (int)k;
        plane(&r, h, x + k * h * w);
    }
    jem__free(r.wide);
    jem__free(r.narrow);
    return status;
}
