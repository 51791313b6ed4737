/* The models that a run begins with and leaves beside its own: weights of another run, the
   average, the best in validation. */
#include "cli.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- What a run leaves ---- */

/* A run without such a model is no failure: NULL. */
static jem_status average_of(jem_model **model, const jem_trainer *trainer,
                             const jem_config *config)
{
    double decay;
    jem_status status = jem_config_get_f64(config, "trainer.ema", &decay);
    return status || decay == 0 ? status : jem_trainer_ema_model(model, trainer);
}

static jem_status best_of(jem_model **model, const jem_trainer *trainer)
{
    jem_status status = jem_trainer_best_model(model, trainer, NULL);
    return status == JEM_ERROR_STATE ? JEM_OK : status;
}

/* Takes the model. */
static jem_status save_as(jem_model *model, const char *folder, const char *name)
{
    char path[4200];
    if (!model) return JEM_OK;
    join(path, sizeof path, folder, name);
    jem_status status = jem_model_save(model, path);
    jem_model_destroy(model);
    return status;
}

jem_status variants_save(const jem_trainer *trainer, const jem_config *config, const char *folder)
{
    jem_model *average = NULL, *best = NULL;
    jem_status status = average_of(&average, trainer, config);
    if (!status) status = save_as(average, folder, "model_ema.safetensors");
    if (!status) status = best_of(&best, trainer);
    return status ? status : save_as(best, folder, "best.safetensors");
}

void variants_clear(const jem_trainer *trainer, const jem_config *config, const char *folder)
{
    jem_model *model = NULL;
    char path[4200];
    join(path, sizeof path, folder, "model_ema.safetensors");
    if (!average_of(&model, trainer, config) && !model) unlink(path);
    jem_model_destroy(model);
    model = NULL;
    join(path, sizeof path, folder, "best.safetensors");
    if (!best_of(&model, trainer) && !model) unlink(path);
    jem_model_destroy(model);
}

int variants_judged(jem_model **copy, const char **name, const jem_trainer *trainer,
                    const jem_config *config)
{
    *copy = NULL;
    TRY(check(average_of(copy, trainer, config)));
    *name = *copy ? "model_ema.safetensors" : "model.safetensors";
    return 0;
}

/* ---- What it begins with ---- */

static int take_setting(const jem_model *source, const char *key, jem_key_type type,
                        jem_config *config)
{
    char *text, pair[256];
    if (!strcmp(key, "model.class_names")) return 0; /* those of the new data */
    TRY(metadata_text(source, key + strlen("model."), &text));
    if (!text) return 0;
    snprintf(pair, sizeof pair, "%s=\"%.*s\"", key, (int)strcspn(text, "\""), text);
    int code = check(type == JEM_KEY_STR ? jem_config_set_str(config, key, text)
                                         : jem_config_parse(config, pair));
    free(text);
    return code;
}

int variants_settings(const jem_model *source, jem_config *config)
{
    for (int64_t i = 0; i < jem_config_key_count(); i++) {
        const char *key;
        jem_key_type type;
        int32_t is_set;
        jem_config_key_info(i, &key, &type, NULL, NULL, NULL);
        TRY(check(jem_config_is_set(config, key, &is_set)));
        if (is_set || strncmp(key, "model.", 6) != 0) continue;
        TRY(take_setting(source, key, type, config));
    }
    return 0;
}

/* Copies one parameter; 1 in *fresh if the source has none of its shape. */
static int copy_parameter(const jem_model *source, jem_model *model, int64_t index, int *fresh)
{
    const char *name;
    int64_t d[2], shape[2][4] = {{0}}, elements;
    TRY(check(jem_model_parameter_info(model, index, &name, &d[0], shape[0], &elements, NULL)));
    int64_t from = jem_model_parameter_find(source, name);
    if (from >= 0)
        TRY(check(jem_model_parameter_info(source, from, NULL, &d[1], shape[1], NULL, NULL)));
    *fresh = from < 0 || d[0] != d[1] || memcmp(shape[0], shape[1], sizeof shape[0]) != 0;
    if (*fresh) {
        fprintf(stderr, "%s: not in the model to begin with in this shape, begins anew\n", name);
        return 0;
    }
    float *values = allocate(elements, sizeof *values);
    if (!values) return CODE_FAILED;
    int code = check(jem_model_parameter_get(source, from, values, elements));
    if (!code) code = check(jem_model_parameter_set(model, index, values, elements));
    free(values);
    return code;
}

int variants_begin(const jem_model *source, jem_model *model)
{
    int64_t count = jem_model_parameter_count(model), copied = 0;
    for (int64_t i = 0; i < count; i++) {
        int fresh;
        TRY(copy_parameter(source, model, i, &fresh));
        copied += !fresh;
    }
    return copied ? 0 : fail("--init: none of its weights fits this network");
}
