/* Pixels to planes: every size against whole planes resampled one way, then the other. */
#include "base/memory.h"
#include "format/pixels.h"
#include "helpers.h"
#include <math.h>

/* ---- What it must be, bit for bit ---- */

static float weight(double at, int64_t i, double scale)
{
    double half = scale / 2, d = fabs(at - (double)i);
    if (scale <= 1) return d < 1 ? (float)(1 - d) : 0;
    double low = fmax(at - half, (double)i - 0.5), high = fmin(at + half, (double)i + 0.5);
    return high > low ? (float)(high - low) : 0;
}

static void scale_line(const float *in, int64_t count, int64_t in_step, float *out, int64_t size,
                       int64_t out_step)
{
    double scale = (double)count / (double)size;
    for (int64_t j = 0; j < size; j++) {
        double at = ((double)j + 0.5) * scale - 0.5, reach = (scale > 1 ? scale / 2 : 1) + 1;
        float sum = 0, weights = 0;
        for (int64_t i = (int64_t)floor(at - reach); i <= (int64_t)ceil(at + reach); i++) {
            int64_t k = i < 0 ? 0 : i >= count ? count - 1 : i;
            float w = weight(at, i, scale);
            sum += w * in[k * in_step];
            weights += w;
        }
        out[j * out_step] = count == size ? in[j * in_step] : sum / weights;
    }
}

/* A plane of RGB: a colour, or the luma. */
static void reference(const uint8_t *pixels, int64_t width, int64_t height, int64_t channels,
                      int64_t channel, int64_t h, int64_t w, float *x)
{
    float *whole = malloc((size_t)(width * height) * sizeof *whole);
    float *narrow = malloc((size_t)(w * height) * sizeof *narrow);
    for (int64_t i = 0; i < width * height; i++) {
        const uint8_t *p = pixels + 3 * i;
        whole[i] = channels == 1
                       ? 0.299f * (float)p[0] + 0.587f * (float)p[1] + 0.114f * (float)p[2]
                       : (float)p[channel];
    }
    for (int64_t i = 0; i < height; i++)
        scale_line(whole + i * width, width, 1, narrow + i * w, w, 1);
    for (int64_t j = 0; j < w; j++) scale_line(narrow + j, height, w, x + j, h, w);
    for (int64_t i = 0; i < h * w; i++) x[i] = x[i] / 127.5f - 1.0f;
    free(whole);
    free(narrow);
}

START_TEST(sizes)
{
    static const int64_t sides[] = {1, 2, 3, 5, 7, 8, 9, 16, 17, 31, 64, 100, 257};
    enum { SIDES = sizeof sides / sizeof *sides, MOST = 257 };
    static uint8_t pixels[3 * MOST * 9];
    static float x[3 * MOST * 9], expected[MOST * 9];
    for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)(i * i * 2654435761u >> 13);
    for (int from = 0; from < SIDES; from++)
        for (int to = 0; to < SIDES; to++)
            for (int c = 1; c <= 3; c += 2)
                for (int upright = 0; upright < 2; upright++) {
                    int64_t height = upright ? sides[from] : 9, width = upright ? 9 : sides[from];
                    int64_t h = upright ? sides[to] : 7, w = upright ? 7 : sides[to];
                    OK(jem__pixels_convert(pixels, width, height, 3 * width, JEM_PIXEL_RGB8, c, h,
                                           w, x));
                    for (int k = 0; k < c; k++) {
                        reference(pixels, width, height, c, k, h, w, expected);
                        ck_assert_mem_eq(x + k * h * w, expected,
                                         (size_t)(h * w) * sizeof *expected);
                    }
                }
}
END_TEST

/* A tall image is never held at the width it shall have: 16 MiB here, some rows instead. */
START_TEST(tall)
{
    enum { HEIGHT = 65536, WIDTH = 3, TO = 64, ROWS = 2 };
    uint8_t *pixels = calloc(HEIGHT, WIDTH);
    float x[ROWS * TO];
    int64_t before, peak;
    ck_assert_ptr_nonnull(pixels);
    memset(pixels + HEIGHT / 2 * WIDTH, 255, HEIGHT / 2 * WIDTH);
    jem__heap_count(NULL, NULL, &before);
    OK(jem__pixels_convert(pixels, WIDTH, HEIGHT, WIDTH, JEM_PIXEL_GREY8, 1, ROWS, TO, x));
    jem__heap_count(NULL, NULL, &peak);
    ck_assert_int_lt(peak - before, 1 << 16);
    for (int i = 0; i < TO; i++) ck_assert(x[i] == -1 && x[TO + i] == 1);
    free(pixels);
}
END_TEST

TESTS("pixels", sizes, tall)
