/* One option parser for all subcommands: each gives a table of its options and
   the settings sections that it reads. --name VALUE and --name=VALUE. */
#include "cli.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Suggestions ---- */

static int distance(const char *a, const char *b)
{
    enum { MOST = 63 };
    int row[MOST + 1], n = (int)strlen(b);
    if (n > MOST) return MOST;
    for (int j = 0; j <= n; j++) row[j] = j;
    for (int i = 0; a[i]; i++) {
        int corner = row[0];
        row[0] = i + 1;
        for (int j = 0; j < n; j++) {
            int change = corner + (a[i] != b[j]);
            corner = row[j + 1];
            int least = row[j] < corner ? row[j] : corner;
            row[j + 1] = change < least + 1 ? change : least + 1;
        }
    }
    return row[n];
}

const char *options_nearest(const char *name, const char *const *names, int64_t count)
{
    const char *best = NULL;
    int least = (int)strlen(name) / 3 + 2; /* further away is no typing error */
    for (int64_t i = 0; i < count; i++) {
        int d = distance(name, names[i]);
        if (strlen(name) > 2 && !strncmp(name, names[i], strlen(name))) d = 1;
        if (d < least) {
            least = d;
            best = names[i];
        }
    }
    return best;
}

int options_exclude(const char *text)
{
    fail("%s", text);
    return CODE_USAGE;
}

/* ---- Settings ---- */

static int settings_add(settings *s, const char *key, size_t length, const char *value)
{
    if (s->count == COUNT(s->pairs)) return fail("more than %" PRId64 " settings", COUNT(s->pairs));
    size_t size = length + strlen(value) + 4;
    char *pair = allocate((int64_t)size, 1);
    if (!pair) return CODE_FAILED;
    snprintf(pair, size, "%.*s=\"%s\"", (int)length, key, value);
    s->pairs[s->count++] = pair;
    return 0;
}

static int settings_add_pair(settings *s, const char *pair)
{
    const char *equals = strchr(pair, '=');
    if (!equals || equals == pair) {
        fail("--set: got '%s', expected key=value (see 'jem help settings')", pair);
        return CODE_USAGE;
    }
    if (strchr(equals, '"')) {
        fail("--set: got '%s', expected a value without quotes", pair);
        return CODE_USAGE;
    }
    return settings_add(s, pair, (size_t)(equals - pair), equals + 1);
}

int settings_apply(const settings *s, jem_config *config)
{
    for (int64_t i = 0; i < s->count; i++)
        if (check(jem_config_parse(config, s->pairs[i]))) return CODE_USAGE;
    return 0;
}

void settings_clear(settings *s)
{
    for (int64_t i = 0; i < s->count; i++) free(s->pairs[i]);
    s->count = 0;
}

int settings_set(jem_config *config, const char *key, const char *value)
{
    settings one = {.count = 0};
    int code = settings_add(&one, key, strlen(key), value);
    if (!code) code = settings_apply(&one, config);
    settings_clear(&one);
    return code;
}

/* ---- Which settings a command reads ---- */

static int in_sections(const char *key, const char *sections)
{
    size_t n = strcspn(key, ".");
    for (const char *at = sections; at && *at; at += strspn(at, " ")) {
        size_t length = strcspn(at, " ");
        if (length == n && !strncmp(at, key, n)) return 1;
        at += length;
    }
    return 0;
}

static int decides(const command *c, const char *pair, size_t length)
{
    for (const char *at = c->sections; (at = strchr(at, '!'));) {
        size_t n = strcspn(++at, " ");
        if (n == length && !strncmp(at, pair, n)) return 1;
    }
    return 0;
}

/* ---- Help ---- */

int options_help_settings(const char *section)
{
    const char *name, *standard, *range, *help, *before = "";
    int64_t shown = 0;
    for (int64_t i = 0; i < jem_config_key_count(); i++) {
        jem_config_key_info(i, &name, NULL, &standard, &range, &help);
        if (section && !in_sections(name, section)) continue;
        if (strncmp(name, before, strcspn(name, ".") + 1) != 0) printf("%s", shown ? "\n" : "");
        before = name;
        shown++;
        printf("  --%-26s %s%s%s%s%s\n", name, help, *standard ? " [" : "", standard,
               *standard ? "]" : "", *range ? "" : " (text)");
        if (*range) printf("    %-26s %s\n", "", range);
    }
    if (!shown) {
        fail("no settings of section '%s'", section);
        return CODE_USAGE;
    }
    if (!section)
        printf("\nAs --set key=value, --key=value or --key value. In [] the default, below the "
               "range.\n");
    return 0;
}

