/* jem starts: class Gaussians in a model file, for chains without the data. */
#include "cli.h"
#include <string.h>

static struct {
    const char *model, *data, *output;
    int remove;
    settings settings;
} given;

static const option options[] = {
    {"model", OPTION_TEXT, 1, &given.model, "FILE", "the model, safetensors"},
    {"data", OPTION_TEXT, 0, &given.data, "SOURCE", "labelled data; its train split"},
    {"remove", OPTION_FLAG, 0, &given.remove, NULL, "take them out of the file instead"},
    {"output", OPTION_TEXT, 0, &given.output, "FILE", "where the model goes with them [--model]"},
    {"rank", OPTION_KEY, 0, "sampler.start_rank", "R", NULL},
    {"seed", OPTION_KEY, 0, "sampler.seed", "N", NULL},
    {"threads", OPTION_KEY, 0, "context.threads", "N", NULL},
};

static const command self = {
    "starts",
    "Fits a Gaussian to each class of a data set and keeps them in the model file, so that\n"
    "chains can begin near the data without it: jem sample --start-from gaussian.",
    "Means and variances of the pixels are exact; of the covariances the file keeps the R\n"
    "leading directions. 'jem train' does this by itself when sampler.start=gaussian.",
    options,
    COUNT(options),
    &given.settings,
    "dataset context !dataset.split"};

static int tell(const jem_model *model, const char *path)
{
    int64_t rank, bytes;
    double explained;
    json out;
    TRY(check(jem_model_starts_info(model, &rank, &bytes, &explained)));
    json_open(&out, stdout, 0);
    json_object(&out, NULL);
    json_text(&out, "model", path);
    json_integer(&out, "rank", rank);
    json_integer(&out, "bytes", bytes);
    json_number(&out, "explained_variance", explained);
    json_close(&out, '}');
    json_end(&out);
    return 0;
}

static int fit(jem_model *model, jem_context *context, jem_config *config)
{
    int64_t c, h, w;
    images data = {0};
    TRY(check(jem_model_info(model, &c, &h, &w, NULL, NULL)));
    TRY(images_open(&data, context, given.data, config, "train", c, h, w));
    int code = check(jem_model_starts_fit(model, data.data, config));
    images_close(&data);
    return code;
}

static int change(jem_model *model, jem_context *context, jem_config *config)
{
    const char *path = given.output ? given.output : given.model;
    TRY(given.remove ? check(jem_model_starts_remove(model)) : fit(model, context, config));
    TRY(check(jem_model_save(model, path)));
    return tell(model, path);
}

int run_starts(int argc, char **argv)
{
    jem_context *context = NULL;
    jem_config *config = NULL;
    jem_model *model = NULL;
    int code = options_parse(&self, argc, argv);
    if (code) return code < 0 ? 0 : code;
    if (!given.data == !given.remove) {
        fail("starts: needs one of --data and --remove");
        return CODE_USAGE;
    }
    if (given.remove) code = effect_none(&given.settings, "dataset.", "with --remove");
    if (given.remove && !code) code = effect_none(&given.settings, "sampler.", "with --remove");
    if (!code) code = check(jem_config_create(&config));
    if (!code) code = settings_apply(&given.settings, config);
    if (!code) code = check(jem_context_create(&context, config));
    if (!code) code = check(jem_model_load(&model, context, given.model));
    if (!code) code = change(model, context, config);
    jem_model_destroy(model);
    jem_context_destroy(context);
    jem_config_destroy(config);
    settings_clear(&given.settings);
    return code;
}
