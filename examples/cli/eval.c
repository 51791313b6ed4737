/* jem eval: accuracy, calibration, and how well a score tells the unknown. */
#include "cli.h"
#include <stdlib.h>
#include <string.h>

static struct {
    const char *what, *model, *data, *ood, *score, *picture;
    int compact, as_trained;
    settings settings;
} given;

static const option options[] = {
    {"WHAT", OPTION_POSITIONAL, 1, &given.what, NULL, "accuracy, calibration or ood"},
    {"model", OPTION_TEXT, 1, &given.model, "FILE", "the model, safetensors"},
    {"data", OPTION_TEXT, 1, &given.data, "SOURCE", "in-distribution data; its test split"},
    {"ood", OPTION_TEXT, 0, &given.ood, "SOURCE",
     "other data, or uniform, constant or interpolations (of the data)"},
    {"score", OPTION_TEXT, 0, &given.score, "NAME",
     "log_px (the default), max_softmax, max_logit, neg_entropy, mass, refine_log_px,\n"
     "                          refine_distance or refine_mass"},
    {"as-trained", OPTION_FLAG, 0, &given.as_trained, NULL,
     "refine_* scores: the chain that the model was trained with"},
    {"picture", OPTION_TEXT, 0, &given.picture, "FILE",
     "draw the reliability or the histograms: .png, .pdf, .svg"},
    {"json", OPTION_FLAG, 0, &given.compact, NULL, "JSON on one line"},
    {"split", OPTION_KEY, 0, "dataset.split", "NAME", NULL},
    {"limit", OPTION_KEY, 0, "dataset.limit", "N", NULL},
    {"threads", OPTION_KEY, 0, "context.threads", "N", NULL},
    {"precision", OPTION_KEY, 0, "model.precision", "NAME", NULL},
};

static const command self = {
    "eval",
    "Measures a model on a data set; prints JSON.\n"
    "  accuracy     accuracy, negative log-likelihood (nats), Brier score\n"
    "  calibration  the same, expected calibration error, reliability in 20 bins\n"
    "  ood          AUROC, AUPR and false positives at 95 % of a score that should be higher\n"
    "               for --data than for --ood",
    "SOURCE: glyphs, letters, noise, idx:DIR (MNIST's format), cifar:DIR, cifar100:DIR,\n"
    "svhn:DIR, png:DIR (a folder for each class), packed:FILE (see 'jem pack');\n"
    "options of generated sets follow, as in glyphs:limit=1000,seed=3.",
    options,
    COUNT(options),
    &given.settings,
    "dataset context sampler"};

int evaluate(const images *set, jem_model *model, evaluation *e)
{
    float *logits = NULL;
    int32_t *labels = NULL;
    int64_t k, n = set->count;
    *e = (evaluation){.images = n};
    TRY(check(jem_model_info(model, NULL, NULL, NULL, &k, NULL)));
    int code = images_logits(set, model, &logits, &labels);
    if (!code) code = check(jem_eval_accuracy(logits, labels, n, k, &e->accuracy));
    if (!code) code = check(jem_eval_nll(logits, labels, n, k, &e->nll));
    if (!code) code = check(jem_eval_brier(logits, labels, n, k, &e->brier));
    if (!code)
        code = check(jem_eval_ece(logits, labels, n, k, BINS, &e->ece, e->bin_confidence,
                                  e->bin_accuracy, e->bin_count));
    free(logits);
    free(labels);
    return code;
}

static void print_calibration(json *out, const evaluation *e)
{
    json_number(out, "ece", e->ece);
    json_array(out, "bins");
    for (int64_t b = 0; b < BINS; b++) {
        json_object(out, NULL);
        out->compact = 1; /* a bin a line */
        json_number(out, "low", (double)b / BINS);
        json_number(out, "high", (double)(b + 1) / BINS);
        json_integer(out, "images", e->bin_count[b]);
        json_number(out, "confidence", e->bin_confidence[b]);
        json_number(out, "accuracy", e->bin_accuracy[b]);
        json_close(out, '}');
        out->compact = given.compact;
    }
    json_close(out, ']');
}

