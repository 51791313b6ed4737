/* A line of text inside a finished picture file: how the picture was made. And read again. */
#include "cli.h"
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
    size_t length = sizeof lead - 4 + strlen(comment);
    unsigned char *chunk = allocate((int64_t)length + 12, 1);
    if (!chunk) return NULL;
    big_endian(chunk, (uint32_t)length);
    memcpy(chunk + 4, lead, sizeof lead);
    memcpy(chunk + 4 + sizeof lead, comment, length + 4 - sizeof lead);
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
    if (*size == (size_t)end) return 0;
    return fail("%s: cannot read: got %zu bytes, expected %ld", path, *size, end);
}

/* Beside the file first, so that the picture stays whole. */
static int write_parts(const char *path, const unsigned char *bytes, size_t size,
                       const unsigned char *chunk, size_t length)
{
    char beside[4300];
    beside_of(beside, sizeof beside, path);
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

/* ---- Reading ---- */

enum { MOST_CHUNKS = 100000, MOST_BYTES = 65536 }; /* of a file; of a text */
static const char keyword[] = "Description";

static uint32_t number(const unsigned char *b)
{
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* Behind the zero that ends a text; NULL: none within n bytes. */
static const char *behind(const char *text, size_t n)
{
    const char *zero = text ? memchr(text, 0, n) : NULL;
    return zero ? zero + 1 : NULL;
}

static void from_latin1(char *out, size_t capacity, const char *text)
{
    size_t at = 0;
    for (; *text && at + 2 < capacity; text++) {
        unsigned char c = (unsigned char)*text;
        if (c >= 0x80) out[at++] = (char)(0xC0 | c >> 6);
        out[at++] = (char)(c < 0x80 ? c : 0x80 | (c & 0x3F));
    }
    out[at] = 0;
}

/* Of a tEXt or iTXt chunk's data, which a zero follows; compressed text is passed over. */
static int read_text(const char *kind, const char *data, size_t n, char *text, size_t capacity)
{
    char utf8[2 * MOST_BYTES + 4];
    const char *at = data + sizeof keyword, *end = data + n;
    if (n < sizeof keyword || memcmp(data, keyword, sizeof keyword) != 0) return 0;
    if (!strncmp(kind, "tEXt", 4)) {
        from_latin1(utf8, sizeof utf8, at);
        at = utf8;
    } else {
        if (end - at < 2 || *at) return 0;
        at = behind(at + 2, (size_t)(end - at) - 2);   /* language */
        at = at ? behind(at, (size_t)(end - at)) : at; /* the keyword in it */
        if (!at) return 0;
    }
    text_clean(text, capacity, at);
    return *text != 0;
}

/* The data of a chunk whose checksum is right, with a zero behind; to be freed. */
static char *read_chunk(FILE *file, const char *kind, uint32_t n)
{
    unsigned char sum[4];
    char *data = allocate((int64_t)n + 1, 1);
    int good = data && fread(data, 1, n, file) == n && fread(sum, 1, 4, file) == 4;
    if (good) {
        uint32_t c = crc(~0u, (const unsigned char *)kind, 4);
        good = number(sum) == (uint32_t)~crc(c, (const unsigned char *)data, n);
    }
    if (good) return data;
    free(data);
    return NULL;
}

int comment_read(const char *path, char *text, size_t capacity)
{
    static const char signature[] = "\x89PNG\r\n\x1a\n";
    char head[8];
    FILE *file = is_file(path) ? fopen(path, "rb") : NULL;
    int found = 0, going = file && fread(head, 1, 8, file) == 8 && !memcmp(head, signature, 8);
    for (int i = 0; going && !found && i < MOST_CHUNKS; i++) {
        going = fread(head, 1, 8, file) == 8 && strncmp(head + 4, "IEND", 4) != 0;
        uint32_t n = number((const unsigned char *)head);
        int is_text = !strncmp(head + 4, "tEXt", 4) || !strncmp(head + 4, "iTXt", 4);
        if (!going) break;
        if (!is_text || n > MOST_BYTES) {
            going = n < 1u << 31 && !fseek(file, (long)n + 4, SEEK_CUR);
            continue;
        }
        char *data = read_chunk(file, head + 4, n);
        going = data != NULL;
        found = data && read_text(head + 4, data, n, text, capacity);
        free(data);
    }
    if (file) fclose(file);
    return found;
}
