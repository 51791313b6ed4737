/* What a finished run is worth: pictures, summary.json, a few lines. */
#include "chains.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHAINS = 100, ROWS = 10 }; /* a class a row */
enum { FACTOR = 10 };             /* fresh chains run so many times longer than in training */
enum { MOST_SETS = 4 };

static const char *const score_names[] = {"log_px", "mass"}; /* the first one is drawn */
static const char *const score_titles[] = {"log p(x)", "approximate mass"};
enum { SCORES = COUNT(score_names) };

typedef struct rating {
    char name[256];
    struct {
        double auroc, aupr_in, aupr_out, fpr95;
    } by[SCORES];
} rating;

/* ---- Fresh samples ---- */

/* The grid has a row for each of ten classes: of more, it says which. */
static int name_classes(char *text, size_t capacity, const report_run *run, const chains *k)
{
    int64_t classes;
    TRY(check(jem_model_info(run->model, NULL, NULL, NULL, &classes, NULL)));
    *text = 0;
    if (k->y && classes > ROWS)
        snprintf(text, capacity, "classes 0 to %d of %" PRId64, ROWS - 1, classes);
    return 0;
}

/* The grid, and one chain a class from its start to its end. */
static int draw_chains(const report_run *run, const chains *k, strip *s, const jem_config *config)
{
    char path[4200], caption[256], start[32], of[64];
    double size, noise;
    TRY(check(jem_config_get_f64(config, "sampler.step_size", &size)));
    TRY(check(jem_config_get_f64(config, "sampler.noise", &noise)));
    TRY(check(jem_config_get_str(config, "sampler.start", start, sizeof start)));
    TRY(name_classes(of, sizeof of, run, k));
    const char *from = strcmp(start, "uniform") ? "class Gaussians" : "uniform noise";
    snprintf(caption, sizeof caption,
             "%d %schains of %" PRId64 " steps (size %g, noise %g) from %s; %s%snone left out",
             CHAINS, k->y ? "class-conditional " : "", k->steps, size, noise, from, of,
             *of ? "; of these " : "");
    join_new(path, sizeof path, run->folder, "samples.png");
    TRY(array_save_grid(path, k->x, CHAINS, CHAINS / ROWS, k->c, k->h, k->w));
    TRY(comment_write(path, path, caption));
    join_new(path, sizeof path, run->folder, "strip.png");
    snprintf(caption, sizeof caption,
             "The first chain%s of samples.png, %" PRId64 " steps from %s%s%s",
             k->y ? " of each class" : "s", k->steps, from, *of ? "; " : "", of);
    return strip_draw(s, k, run->model, path, caption);
}

static int draw_samples(const report_run *run, jem_config *config)
{
    chains k = {.n = CHAINS};
    strip s = {0};
    int64_t classes, conditional, carried;
    int32_t y[CHAINS];
    TRY(check(jem_config_get_i64(config, "sampler.steps", &k.steps)));
    TRY(check(jem_config_get_i64(config, "sampler.conditional", &conditional)));
    TRY(check(jem_config_set_i64(config, "sampler.conditional", 0)));
    TRY(check(jem_config_set_i64(config, "sampler.buffer", 1)));
    /* A model that was never sampled from has no Gaussians. */
    TRY(check(jem_model_starts_info(run->model, NULL, &carried, NULL)));
    if (!carried) TRY(check(jem_config_set_str(config, "sampler.start", "uniform")));
    TRY(check(jem_model_info(run->model, &k.c, &k.h, &k.w, &classes, NULL)));
    for (int64_t i = 0; i < CHAINS; i++) y[i] = (int32_t)(i / (CHAINS / ROWS) % classes);
    k.steps *= FACTOR;
    k.y = conditional ? y : NULL;
    k.x = allocate(CHAINS * k.c * k.h * k.w, sizeof *k.x);
    int code = k.x ? check(jem_sampler_create(&k.sampler, run->model, config)) : CODE_FAILED;
    if (!code)
        code = check(
            jem_sampler_draw_starts(k.sampler, k.y, CHAINS, 0, k.x, CHAINS * k.c * k.h * k.w));
    if (!code) code = strip_begin(&s, &k, 10);
    if (!code) code = chains_walk(&k, &s);
    if (!code) code = draw_chains(run, &k, &s, config);
    strip_end(&s);
    jem_sampler_destroy(k.sampler);
    free(k.x);
    return code;
}

static int samples(const report_run *run)
{
    jem_config *config = NULL;
    TRY(check(jem_config_clone(&config, run->config)));
    int code = draw_samples(run, config);
    jem_config_destroy(config);
    return code;
}

/* ---- Scores of known and unknown images ---- */

