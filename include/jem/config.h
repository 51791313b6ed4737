/* jem/config.h: settings by key.

   One registry holds every key (name, type, default, range, help). Keys are
   dotted: "model.depth", "sampler.steps". A value is checked when it is set.
   Each _create call reads its own section and ignores the others, so one
   config can describe a whole run. NULL in place of a config means defaults. */
#ifndef JEM_CONFIG_H
#define JEM_CONFIG_H

#include <jem/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A set of values. Threads: reading calls, and _create calls that it is given to, may come
   from several at once; calls that set or parse need it alone. */
typedef struct jem_config jem_config;

/* The type of a key. */
typedef int32_t jem_key_type;
enum {
    JEM_KEY_I64 = 1, /* integer; booleans are 0 or 1 */
    JEM_KEY_F64 = 2, /* floating point */
    JEM_KEY_STR = 3  /* text; where the key lists choices, one of them */
};

/* Makes a config of defaults. Errors: MEMORY. The caller destroys it. */
JEM_API jem_status jem_config_create(jem_config **config);
/* A copy that the caller destroys. Errors: ARGUMENT, MEMORY. */
JEM_API jem_status jem_config_clone(jem_config **copy, const jem_config *config);
/* Frees it; NULL is fine. Objects created from it keep what they read. */
JEM_API void jem_config_destroy(jem_config *config);

/* Set one key. Errors: ARGUMENT (NULL), CONFIG (an unknown key: the text names
   the nearest; a wrong type; a value out of range: the text names the range).
   MEMORY. An i64 is accepted for an f64 key. On error nothing changes. */
JEM_API jem_status jem_config_set_i64(jem_config *config, const char *key, int64_t value);
JEM_API jem_status jem_config_set_f64(jem_config *config, const char *key, double value);
JEM_API jem_status jem_config_set_str(jem_config *config, const char *key, const char *value);

/* Read one key back; of a config that is NULL, its default. _get_str returns the text's
   length and copies it with the contract of jem_last_error. Errors: ARGUMENT, CONFIG
   (unknown, or another type). */
JEM_API jem_status jem_config_get_i64(const jem_config *config, const char *key, int64_t *value);
JEM_API jem_status jem_config_get_f64(const jem_config *config, const char *key, double *value);
JEM_API int64_t jem_config_get_str(const jem_config *config, const char *key, char *buffer,
                                   int64_t capacity);
/* *set is 1 if the key was given a value, 0 if it has its default. Errors: ARGUMENT,
   CONFIG (unknown). */
JEM_API jem_status jem_config_is_set(const jem_config *config, const char *key, int32_t *set);

/* Sets "key=value" pairs with blanks between them: "model.depth=16 sampler.steps=20". A
   value with blanks is quoted with ". Numbers use a point in every locale. Errors:
   ARGUMENT, CONFIG, MEMORY; then nothing changes. */
JEM_API jem_status jem_config_parse(jem_config *config, const char *text);
/* The keys that were set, in jem_config_parse's form; empty for NULL. Contract of
   jem_last_error. */
JEM_API int64_t jem_config_text(const jem_config *config, char *buffer, int64_t capacity);
/* Sets the keys of a named recipe. For CIFAR-10 as published: "jem" (Grathwohl et al.
   2019), "jempp" (Yang and Ji 2021), "sadajem" (Yang et al. 2023). For a CPU:
   "cifar-small", "mnist", "glyphs". Errors: ARGUMENT, CONFIG (the text lists the names). */
JEM_API jem_status jem_config_preset(jem_config *config, const char *name);

/* Reads the settings that a checkpoint (jem_trainer_save) recorded into a new config.
   Errors: ARGUMENT, IO, FORMAT, CONFIG, MEMORY. */
JEM_API jem_status jem_config_load(jem_config **config, const char *path);

/* The registry: 0 <= index < jem_config_key_count(). Outputs may be NULL;
   strings are static. type is a jem_key_type. standard is the default, written
   as text; range is "1..1024", a list "adam|sgd", or "". Any thread. Errors: ARGUMENT. */
JEM_API int64_t jem_config_key_count(void);
JEM_API jem_status jem_config_key_info(int64_t index, const char **name, jem_key_type *type,
                                       const char **standard, const char **range,
                                       const char **help);

#ifdef __cplusplus
}
#endif
#endif
