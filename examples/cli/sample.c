/* jem sample: Langevin chains, where they begin and where they end. */
#include "chains.h"
#include "draw.h"
#include <stdlib.h>
#include <string.h>

static struct {
    const char *model, *start, *start_from, *buffer, *data, *labels, *output, *strip;
    int64_t count, per_class, best, strip_rows;
    int as_trained, by_class, captions, compact;
    settings settings;
} given = {.count = -1, .per_class = -1, .best = -1, .strip_rows = -1};

static const option options[] = {
    {"model", OPTION_TEXT, 1, &given.model, "FILE", "the model, safetensors"},
    {"output", OPTION_TEXT, 1, &given.output, "FILE",
     "where the chains end: .npy, float32 [n,C,H,W], or a grid: .png, .pdf, .svg"},
    {"start", OPTION_TEXT, 0, &given.start, "X.npy", "where they start, float32 [n,C,H,W]"},
    {"start-from", OPTION_TEXT, 0, &given.start_from, "KIND",
     "without --start: uniform, noise in [-1,1], or gaussian, class Gaussians"},
    {"data", OPTION_TEXT, 0, &given.data, "SOURCE",
     "the data of the class Gaussians [those in the model]"},
    {"buffer", OPTION_TEXT, 0, &given.buffer, "FILE",
     "start from a replay buffer: random slots of a run's checkpoint, or of X.npy"},
    {"buffer-by-class", OPTION_FLAG, 0, &given.by_class, NULL,
     "X.npy has a block for each class, as a conditional run's: take those of the class"},
    {"labels", OPTION_TEXT, 0, &given.labels, "Y.npy",
     "int64 or int32 [n]: chains follow E(x,y) in place of E(x)"},
    {"count", OPTION_INTEGER, 0, &given.count, "N", "chains without --start and --labels [64]"},
    {"per-class", OPTION_INTEGER, 0, &given.per_class, "N",
     "N chains of each class, a class a row; chains follow E(x,y)"},
    {"best", OPTION_INTEGER, 0, &given.best, "N",
     "keep the N of largest log p(x), with --per-class of each class; says so"},
    {"strip", OPTION_TEXT, 0, &given.strip, "FILE",
     "a picture of the first chains from start to end: .png, .pdf, .svg"},
    {"strip-chains", OPTION_INTEGER, 0, &given.strip_rows, "N", "how many, up to 12 [10]"},
    {"captions", OPTION_FLAG, 0, &given.captions, NULL,
     "class names and a caption in a PNG, too; PDF and SVG have them"},
    {"as-trained", OPTION_FLAG, 0, &given.as_trained, NULL,
     "begin with the sampler settings that the model was trained with"},
    {"steps", OPTION_KEY, 0, "sampler.steps", "K", NULL},
    {"step-size", OPTION_KEY, 0, "sampler.step_size", "A", NULL},
    {"noise", OPTION_KEY, 0, "sampler.noise", "S", NULL},
    {"gradient-clamp", OPTION_KEY, 0, "sampler.gradient_clamp", "C", NULL},
    {"clamp", OPTION_KEY_FLAG, 0, "sampler.clamp", NULL, NULL},
    {"noise-after-clamp", OPTION_KEY_FLAG, 0, "sampler.noise_after_clamp", NULL, NULL},
    {"seed", OPTION_KEY, 0, "sampler.seed", "N", NULL},
    {"json", OPTION_FLAG, 0, &given.compact, NULL, "say what was done as JSON on one line"},
    {"threads", OPTION_KEY, 0, "context.threads", "N", NULL},
    {"precision", OPTION_KEY, 0, "model.precision", "NAME", NULL},
};

static const command self = {
    "sample",
    "Moves images by Langevin dynamics towards lower energy. A step is\n"
    "x <- box(x - step_size * clamp(dE/dx) + noise * normal).",
    "The same seed gives the same images whatever the number of threads. All chains are shown,\n"
    "in their order, unless --best asks for a selection: the caption, the text inside the\n"
    "picture file and the output then say so.",
    options,
    COUNT(options),
    &given.settings,
    "sampler dataset context !sampler.buffer !sampler.conditional !sampler.restart "
    "!sampler.start_rank !dataset.split"};

typedef struct work {
    jem_context *context;
    jem_model *model;
    jem_config *config;
    jem_sampler *sampler;
    jem_array *array;
    int32_t *y;
    float *x, *log_px;
    int64_t made, n, c, h, w, classes, steps; /* chains made, and kept */
    strip strip;
    char how[4400]; /* where the chains started, in words */
} work;

/* ---- Before anything is read ---- */

static int wrong(const char *name, const char *got, const char *expected)
{
    fail("--%s: got '%s', expected %s", name, got, expected);
    return CODE_USAGE;
}