/* All scores of a set of images, one after the other. */
static int score_all(const images *set, jem_model *model, float *scores[SCORES])
{
    for (int i = 0; i < SCORES; i++)
        TRY(images_score(set, model, score_names[i], NULL, &scores[i]));
    return 0;
}

static int rate(const images *test, float *const known[SCORES], const images *other,
                float *const unknown[SCORES], rating *r)
{
    snprintf(r->name, sizeof r->name, "%.200s", other->name);
    for (int i = 0; i < SCORES; i++)
        TRY(check(jem_eval_ood(known[i], test->count, unknown[i], other->count, &r->by[i].auroc,
                               &r->by[i].aupr_in, &r->by[i].aupr_out, &r->by[i].fpr95)));
    return 0;
}

static int draw_roc(const report_run *run, float *const all[][SCORES], const int64_t *counts,
                    char names[][320], int64_t n)
{
    plot_series curves[MOST_SETS];
    char path[4200];
    int code = 0;
    int64_t made = 0;
    for (int64_t i = 1; !code && i < n; i++) {
        int64_t room = counts[0] + counts[i] + 1, points = 0;
        double *x = allocate(room, sizeof *x), *y = allocate(room, sizeof *y);
        float *threshold = allocate(room, sizeof *threshold);
        curves[made++] = (plot_series){names[i], x, y, 0};
        code = x && y && threshold ? check(jem_eval_roc(all[0][0], counts[0], all[i][0], counts[i],
                                                        x, y, threshold, room, &points))
                                   : CODE_FAILED;
        free(threshold);
        curves[made - 1].count = points;
    }
    join_new(path, sizeof path, run->folder, "roc.png");
    if (!code && made) code = plot_roc(path, "log p(x) tells known from unknown", curves, made);
    for (int64_t i = 0; i < made; i++) {
        free((void *)curves[i].x);
        free((void *)curves[i].y);
    }
    return code;
}

static int scores(const report_run *run, const images *test, rating *ratings, int64_t *count,
                  const char *path)
{
    const char *sources[MOST_SETS - 1] = {run->ood, "interpolations", "uniform"};
    float *all[MOST_SETS][SCORES] = {{NULL}};
    plot_set sets[MOST_SETS];
    char names[MOST_SETS][320];
    int64_t n = 1, counts[MOST_SETS] = {test->count};
    progress bar;
    progress_begin(&bar, "data sets scored", 0, MOST_SETS);
    progress_update(&bar, 0, NULL);
    int code = score_all(test, run->model, all[0]);
    snprintf(names[0], sizeof names[0], "%.200s, %" PRId64 " test images", test->name, test->count);
    sets[0] = (plot_set){names[0], all[0][0], test->count};
    for (int i = 0; !code && i < COUNT(sources); i++) {
        images other = {0};
        rating *r = &ratings[n - 1];
        progress_update(&bar, i + 1, NULL);
        if (!sources[i] || (i && run->ood && !strcmp(sources[i], run->ood))) continue;
        code = images_open_ood(&other, run->context, sources[i], run->config, "test", test);
        if (!code) code = score_all(&other, run->model, all[n]);
        if (!code) code = rate(test, all[0], &other, all[n], r);
        if (!code) {
            snprintf(names[n], sizeof names[n], "%s%s (AUROC %.3f)", r->name,
                     !strcmp(other.name, "uniform") ? " noise" : "", r->by[0].auroc);
            sets[n] = (plot_set){names[n], all[n][0], other.count};
            counts[n++] = other.count;
        }
        images_close(&other);
    }
    progress_update(&bar, MOST_SETS, NULL);
    progress_end(&bar);
    *count = n - 1;
    if (!code)
        code = plot_histograms(path, "log p(x) of known and unknown images", "log p(x) + constant",
                               sets, n);
    if (!code) code = draw_roc(run, all, counts, names, n);
    for (int i = 0; i < MOST_SETS * SCORES; i++) free(all[i / SCORES][i % SCORES]);
    return code;
}

/* ---- summary.json and the terminal ---- */

static double metric_of(const jem_trainer *trainer, const char *name)
{
    double values[64];
    if (jem_trainer_metrics(trainer, values, COUNT(values)) < 0) return NAN;
    for (int64_t i = 0; i < jem_trainer_metric_count() && i < COUNT(values); i++)
        if (!strcmp(jem_trainer_metric_name(i), name)) return values[i];
    return NAN;
}

/* The best model in validation, if there was one. */
static void json_best(json *out, const jem_trainer *trainer)
{
    double step = metric_of(trainer, "best_step");
    if (!isfinite(step)) return;
    json_object(out, "best_in_validation");
    json_integer(out, "step", (int64_t)step);
    json_number(out, "accuracy", metric_of(trainer, "best_accuracy"));
    json_number(out, "nll", metric_of(trainer, "best_nll"));
    json_close(out, '}');
}

