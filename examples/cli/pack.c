/* jem pack: a data set as one file, which need not fit in memory. */
#include "cli.h"
#include <string.h>

static struct {
    const char *data, *output;
    settings settings;
} given;

static const option options[] = {
    {"data", OPTION_TEXT, 1, &given.data, "SOURCE", "what to pack; its train split"},
    {"output", OPTION_TEXT, 1, &given.output, "FILE", "the file to write"},
    {"split", OPTION_KEY, 0, "dataset.split", "NAME", NULL},
    {"limit", OPTION_KEY, 0, "dataset.limit", "N", NULL},
    {"resize", OPTION_KEY, 0, "dataset.resize", "N", NULL},
};

static const command self = {
    "pack",
    "Writes a data set as one file, for 'packed:FILE' wherever a SOURCE is asked for. Neither\n"
    "writing nor using it needs memory for the images; every part of it has a checksum.",
    "SOURCE: png:DIR (a folder for each class), cifar:DIR, cifar100:DIR, idx:DIR, svhn:DIR, or a\n"
    "generated set. The file is a safetensors file that other programs can read, too.",
    options,
    COUNT(options),
    &given.settings,
    "dataset context"};

static int pack(jem_context *context, const jem_config *config)
{
    images set;
    int64_t classes;
    TRY(images_check_resize(given.data, config));
    TRY(images_open(&set, context, given.data, config, NULL, 0, 0, 0));
    int code = check(jem_dataset_save(set.data, given.output));
    if (!code) code = check(jem_dataset_info(set.data, NULL, NULL, NULL, NULL, &classes));
    if (!code)
        printf("%s: %" PRId64 " images %" PRId64 "x%" PRId64 "x%" PRId64 ", %" PRId64 " classes\n",
               given.output, set.count, set.channels, set.height, set.width, classes);
    images_close(&set);
    return code;
}

/* Image by image, unless the user wants it otherwise. */
static int prepare(jem_config *config)
{
    int32_t chosen = 0;
    TRY(check(jem_config_set_i64(config, "dataset.memory", 0)));
    TRY(settings_apply(&given.settings, config));
    TRY(check(jem_config_is_set(config, "dataset.split", &chosen)));
    return chosen ? 0 : check(jem_config_set_str(config, "dataset.split", "train"));
}

int run_pack(int argc, char **argv)
{
    jem_config *config = NULL;
    jem_context *context = NULL;
    int code = options_parse(&self, argc, argv);
    if (code) return code < 0 ? 0 : code;
    code = check(jem_config_create(&config));
    if (!code) code = prepare(config);
    if (!code) code = check(jem_context_create(&context, config));
    if (!code) code = pack(context, config);
    jem_context_destroy(context);
    jem_config_destroy(config);
    settings_clear(&given.settings);
    return code;
}
