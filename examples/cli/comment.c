/* A line of text inside a finished picture file: how the picture was made. */
#include "draw.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HEAD = 33 }; /* of a PNG: signature and IHDR, which must come first */

/* The checksum of PNG chunks (ISO 3309). */
static uint32_t crc(uint32_t c, const unsigned char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        c ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) c = c & 1 ? 0xEDB88320u ^ c >> 1 : c >> 1;
    }
    return c;
}

static void big_endian(unsigned char *out, uint32_t value)
{
    for (int i = 0; i < 4; i++) out[i] = (unsigned char)(value >> (24 - 8 * i));
}

/* An iTXt chunk "Description", UTF-8 and not compressed; to be freed. */
static unsigned char *chunk_of(const char *comment, size_t *size)
{
    static const char lead[] = "iTXtDescription\0\0\0\0"; /* and the closing zero: 5 in all */
    size_t n = strlen(comment), length = sizeof lead - 4 + n;
    unsigned char *chunk = allocate((int64_t)length + 12, 1);
    if (!chunk) return NULL;
    big_endian(chunk, (uint32_t)length);
    memcpy(chunk + 4, lead, sizeof lead);
    memcpy(chunk + 4 + sizeof lead, comment, n);
    big_endian(chunk + 8 + length, ~crc(~0u, chunk + 4, length + 4));
    *size = length + 12;
    return chunk;
}

static int whole_file(const char *path, unsigned char **bytes, size_t *size)
{
    FILE *file = fopen(path, "rb");
    long end = -1;
    *bytes = NULL;
    if (file && !fseek(file, 0, SEEK_END)) end = ftell(file);
    if (end >= 0 && (*bytes = allocate(end, 1))) {
        rewind(file);
        *size = fread(*bytes, 1, (size_t)end, file);
    }
    if (file) fclose(file);
    if (!*bytes) return fail("%s: cannot read: %s", path, strerror(errno));
    return 0;
}

/* Beside the file first, so that the picture stays whole. */
static int write_parts(const char *path, const unsigned char *bytes, size_t size,
                       const unsigned char *chunk, size_t length)
{
    char beside[4300];
    snprintf(beside, sizeof beside, "%s~", path);
    FILE *file = file_create(beside);
    int bad = !file || fwrite(bytes, 1, HEAD, file) != HEAD ||
              fwrite(chunk, 1, length, file) != length ||
              fwrite(bytes + HEAD, 1, size - HEAD, file) != size - HEAD;
    if ((file && fclose(file)) || bad || rename(beside, path)) {
        int code = fail("%s: cannot write: %s", path, strerror(errno));
        unlink(beside);
        return code;
    }
    return 0;
}

static int comment_png(const char *path, const char *comment)
{
    unsigned char *bytes = NULL, *chunk = NULL;
    size_t size = 0, length = 0;
    int code = whole_file(path, &bytes, &size);
    if (!code && size > HEAD) {
        chunk = chunk_of(comment, &length);
        code = chunk ? write_parts(path, bytes, size, chunk, length) : CODE_FAILED;
    }
    free(chunk);
    free(bytes);
    return code;
}

/* Two hyphens may not stand in an XML comment. */
static int comment_svg(const char *path, const char *comment)
{
    FILE *file = fopen(path, "ab");
    if (!file) return fail("%s: cannot open: %s", path, strerror(errno));
    fputs("<!-- ", file);
    for (const char *at = comment; *at; at++)
        fputc(*at == '-' && (at[1] == '-' || !at[1]) ? '_' : *at, file);
    fputs(" -->\n", file);
    int bad = ferror(file);
    if (fclose(file) || bad) return fail("%s: cannot write: %s", path, strerror(errno));
    return 0;
}

int comment_write(const char *path, const char *kind, const char *comment)
{
    return has_suffix(kind, ".svg") ? comment_svg(path, comment) : comment_png(path, comment);
}