/* Not given: 0 from here on. */
static int check_numbers(void)
{
    static const struct {
        const char *name;
        int64_t *value;
    } numbers[] = {{"count", &given.count},
                   {"per-class", &given.per_class},
                   {"best", &given.best},
                   {"strip-chains", &given.strip_rows}};
    for (int i = 0; i < COUNT(numbers); i++) {
        if (*numbers[i].value == 0) return wrong(numbers[i].name, "0", "1 or more");
        if (*numbers[i].value < 0) *numbers[i].value = 0;
    }
    if (given.strip_rows <= STRIP_ROWS) return 0;
    fail("--strip-chains: got %" PRId64 ", expected at most %d", given.strip_rows, STRIP_ROWS);
    return CODE_USAGE;
}

static int check_options(void)
{
    int kinds = (given.start != NULL) + (given.start_from != NULL) + (given.buffer != NULL);
    if (!has_suffix(given.output, ".npy") && !page_suffix(given.output))
        return wrong("output", given.output, "a name that ends in .npy, .png, .pdf or .svg");
    if (given.strip && !page_suffix(given.strip))
        return wrong("strip", given.strip, "a name that ends in .png, .pdf or .svg");
    if (given.captions && has_suffix(given.output, ".npy"))
        return options_exclude("--captions is for pictures: --output names a .npy file");
    if (given.strip_rows && !given.strip)
        return options_exclude("--strip-chains says how many chains --strip FILE shows");
    if (given.start_from && strcmp(given.start_from, "uniform") != 0 &&
        strcmp(given.start_from, "gaussian") != 0)
        return wrong("start-from", given.start_from,
                     "uniform or gaussian (--buffer FILE starts from a buffer)");
    if (kinds > 1) return options_exclude("--start, --start-from and --buffer exclude each other");
    if (given.by_class && !(given.buffer && has_suffix(given.buffer, ".npy")))
        return options_exclude(
            "--buffer-by-class is for --buffer X.npy; a checkpoint says how its slots lie");
    if (given.data && (given.start || given.buffer))
        return options_exclude("--data is for class Gaussians: it excludes --start and --buffer");
    if (given.data && given.start_from && strcmp(given.start_from, "gaussian") != 0)
        return options_exclude("--data is for class Gaussians: it excludes --start-from uniform");
    if (given.per_class && (given.start || given.labels || given.count))
        return options_exclude(
            "--per-class decides starts, labels and count: it excludes --start, --labels, --count");
    if (given.data) return 0;
    TRY(effect_none(&given.settings, "dataset.", "without --data"));
    return effect_none(&given.settings, "sampler.start_images", "without --data");
}

/* ---- Where chains begin ---- */

/* The option's kind of start, else the recipe's or the settings', else uniform. */
static int choose_start(work *k)
{
    const char *kind = given.start_from;
    char now[32];
    if (given.data) kind = "gaussian";
    if (given.start || given.buffer) kind = "uniform"; /* none is made */
    if (!kind) return 0;
    TRY(check(jem_config_get_str(k->config, "sampler.start", now, sizeof now)));
    if (strcmp(now, kind) != 0)
        TRY(effect_none(&given.settings, "sampler.start",
                        "beside --start, --start-from, --data and --buffer, which say otherwise"));
    return check(jem_config_set_str(k->config, "sampler.start", kind));
}

