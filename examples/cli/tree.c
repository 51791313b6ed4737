/* A small JSON reader (RFC 8259). */
#include "tree.h"
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DEEPEST = 64, LARGEST = 64 << 20 };

static int value(tree *t, const char **at, int depth);

void tree_clear(tree *t)
{
    for (int64_t i = 0; i < t->count; i++) tree_clear(&t->items[i]);
    free(t->items);
    free(t->text);
    free(t->key);
    *t = (tree){0};
}

static void skip(const char **at)
{
    *at += strspn(*at, " \t\r\n");
}

/* ---- Text ---- */

static int hex4(const char *at, unsigned *code)
{
    *code = 0;
    for (int i = 0; i < 4; i++) {
        if (!isxdigit((unsigned char)at[i])) return 0;
        char c = (char)tolower((unsigned char)at[i]);
        *code = *code * 16 + (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return 1;
}

static char *put_utf8(char *out, unsigned code)
{
    if (code < 0x80) {
        *out++ = (char)code;
    } else if (code < 0x800) {
        *out++ = (char)(0xC0 | code >> 6);
        *out++ = (char)(0x80 | (code & 63));
    } else if (code < 0x10000) {
        *out++ = (char)(0xE0 | code >> 12);
        *out++ = (char)(0x80 | (code >> 6 & 63));
        *out++ = (char)(0x80 | (code & 63));
    } else {
        *out++ = (char)(0xF0 | code >> 18);
        *out++ = (char)(0x80 | (code >> 12 & 63));
        *out++ = (char)(0x80 | (code >> 6 & 63));
        *out++ = (char)(0x80 | (code & 63));
    }
    return out;
}

/* After "\u": one code point, which may be a pair of surrogates. */
static int escape_u(const char **at, char **out)
{
    unsigned code, low;
    if (!hex4(*at, &code)) return 0;
    *at += 4;
    if (code >= 0xD800 && code < 0xDC00 && (*at)[0] == '\\' && (*at)[1] == 'u' &&
        hex4(*at + 2, &low) && low >= 0xDC00 && low < 0xE000) {
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        *at += 6;
    }
    if (code == 0 || (code >= 0xD800 && code < 0xE000)) code = 0xFFFD;
    *out = put_utf8(*out, code);
    return 1;
}

static char *string(const char **at)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *end = *at + 1, *in = *at + 1;
    for (; *end && *end != '"'; end++)
        if (*end == '\\' && end[1]) end++;
    if (*end != '"') return NULL;
    char *text = allocate(end - in + 1, 1), *out = text; /* an escape is never shorter */
    while (text && in < end) {
        const char *found;
        if (*in != '\\') {
            *out++ = *in++;
        } else if (in[1] == 'u') {
            in += 2;
            if (!escape_u(&in, &out) || in > end) break;
        } else if ((found = strchr(from, in[1]))) {
            *out++ = to[found - from];
            in += 2;
        } else {
            break;
        }
    }
    if (in != end) {
        free(text);
        return NULL;
    }
    *at = end + 1;
    return text;
}

/* ---- Values ---- */

static tree *add(tree *t)
{
    if (t->count == t->room) {
        int64_t room = t->room ? 2 * t->room : 1; /* most have few, and there may be many */
        tree *more = allocate(room, sizeof *more);
        if (!more) return NULL;
        if (t->count) memcpy(more, t->items, (size_t)t->count * sizeof *more);
        free(t->items);
        t->items = more;
        t->room = room;
    }
    t->items[t->count] = (tree){0};
    return &t->items[t->count++];
}

/* Moves past one character if it is the one expected. */
static int expect(const char **at, char c)
{
    if (**at != c) return 0;
    (*at)++;
    return 1;
}

static int members(tree *t, const char **at, int depth)
{
    char close = t->kind == TREE_OBJECT ? '}' : ']';
    (*at)++;
    for (skip(at); **at != close; skip(at)) {
        if (t->count) {
            if (!expect(at, ',')) return 0;
            skip(at);
        }
        tree *item = add(t);
        if (!item) return 0;
        if (t->kind == TREE_OBJECT) {
            if (**at != '"' || !(item->key = string(at))) return 0;
            skip(at);
            if (!expect(at, ':')) return 0;
        }
        if (!value(item, at, depth + 1)) return 0;
    }
    (*at)++;
    return 1;
}

static int word(tree *t, const char **at)
{
    static const char *const words[] = {"null", "false", "true"};
    for (int i = 0; i < 3; i++) {
        size_t n = strlen(words[i]);
        if (strncmp(*at, words[i], n) != 0) continue;
        t->kind = i ? TREE_FLAG : TREE_NULL;
        t->number = i == 2;
        *at += n;
        return 1;
    }
    return 0;
}

static int number(tree *t, const char **at)
{
    size_t n = strspn(*at, "+-.0123456789eE");
    char *end;
    t->kind = TREE_NUMBER;
    t->text = allocate((int64_t)n + 1, 1);
    if (!t->text) return 0;
    memcpy(t->text, *at, n);
    t->number = strtod(t->text, &end);
    *at += n;
    return n && !*end && isfinite(t->number);
}

static int value(tree *t, const char **at, int depth)
{
    skip(at);
    if (depth > DEEPEST) return 0;
    if (**at == '{' || **at == '[') {
        t->kind = **at == '{' ? TREE_OBJECT : TREE_ARRAY;
        return members(t, at, depth);
    }
    if (**at == '"') {
        t->kind = TREE_TEXT;
        return (t->text = string(at)) != NULL;
    }
    return word(t, at) || number(t, at);
}

int tree_parse(tree *t, const char *text)
{
    *t = (tree){0};
    if (value(t, &text, 0)) {
        skip(&text);
        if (!*text) return 1;
    }
    tree_clear(t);
    return 0;
}

int tree_read(tree *t, const char *path)
{
    *t = (tree){0};
    FILE *file = is_file(path) ? fopen(path, "rb") : NULL;
    if (!file) return 0;
    long size = fseek(file, 0, SEEK_END) ? -1 : ftell(file);
    char *text = size < 0 || size > LARGEST ? NULL : allocate(size + 1, 1);
    rewind(file);
    size_t got = text ? fread(text, 1, (size_t)size, file) : 0;
    fclose(file);
    int good = text && got == (size_t)size && tree_parse(t, text);
    free(text);
    return good;
}

/* ---- Looking up ---- */

const tree *tree_find(const tree *t, const char *key)
{
    for (int64_t i = 0; t && t->kind == TREE_OBJECT && i < t->count; i++)
        if (!strcmp(t->items[i].key, key)) return &t->items[i];
    return NULL;
}

double tree_number(const tree *t, const char *key)
{
    const tree *found = tree_find(t, key);
    return found && found->kind == TREE_NUMBER ? found->number : NAN;
}

const char *tree_text(const tree *t, const char *key)
{
    const tree *found = tree_find(t, key);
    return found && found->kind == TREE_TEXT ? found->text : NULL;
}