static const char *key_help(const char *key)
{
    const char *name, *help;
    for (int64_t i = 0; i < jem_config_key_count(); i++)
        if (!jem_config_key_info(i, &name, NULL, NULL, NULL, &help) && !strcmp(name, key))
            return help;
    return "";
}

static void print_option(const option *o)
{
    char left[64];
    int n = snprintf(left, sizeof left, "%s%s", o->kind == OPTION_POSITIONAL ? "" : "--", o->name);
    if (o->argument && n > 0 && n < (int)sizeof left)
        snprintf(left + n, sizeof left - (size_t)n, " %s", o->argument);
    printf("  %-24s%s%s%s", left, strlen(left) > 23 ? "\n" : "",
           strlen(left) > 23 ? "                          " : "",
           o->help ? o->help : key_help(o->target));
    if (o->kind == OPTION_KEY || o->kind == OPTION_KEY_FLAG)
        printf(" (%s)", (const char *)o->target);
    printf("\n");
}

static void print_help(const command *c)
{
    printf("Usage: jem %s", c->name);
    for (int64_t i = 0; i < c->count; i++) {
        const option *o = &c->options[i];
        if (o->kind == OPTION_POSITIONAL)
            printf(o->required ? " %s" : " [%s]", o->name);
        else if (o->required)
            printf(" --%s %s", o->name, o->argument);
    }
    printf(" [OPTIONS]\n\n%s\n\n", c->summary);
    for (int64_t i = 0; i < c->count; i++) print_option(&c->options[i]);
    if (c->settings) printf("  %-24sany setting, also as --key=value\n", "--set KEY=VALUE");
    printf("  %-24sthis text\n", "--help");
    if (c->notes) printf("\n%s\n", c->notes);
    if (c->settings) {
        printf("\nSettings (details: jem help settings):\n");
        for (const char *at = c->sections; *at && *at != '!'; at += strspn(at, " ")) {
            size_t n = strcspn(at, " ");
            printf("  %.*s.*%*s", (int)n, at, (int)(n < 12 ? 12 - n : 1), "");
            const char *name;
            int64_t column = 16;
            for (int64_t i = 0; i < jem_config_key_count(); i++) {
                jem_config_key_info(i, &name, NULL, NULL, NULL, NULL);
                if (strncmp(name, at, n) != 0 || name[n] != '.' || decides(c, name, strlen(name)))
                    continue;
                if (column + (int64_t)strlen(name + n) > 78) {
                    printf("\n%16s", "");
                    column = 16;
                }
                printf("%s ", name + n + 1);
                column += (int64_t)strlen(name + n);
            }
            printf("\n");
            at += n;
        }
    }
}

/* ---- Parsing ---- */

static int unknown(const command *c, const char *text, size_t length)
{
    const char *names[64], *nearest = NULL;
    char name[128];
    int64_t n = 0;
    snprintf(name, sizeof name, "%.*s", (int)length, text);
    for (int64_t i = 0; i < c->count && n < COUNT(names) - 2; i++)
        if (c->options[i].kind != OPTION_POSITIONAL) names[n++] = c->options[i].name;
    names[n++] = "help";
    if (c->settings) names[n++] = "set";
    nearest = options_nearest(name, names, n);
    if (nearest)
        fail("unknown option --%s, did you mean --%s? (see 'jem %s --help')", name, nearest,
             c->name);
    else
        fail("unknown option --%s (see 'jem %s --help')", name, c->name);
    return CODE_USAGE;
}

static int wrong(const option *o, const char *value, const char *expected)
{
    fail("--%s: got '%s', expected %s", o->name, value, expected);
    return CODE_USAGE;
}

static int store(const command *c, const option *o, const char *value)
{
    char *end;
    errno = 0;
    if (o->kind == OPTION_FLAG) *(int *)o->target = 1;
    if (o->kind == OPTION_TEXT || o->kind == OPTION_POSITIONAL) *(const char **)o->target = value;
    if (o->kind == OPTION_INTEGER) {
        long long number = strtoll(value, &end, 10);
        if (!*value || *end || errno || number < 0) return wrong(o, value, "a whole number >= 0");
        *(int64_t *)o->target = number;
    }
    if (o->kind == OPTION_NUMBER) {
        double number = strtod(value, &end);
        if (!*value || *end || !isfinite(number)) return wrong(o, value, "a number");
        *(double *)o->target = number;
    }
    if (o->kind == OPTION_KEY || o->kind == OPTION_KEY_FLAG) {
        if (strchr(value, '"')) return wrong(o, value, "a value without quotes");
        return settings_add(c->settings, o->target, strlen(o->target), value);
    }
    return 0;
}

