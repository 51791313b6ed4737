/* jem eval refine: the classes of images after a short chain from each. */
#include "eval.h"
#include <stdlib.h>

enum { PIECE = 64 };

static const option options[] = {EVAL_NEEDS,
                                 EVAL_CHAIN,
                                 {"steps", OPTION_KEY, 0, "sampler.steps", "K", NULL},
                                 {"copies", OPTION_KEY, 0, "refine.copies", "N", NULL},
                                 {"copy-noise", OPTION_KEY, 0, "refine.noise", "S", NULL},
                                 {"seed", OPTION_KEY, 0, "sampler.seed", "N", NULL},
                                 EVAL_PICTURE("the reliability diagram after refinement"),
                                 EVAL_TAKES};

static const command refine = {
    "eval refine",
    "Accuracy, NLL and calibration error of the mean logits of noisy copies of each image,\n"
    "moved by a short Langevin chain (settings sampler.*), beside those of the images.",
    EVAL_SOURCES,
    options,
    COUNT(options),
    &given.settings,
    "refine sampler dataset context" NOT_OF_CHAINS};

static int refined_logits(eval_work *w, float *logits, int32_t *y)
{
    progress bar;
    float *x = allocate(PIECE * w->image, sizeof *x);
    int code = x ? 0 : CODE_FAILED;
    progress_begin(&bar, "chains", 0, w->set.count);
    for (int64_t i = 0; !code && i < w->set.count; i += PIECE) {
        int64_t n = w->set.count - i < PIECE ? w->set.count - i : PIECE;
        code = images_read(&w->set, i, n, x, y + i);
        if (!code)
            code = check(jem_eval_refined_logits(w->model, x, n, i, w->config,
                                                 logits + i * w->classes, n * w->classes));
        progress_update(&bar, i + n, NULL);
    }
    progress_end(&bar);
    free(x);
    return code;
}

static int compare(eval_work *w, float *logits, int32_t *y)
{
    evaluation before, after;
    int64_t copies = 0;
    double noise = 0;
    json out;
    TRY(evaluate(&w->set, w->model, &before));
    TRY(refined_logits(w, logits, y));
    TRY(evaluate_scaled(logits, y, w->set.count, w->classes, 1, &after));
    jem_config_get_i64(w->config, "refine.copies", &copies);
    jem_config_get_f64(w->config, "refine.noise", &noise);
    eval_begin(&out, w);
    eval_sampler(&out, w->config);
    json_integer(&out, "copies", copies);
    json_number(&out, "copy_noise", noise);
    json_number(&out, "accuracy", before.accuracy);
    json_number(&out, "accuracy_refined", after.accuracy);
    json_number(&out, "nll", before.nll);
    json_number(&out, "nll_refined", after.nll);
    json_number(&out, "ece", before.ece);
    json_number(&out, "ece_refined", after.ece);
    eval_end(&out);
    if (!given.picture) return 0;
    return plot_reliability(given.picture, "Reliability after refinement", BINS,
                            after.bin_confidence, after.bin_accuracy, after.bin_count, after.ece);
}

static int run_refine(eval_work *w)
{
    TRY(effect_check(&given.settings, w->config, EFFECT_CHAIN));
    TRY(images_check_classes(&w->set, w->model));
    float *logits = allocate(w->set.count * w->classes, sizeof *logits);
    int32_t *y = allocate(w->set.count, sizeof *y);
    int code = logits && y ? compare(w, logits, y) : CODE_FAILED;
    free(logits);
    free(y);
    return code;
}

int eval_refine(int argc, char **argv)
{
    return eval_run(&refine, argc, argv, run_refine);
}
