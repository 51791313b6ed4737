/* Settings by key: the registry, and sets of values. */
#define _GNU_SOURCE
#include "base/config.h"
#include "base/memory.h"
#include "base/status.h"
#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Each key's value as text, the form in which it was checked; NULL: default.
   Numbers are kept beside it, so that reading one costs no parsing. */
struct value {
    char *text;
    double f64;
    int64_t i64;
};
struct jem_config {
    struct value *values; /* one per key */
};

/* ---- Numbers without the locale ---- */

int jem__parse_f64(const char *text, double *out)
{
    char *end;
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!c) return 0;
    *out = strtod_l(text, &end, c);
    freelocale(c);
    return *text && !*end && isfinite(*out);
}

static int parse_i64(const char *text, int64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoll(text, &end, 10);
    return *text && !*end && !errno;
}

/* ---- The registry ---- */

/* Edit distance, for "did you mean"; 64 where the lengths alone make it `least` or more. */
static int distance(const char *a, const char *b, int least)
{
    enum { MOST = 64 };
    int row[MOST + 1], m = (int)strnlen(a, MOST + 1), n = (int)strnlen(b, MOST + 1);
    if (m > MOST || n > MOST || abs(m - n) >= least) return MOST;
    for (int j = 0; j <= n; j++) row[j] = j;
    for (int i = 0; a[i]; i++) {
        int corner = row[0];
        row[0] = i + 1;
        for (int j = 0; j < n; j++) {
            int best = corner + (a[i] != b[j]);
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j + 1] + 1 < best) best = row[j + 1] + 1;
            corner = row[j + 1];
            row[j + 1] = best;
        }
    }
    return row[n];
}

static const char *nearest(const char *key)
{
    const char *best = jem__keys[0].name;
    int least = 64;
    for (int64_t i = 0; i < jem__key_total; i++) {
        const char *dot = strchr(jem__keys[i].name, '.');
        int whole = distance(key, jem__keys[i].name, least);
        int part = distance(key, dot + 1, least) + 1;
        int d = strchr(key, '.') || whole < part ? whole : part;
        if (d < least) {
            least = d;
            best = jem__keys[i].name;
        }
    }
    return best;
}

static int64_t find(const char *key)
{
    for (int64_t i = 0; i < jem__key_total; i++)
        if (strcmp(jem__keys[i].name, key) == 0) return i;
    return -1;
}

static const char *type_name(jem_key_type type)
{
    return type == JEM_KEY_I64 ? "an integer" : type == JEM_KEY_F64 ? "a number" : "text";
}

/* type 0: any */
static jem_status look_up(const char *function, const char *key, jem_key_type type, int64_t *index)
{
    JEM__REQUIRE(key, function);
    *index = find(key);
    if (*index < 0)
        return jem__fail(JEM_ERROR_CONFIG, "%s: unknown key '%.64s', nearest is '%s'", function,
                         key, nearest(key));
    if (type && jem__keys[*index].type != type)
        return jem__fail(JEM_ERROR_CONFIG, "%s: %s is %s, not %s", function, key,
                         type_name(jem__keys[*index].type), type_name(type));
    return JEM_OK;
}

int64_t jem_config_key_count(void)
{
    return jem__key_total;
}

jem_status jem_config_key_info(int64_t index, const char **name, jem_key_type *type,
                               const char **standard, const char **range, const char **help)
{
    if (index < 0 || index >= jem__key_total)
        return jem__fail(JEM_ERROR_ARGUMENT,
                         "jem_config_key_info: index %" PRId64 ", expected 0..%" PRId64, index,
                         jem__key_total - 1);
    const jem__key *k = &jem__keys[index];
    if (name) *name = k->name;
    if (type) *type = k->type;
    if (standard) *standard = k->standard;
    if (help) *help = k->help;
    if (range) *range = k->range ? k->range : "";
    return JEM_OK;
}

/* ---- Values ---- */

