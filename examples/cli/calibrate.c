/* jem calibrate: what jem_model_predict decides by, kept in the model file. */
#include "cli.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static struct {
    const char *model, *data, *output;
    int held_out, as_trained, compact;
    settings settings;
} given;

static const option options[] = {
    {"model", OPTION_TEXT, 1, &given.model, "FILE", "the model, safetensors"},
    {"data", OPTION_TEXT, 1, &given.data, "SOURCE",
     "validation images: neither trained on nor tested with"},
    {"held-out", OPTION_FLAG, 0, &given.held_out, NULL,
     "of the training split, the images that training held out (trainer.validation)"},
    {"output", OPTION_TEXT, 0, &given.output, "FILE", "the calibrated model [FILE of --model]"},
    {"score", OPTION_KEY, 0, "calibration.score", "NAME", NULL},
    {"accept", OPTION_KEY, 0, "calibration.accept", "SHARE", NULL},
    {"as-trained", OPTION_FLAG, 0, &given.as_trained, NULL,
     "refine_* scores: the chain that the model was trained with"},
    {"json", OPTION_FLAG, 0, &given.compact, NULL, "JSON on one line"},
    {"split", OPTION_KEY, 0, "dataset.split", "NAME", NULL},
    {"limit", OPTION_KEY, 0, "dataset.limit", "N", NULL},
    {"threads", OPTION_KEY, 0, "context.threads", "N", NULL},
    {"precision", OPTION_KEY, 0, "model.precision", "NAME", NULL},
};

static const command self = {
    "calibrate",
    "Fits, on validation images, the temperature of the class probabilities and the\n"
    "threshold that a share of them reaches with a score; writes both into the model file.\n"
    "An application's jem_model_predict, and jem score, then accept or reject an image.",
    "The split is train unless --split says test. Another seed gives new images of a\n"
    "generated set: --data glyphs:seed=1.",
    options,
    COUNT(options),
    &given.settings,
    "calibration dataset sampler context !calibration.temperature !calibration.threshold "
    "!calibration.images" NOT_OF_CHAINS};

static int print(const images *set, jem_model *model, const jem_config *kept)
{
    double temperature, threshold, accept;
    evaluation before, after;
    char score[64];
    float *logits = NULL;
    int32_t *y = NULL;
    int64_t k;
    json out;
    TRY(check(jem_config_get_f64(kept, "calibration.temperature", &temperature)));
    TRY(check(jem_config_get_f64(kept, "calibration.threshold", &threshold)));
    TRY(check(jem_config_get_f64(kept, "calibration.accept", &accept)));
    TRY(check(jem_config_get_str(kept, "calibration.score", score, sizeof score)));
    TRY(check(jem_model_info(model, NULL, NULL, NULL, &k, NULL)));
    int code = images_logits(set, model, &logits, &y);
    if (!code) code = evaluate_scaled(logits, y, set->count, k, 1, &before);
    if (!code) code = evaluate_scaled(logits, y, set->count, k, temperature, &after);
    free(logits);
    free(y);
    TRY(code);
    json_open(&out, stdout, given.compact);
    json_object(&out, NULL);
    json_text(&out, "data", set->name);
    json_integer(&out, "images", set->count);
    json_text(&out, "score", score);
    json_number(&out, "accept", accept);
    json_number(&out, "threshold", threshold);
    json_number(&out, "temperature", temperature);
    json_number(&out, "nll", before.nll);
    json_number(&out, "nll_calibrated", after.nll);
    json_number(&out, "ece", before.ece);
    json_number(&out, "ece_calibrated", after.ece);
    json_text(&out, "model", given.output ? given.output : given.model);
    json_close(&out, '}');
    json_end(&out);
    return 0;
}

static int finish(const images *set, jem_model *model)
{
    jem_config *kept = NULL;
    TRY(check(jem_model_save(model, given.output ? given.output : given.model)));
    int code = model_calibration(model, &kept);
    if (!code) code = print(set, model, kept);
    jem_config_destroy(kept);
    return code;
}

/* What jem train says in the metadata entry held_out; a file need not have it. */
typedef struct split {
    int told;
    int64_t count, images, seed; /* count 0: nothing was held out */
} split;

