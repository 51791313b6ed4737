/* What jem train notes of a run in its model file. */
#include "cli.h"
#include <stdlib.h>
#include <string.h>

/* "zero,one,two" of the data, unless the user named the classes. */
static int name_classes(jem_model *model, const jem_config *config, const images *data,
                        int64_t classes)
{
    int32_t named = 0;
    char name[256];
    TRY(check(jem_config_is_set(config, "model.class_names", &named)));
    if (named) return 0;
    char *names = allocate(classes * (int64_t)sizeof name + 1, 1);
    if (!names) return CODE_FAILED;
    for (int64_t k = 0, n = 0; k < classes; k++) {
        int64_t size = jem_dataset_class_name(data->data, k, name, sizeof name);
        if (size < 0 || size >= (int64_t)sizeof name || strchr(name, ',')) {
            *names = 0; /* no names rather than wrong ones */
            break;
        }
        n += sprintf(names + n, "%s%s", k ? "," : "", name);
    }
    int code = *names ? check(jem_model_metadata_set(model, "class_names", names)) : 0;
    free(names);
    return code;
}

/* Which images validation held out, so that jem calibrate finds them again; or none, so that it
   warns of the images of training. */
static int describe_held_out(jem_model *model, const jem_config *config, const images *data)
{
    char text[128];
    int64_t count, seed;
    int32_t own_seed;
    TRY(check(jem_config_get_i64(config, "trainer.validation", &count)));
    TRY(check(jem_config_is_set(config, "loader.seed", &own_seed)));
    TRY(check(jem_config_get_i64(config, own_seed ? "loader.seed" : "trainer.seed", &seed)));
    snprintf(text, sizeof text, "%" PRId64 " of %" PRId64 " images, seed %" PRId64, count,
             data->count, seed);
    return check(jem_model_metadata_set(model, "held_out", text));
}

/* A setting as text, to be freed; NULL: out of memory. A text may be of any length. */
static char *setting_text(const jem_config *config, const char *key, jem_key_type type)
{
    double number = 0;
    int64_t whole = 0, size = 64;
    if (type == JEM_KEY_STR) size = jem_config_get_str(config, key, NULL, 0) + 1;
    char *text = allocate(size, 1);
    if (text && type == JEM_KEY_STR) {
        jem_config_get_str(config, key, text, size);
    } else if (text && type == JEM_KEY_I64) {
        jem_config_get_i64(config, key, &whole);
        snprintf(text, (size_t)size, "%" PRId64, whole);
    } else if (text) {
        jem_config_get_f64(config, key, &number);
        json_format(text, (size_t)size, number);
    }
    return text;
}

/* The settings of the recipe that differ from the defaults, as text in the
   model file; the same for a resumed run as for an unbroken one. */
static int describe_recipe(jem_model *model, const jem_config *config)
{
    char *text = NULL;
    size_t size = 0;
    int code = 0;
    FILE *out = open_memstream(&text, &size);
    for (int64_t i = 0; out && !code && i < jem_config_key_count(); i++) {
        const char *key;
        jem_key_type type;
        jem_config_key_info(i, &key, &type, NULL, NULL, NULL);
        if (!strncmp(key, "context.", 8) || !strncmp(key, "model.", 6) ||
            !strncmp(key, "dataset.", 8) || !strcmp(key, "trainer.keep"))
            continue;
        char *value = setting_text(config, key, type), *standard = setting_text(NULL, key, type);
        if (!value || !standard)
            code = CODE_FAILED;
        else if (strcmp(value, standard) != 0)
            fprintf(out, "%s%s=%s", ftell(out) ? " " : "", key, value);
        free(value);
        free(standard);
    }
    if (!out || fclose(out)) return fail("out of memory");
    if (!code && size) code = check(jem_model_metadata_set(model, "training", text));
    free(text);
    return code;
}

int describe_run(jem_model *model, const jem_config *config, const images *data, int64_t classes)
{
    TRY(name_classes(model, config, data, classes));
    TRY(describe_recipe(model, config));
    return describe_held_out(model, config, data);
}
