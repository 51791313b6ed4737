/* JSON text. Numbers have as many digits as they need, and a point. */
#include "cli.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

void json_format(char *text, size_t capacity, double value)
{
    if (!isfinite(value)) {
        snprintf(text, capacity, "null");
        return;
    }
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, capacity, "%.*g", digits, value);
        if (strtod(text, NULL) == value) return;
    }
}

static void indent(json *out)
{
    fputc('\n', out->file);
    for (int i = 0; i < out->depth; i++) fputs("  ", out->file);
}

static void string(json *out, const char *text)
{
    fputc('"', out->file);
    for (const char *at = text; *at; at++) {
        unsigned char c = (unsigned char)*at;
        int n = text_character(at);
        if (n == 0) {
            fputs("\\ufffd", out->file); /* in a file's name, which may be no UTF-8 */
        } else if (text_is_control(at)) {
            fprintf(out->file, "\\u%04x", n > 1 ? (unsigned char)at[1] : c);
            at += n - 1;
        } else if (n > 1) {
            fwrite(at, 1, (size_t)n, out->file);
            at += n - 1;
        } else if (c == '"' || c == '\\') {
            fprintf(out->file, "\\%c", c);
        } else {
            fputc(c, out->file);
        }
    }
    fputc('"', out->file);
}

/* What stands before a value: comma, line break, key. */
static void lead(json *out, const char *key)
{
    if (!out->first) fputs(out->compact ? ", " : ",", out->file);
    if (out->depth && !out->compact) indent(out);
    out->first = 0;
    if (!key) return;
    string(out, key);
    fputs(": ", out->file);
}

void json_open(json *out, FILE *file, int compact)
{
    *out = (json){.file = file, .compact = compact, .first = 1};
}

static void begin(json *out, const char *key, char bracket)
{
    lead(out, key);
    fputc(bracket, out->file);
    out->depth++;
    out->first = 1;
}

void json_object(json *out, const char *key)
{
    begin(out, key, '{');
}

void json_array(json *out, const char *key)
{
    begin(out, key, '[');
}

void json_close(json *out, char bracket)
{
    out->depth--;
    if (!out->first && !out->compact) indent(out);
    fputc(bracket, out->file);
    out->first = 0;
}

void json_number(json *out, const char *key, double value)
{
    char text[40];
    json_format(text, sizeof text, value);
    lead(out, key);
    fputs(text, out->file);
}

void json_float(json *out, const char *key, float value)
{
    char text[40] = "null";
    for (int digits = 6; isfinite(value) && digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)value);
        if (strtof(text, NULL) == value) break;
    }
    lead(out, key);
    fputs(text, out->file);
}

void json_integer(json *out, const char *key, int64_t value)
{
    lead(out, key);
    fprintf(out->file, "%" PRId64, value);
}

void json_flag(json *out, const char *key, int value)
{
    lead(out, key);
    fputs(value ? "true" : "false", out->file);
}

void json_text(json *out, const char *key, const char *value)
{
    lead(out, key);
    string(out, value);
}

void json_end(json *out)
{
    fputc('\n', out->file);
}

double json_find(const char *line, const char *key)
{
    char quoted[96], *end;
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    const char *at = strstr(line, quoted);
    if (!at) return NAN;
    at += strlen(quoted);
    double value = strtod(at, &end);
    return end == at ? NAN : value;
}