jem_status jem_config_create(jem_config **config)
{
    jem_config *fresh;
    JEM__REQUIRE(config, "jem_config_create");
    *config = NULL;
    JEM__TRY(jem__calloc(&fresh, 1, sizeof *fresh));
    jem_status status = jem__calloc(&fresh->values, jem__key_total, sizeof *fresh->values);
    if (status)
        jem__free(fresh);
    else
        *config = fresh;
    return status;
}

void jem_config_destroy(jem_config *config)
{
    if (!config) return;
    for (int64_t i = 0; i < jem__key_total; i++) jem__free(config->values[i].text);
    jem__free(config->values);
    jem__free(config);
}

jem_status jem_config_clone(jem_config **copy, const jem_config *config)
{
    JEM__REQUIRE(copy, "jem_config_clone");
    *copy = NULL;
    JEM__REQUIRE(config, "jem_config_clone");
    jem_config *fresh;
    JEM__TRY(jem_config_create(&fresh));
    for (int64_t i = 0; i < jem__key_total; i++) {
        fresh->values[i] = config->values[i];
        if (!config->values[i].text) continue;
        fresh->values[i].text = jem__strdup(config->values[i].text);
        if (!fresh->values[i].text) {
            jem_config_destroy(fresh);
            return JEM_ERROR_MEMORY;
        }
    }
    *copy = fresh;
    return JEM_OK;
}

static int is_choice(const char *choices, const char *text)
{
    size_t n = strlen(text);
    if (strchr(text, '|')) return 0;
    for (const char *at = choices; at; at = strchr(at, '|')) {
        if (*at == '|') at++;
        if (strncmp(at, text, n) == 0 && (at[n] == 0 || at[n] == '|')) return n > 0;
    }
    return 0;
}

static int is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7F;
}

/* Checks text against a key and parses it. */
static jem_status check(const jem__key *k, const char *text, struct value *out)
{
    *out = (struct value){0};
    if (k->type == JEM_KEY_STR) {
        if (k->range && !is_choice(k->range, text))
            return jem__fail(JEM_ERROR_CONFIG, "%s: got '%.64s', expected %s", k->name, text,
                             k->range);
        /* What jem_config_text prints must be read back as the same. */
        for (const char *at = text; *at; at++)
            if (*at == '"' || (is_control(*at) && *at != '\t'))
                return jem__fail(JEM_ERROR_CONFIG,
                                 "%s: quotes, line breaks and control characters are not allowed",
                                 k->name);
        return jem__is_utf8(text)
                   ? JEM_OK
                   : jem__fail(JEM_ERROR_CONFIG, "%s: got '%.64s', expected UTF-8", k->name, text);
    }
    int good =
        k->type == JEM_KEY_I64 ? parse_i64(text, &out->i64) : jem__parse_f64(text, &out->f64);
    if (!good)
        return jem__fail(JEM_ERROR_CONFIG, "%s: got '%.64s', expected %s in %s", k->name, text,
                         type_name(k->type), k->range);
    double value = k->type == JEM_KEY_I64 ? (double)out->i64 : out->f64;
    if (!(value >= k->low && value <= k->high))
        return jem__fail(JEM_ERROR_CONFIG, "%s: got %.64s, expected %s", k->name, text, k->range);
    return JEM_OK;
}

static jem_status set(jem_config *config, int64_t index, const char *text)
{
    struct value value;
    JEM__TRY(check(&jem__keys[index], text, &value));
    if (!(value.text = jem__strdup(text))) return JEM_ERROR_MEMORY;
    jem__free(config->values[index].text);
    config->values[index] = value;
    return JEM_OK;
}

jem_status jem_config_set_i64(jem_config *config, const char *key, int64_t value)
{
    int64_t index;
    char text[32];
    JEM__REQUIRE(config, "jem_config_set_i64");
    JEM__TRY(look_up("jem_config_set_i64", key, 0, &index));
    if (jem__keys[index].type == JEM_KEY_STR)
        return look_up("jem_config_set_i64", key, JEM_KEY_I64, &index);
    jem__format(text, sizeof text, "%" PRId64, value);
    return set(config, index, text);
}

