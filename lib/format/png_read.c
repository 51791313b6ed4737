/* Reading PNG through libpng, from memory. Files are hostile: the picture must be possible in
   that many bytes before its pixels are allocated, and only the chunks that make pixels are
   looked at. */
#include "base/file.h"
#include "base/gzip.h"
#include "base/memory.h"
#include "base/status.h"
#include "base/view.h"
#include "format/bytes.h"
#include "format/images.h"
#include "format/png_parts.h"
#include <inttypes.h>
#include <setjmp.h>
#include <string.h>

/* Of a picture: the side, and all pixels. */
#define MOST_SIDE (1 << 16)
#define MOST_PIXELS ((int64_t)1 << 24)
#define MOST_BYTES ((int64_t)1 << 28) /* of a file */
enum { CHUNK_LIMIT = 1 << 20 };
enum { START = 33 }; /* signature and header chunk */

typedef struct bytes {
    const uint8_t *at, *end;
    int64_t size;
    jem_status status;
} bytes;

static void take(png_structp png, png_bytep out, png_size_t n)
{
    bytes *b = png_get_io_ptr(png);
    if (n > (size_t)(b->end - b->at)) png_error(png, "the file ends early");
    memcpy(out, b->at, n);
    b->at += n;
}

/* libpng must be left by longjmp: remember why, and jump. */
static void fail(png_structp png, png_const_charp message)
{
    bytes *b = png_get_error_ptr(png);
    b->status = jem__fail(strstr(message, "emory") ? JEM_ERROR_MEMORY : JEM_ERROR_FORMAT,
                          "libpng: %s", message);
    png_longjmp(png, 1);
}

static void set_limits(png_structp png)
{
    png_set_user_limits(png, MOST_SIDE, MOST_SIDE);
    png_set_chunk_malloc_max(png, CHUNK_LIMIT);
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
}

/* Whatever the file has becomes 8-bit RGBA. */
static void set_transforms(png_structp png)
{
    png_set_expand(png); /* palettes, fewer than 8 bits, a transparent colour */
    png_set_scale_16(png);
    png_set_gray_to_rgb(png);
    png_set_add_alpha(png, 255, PNG_FILLER_AFTER);
}

/* Whether a picture of so many bits a pixel can be in a file of so many bytes. */
static jem_status check_size(int64_t w, int64_t h, int64_t bits, int64_t size)
{
    int64_t packed = ((w * bits + 7) / 8 + 1) * h;
    if (w * h > MOST_PIXELS)
        return jem__fail(JEM_ERROR_FORMAT,
                         "%" PRId64 "x%" PRId64 " pixels, expected at most %" PRId64 " in all", w,
                         h, MOST_PIXELS);
    if (packed / JEM__MOST_INFLATION > size)
        return jem__fail(JEM_ERROR_FORMAT,
                         "%" PRId64 "x%" PRId64 " pixels cannot be in %" PRId64 " bytes", w, h,
                         size);
    return JEM_OK;
}

/* *pixels must outlive the jump, so it lives with the caller. */
static void decode(png_structp png, png_infop info, bytes *b, uint8_t **pixels, int64_t *w,
                   int64_t *h)
{
    if (setjmp(png_jmpbuf(png))) return;
    set_limits(png);
    png_set_read_fn(png, b, take);
    png_read_info(png, info);
    *w = png_get_image_width(png, info);
    *h = png_get_image_height(png, info);
    int64_t bits = (int64_t)png_get_bit_depth(png, info) * png_get_channels(png, info);
    if ((b->status = check_size(*w, *h, bits, b->size))) return;
    set_transforms(png);
    int passes = png_set_interlace_handling(png);
    png_read_update_info(png, info);
    int64_t row = (int64_t)png_get_rowbytes(png, info);
    if (row != *w * 4) png_error(png, "rows are not RGBA");
    if ((b->status = jem__calloc(pixels, *h, row))) return;
    for (int pass = 0; pass < passes; pass++)
        for (int64_t y = 0; y < *h; y++) png_read_row(png, *pixels + y * row, NULL);
    png_read_end(png, NULL);
}

jem_status jem__png_read(uint8_t **pixels, int64_t *w, int64_t *h, const char *path)
{
    uint8_t *file;
    int64_t size;
    png_infop info = NULL;
    *pixels = NULL;
    JEM__TRY(jem__file_read(&file, &size, path, MOST_BYTES, 0));
    bytes b = {file, file + size, size, JEM_OK};
    png_structp png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &b, fail, warn, NULL,
                                               take_memory, give_memory);
    if (png) info = png_create_info_struct(png);
    if (info)
        decode(png, info, &b, pixels, w, h);
    else
        b.status = jem__fail(JEM_ERROR_MEMORY, "libpng: out of memory");
    png_destroy_read_struct(&png, &info, NULL);
    jem__free(file);
    if (!b.status) return JEM_OK;
    jem__free(*pixels);
    *pixels = NULL;
    return jem__fail_in(b.status, "%s", path);
}

/* Bits of a pixel; 0: a type and depth that do not go together (PNG, table 11.1). */
static int64_t bits_of(int type, int depth)
{
    static const struct {
        int samples, depths; /* a bit mask */
    } types[7] = {{1, 1 | 2 | 4 | 8 | 16},
                  {0},
                  {3, 8 | 16},
                  {1, 1 | 2 | 4 | 8},
                  {2, 8 | 16},
                  {0},
                  {4, 8 | 16}};
    int single = depth > 0 && !(depth & (depth - 1));
    return type < 7 && single && (types[type].depths & depth) ? (int64_t)types[type].samples * depth
                                                              : 0;
}

jem_status jem__png_info(const char *path, int64_t *w, int64_t *h, int32_t *colour)
{
    uint8_t start[START] = {0};
    jem__view *view;
    JEM__TRY(jem__view_open(&view, path, 0));
    int64_t size = jem__view_size(view);
    jem_status status = size < START ? JEM_OK : jem__view_read(view, start, START, 0);
    jem__view_close(view);
    JEM__TRY(status);
    *w = (uint32_t)jem__big_endian(start + 16, 4);
    *h = (uint32_t)jem__big_endian(start + 20, 4);
    *colour = start[25] & PNG_COLOR_MASK_COLOR;
    int64_t bits = bits_of(start[25], start[24]);
    if (png_sig_cmp(start, 0, 8) || memcmp(start + 12, "IHDR", 4) != 0 || *w < 1 || *h < 1 ||
        *w > MOST_SIDE || *h > MOST_SIDE)
        return jem__fail(JEM_ERROR_FORMAT, "%s: not a PNG file of 1..%d pixels a side", path,
                         MOST_SIDE);
    if (!bits)
        return jem__fail(
            JEM_ERROR_FORMAT,
            "%s: bit depth %d of colour type %d, expected 1, 2, 4, 8 or 16 as the type has", path,
            start[24], start[25]);
    status = check_size(*w, *h, bits, size);
    return status ? jem__fail_in(status, "%s", path) : JEM_OK;
}
