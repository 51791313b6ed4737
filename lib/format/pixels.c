#include "format/pixels.h"
#include "base/memory.h"
#include "base/status.h"
#include <math.h>

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

/* Adds weight * source sample i to out, for every output that sample touches:
   a box as wide as the scale when shrinking, a triangle when enlarging. */
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

/* Resamples `count` samples, `step` floats apart, to `size`. */
static void resample(const float *in, int64_t count, int64_t in_step, float *out, int64_t size,
                     int64_t out_step)
{
    double scale = (double)count / (double)size;
    for (int64_t j = 0; j < size; j++) {
        double at = ((double)j + 0.5) * scale - 0.5, reach = (scale > 1 ? scale / 2 : 1) + 1;
        int64_t from = (int64_t)floor(at - reach), to = (int64_t)ceil(at + reach);
        float sum = 0, weights = 0;
        for (int64_t i = from; i <= to; i++) {
            int64_t k = i < 0 ? 0 : i >= count ? count - 1 : i; /* edges repeat */
            float w = overlap(at, i, scale);
            sum += w * in[k * in_step];
            weights += w;
        }
        out[j * out_step] = sum / weights;
    }
}

static jem_status plane(const uint8_t *pixels, int64_t width, int64_t height, int64_t stride,
                        const pixel_layout *l, int colour, int64_t h, int64_t w, float *x)
{
    float *row = NULL, *narrow = NULL;
    jem_status status = jem__alloc(&row, width, sizeof *row);
    if (!status) status = jem__alloc(&narrow, height * w, sizeof *narrow);
    for (int64_t i = 0; !status && i < height; i++) {
        read_row(pixels + i * stride, width, l, colour, row);
        if (width == w)
            for (int64_t j = 0; j < width; j++) narrow[i * w + j] = row[j];
        else
            resample(row, width, 1, narrow + i * w, w, 1);
    }
    for (int64_t j = 0; !status && j < w; j++) {
        if (height == h)
            for (int64_t i = 0; i < height; i++) x[i * w + j] = narrow[i * w + j];
        else
            resample(narrow + j, height, w, x + j, h, w);
    }
    for (int64_t i = 0; !status && i < h * w; i++) x[i] = x[i] / 127.5f - 1.0f;
    jem__free(row);
    jem__free(narrow);
    return status;
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
    jem_status status = JEM_OK;
    if (!l) return jem__fail(JEM_ERROR_ARGUMENT, "pixel format %d is none", (int)format);
    for (int64_t k = 0; !status && k < c; k++)
        status =
            plane(pixels, width, height, stride, l, c == 1 ? LUMA : (int)k, h, w, x + k * h * w);
    return status;
}
