/* Opening a model for a subcommand. */
#include "cli.h"
#include <stdlib.h>
#include <string.h>

int model_tell_precision(const jem_model *model, const jem_config *config)
{
    const char *runs;
    char wanted[16];
    TRY(check(jem_model_precision(model, &runs)));
    TRY(check(jem_config_get_str(config, "model.precision", wanted, sizeof wanted)));
    if (!strcmp(wanted, "bf16") && strcmp(runs, "bf16") != 0)
        fprintf(stderr, "jem: oneDNN has no bf16 on this CPU: computing in %s\n", runs);
    return 0;
}

int model_open(jem_model **model, jem_context *context, const char *path, const jem_config *config)
{
    char precision[16];
    TRY(check(jem_model_load(model, context, path)));
    TRY(check(jem_config_get_str(config, "model.precision", precision, sizeof precision)));
    TRY(check(jem_model_set_precision(*model, precision)));
    return model_tell_precision(*model, config);
}

int metadata_text(const jem_model *model, const char *key, char **text)
{
    int64_t length = jem_model_metadata_get(model, key, NULL, 0);
    *text = NULL;
    if (length < 0) return 0;
    *text = allocate(length + 1, 1);
    if (!*text) return CODE_FAILED;
    jem_model_metadata_get(model, key, *text, length + 1);
    return 0;
}

int metadata_entry(const jem_model *model, int64_t index, char **key, char **text)
{
    int64_t length = jem_model_metadata_key(model, index, NULL, 0);
    TRY(check((jem_status)length));
    *text = NULL;
    *key = allocate(length + 1, 1);
    if (!*key) return CODE_FAILED;
    jem_model_metadata_key(model, index, *key, length + 1);
    int code = metadata_text(model, *key, text);
    if (code) free(*key);
    return code;
}

int model_recipe(const jem_model *model, const char *path, const settings *over, jem_config *config)
{
    char *text;
    TRY(metadata_text(model, "training", &text));
    if (!text) return fail("%s does not say how it was trained", path);
    int code = check(jem_config_parse(config, text));
    free(text);
    return code ? code : settings_apply(over, config);
}

int model_calibration(const jem_model *model, jem_config **kept)
{
    char *text;
    *kept = NULL;
    TRY(metadata_text(model, "calibration", &text));
    if (!text) return 0;
    int code = check(jem_config_create(kept));
    if (!code) code = check(jem_config_parse(*kept, text));
    free(text);
    return code;
}
