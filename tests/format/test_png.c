/* Reading PNG: every kind of pixel against what was put in, and damaged files. */
#include "base/memory.h"
#include "format/images.h"
#include "helpers.h"
#include <png.h>
#include <zlib.h>

enum { W = 11, H = 9 };

typedef struct kind {
    int type, depth, interlaced, transparent;
} kind;

/* Sample s of pixel (y, x), of depth bits. */
static unsigned sample(int y, int x, int s, int depth)
{
    unsigned v = (unsigned)(y * 7919 + x * 104729 + s * 1299709 + 77) * 2654435761u >> 8;
    return v & ((1u << depth) - 1);
}

static int samples(int type)
{
    return type == PNG_COLOR_TYPE_RGB          ? 3
           : type == PNG_COLOR_TYPE_RGB_ALPHA  ? 4
           : type == PNG_COLOR_TYPE_GRAY_ALPHA ? 2
                                               : 1;
}

static png_color palette_colour(unsigned i)
{
    return (png_color){(png_byte)(i * 37 + 5), (png_byte)(i * 91 + 1), (png_byte)(255 - i)};
}

static void write_rows(png_structp png, const kind *k)
{
    int n = samples(k->type), passes = png_set_interlace_handling(png);
    for (int pass = 0; pass < passes; pass++)
        for (int y = 0; y < H; y++) {
            png_byte row[W * 4 * 2] = {0};
            for (int i = 0; i < W * n; i++) {
                unsigned v = sample(y, i / n, i % n, k->depth);
                if (k->depth == 16) {
                    row[2 * i] = (png_byte)(v >> 8);
                    row[2 * i + 1] = (png_byte)v;
                } else {
                    int bit = i * k->depth;
                    row[bit / 8] |= (png_byte)(v << (8 - k->depth - bit % 8));
                }
            }
            png_write_row(png, row);
        }
}

static void write_png(const char *path, const kind *k)
{
    FILE *file = fopen(path, "wb");
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    png_init_io(png, file);
    png_set_IHDR(png, info, W, H, k->depth, k->type,
                 k->interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, 0, 0);
    if (k->type == PNG_COLOR_TYPE_PALETTE) {
        png_color colours[256];
        png_byte alpha[256];
        for (unsigned i = 0; i < 256; i++) colours[i] = palette_colour(i);
        for (unsigned i = 0; i < 256; i++) alpha[i] = (png_byte)(i * 13 + 100);
        png_set_PLTE(png, info, colours, 1 << k->depth);
        if (k->transparent) png_set_tRNS(png, info, alpha, 1 << k->depth, NULL);
    } else if (k->transparent) {
        png_color_16 clear = {.gray = (png_uint_16)sample(2, 3, 0, k->depth),
                              .red = (png_uint_16)sample(2, 3, 0, k->depth),
                              .green = (png_uint_16)sample(2, 3, 1, k->depth),
                              .blue = (png_uint_16)sample(2, 3, 2, k->depth)};
        png_set_tRNS(png, info, NULL, 0, &clear);
    }
    png_write_info(png, info);
    write_rows(png, k);
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    fclose(file);
}

/* v of depth bits as 8, nearest. */
static int to8(unsigned v, int depth)
{
    unsigned most = (1u << depth) - 1;
    return (int)((v * 255 + most / 2) / most);
}

static void expected(const kind *k, int y, int x, int *rgba)
{
    int n = samples(k->type), grey = n < 3, same = 1;
    rgba[3] = 255;
    if (k->type == PNG_COLOR_TYPE_PALETTE) {
        unsigned i = sample(y, x, 0, k->depth);
        png_color c = palette_colour(i);
        rgba[0] = c.red, rgba[1] = c.green, rgba[2] = c.blue;
        if (k->transparent) rgba[3] = (png_byte)(i * 13 + 100);
        return;
    }
    for (int s = 0; s < 3; s++) rgba[s] = to8(sample(y, x, grey ? 0 : s, k->depth), k->depth);
    if (n % 2 == 0) rgba[3] = to8(sample(y, x, n - 1, k->depth), k->depth);
    for (int s = 0; s < n; s++) same &= sample(y, x, s, k->depth) == sample(2, 3, s, k->depth);
    if (k->transparent && same) rgba[3] = 0;
}

static void check_kind(const kind *k)
{
    const char *path = test_path("kind.png");
    uint8_t *pixels;
    int64_t w, h;
    int32_t colour;
    write_png(path, k);
    OK(jem__png_info(path, &w, &h, &colour));
    ck_assert(w == W && h == H && !!colour == !!(k->type & PNG_COLOR_MASK_COLOR));
    OK(jem__png_read(&pixels, &w, &h, path));
    ck_assert(w == W && h == H);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            int rgba[4];
            expected(k, y, x, rgba);
            for (int s = 0; s < 4; s++)
                ck_assert_msg(pixels[(y * W + x) * 4 + s] == rgba[s],
                              "type %d, %d bits%s%s: (%d,%d) sample %d is %d, expected %d", k->type,
                              k->depth, k->interlaced ? ", interlaced" : "",
                              k->transparent ? ", tRNS" : "", y, x, s, pixels[(y * W + x) * 4 + s],
                              rgba[s]);
        }
    jem__free(pixels);
}