jem_status jem_config_set_f64(jem_config *config, const char *key, double value)
{
    int64_t index;
    char text[40];
    double again;
    JEM__REQUIRE(config, "jem_config_set_f64");
    JEM__TRY(look_up("jem_config_set_f64", key, JEM_KEY_F64, &index));
    jem__format(text, sizeof text, "%.15g", value); /* 0.1, where that is the same number */
    if (!jem__parse_f64(text, &again) || again != value)
        jem__format(text, sizeof text, "%.17g", value);
    return set(config, index, text);
}

jem_status jem_config_set_str(jem_config *config, const char *key, const char *value)
{
    int64_t index;
    JEM__REQUIRE(config, "jem_config_set_str");
    JEM__REQUIRE(value, "jem_config_set_str");
    JEM__TRY(look_up("jem_config_set_str", key, JEM_KEY_STR, &index));
    return set(config, index, value);
}

static struct value value_of(const jem_config *config, int64_t index)
{
    struct value value;
    if (config && config->values[index].text) return config->values[index];
    check(&jem__keys[index], jem__keys[index].standard, &value);
    return value;
}

jem_status jem_config_get_i64(const jem_config *config, const char *key, int64_t *value)
{
    int64_t index;
    JEM__REQUIRE(value, "jem_config_get_i64");
    JEM__TRY(look_up("jem_config_get_i64", key, JEM_KEY_I64, &index));
    *value = value_of(config, index).i64;
    return JEM_OK;
}

jem_status jem_config_get_f64(const jem_config *config, const char *key, double *value)
{
    int64_t index;
    JEM__REQUIRE(value, "jem_config_get_f64");
    JEM__TRY(look_up("jem_config_get_f64", key, JEM_KEY_F64, &index));
    *value = value_of(config, index).f64;
    return JEM_OK;
}

static const char *text_of(const jem_config *config, int64_t index)
{
    return config && config->values[index].text ? config->values[index].text
                                                : jem__keys[index].standard;
}

int64_t jem_config_get_str(const jem_config *config, const char *key, char *buffer,
                           int64_t capacity)
{
    int64_t index;
    if (buffer && capacity > 0) *buffer = 0;
    JEM__TRY(look_up("jem_config_get_str", key, JEM_KEY_STR, &index));
    return jem__copy_text(text_of(config, index), buffer, capacity);
}

jem_status jem_config_is_set(const jem_config *config, const char *key, int32_t *is_set)
{
    int64_t index;
    JEM__REQUIRE(is_set, "jem_config_is_set");
    JEM__TRY(look_up("jem_config_is_set", key, 0, &index));
    *is_set = config && config->values[index].text;
    return JEM_OK;
}

int64_t jem__config_i64(const jem_config *config, const char *key)
{
    int64_t index = find(key);
    return index < 0 ? 0 : value_of(config, index).i64;
}

double jem__config_f64(const jem_config *config, const char *key)
{
    int64_t index = find(key);
    return index < 0 ? 0 : value_of(config, index).f64;
}

const char *jem__config_str(const jem_config *config, const char *key)
{
    int64_t index = find(key);
    return index < 0 ? "" : text_of(config, index);
}

jem_status jem__config_read(jem_config *config, const char *key, const char *text)
{
    int64_t index;
    JEM__TRY(look_up("settings", key, 0, &index));
    return set(config, index, text);
}

jem_status jem__config_print(const jem_config *config, const char *key, char *text, int64_t size)
{
    int64_t index;
    JEM__TRY(look_up("config", key, 0, &index));
    jem__copy_text(text_of(config, index), text, size);
    return JEM_OK;
}

/* ---- Text form ---- */