static int run_labels(const images *set, jem_model *model, int calibration)
{
    evaluation e;
    json out;
    char title[256];
    TRY(evaluate(set, model, &e));
    json_open(&out, stdout, given.compact);
    json_object(&out, NULL);
    json_text(&out, "data", set->name);
    json_integer(&out, "images", e.images);
    json_number(&out, "accuracy", e.accuracy);
    json_number(&out, "nll", e.nll);
    json_number(&out, "brier", e.brier);
    if (calibration) print_calibration(&out, &e);
    json_close(&out, '}');
    json_end(&out);
    if (!given.picture) return 0;
    snprintf(title, sizeof title, "Reliability on %.200s", set->name);
    return plot_reliability(given.picture, title, BINS, e.bin_confidence, e.bin_accuracy,
                            e.bin_count, e.ece);
}

static int compare(const images *in, const float *a, const images *out_set, const float *b,
                   const char *score)
{
    double auroc, aupr_in, aupr_out, fpr95;
    char names[2][300], title[64];
    json out;
    TRY(check(jem_eval_ood(a, in->count, b, out_set->count, &auroc, &aupr_in, &aupr_out, &fpr95)));
    json_open(&out, stdout, given.compact);
    json_object(&out, NULL);
    json_text(&out, "data", in->name);
    json_text(&out, "ood", out_set->name);
    json_text(&out, "score", score);
    json_integer(&out, "images", in->count);
    json_integer(&out, "ood_images", out_set->count);
    json_number(&out, "auroc", auroc);
    json_number(&out, "aupr_in", aupr_in);
    json_number(&out, "aupr_out", aupr_out);
    json_number(&out, "fpr95", fpr95);
    json_close(&out, '}');
    json_end(&out);
    if (!given.picture) return 0;
    snprintf(names[0], sizeof names[0], "%.200s (%" PRId64 " images)", in->name, in->count);
    snprintf(names[1], sizeof names[1], "%.200s (%" PRId64 " images, AUROC %.3f)", out_set->name,
             out_set->count, auroc);
    const plot_set sets[] = {{names[0], a, in->count}, {names[1], b, out_set->count}};
    int is_log = !strcmp(score, "log_px");
    snprintf(title, sizeof title, "Scores: %.40s", is_log ? "log p(x)" : score);
    return plot_histograms(given.picture, title, is_log ? "log p(x) + constant" : score, sets, 2);
}

static int run_ood(const images *in, jem_model *model, jem_context *context,
                   const jem_config *config)
{
    images other = {0};
    float *a = NULL, *b = NULL;
    const char *score = given.score ? given.score : "log_px";
    TRY(images_open_ood(&other, context, given.ood, config, NULL, in));
    int code = images_score(in, model, score, config, &a);
    if (!code) code = images_score(&other, model, score, config, &b);
    if (!code) code = compare(in, a, &other, b, score);
    free(a);
    free(b);
    images_close(&other);
    return code;
}

static int run_with(jem_model **model, jem_context **context, jem_config **config, images *set)
{
    int64_t c, h, w;
    int ood = !strcmp(given.what, "ood"), calibration = !strcmp(given.what, "calibration");
    static const char *const kinds[] = {"accuracy", "calibration", "ood"};
    if (!ood && !calibration && strcmp(given.what, "accuracy")) {
        const char *nearest = options_nearest(given.what, kinds, COUNT(kinds));
        fail("eval: got '%s', expected accuracy, calibration or ood%s%s%s", given.what,
             nearest ? " (did you mean " : "", nearest ? nearest : "", nearest ? "?)" : "");
        return CODE_USAGE;
    }
    if (ood != (given.ood != NULL)) {
        fail(ood ? "eval ood needs --ood SOURCE" : "--ood belongs to 'jem eval ood'");
        return CODE_USAGE;
    }
    TRY(check(jem_config_create(config)));
    TRY(settings_apply(&given.settings, *config));
    TRY(check(jem_context_create(context, *config)));
    TRY(model_open(model, *context, given.model, *config));
    TRY(check(jem_model_info(*model, &c, &h, &w, NULL, NULL)));
    TRY(images_open(set, *context, given.data, *config, NULL, c, h, w));
    if (given.as_trained) TRY(model_recipe(*model, given.model, &given.settings, *config));
    return ood ? run_ood(set, *model, *context, *config) : run_labels(set, *model, calibration);
}

int run_eval(int argc, char **argv)
{
    jem_model *model = NULL;
    jem_context *context = NULL;
    jem_config *config = NULL;
    images set = {0};
    int code = options_parse(&self, argc, argv);
    if (code) return code < 0 ? 0 : code;
    code = run_with(&model, &context, &config, &set);
    images_close(&set);
    jem_model_destroy(model);
    jem_context_destroy(context);
    jem_config_destroy(config);
    settings_clear(&given.settings);
    return code;
}
