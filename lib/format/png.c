/* PNG through libpng: the only file that includes png.h. */
#include "base/file.h"
#include "base/memory.h"
#include "base/status.h"
#include "format/images.h"
#include "format/png_parts.h"
#include <setjmp.h>
#include <string.h>

typedef struct sink {
    jem__writer *writer;
    jem_status status;
} sink;

/* libpng must be left by longjmp: remember why, and jump. */
static void write_bytes(png_structp png, png_bytep bytes, png_size_t size)
{
    sink *s = png_get_io_ptr(png);
    s->status = jem__writer_write(s->writer, bytes, (int64_t)size);
    if (s->status) png_longjmp(png, 1);
}

static void flush(png_structp png)
{
    (void)png;
}

static void fail(png_structp png, png_const_charp message)
{
    sink *s = png_get_error_ptr(png);
    /* Out of memory comes in the words of libpng, or of zlib through it. */
    jem_status status = strstr(message, "memory") ? JEM_ERROR_MEMORY : JEM_ERROR_FORMAT;
    s->status = jem__fail(status, "libpng: %s", message);
    png_longjmp(png, 1);
}

static jem_status encode(sink *s, const uint8_t *pixels, int64_t w, int64_t h, int64_t c)
{
    png_infop info = NULL;
    png_structp png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, s, fail, warn, s,
                                                take_memory, give_memory);
    if (png) info = png_create_info_struct(png);
    if (!info) {
        png_destroy_write_struct(&png, NULL);
        return jem__fail(JEM_ERROR_MEMORY, "libpng: out of memory");
    }
    if (setjmp(png_jmpbuf(png)) == 0) {
        png_set_write_fn(png, s, write_bytes, flush);
        png_set_IHDR(png, info, (png_uint_32)w, (png_uint_32)h, 8,
                     c == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                     PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
        png_write_info(png, info);
        for (int64_t i = 0; i < h; i++) png_write_row(png, pixels + i * w * c);
        png_write_end(png, info);
    }
    png_destroy_write_struct(&png, &info);
    return s->status;
}

jem_status jem__png_write(const char *path, const uint8_t *pixels, int64_t w, int64_t h, int64_t c)
{
    sink s = {0};
    JEM__TRY(jem__writer_open(&s.writer, path));
    jem_status status = encode(&s, pixels, w, h, c);
    if (!status) return jem__writer_commit(s.writer);
    jem__writer_abandon(s.writer);
    return jem__fail_in(status, "%s", path);
}