static int load(work *k)
{
    TRY(check_numbers());
    TRY(check_options());
    TRY(check(jem_config_create(&k->config)));
    TRY(settings_apply(&given.settings, k->config));
    if (given.data) TRY(images_check_resize(given.data, k->config));
    TRY(check(jem_context_create(&k->context, k->config)));
    TRY(model_open(&k->model, k->context, given.model, k->config));
    TRY(check(jem_model_info(k->model, &k->c, &k->h, &k->w, &k->classes, NULL)));
    if (given.as_trained) TRY(model_recipe(k->model, given.model, &given.settings, k->config));
    TRY(effect_check(&given.settings, k->config, EFFECT_CHAIN));
    /* Chains are the caller's here: the replay buffer stays empty. */
    TRY(check(jem_config_set_i64(k->config, "sampler.buffer", 1)));
    TRY(check(jem_config_set_i64(k->config, "sampler.conditional", 0)));
    TRY(choose_start(k));
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

/* Starts that the sampler makes. */
static int from_sampler(work *k)
{
    char kind[32];
    int64_t carried;
    images data = {0};
    TRY(check(jem_config_get_str(k->config, "sampler.start", kind, sizeof kind)));
    TRY(check(jem_model_starts_info(k->model, NULL, &carried, NULL)));
    if (strcmp(kind, "uniform") != 0 && !given.data && !carried)
        return fail("%s carries no class Gaussians: give --data SOURCE, or add them to it with jem "
                    "starts",
                    given.model);
    if (!strcmp(kind, "uniform"))
        snprintf(k->how, sizeof k->how, "uniform noise");
    else
        snprintf(k->how, sizeof k->how, "class Gaussians of %.4000s",
                 given.data ? given.data : "the model");
    if (given.data) {
        TRY(images_open(&data, k->context, given.data, k->config, "train", k->c, k->h, k->w));
        int code = check(jem_sampler_set_data(k->sampler, data.data));
        images_close(&data);
        TRY(code);
    }
    return check(
        jem_sampler_draw_starts(k->sampler, k->y, k->n, 0, k->x, k->n * k->c * k->h * k->w));
}

static int from_buffer(work *k)
{
    int64_t seed;
    TRY(check(jem_config_get_i64(k->config, "sampler.seed", &seed)));
    wanted want = {(uint64_t)seed, given.by_class, k->y, k->n, !given.count && !k->y};
    int code = buffer_starts(given.buffer, k->model, &want, k->x, k->how, sizeof k->how);
    k->n = want.n;
    return code;
}

static int is_sheet(void)
{
    return !has_suffix(given.output, ".npy") &&
           (!has_suffix(given.output, ".png") || given.captions || given.best);
}

static int64_t columns(void)
{
    return !given.per_class ? 0 : given.best ? given.best : given.per_class;
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
    if (!is_sheet() && !has_suffix(given.output, ".npy"))
        TRY(array_check_grid(given.output, k->n, columns(), k->h, k->w));
    k->x = allocate(k->n * image, sizeof *k->x);
    if (!k->x) return CODE_FAILED;
    if (!start) return given.buffer ? from_buffer(k) : from_sampler(k);
    snprintf(k->how, sizeof k->how, "%.4000s", given.start);
    memcpy(k->x, start, (size_t)(k->n * image) * sizeof *start);
    return 0;
}

/* ---- Selection ---- */

typedef struct ranked {
    float log_px;
    int64_t index;
} ranked;

static int descending(const void *a, const void *b)
{
    const ranked *p = a, *q = b;
    if (p->log_px != q->log_px) return p->log_px < q->log_px ? 1 : -1;
    return (p->index > q->index) - (p->index < q->index);
}

static int check_best(const work *k)
{
    int64_t of = given.per_class ? given.per_class : k->n;
    if (given.best <= of) return 0;
    fail("--best: got %" PRId64 ", expected at most the %" PRId64 " chains%s", given.best, of,
         given.per_class ? " of each class" : "");
    return CODE_USAGE;
}

static int rate(work *k)
{
    k->log_px = allocate(k->n, sizeof *k->log_px);
    if (!k->log_px) return CODE_FAILED;
    TRY(check(jem_model_energy(k->model, k->x, NULL, k->n, k->log_px)));
    for (int64_t i = 0; i < k->n; i++) k->log_px[i] = -k->log_px[i];
    return 0;
}

/* The best of each class, or of all, in the order of log p(x). */
static int keep_best(work *k)
{
    int64_t part = given.per_class ? given.per_class : k->n, image = k->c * k->h * k->w, kept = 0;
    ranked *order = allocate(part, sizeof *order);
    float *x = allocate(k->n / part * given.best * image, sizeof *x);
    int code = order && x ? 0 : CODE_FAILED;
    for (int64_t first = 0; !code && first < k->n; first += part) {
        for (int64_t i = 0; i < part; i++) order[i] = (ranked){k->log_px[first + i], first + i};
        qsort(order, (size_t)part, sizeof *order, descending);
        for (int64_t i = 0; i < given.best; i++, kept++) {
            memcpy(x + kept * image, k->x + order[i].index * image, (size_t)image * sizeof *x);
            k->log_px[kept] = order[i].log_px; /* a place that was read before */
        }
    }
    free(order);
    free(k->x);
    k->x = x;
    k->n = kept;
    return code;
}

/* ---- Where chains end ---- */

/* What was done, in a sentence that goes with every picture. */
static void describe(const work *k, const char *which, char *text, size_t capacity)
{
    double size = 0, noise = 0;
    int64_t seed = 0;
    const char *name = strrchr(given.model, '/');
    jem_config_get_f64(k->config, "sampler.step_size", &size);
    jem_config_get_f64(k->config, "sampler.noise", &noise);
    jem_config_get_i64(k->config, "sampler.seed", &seed);
    snprintf(text, capacity,
             "%s%" PRId64 " %schains of %" PRId64
             " steps (size %g, noise %g) from %s; seed %" PRId64 "; model %s",
             which, k->made, k->y ? "class-conditional " : "", k->steps, size, noise, k->how, seed,
             name ? name + 1 : given.model);
}

static void caption_of(const work *k, char *caption, size_t capacity)
{
    char which[96] = "";
    if (given.best)
        snprintf(which, sizeof which, "Selected: the %" PRId64 " of largest log p(x)%s of ",
                 given.best, given.per_class ? " of each class" : "");
    describe(k, which, caption, capacity);
}

/* Draws, or checks before there is anything to draw. */
static int with_sheet(const work *k, const char *caption, int (*use)(const char *, const sheet *))
{
    char(*names)[64] = NULL;
    if (given.per_class && !(names = allocate(k->classes, sizeof *names))) return CODE_FAILED;
    for (int64_t i = 0; names && i < k->classes; i++)
        jem_model_class_name(k->model, i, names[i], sizeof names[i]);
    const sheet s = {.title = "Samples",
                     .caption = caption,
                     .x = k->x,
                     .n = !given.best       ? k->n
                          : given.per_class ? given.best * k->classes
                                            : given.best,
                     .c = k->c,
                     .h = k->h,
                     .w = k->w,
                     .columns = columns(),
                     .row_names = names};
    int code = use(given.output, &s);
    free(names);
    return code;
}

/* Before minutes of chains. */
static int check_pictures(const work *k)
{
    char caption[9000];
    const char *path = !has_suffix(given.output, ".npy") ? given.output : given.strip;
    if (path && k->c != 1 && k->c != 3)
        return fail("%s: images have %" PRId64 " channels, a picture takes 1 or 3", path, k->c);
    if (!is_sheet()) return 0;
    caption_of(k, caption, sizeof caption);
    return with_sheet(k, caption, sheet_check);
}

static int save(const work *k, const char *caption)
{
    const int64_t shape[] = {k->n, k->c, k->h, k->w};
    if (has_suffix(given.output, ".npy")) return array_save(given.output, k->x, 4, shape);
    if (is_sheet()) return with_sheet(k, caption, sheet_draw);
    TRY(array_save_grid(given.output, k->x, k->n, columns(), k->c, k->h, k->w));
    return comment_write(given.output, given.output, caption);
}

/* Draws, or checks. */
static int with_strip(const work *k, const chains *c,
                      int (*use)(const strip *, const chains *, const jem_model *, const char *,
                                 const char *))
{
    char which[64], caption[9000];
    snprintf(which, sizeof which, "%s %" PRId64 " of ",
             k->y ? "The first chain of a class each:" : "The first", k->strip.rows);
    describe(k, which, caption, sizeof caption);
    return use(&k->strip, c, k->model, given.strip, caption);
}

static int tell(const work *k, const char *caption)
{
    double sum = 0;
    json out;
    if (!given.compact) {
        printf("%s\nWritten to %s%s%s\n", caption, given.output, given.strip ? " and " : "",
               given.strip ? given.strip : "");
        return 0;
    }
    for (int64_t i = 0; i < k->n; i++) sum += (double)k->log_px[i];
    json_open(&out, stdout, 1);
    json_object(&out, NULL);
    json_text(&out, "output", given.output);
    json_text(&out, "start", k->how);
    json_integer(&out, "chains", k->made);
    json_integer(&out, "steps", k->steps);
    json_integer(&out, "kept", k->n);
    json_text(&out, "selection", given.best ? "largest log p(x)" : "none");
    json_number(&out, "mean_log_px", sum / (double)k->n);
    json_text(&out, "description", caption);
    json_close(&out, '}');
    json_end(&out);
    return 0;
}

static int finish(work *k, const chains *c)
{
    char caption[9000];
    caption_of(k, caption, sizeof caption);
    if (given.strip) TRY(with_strip(k, c, strip_draw));
    if (given.best || given.compact) TRY(rate(k));
    if (given.best) TRY(keep_best(k));
    TRY(save(k, caption));
    return tell(k, caption);
}

static int run(work *k)
{
    TRY(load(k));
    TRY(begin(k));
    TRY(check_best(k));
    const chains c = {k->sampler, k->x, k->y, k->n, k->c, k->h, k->w, k->steps};
    k->made = k->n;
    TRY(check_pictures(k));
    if (given.strip) {
        TRY(strip_begin(&k->strip, &c, given.strip_rows ? given.strip_rows : 10));
        TRY(with_strip(k, &c, strip_check));
    }
    TRY(chains_walk(&c, given.strip ? &k->strip : NULL));
    return finish(k, &c);
}

int run_sample(int argc, char **argv)
{
    work k = {0};
    int code = options_parse(&self, argc, argv);
    if (code) return code < 0 ? 0 : code;
    code = run(&k);
    strip_end(&k.strip);
    free(k.x);
    free(k.y);
    free(k.log_px);
    jem_array_destroy(k.array);
    jem_sampler_destroy(k.sampler);
    jem_model_destroy(k.model);
    jem_context_destroy(k.context);
    jem_config_destroy(k.config);
    settings_clear(&given.settings);
    return code;
}
