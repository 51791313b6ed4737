/* Reading settings inside the library: keys are known to exist, so no errors. */
#ifndef JEM__BASE_CONFIG_H
#define JEM__BASE_CONFIG_H

#include <jem/config.h>

/* One setting of the registry (lib/base/keys.c). */
typedef struct jem__key {
    const char *name;
    jem_key_type type;
    const char *standard; /* default, as text */
    double low, high;     /* inclusive range of numbers; equal: none */
    const char *range;    /* "1..64"; "a|b" for text, or NULL */
    const char *help;     /* one line */
} jem__key;
extern const jem__key jem__keys[];
extern const int64_t jem__key_total;

/* A named recipe: text for jem_config_parse. Ends with a NULL name. */
typedef struct jem__preset {
    const char *name, *text;
} jem__preset;
extern const jem__preset jem__presets[];

/* A finite number, with a point in every locale; 0 if text is none. */
int jem__parse_f64(const char *text, double *out);

/* config may be NULL: defaults. An unknown key is a bug: asserted in tests. */
int64_t jem__config_i64(const jem_config *config, const char *key);
double jem__config_f64(const jem_config *config, const char *key);
/* One setting of any type from text, whatever is in it: text from files goes this way. */
jem_status jem__config_read(jem_config *config, const char *key, const char *text);
/* A setting of any type as text. */
jem_status jem__config_print(const jem_config *config, const char *key, char *text, int64_t size);
/* Valid until config changes; static for defaults. */
const char *jem__config_str(const jem_config *config, const char *key);

#endif