/* The words, and a number after them; *at moves past both. */
static int number_after(const char **at, const char *words, int64_t *value)
{
    size_t n = strlen(words);
    char *end;
    if (strncmp(*at, words, n) != 0) return 0;
    errno = 0;
    *value = strtoll(*at + n, &end, 10);
    if (errno || end == *at + n) return 0;
    *at = end;
    return 1;
}

static int read_split(split *s, const jem_model *model)
{
    char *text;
    *s = (split){0};
    TRY(metadata_text(model, "held_out", &text));
    s->told = text != NULL;
    const char *at = text;
    int good =
        !text || (number_after(&at, "", &s->count) && number_after(&at, " of ", &s->images) &&
                  number_after(&at, " images, seed ", &s->seed));
    free(text);
    return good ? 0 : fail("%s: its entry held_out is not what jem train wrote", given.model);
}

/* The images of the training data that the model was validated with, not trained on. */
static int hold_out(images *set, const split *s)
{
    jem_dataset *held = NULL, *rest = NULL;
    if (!s->count)
        return fail("--held-out: %s names no images that its training held out; expected a model "
                    "trained with trainer.validation=N, or without --held-out other images "
                    "(--split test, or another --data)",
                    given.model);
    if (s->images != set->count)
        return fail("%s held out %" PRId64 " of %" PRId64 " images, but %s has %" PRId64
                    ": expected the data, and limits, of training",
                    given.model, s->count, s->images, set->name, set->count);
    TRY(check(jem_dataset_split(&held, &rest, set->data, s->count, (uint64_t)s->seed)));
    jem_dataset_destroy(rest);
    jem_dataset_destroy(set->data);
    set->data = held;
    set->count = s->count;
    return 0;
}

/* A word to those who name the images of training: a model is too sure of them. */
static void tell(const images *set, const split *s)
{
    char advice[128] = "calibrate on others: --split test, or another --data";
    if (s->count)
        snprintf(advice, sizeof advice,
                 "--held-out takes the %" PRId64 " of them that training kept apart", s->count);
    warn("%s has as many images as %s was trained on; if they are the same, the model knows them: "
         "%s",
         set->name, given.model, advice);
}

static int choose(images *set, const jem_model *model, const char *part)
{
    split s;
    TRY(read_split(&s, model));
    if (given.held_out) return hold_out(set, &s);
    if (s.told && s.images == set->count && !strcmp(part, "train")) tell(set, &s);
    return 0;
}

static int check_part(const char *part)
{
    if (!given.held_out || !strcmp(part, "train")) return 0;
    fail("--held-out: got the split %s, expected train, of which training held images out", part);
    return CODE_USAGE;
}

static int calibrate(jem_model **model, jem_context **context, jem_config **config, images *set)
{
    int64_t c, h, w;
    int32_t chosen;
    char part[16], score[64];
    TRY(check(jem_config_create(config)));
    TRY(settings_apply(&given.settings, *config));
    TRY(images_split(part, sizeof part, given.data, *config, "train"));
    TRY(check_part(part));
    TRY(check(jem_config_is_set(*config, "dataset.split", &chosen)));
    TRY(check(jem_context_create(context, *config)));
    TRY(model_open(model, *context, given.model, *config));
    TRY(check(jem_model_info(*model, &c, &h, &w, NULL, NULL)));
    TRY(images_open(set, *context, given.data, *config, chosen ? NULL : "train", c, h, w));
    TRY(images_check_classes(set, *model));
    TRY(choose(set, *model, part));
    if (given.as_trained) TRY(model_recipe(*model, given.model, &given.settings, *config));
    TRY(check(jem_config_get_str(*config, "calibration.score", score, sizeof score)));
    TRY(effect_chain(&given.settings, *config, given.as_trained, score));
    TRY(check(jem_model_calibrate(*model, set->data, *config)));
    return finish(set, *model);
}

int run_calibrate(int argc, char **argv)
{
    jem_model *model = NULL;
    jem_context *context = NULL;
    jem_config *config = NULL;
    images set = {0};
    int code = options_parse(&self, argc, argv);
    if (code) return code < 0 ? 0 : code;
    code = calibrate(&model, &context, &config, &set);
    images_close(&set);
    jem_model_destroy(model);
    jem_context_destroy(context);
    jem_config_destroy(config);
    settings_clear(&given.settings);
    return code;
}