START_TEST(every_kind)
{
    static const struct {
        int type, depths[6], transparent;
    } kinds[] = {{PNG_COLOR_TYPE_GRAY, {1, 2, 4, 8, 16}, 1},
                 {PNG_COLOR_TYPE_RGB, {8, 16}, 1},
                 {PNG_COLOR_TYPE_PALETTE, {1, 2, 4, 8}, 1},
                 {PNG_COLOR_TYPE_GRAY_ALPHA, {8, 16}, 0},
                 {PNG_COLOR_TYPE_RGB_ALPHA, {8, 16}, 0}};
    int checked = 0;
    for (int i = 0; i < 5; i++)
        for (int j = 0; kinds[i].depths[j]; j++)
            for (int interlaced = 0; interlaced < 2; interlaced++)
                for (int clear = 0; clear <= kinds[i].transparent; clear++, checked++)
                    check_kind(&(kind){kinds[i].type, kinds[i].depths[j], interlaced, clear});
    ck_assert_int_eq(checked, 52);
}
END_TEST

/* CRCs guard every chunk, so no flipped bit and no shorter file may pass. */
START_TEST(damaged)
{
    const char *path = test_path("damaged.png");
    const kind k = {PNG_COLOR_TYPE_PALETTE, 4, 0, 1};
    uint8_t *pixels;
    int64_t size, w, h;
    int32_t colour;
    write_png(path, &k);
    uint8_t *bytes = test_get(path, &size);
    for (int64_t cut = 0; cut < size; cut++) {
        test_put_new(path, bytes, cut);
        ck_assert_int_eq(jem__png_read(&pixels, &w, &h, path), JEM_ERROR_FORMAT);
        if (cut < 33) ck_assert_int_eq(jem__png_info(path, &w, &h, &colour), JEM_ERROR_FORMAT);
    }
    for (int64_t bit = 0; bit < size * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        test_put_new(path, bytes, size);
        ck_assert_msg(jem__png_read(&pixels, &w, &h, path) == JEM_ERROR_FORMAT, "bit %d", (int)bit);
        ck_assert_ptr_null(pixels);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    free(bytes);
    FAILS(JEM_ERROR_IO, jem__png_read(&pixels, &w, &h, test_path("none.png")), "none.png");
}
END_TEST

static void put_number(uint8_t *at, uint32_t v)
{
    for (int i = 0; i < 4; i++) at[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* A hundred bytes that claim gigabytes: refused before anything large is allocated. */
START_TEST(claims_too_much)
{
    const char *path = test_path("claims.png");
    const kind k = {PNG_COLOR_TYPE_GRAY, 8, 0, 0};
    uint8_t *pixels;
    int64_t size, w, h;
    write_png(path, &k);
    uint8_t *bytes = test_get(path, &size);
    put_number(bytes + 16, 4000);
    put_number(bytes + 20, 4000);
    put_number(bytes + 29, (uint32_t)crc32(0, bytes + 12, 17));
    test_put_new(path, bytes, size);
    FAILS(JEM_ERROR_FORMAT, jem__png_read(&pixels, &w, &h, path), "4000x4000 pixels cannot be");
    put_number(bytes + 16, 65535);
    put_number(bytes + 20, 65535);
    put_number(bytes + 29, (uint32_t)crc32(0, bytes + 12, 17));
    test_put_new(path, bytes, size);
    FAILS(JEM_ERROR_FORMAT, jem__png_read(&pixels, &w, &h, path), "65535x65535 pixels");
    put_number(bytes + 16, 65537);
    put_number(bytes + 29, (uint32_t)crc32(0, bytes + 12, 17));
    test_put_new(path, bytes, size);
    FAILS(JEM_ERROR_FORMAT, jem__png_read(&pixels, &w, &h, path), "claims.png: libpng");
    free(bytes);
}
END_TEST

/* The header alone tells how many bits a pixel has, where it is a header that PNG knows. */
START_TEST(depths_of_types)
{
    static const int types[][6] = {/* depths */
                                   {1, 2, 4, 8, 16, -1}, {-1}, {8, 16, -1}, {1, 2, 4, 8, -1},
                                   {8, 16, -1},          {-1}, {8, 16, -1}, {-1}};
    const char *path = test_path("depths.png");
    uint8_t start[33] = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    int64_t w, h;
    int32_t colour;
    for (int type = 0; type < 8; type++)
        for (int depth = 0; depth < 33; depth++) {
            int good = 0;
            for (int i = 0; types[type][i] >= 0; i++) good |= types[type][i] == depth;
            put_number(start + 16, 3);
            put_number(start + 20, 2);
            start[24] = (uint8_t)depth;
            start[25] = (uint8_t)type;
            test_put(path, start, sizeof start);
            if (good)
                OK(jem__png_info(path, &w, &h, &colour));
            else
                FAILS(JEM_ERROR_FORMAT, jem__png_info(path, &w, &h, &colour), "bit depth");
        }
    /* 33 bytes make at most 34056: of 8-bit colours, not of bits. */
    start[24] = 8;
    start[25] = PNG_COLOR_TYPE_RGB;
    put_number(start + 16, 180);
    put_number(start + 20, 180);
    test_put(path, start, sizeof start);
    FAILS(JEM_ERROR_FORMAT, jem__png_info(path, &w, &h, &colour), "180x180 pixels cannot be");
}
END_TEST

TESTS("png", every_kind, damaged, claims_too_much, depths_of_types)
