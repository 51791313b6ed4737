#include "format/json.h"
#include "base/memory.h"
#include "base/status.h"
#include <stdio.h>
#include <string.h>

void jem__json_blanks(jem__json *j)
{
    while (j->at < j->end && (*j->at == ' ' || *j->at == '\n' || *j->at == '\t' || *j->at == '\r'))
        j->at++;
}

int jem__json_token(jem__json *j, char token)
{
    jem__json_blanks(j);
    if (j->at == j->end || *j->at != token) return 0;
    j->at++;
    return 1;
}

int jem__json_integer(jem__json *j, int64_t *value)
{
    jem__json_blanks(j);
    const char *from = j->at;
    for (*value = 0; j->at < j->end && *j->at >= '0' && *j->at <= '9'; j->at++) {
        if (*value > (INT64_MAX - 9) / 10) return 0;
        *value = *value * 10 + (*j->at - '0');
    }
    return j->at > from;
}

static int hex4(jem__json *j, uint32_t *code)
{
    *code = 0;
    if (j->end - j->at < 4) return 0;
    for (int i = 0; i < 4; i++, j->at++) {
        char c = *j->at;
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0) return 0;
        *code = *code << 4 | (uint32_t)digit;
    }
    return 1;
}

/* \uXXXX, or a pair of them, to UTF-8; bytes written, 0 on error. */
static int unicode(jem__json *j, char *out)
{
    uint32_t code, low;
    if (!hex4(j, &code) || code == 0 || (code >= 0xDC00 && code < 0xE000)) return 0;
    if (code >= 0xD800 && code < 0xDC00) {
        if (j->end - j->at < 2 || j->at[0] != '\\' || j->at[1] != 'u') return 0;
        j->at += 2;
        if (!hex4(j, &low) || low < 0xDC00 || low > 0xDFFF) return 0;
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    int n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (int i = n - 1; i > 0; i--, code >>= 6) out[i] = (char)(0x80 | (code & 63));
    out[0] = (char)(lead[n] | code);
    return n;
}

int jem__json_text(jem__json *j, char *text, size_t size)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    size_t n = 0;
    if (!jem__json_token(j, '"')) return 0;
    while (j->at < j->end && *j->at != '"') {
        if (n + 5 > size) return 0;
        char c = *j->at++;
        if ((unsigned char)c < 0x20) return 0;
        if (c != '\\') {
            text[n++] = c;
            continue;
        }
        if (j->at == j->end) return 0;
        c = *j->at++;
        const char *escape = c ? strchr(from, c) : NULL;
        if (escape) {
            text[n++] = to[escape - from];
        } else {
            int bytes = c == 'u' ? unicode(j, text + n) : 0;
            if (!bytes) return 0;
            n += (size_t)bytes;
        }
    }
    text[n] = 0;
    return jem__is_utf8(text) && jem__json_token(j, '"');
}

int64_t jem__json_text_room(jem__json *j)
{
    jem__json_blanks(j);
    const char *at = j->at < j->end ? j->at + 1 : j->at;
    while (at < j->end && *at != '"') at += *at == '\\' && j->end - at > 1 ? 2 : 1;
    return at - j->at + 8;
}

static void append(jem__text *t, const char *more, int64_t n)
{
    if (t->status) return;
    if (t->length + n + 1 > t->room) {
        char *fresh;
        int64_t room = 2 * t->room + n + 256;
        t->status = jem__alloc(&fresh, room, 1);
        if (t->status) return;
        if (t->bytes) memcpy(fresh, t->bytes, (size_t)t->length);
        jem__free(t->bytes);
        t->bytes = fresh;
        t->room = room;
    }
    memcpy(t->bytes + t->length, more, (size_t)n);
    t->length += n;
    t->bytes[t->length] = 0;
}

void jem__text_add(jem__text *t, const char *more)
{
    append(t, more, (int64_t)strlen(more));
}

void jem__text_quote(jem__text *t, const char *value)
{
    append(t, "\"", 1);
    for (; *value; value++) {
        char escape[8];
        if (*value == '"' || *value == '\\')
            snprintf(escape, sizeof escape, "\\%c", *value);
        else if ((unsigned char)*value < 0x20)
            snprintf(escape, sizeof escape, "\\u%04x", (unsigned)*value);
        else
            snprintf(escape, sizeof escape, "%c", *value);
        append(t, escape, (int64_t)strlen(escape));
    }
    append(t, "\"", 1);
}
