/* jem eval attack, distance: how far an image may be moved before its class changes. */
#include "eval.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_EPS = 32, PIECE = 64 };

static struct {
    const char *eps, *output;
} mine;

#define ATTACK_OPTIONS                                                                             \
    EVAL_CHAIN, {"norm", OPTION_KEY, 0, "attack.norm", "NAME", NULL},                              \
        {"steps", OPTION_KEY, 0, "attack.steps", "N", NULL},                                       \
        {"step-size", OPTION_KEY, 0, "attack.step_size", "A", NULL},                               \
        {"restarts", OPTION_KEY, 0, "attack.restarts", "N", NULL},                                 \
        {"refined", OPTION_KEY_FLAG, 0, "attack.refined", NULL, NULL},                             \
        {"copies", OPTION_KEY, 0, "refine.copies", "N", NULL},                                     \
        {"copy-noise", OPTION_KEY, 0, "refine.noise", "S", NULL},                                  \
    {                                                                                              \
        "seed", OPTION_KEY, 0, "attack.seed", "N", NULL                                            \
    }

static const char eps_notes[] =
    "eps is in input units, of which [-1,1] has 2: 8/255 of pixels in [0,1] is 16/255 here.\n"
    "With --refined the chain is that of sampler.* (or --as-trained); without, none runs, and\n"
    "those settings and refine.* are refused.\n\n" EVAL_SOURCES;

static const option attacking[] = {
    EVAL_NEEDS,
    {"eps", OPTION_TEXT, 1, &mine.eps, "LIST", "largest changes, as 0.1,0.2 or 8/255,16/255"},
    {"output", OPTION_TEXT, 0, &mine.output, "FILE",
     "images at the last eps: O.npy, float32 [n,C,H,W], or O.png, a grid"},
    EVAL_PICTURE("robust accuracy against eps"),
    ATTACK_OPTIONS,
    EVAL_TAKES};
static const option searching[] = {
    EVAL_NEEDS,
    {"eps", OPTION_TEXT, 1, &mine.eps, "E", "search up to here, as 0.5 or 64/255"},
    {"output", OPTION_TEXT, 0, &mine.output, "FILE",
     "the images found: O.npy, float32 [n,C,H,W], or O.png, a grid"},
    {"bisections", OPTION_KEY, 0, "attack.bisections", "N", NULL},
    EVAL_PICTURE("the share of images that hold against the distance"),
    ATTACK_OPTIONS,
    EVAL_TAKES};

static const command attack = {
    "eval attack",
    "Robust accuracy at each eps: the share of images for which projected gradient descent\n"
    "within eps finds no misclassified image.",
    eps_notes,
    attacking,
    COUNT(attacking),
    &given.settings,
    "attack refine sampler dataset context !attack.bisections" NOT_OF_CHAINS};
static const command distance = {
    "eval distance",
    "How far the nearest misclassified image is that attacks find by bisection, per image:\n"
    "an upper bound of the least distance. Its mean is over the images for which one was found.",
    eps_notes,
    searching,
    COUNT(searching),
    &given.settings,
    "attack refine sampler dataset context" NOT_OF_CHAINS};

/* Numbers or fractions with commas between. */
static int parse_eps(double *eps, int64_t *count, int64_t most)
{
    const char *at = mine.eps;
    *count = 0;
    while (*count < most) {
        char *end;
        double value = strtod(at, &end);
        if (end > at && *end == '/') {
            at = end + 1;
            value /= strtod(at, &end);
        }
        if (end == at || !isfinite(value) || value < 0 || (*end && *end != ',')) break;
        eps[(*count)++] = value;
        if (!*end) return 0;
        at = end + 1;
    }
    fail("--eps: got '%s', expected %s", mine.eps,
         most == 1 ? "a number >= 0, as 0.5 or 64/255"
                   : "up to 32 numbers >= 0, as 0.1,0.2 or 8/255,16/255");
    return CODE_USAGE;
}

/* From one start without random numbers there is one way. */
static int64_t runs_of(const jem_config *config)
{
    int64_t restarts = 0, random_start = 0, refined = 0;
    jem_config_get_i64(config, "attack.restarts", &restarts);
    jem_config_get_i64(config, "attack.random_start", &random_start);
    jem_config_get_i64(config, "attack.refined", &refined);
    return random_start || refined ? restarts : 1;
}