static void json_summary(FILE *file, const report_run *run, const evaluation *e,
                         const rating *ratings, int64_t count)
{
    int64_t step;
    json out;
    jem_trainer_progress(run->trainer, &step, NULL);
    json_open(&out, file, 0);
    json_object(&out, NULL);
    json_text(&out, "data", run->data);
    json_text(&out, "test", run->test);
    json_text(&out, "model", run->file);
    json_integer(&out, "steps", step);
    json_best(&out, run->trainer);
    json_integer(&out, "test_images", e->images);
    json_number(&out, "accuracy", e->accuracy);
    json_number(&out, "nll", e->nll);
    json_number(&out, "brier", e->brier);
    json_number(&out, "ece", e->ece);
    for (int j = 0; j < SCORES; j++) {
        char name[64];
        snprintf(name, sizeof name, "ood_%s", score_names[j]);
        json_object(&out, name);
        for (int64_t i = 0; i < count; i++) {
            json_object(&out, ratings[i].name);
            json_number(&out, "auroc", ratings[i].by[j].auroc);
            json_number(&out, "aupr_in", ratings[i].by[j].aupr_in);
            json_number(&out, "aupr_out", ratings[i].by[j].aupr_out);
            json_number(&out, "fpr95", ratings[i].by[j].fpr95);
            json_close(&out, '}');
        }
        json_close(&out, '}');
    }
    json_close(&out, '}');
    json_end(&out);
}

/* Beside the file, so that an old one stays whole until the new one is. */
static int write_summary(const report_run *run, const evaluation *e, const rating *ratings,
                         int64_t count, const char *path)
{
    char beside[4300];
    beside_of(beside, sizeof beside, path);
    FILE *file = file_create(beside);
    if (!file) return fail("%s: cannot open: %s", path, strerror(errno));
    json_summary(file, run, e, ratings, count);
    int bad = ferror(file);
    if (!fclose(file) && !bad && !rename(beside, path)) return 0;
    int code = fail("%s: cannot write: %s", path, strerror(errno));
    unlink(beside);
    return code;
}

static void print_summary(const report_run *run, const evaluation *e, const rating *ratings,
                          int64_t count)
{
    int64_t step;
    jem_trainer_progress(run->trainer, &step, NULL);
    printf("%" PRId64 " steps; %s on %" PRId64 " test images of %s:\n", step, run->file, e->images,
           run->test);
    printf("  accuracy %.2f %%   NLL %.4f   ECE %.2f %%\n", 100 * e->accuracy, e->nll,
           100 * e->ece);
    for (int64_t i = 0; i < count; i++)
        for (int j = 0; j < SCORES; j++)
            printf("  AUROC of %s against %s: %.4f\n", score_titles[j], ratings[i].name,
                   ratings[i].by[j].auroc);
    double best = metric_of(run->trainer, "best_step");
    if (isfinite(best))
        printf("  best in validation: step %.0f, accuracy %.2f %% (best.safetensors)\n", best,
               100 * metric_of(run->trainer, "best_accuracy"));
    printf("Written to %s:\n"
           "  model.safetensors  checkpoint.safetensors  metrics.jsonl  summary.json\n"
           "  %sreliability.png  scores.png  roc.png  samples.png  strip.png\n"
           "  report.html: all of it on one page\n",
           run->folder, run->curves ? "curves.png  " : "");
}

int report_write(const report_run *run)
{
    char path[4200];
    int64_t c, h, w, count = 0;
    evaluation e;
    rating ratings[MOST_SETS];
    images test = {0};
    TRY(check(jem_model_info(run->model, &c, &h, &w, NULL, NULL)));
    TRY(images_open(&test, run->context, run->test, run->config, "test", c, h, w));
    int code = evaluate(&test, run->model, &e);
    join_new(path, sizeof path, run->folder, "reliability.png");
    if (!code)
        code = plot_reliability(path, "Reliability on test images", BINS, e.bin_confidence,
                                e.bin_accuracy, e.bin_count, e.ece);
    join_new(path, sizeof path, run->folder, "scores.png");
    if (!code) code = scores(run, &test, ratings, &count, path);
    join_new(path, sizeof path, run->folder, "summary.json");
    if (!code) code = write_summary(run, &e, ratings, count, path);
    int drawn = code ? 0 : samples(run); /* longer chains may diverge: the rest stays */
    if (!code) code = report_page(run->folder, NULL, NULL);
    if (!code) print_summary(run, &e, ratings, count);
    images_close(&test);
    return code ? code : drawn;
}
