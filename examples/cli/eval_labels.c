/* jem eval accuracy, calibration, temperature: the classes against the labels. */
#include "eval.h"
#include <stdlib.h>

static const option options[] = {EVAL_NEEDS, EVAL_TAKES};
static const option drawing[] = {EVAL_NEEDS, EVAL_PICTURE("the reliability diagram"), EVAL_TAKES};

static const command accuracy = {
    "eval accuracy",  "Accuracy, mean negative log-likelihood (nats) and Brier score.",
    EVAL_SOURCES,     options,
    COUNT(options),   &given.settings,
    "dataset context"};
static const command calibration = {
    "eval calibration",
    "Accuracy, NLL, Brier score, and the expected calibration error with the reliability\n"
    "in 20 equal bins of the largest class probability, at temperature 1; of a model that\n"
    "jem calibrate was at, NLL and calibration error with its temperature too.",
    EVAL_SOURCES,
    drawing,
    COUNT(drawing),
    &given.settings,
    "dataset context"};
static const command temperature = {
    "eval temperature",
    "The temperature T of least NLL of softmax(logits / T); NLL and expected calibration\n"
    "error without it and with it. Fitted on --data: report it on other images\n"
    "(jem calibrate keeps it in the model).",
    EVAL_SOURCES,
    drawing,
    COUNT(drawing),
    &given.settings,
    "dataset context"};

static int judge(const float *logits, const int32_t *y, int64_t n, int64_t k, evaluation *e)
{
    *e = (evaluation){.images = n};
    TRY(check(jem_eval_accuracy(logits, y, n, k, &e->accuracy)));
    TRY(check(jem_eval_nll(logits, y, n, k, &e->nll)));
    TRY(check(jem_eval_brier(logits, y, n, k, &e->brier)));
    return check(jem_eval_ece(logits, y, n, k, BINS, &e->ece, e->bin_confidence, e->bin_accuracy,
                              e->bin_count));
}

int evaluate(const images *set, jem_model *model, evaluation *e)
{
    float *logits = NULL;
    int32_t *y = NULL;
    int64_t k;
    TRY(check(jem_model_info(model, NULL, NULL, NULL, &k, NULL)));
    int code = images_logits(set, model, &logits, &y);
    if (!code) code = judge(logits, y, set->count, k, e);
    free(logits);
    free(y);
    return code;
}

int evaluate_scaled(const float *logits, const int32_t *y, int64_t n, int64_t k, double by,
                    evaluation *e)
{
    float *scaled = allocate(n * k, sizeof *scaled);
    if (!scaled) return CODE_FAILED;
    for (int64_t i = 0; i < n * k; i++) scaled[i] = (float)(logits[i] / by);
    int code = judge(scaled, y, n, k, e);
    free(scaled);
    return code;
}

static void print_bins(json *out, const evaluation *e)
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

static int draw(const eval_work *w, const evaluation *e, const char *note)
{
    char title[300];
    if (!given.picture) return 0;
    snprintf(title, sizeof title, "Reliability on %.200s%s", w->set.name, note);
    return plot_reliability(given.picture, title, BINS, e->bin_confidence, e->bin_accuracy,
                            e->bin_count, e->ece);
}

static void print_errors(json *out, const evaluation *e)
{
    json_number(out, "accuracy", e->accuracy);
    json_number(out, "nll", e->nll);
    json_number(out, "brier", e->brier);
}

/* With the temperature that jem calibrate left in the model, if it did. */
static int print_calibrated(json *out, const eval_work *w, const float *logits, const int32_t *y)
{
    jem_config *kept;
    evaluation e;
    double t = 1;
    TRY(model_calibration(w->model, &kept));
    if (!kept) return 0;
    int code = check(jem_config_get_f64(kept, "calibration.temperature", &t));
    jem_config_destroy(kept);
    if (code) return code;
    TRY(evaluate_scaled(logits, y, w->set.count, w->classes, t, &e));
    json_number(out, "temperature", t);
    json_number(out, "nll_calibrated", e.nll);
    json_number(out, "ece_calibrated", e.ece);
    return 0;
}

static int run_accuracy(eval_work *w)
{
    evaluation e;
    json out;
    TRY(images_check_classes(&w->set, w->model));
    TRY(evaluate(&w->set, w->model, &e));
    eval_begin(&out, w);
    print_errors(&out, &e);
    eval_end(&out);
    return 0;
}

static int calibrate(eval_work *w, const float *logits, const int32_t *y)
{
    evaluation e;
    json out;
    TRY(judge(logits, y, w->set.count, w->classes, &e));
    eval_begin(&out, w);
    print_errors(&out, &e);
    TRY(print_calibrated(&out, w, logits, y));
    print_bins(&out, &e);
    eval_end(&out);
    return draw(w, &e, "");
}

static int fit(eval_work *w, const float *logits, const int32_t *y)
{
    evaluation before, after;
    double t;
    char note[64];
    json out;
    int64_t n = w->set.count, k = w->classes;
    TRY(check(jem_eval_temperature(logits, y, n, k, &t)));
    TRY(judge(logits, y, n, k, &before));
    TRY(evaluate_scaled(logits, y, n, k, t, &after));
    eval_begin(&out, w);
    json_number(&out, "temperature", t);
    json_number(&out, "nll", before.nll);
    json_number(&out, "nll_scaled", after.nll);
    json_number(&out, "ece", before.ece);
    json_number(&out, "ece_scaled", after.ece);
    eval_end(&out);
    snprintf(note, sizeof note, " at temperature %.3f", t);
    return draw(w, &after, note);
}

static int with_logits(eval_work *w, int (*then)(eval_work *, const float *, const int32_t *))
{
    float *logits = NULL;
    int32_t *y = NULL;
    TRY(images_check_classes(&w->set, w->model));
    int code = images_logits(&w->set, w->model, &logits, &y);
    if (!code) code = then(w, logits, y);
    free(logits);
    free(y);
    return code;
}

static int run_calibration(eval_work *w)
{
    return with_logits(w, calibrate);
}

static int run_temperature(eval_work *w)
{
    return with_logits(w, fit);
}

int eval_accuracy(int argc, char **argv)
{
    return eval_run(&accuracy, argc, argv, run_accuracy);
}

int eval_calibration(int argc, char **argv)
{
    return eval_run(&calibration, argc, argv, run_calibration);
}

int eval_temperature(int argc, char **argv)
{
    return eval_run(&temperature, argc, argv, run_temperature);
}