static const option *find_option(const command *c, const char *name, size_t length)
{
    for (int64_t i = 0; i < c->count; i++)
        if (c->options[i].kind != OPTION_POSITIONAL && strlen(c->options[i].name) == length &&
            !strncmp(c->options[i].name, name, length))
            return &c->options[i];
    return NULL;
}

/* The next positional after the first `taken` ones. */
static const option *find_positional(const command *c, int64_t taken)
{
    for (int64_t i = 0; i < c->count; i++)
        if (c->options[i].kind == OPTION_POSITIONAL && taken-- == 0) return &c->options[i];
    return NULL;
}

/* One argument at *at, which moves past what was used. */
static int take(const command *c, int argc, char **argv, int *at, int64_t *positionals, int *given)
{
    const char *text = argv[(*at)++], *name = text + 2;
    const option *o;
    if (text[0] != '-' || text[1] != '-' || !text[2]) {
        int is_pair = c->settings && text[0] != '-' && strchr(text, '=') && strchr(text, '.') &&
                      strchr(text, '.') < strchr(text, '=');
        o = find_positional(c, *positionals);
        if (is_pair && !o) return settings_add_pair(c->settings, text);
        if (text[0] == '-' && text[1]) {
            fail("unknown option %s (see 'jem %s --help')", text, c->name);
            return CODE_USAGE;
        }
        if (!o) {
            fail("unexpected argument '%s' (see 'jem %s --help')", text, c->name);
            return CODE_USAGE;
        }
        (*positionals)++;
        given[o - c->options] = 1;
        return store(c, o, text);
    }
    size_t length = strcspn(name, "=");
    const char *value = name[length] ? name + length + 1 : NULL;
    o = find_option(c, name, length);
    int is_key = !o && c->settings && memchr(name, '.', length);
    int is_set = c->settings && length == 3 && !strncmp(name, "set", 3);
    if (!o && !is_key && !is_set) return unknown(c, name, length);
    if (o && (o->kind == OPTION_FLAG || o->kind == OPTION_KEY_FLAG)) {
        if (value) {
            fail("--%s takes no value", o->name);
            return CODE_USAGE;
        }
        value = "1";
    }
    if (!value && *at == argc) {
        fail("--%.*s needs a value%s%s", (int)length, name, o && o->argument ? ": " : "",
             o && o->argument ? o->argument : "");
        return CODE_USAGE;
    }
    if (!value) value = argv[(*at)++];
    if (is_set) return settings_add_pair(c->settings, value);
    if (is_key) {
        if (!strchr(value, '"')) return settings_add(c->settings, name, length, value);
        fail("--%.*s: got '%s', expected a value without quotes", (int)length, name, value);
        return CODE_USAGE;
    }
    given[o - c->options] = 1;
    return store(c, o, value);
}

static int is_name(const char *name, const char *pair, size_t length)
{
    return strlen(name) == length && !strncmp(name, pair, length);
}

static int is_key(const char *pair, size_t length)
{
    for (int64_t i = 0; i < jem_config_key_count(); i++) {
        const char *name;
        jem_config_key_info(i, &name, NULL, NULL, NULL, NULL);
        if (is_name(name, pair, length)) return 1;
    }
    return 0;
}

/* A setting that the command would pass over is a mistake. */
static int check_sections(const command *c)
{
    for (int64_t i = 0; c->settings && i < c->settings->count; i++) {
        const char *pair = c->settings->pairs[i];
        size_t length = strcspn(pair, "=");
        if (decides(c, pair, length)) {
            fail("jem %s decides %.*s itself, or does without it (see 'jem %s --help')", c->name,
                 (int)length, pair, c->name);
            return CODE_USAGE;
        }
        int reads = in_sections(pair, c->sections) || !is_key(pair, length);
        for (int64_t k = 0; k < c->count && !reads; k++)
            reads = c->options[k].kind == OPTION_KEY && is_name(c->options[k].target, pair, length);
        if (reads) continue;
        fail("jem %s reads no %.*s: expected settings of: %.*s", c->name, (int)length, pair,
             (int)strcspn(c->sections, "!"), c->sections);
        return CODE_USAGE;
    }
    return 0;
}

int options_parse(const command *c, int argc, char **argv)
{
    int given[64] = {0}, at = 1;
    int64_t positionals = 0;
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
            print_help(c);
            return -1;
        }
    while (at < argc) TRY(take(c, argc, argv, &at, &positionals, given));
    for (int64_t i = 0; i < c->count; i++)
        if (c->options[i].required && !given[i]) {
            const option *o = &c->options[i];
            fail("%s%s is missing (see 'jem %s --help')", o->kind == OPTION_POSITIONAL ? "" : "--",
                 o->name, c->name);
            return CODE_USAGE;
        }
    return check_sections(c);
}