static void print_settings(json *out, const jem_config *config)
{
    char norm[16] = "";
    int64_t random_start = 0, refined = 0;
    jem_config_get_str(config, "attack.norm", norm, sizeof norm);
    jem_config_get_i64(config, "attack.random_start", &random_start);
    jem_config_get_i64(config, "attack.refined", &refined);
    json_text(out, "norm", norm);
    eval_setting(out, config, "attack.steps", "steps");
    eval_setting(out, config, "attack.step_size", "step_size");
    json_integer(out, "restarts", runs_of(config));
    json_flag(out, "random_start", random_start != 0);
    eval_setting(out, config, "attack.seed", "seed");
    json_flag(out, "refined", refined != 0);
    if (!refined) return;
    eval_setting(out, config, "refine.copies", "copies");
    eval_setting(out, config, "refine.noise", "copy_noise");
    eval_sampler(out, config);
}

static int save_images(const eval_work *w, const float *x)
{
    const int64_t shape[] = {w->set.count, w->set.channels, w->set.height, w->set.width};
    if (!mine.output) return 0;
    if (has_suffix(mine.output, ".npy")) return array_save(mine.output, x, 4, shape);
    return array_save_grid(mine.output, x, shape[0], 0, shape[1], shape[2], shape[3]);
}

/* Before minutes of work. */
static int check_given(const eval_work *w)
{
    int64_t refined;
    TRY(check(jem_config_get_i64(w->config, "attack.refined", &refined)));
    if (given.as_trained && !refined)
        return options_exclude("--as-trained has no effect with attack.refined=0");
    TRY(effect_check(&given.settings, w->config, EFFECT_ATTACK | EFFECT_CHAIN));
    TRY(images_check_classes(&w->set, w->model));
    if (!mine.output || has_suffix(mine.output, ".npy") || has_suffix(mine.output, ".png"))
        return 0;
    fail("--output: got '%s', expected a name that ends in .npy or .png", mine.output);
    return CODE_USAGE;
}

/* Attacks every image at eps: robust [n], or with distance [n] the search; moved [n,image]. */
static int run_pieces(eval_work *w, double eps, int32_t *robust, float *distances, float *moved)
{
    char what[64];
    progress bar;
    int32_t y[PIECE];
    float *x = allocate(PIECE * w->image, sizeof *x);
    int code = x ? 0 : CODE_FAILED;
    snprintf(what, sizeof what, "attack at eps %.4g", eps);
    progress_begin(&bar, what, 0, w->set.count);
    for (int64_t i = 0; !code && i < w->set.count; i += PIECE) {
        int64_t n = w->set.count - i < PIECE ? w->set.count - i : PIECE;
        code = images_read(&w->set, i, n, x, y);
        if (!code)
            code = check(robust ? jem_eval_attack(w->model, x, y, n, i, eps, w->config, robust + i,
                                                  moved + i * w->image)
                                : jem_eval_attack_distance(w->model, x, y, n, i, eps, w->config,
                                                           distances + i, moved + i * w->image));
        progress_update(&bar, i + n, NULL);
    }
    progress_end(&bar);
    free(x);
    return code;
}

static double share(const int32_t *flags, int64_t n)
{
    int64_t sum = 0;
    for (int64_t i = 0; i < n; i++) sum += flags[i];
    return (double)sum / (double)n;
}

static const char *label_of(const jem_config *config)
{
    char norm[16] = "";
    jem_config_get_str(config, "attack.norm", norm, sizeof norm);
    return strcmp(norm, "l2") ? "eps, L-inf, in input units ([-1,1] has 2)"
                              : "eps, L2, in input units ([-1,1] has 2)";
}

static int draw(const eval_work *w, const char *of, const char *label, const char *how,
                const double *x, const double *y, int64_t n)
{
    char title[300], what[160];
    int64_t steps = 0, runs = runs_of(w->config), refined = 0;
    if (!given.picture) return 0;
    jem_config_get_i64(w->config, "attack.steps", &steps);
    jem_config_get_i64(w->config, "attack.refined", &refined);
    snprintf(what, sizeof what, "%s, %" PRId64 " steps, %" PRId64 " run%s%s", how, steps, runs,
             runs == 1 ? "" : "s", refined ? ", refined" : "");
    snprintf(title, sizeof title, "%s on %.200s", of, w->set.name);
    const plot_panel panel = {what, label_of(w->config), label, {{NULL, x, y, n}}, 1, 0, 1.02};
    return plot_lines(given.picture, title, &panel, 1);
}

