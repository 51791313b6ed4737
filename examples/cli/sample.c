/* jem sample: Langevin chains from given or uniform starts. */
#include "cli.h"
#include <stdlib.h>
#include <string.h>

static struct {
    const char *model, *start, *start_from, *labels, *output;
    int64_t count, per_class;
    int as_trained;
    settings settings;
} given;

static const option options[] = {
    {"model", OPTION_TEXT, 1, &given.model, "FILE", "the model, safetensors"},
    {"output", OPTION_TEXT, 1, &given.output, "FILE",
     "where the chains end: O.npy, float32 [n,C,H,W], or O.png, a grid"},
    {"start", OPTION_TEXT, 0, &given.start, "X.npy", "where they start, float32 [n,C,H,W]"},
    {"start-from", OPTION_TEXT, 0, &given.start_from, "uniform",
     "without --start: noise, uniform in [-1,1]"},
    {"labels", OPTION_TEXT, 0, &given.labels, "Y.npy",
     "int64 or int32 [n]: chains follow E(x,y) in place of E(x)"},
    {"count", OPTION_INTEGER, 0, &given.count, "N", "chains without --start and --labels [64]"},
    {"per-class", OPTION_INTEGER, 0, &given.per_class, "N",
     "N chains of each class, a class a row; chains follow E(x,y)"},
    {"as-trained", OPTION_FLAG, 0, &given.as_trained, NULL,
     "begin with the sampler settings that the model was trained with"},
    {"steps", OPTION_KEY, 0, "sampler.steps", "K", NULL},
    {"step-size", OPTION_KEY, 0, "sampler.step_size", "A", NULL},
    {"noise", OPTION_KEY, 0, "sampler.noise", "S", NULL},
    {"gradient-clamp", OPTION_KEY, 0, "sampler.gradient_clamp", "C", NULL},
    {"clamp", OPTION_KEY_FLAG, 0, "sampler.clamp", NULL, NULL},
    {"noise-after-clamp", OPTION_KEY_FLAG, 0, "sampler.noise_after_clamp", NULL, NULL},
    {"seed", OPTION_KEY, 0, "sampler.seed", "N", NULL},
    {"threads", OPTION_KEY, 0, "context.threads", "N", NULL},
    {"precision", OPTION_KEY, 0, "model.precision", "NAME", NULL},
};

static const command self = {"sample",
                             "Moves images by Langevin dynamics towards lower energy. A step is\n"
                             "x <- box(x - step_size * clamp(dE/dx) + noise * normal).",
                             "The same seed gives the same images whatever the number of threads.",
                             options,
                             COUNT(options),
                             &given.settings,
                             "sampler context"};

typedef struct work {
    jem_context *context;
    jem_model *model;
    jem_config *config;
    jem_sampler *sampler;
    jem_array *array;
    int32_t *y;
    float *x;
    int64_t n, c, h, w, classes, steps;
} work;

static int load(work *k)
{
    if (!has_suffix(given.output, ".npy") && !has_suffix(given.output, ".png")) {
        fail("--output: got '%s', expected a name that ends in .npy or .png", given.output);
        return CODE_USAGE;
    }
    if (given.start_from && strcmp(given.start_from, "uniform")) {
        fail("--start-from: got '%s', expected uniform", given.start_from);
        return CODE_USAGE;
    }
    TRY(check(jem_config_create(&k->config)));
    if (given.per_class && (given.start || given.labels || given.count)) {
        fail(
            "--per-class decides starts, labels and count: it excludes --start, --labels, --count");
        return CODE_USAGE;
    }
    TRY(settings_apply(&given.settings, k->config));
    TRY(check(jem_context_create(&k->context, k->config)));
    TRY(model_open(&k->model, k->context, given.model, k->config));
    TRY(check(jem_model_info(k->model, &k->c, &k->h, &k->w, &k->classes, NULL)));
    if (given.as_trained) TRY(model_recipe(k->model, given.model, &given.settings, k->config));
    /* Chains are the caller's here: the replay buffer stays empty. */
    TRY(check(jem_config_set_i64(k->config, "sampler.buffer", 1)));
    TRY(check(jem_config_set_i64(k->config, "sampler.conditional", 0)));
    TRY(check(jem_config_set_str(k->config, "sampler.start", "uniform")));
    TRY(check(jem_config_get_i64(k->config, "sampler.steps", &k->steps)));
    return check(jem_sampler_create(&k->sampler, k->model, k->config));
}

static int label_each_class(work *k)
{
    if (given.per_class > INT32_MAX / k->classes)
        return fail("--per-class: %" PRId64 " is too many", given.per_class);
    k->n = given.per_class * k->classes;
    k->y = allocate(k->n, sizeof *k->y);
    if (!k->y) return CODE_FAILED;
    for (int64_t i = 0; i < k->n; i++) k->y[i] = (int32_t)(i / given.per_class);
    return 0;
}

/* The chains' images, labels and number. */
static int begin(work *k)
{
    const float *start = NULL;
    int64_t image = k->c * k->h * k->w;
    k->n = given.count ? given.count : -1;
    if (given.start) {
        TRY(array_images(&k->array, given.start, k->model, &start, &k->n));
        if (given.count && given.count != k->n) {
            fail("--count is %" PRId64 ", but %s holds %" PRId64 " images", given.count,
                 given.start, k->n);
            return CODE_USAGE;
        }
    }
    if (given.per_class) TRY(label_each_class(k));
    if (given.labels) TRY(array_labels(given.labels, k->model, &k->n, &k->y));
    if (k->n < 0) k->n = 64;
    if (k->n == 0) return fail("there are no images to start from");
    if (k->n > INT64_MAX / image / 8) return fail("--count: %" PRId64 " is too many", k->n);
    k->x = allocate(k->n * image, sizeof *k->x);
    if (!k->x) return CODE_FAILED;
    if (start)
        memcpy(k->x, start, (size_t)(k->n * image) * sizeof *start);
    else
        TRY(check(jem_sampler_start(k->sampler, NULL, 0, k->n, k->x)));
    return 0;
}

/* In a few calls, for the bar; what a step does depends on its number alone. */
static int walk(work *k)
{
    int64_t part = k->steps / 100 + 1;
    progress bar;
    progress_begin(&bar, "steps", 0, k->steps);
    for (int64_t i = 0; i < k->steps; i += part) {
        int64_t steps = k->steps - i < part ? k->steps - i : part;
        TRY(check(jem_sampler_step(k->sampler, k->x, k->y, k->n, 0, i, steps)));
        progress_update(&bar, i + steps, NULL);
    }
    progress_end(&bar);
    return 0;
}

static int save(const work *k)
{
    const int64_t shape[] = {k->n, k->c, k->h, k->w};
    if (has_suffix(given.output, ".npy")) return array_save(given.output, k->x, 4, shape);
    return array_save_grid(given.output, k->x, k->n, given.per_class, k->c, k->h, k->w);
}

int run_sample(int argc, char **argv)
{
    work k = {0};
    int code = options_parse(&self, argc, argv);
    if (code) return code < 0 ? 0 : code;
    code = load(&k);
    if (!code) code = begin(&k);
    if (!code) code = walk(&k);
    if (!code) code = save(&k);
    free(k.x);
    free(k.y);
    jem_array_destroy(k.array);
    jem_sampler_destroy(k.sampler);
    jem_model_destroy(k.model);
    jem_context_destroy(k.context);
    jem_config_destroy(k.config);
    settings_clear(&given.settings);
    return code;
}
