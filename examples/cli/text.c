/* Text from files and names, as a terminal, a picture and JSON can show it. */
#include "cli.h"
#include <string.h>

int text_character(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    int n = *at < 0x80 ? 1 : *at >= 0xC2 && *at < 0xE0 ? 2 : *at >= 0xE0 && *at < 0xF0 ? 3 : 4;
    if (*at >= 0xF5 || (*at >= 0x80 && *at < 0xC2)) return 0;
    for (int i = 1; i < n; i++)
        if ((at[i] & 0xC0) != 0x80) return 0;
    /* Longer than need be, half of a pair, beyond the last. */
    if ((at[0] == 0xE0 && at[1] < 0xA0) || (at[0] == 0xED && at[1] >= 0xA0) ||
        (at[0] == 0xF0 && at[1] < 0x90) || (at[0] == 0xF4 && at[1] >= 0x90))
        return 0;
    return n;
}

int text_is_control(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    return *at < 0x20 || *at == 0x7F || (*at == 0xC2 && at[1] < 0xA0);
}

void text_clean(char *clean, size_t capacity, const char *text)
{
    size_t at = 0;
    while (*text) {
        int n = text_character(text), shown = n && !text_is_control(text);
        size_t length = shown ? (size_t)n : 1;
        if (at + length >= capacity) break;
        memcpy(clean + at, shown ? text : n ? " " : "?", length);
        at += length;
        text += n ? n : 1;
    }
    if (capacity) clean[at] = 0;
}

void text_print(FILE *out, const char *text)
{
    for (; *text; text += text_character(text) ? text_character(text) : 1) {
        int n = text_character(text);
        if (n && !text_is_control(text))
            fwrite(text, 1, (size_t)n, out);
        else
            fputc(n ? ' ' : '?', out);
    }
}