/* ---- attack ---- */

static int attack_all(eval_work *w, const double *eps, int64_t count, int32_t *robust, float *moved)
{
    double accuracy[MOST_EPS];
    json out;
    for (int64_t e = 0; e < count; e++) {
        TRY(run_pieces(w, eps[e], robust, NULL, moved));
        accuracy[e] = share(robust, w->set.count);
    }
    eval_begin(&out, w);
    print_settings(&out, w->config);
    json_array(&out, "robust");
    for (int64_t e = 0; e < count; e++) {
        json_object(&out, NULL);
        out.compact = 1; /* an eps a line */
        json_number(&out, "eps", eps[e]);
        json_number(&out, "accuracy", accuracy[e]);
        json_close(&out, '}');
        out.compact = given.compact;
    }
    json_close(&out, ']');
    eval_end(&out);
    TRY(save_images(w, moved));
    return draw(w, "Robust accuracy", "robust accuracy", "gradient descent", eps, accuracy, count);
}

static int run_attack(eval_work *w)
{
    double eps[MOST_EPS];
    int64_t count;
    TRY(parse_eps(eps, &count, MOST_EPS));
    TRY(check_given(w));
    int32_t *robust = allocate(w->set.count, sizeof *robust);
    float *moved = allocate(w->set.count * w->image, sizeof *moved);
    int code = robust && moved ? attack_all(w, eps, count, robust, moved) : CODE_FAILED;
    free(robust);
    free(moved);
    return code;
}

/* ---- distance ---- */

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void print_distances(const eval_work *w, double eps, const float *sorted, int64_t found)
{
    double sum = 0;
    json out;
    for (int64_t i = 0; i < found; i++) sum += sorted[i];
    eval_begin(&out, w);
    print_settings(&out, w->config);
    json_number(&out, "eps", eps);
    json_integer(&out, "found", found);
    json_number(&out, "mean", found ? sum / (double)found : NAN);
    json_number(&out, "quartile", sorted[w->set.count / 4]); /* null: none found so near */
    json_number(&out, "median", sorted[w->set.count / 2]);
    json_number(&out, "third_quartile", sorted[w->set.count * 3 / 4]);
    eval_end(&out);
}

/* The share that holds at each distance: a step down at each image. */
static int draw_shares(const eval_work *w, double eps, const float *sorted, int64_t found)
{
    enum { POINTS = 100 }; /* curves of more are drawn smoothed */
    double x[POINTS], y[POINTS];
    for (int64_t p = 0, i = 0; p < POINTS; p++) {
        x[p] = eps * (double)p / (POINTS - 1);
        while (i < found && sorted[i] <= x[p]) i++;
        y[p] = 1 - (double)i / (double)w->set.count;
    }
    return draw(w, "Distances found", "images that hold", "search by bisection", x, y, POINTS);
}

static int search(eval_work *w, double eps, float *distances, float *moved)
{
    int64_t found = 0;
    TRY(run_pieces(w, eps, NULL, distances, moved));
    qsort(distances, (size_t)w->set.count, sizeof *distances, ascending);
    while (found < w->set.count && isfinite(distances[found])) found++;
    print_distances(w, eps, distances, found);
    TRY(save_images(w, moved));
    return draw_shares(w, eps, distances, found);
}

static int run_distance(eval_work *w)
{
    double eps;
    int64_t count;
    TRY(parse_eps(&eps, &count, 1));
    TRY(check_given(w));
    float *distances = allocate(w->set.count, sizeof *distances);
    float *moved = allocate(w->set.count * w->image, sizeof *moved);
    int code = distances && moved ? search(w, eps, distances, moved) : CODE_FAILED;
    free(distances);
    free(moved);
    return code;
}

int eval_attack(int argc, char **argv)
{
    return eval_run(&attack, argc, argv, run_attack);
}

int eval_distance(int argc, char **argv)
{
    return eval_run(&distance, argc, argv, run_distance);
}