static int blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Takes one key=value off *at into the buffers. */
static jem_status next_pair(const char **at, char *key, size_t key_size, char *value,
                            size_t value_size)
{
    size_t n = strcspn(*at, "= \t\r\n");
    if ((*at)[n] != '=' || n == 0 || n >= key_size)
        return jem__fail(JEM_ERROR_CONFIG, "settings: got '%.40s', expected key=value", *at);
    memcpy(key, *at, n);
    key[n] = 0;
    *at += n + 1;
    int quoted = **at == '"';
    if (quoted) (*at)++;
    n = strcspn(*at, quoted ? "\"" : " \t\r\n");
    if (quoted && !(*at)[n])
        return jem__fail(JEM_ERROR_CONFIG, "settings: the quote after %s= is not closed", key);
    if (n >= value_size)
        return jem__fail(JEM_ERROR_CONFIG, "settings: the value of %s is longer than %zu bytes",
                         key, value_size - 1);
    memcpy(value, *at, n);
    value[n] = 0;
    *at += n + (size_t)quoted;
    if (**at && !blank(**at))
        return jem__fail(JEM_ERROR_CONFIG, "settings: expected a blank after the quote of %s", key);
    return JEM_OK;
}

static jem_status parse(jem_config *config, const char *text, char *value, size_t value_size)
{
    char key[96];
    for (;;) {
        int64_t index;
        while (blank(*text)) text++;
        if (!*text) return JEM_OK;
        JEM__TRY(next_pair(&text, key, sizeof key, value, value_size));
        JEM__TRY(look_up("settings", key, 0, &index));
        JEM__TRY(set(config, index, value));
    }
}

jem_status jem_config_parse(jem_config *config, const char *text)
{
    jem_config *fresh = NULL;
    char *value = NULL; /* as long as any in it */
    JEM__REQUIRE(config, "jem_config_parse");
    JEM__REQUIRE(text, "jem_config_parse");
    JEM__TRY(jem_config_clone(&fresh, config));
    int64_t size = (int64_t)strlen(text) + 1;
    jem_status status = jem__alloc(&value, size, 1);
    if (!status) status = parse(fresh, text, value, (size_t)size);
    jem__free(value);
    /* All or nothing: swap the values in only when every pair was good. */
    for (int64_t i = 0; !status && i < jem__key_total; i++) {
        struct value old = config->values[i];
        config->values[i] = fresh->values[i];
        fresh->values[i] = old;
    }
    jem_config_destroy(fresh);
    return status;
}

int64_t jem_config_text(const jem_config *config, char *buffer, int64_t capacity)
{
    int64_t at = 0;
    if (buffer && capacity > 0) *buffer = 0;
    for (int64_t i = 0; config && i < jem__key_total; i++) {
        const char *text = config->values[i].text;
        if (!text) continue;
        int quote = !*text || strpbrk(text, " \t") != NULL;
        const char *parts[] = {at ? " " : "", jem__keys[i].name, "=", quote ? "\"" : "",
                               text,          quote ? "\"" : ""};
        for (int j = 0; j < 6; j++) {
            int64_t left = buffer && capacity > at ? capacity - at : 0;
            at += jem__copy_text(parts[j], left ? buffer + at : NULL, left);
        }
    }
    return at;
}

jem_status jem_config_preset(jem_config *config, const char *name)
{
    char names[256] = "";
    size_t at = 0;
    JEM__REQUIRE(config, "jem_config_preset");
    JEM__REQUIRE(name, "jem_config_preset");
    for (const jem__preset *p = jem__presets; p->name; p++) {
        if (strcmp(p->name, name) == 0) return jem_config_parse(config, p->text);
        if (at < sizeof names)
            at += (size_t)snprintf(names + at, sizeof names - at, "%s%s", at ? ", " : "", p->name);
    }
    return jem__fail(JEM_ERROR_CONFIG, "jem_config_preset: no preset '%.64s', expected one of: %s",
                     name, names);
}
