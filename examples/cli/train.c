/* jem train: from a data set to a model, with a log, pictures and checkpoints. */
#include "cli.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
    const char *data, *test, *ood, *preset, *init, *output;
    int resume, overwrite;
    int64_t log_every, sample_every;
    settings settings;
} given = {.log_every = 10, .sample_every = 500};

static saver saves = {.seconds = 60};

static const option options[] = {
    {"data", OPTION_TEXT, 1, &given.data, "SOURCE", "training data; its train split"},
    {"output", OPTION_TEXT, 1, &given.output, "DIR", "folder for everything that is written"},
    {"test", OPTION_TEXT, 0, &given.test, "SOURCE", "test data [test split of --data]"},
    {"ood", OPTION_TEXT, 0, &given.ood, "SOURCE", "unknown data for the final report"},
    {"preset", OPTION_TEXT, 0, &given.preset, "NAME",
     "recipe: jem, jempp, sadajem, cifar-small, glyphs, mnist"},
    {"init", OPTION_TEXT, 0, &given.init, "FILE",
     "begin with this model's network and weights, where they fit"},
    {"iterations", OPTION_KEY, 0, "trainer.iterations", "N", NULL},
    {"resume", OPTION_FLAG, 0, &given.resume, NULL,
     "continue the run in --output, with its settings"},
    {"overwrite", OPTION_FLAG, 0, &given.overwrite, NULL, "begin anew over a run in --output"},
    {"log-every", OPTION_INTEGER, 0, &given.log_every, "N", "steps between metrics [10]"},
    {"sample-every", OPTION_INTEGER, 0, &given.sample_every, "N",
     "steps between pictures of the replay buffer, 0: none [500]"},
    {"checkpoint-seconds", OPTION_NUMBER, 0, &saves.seconds, "S",
     "seconds between checkpoints, more where they would take over 2 % [60]"},
    {"checkpoint-steps", OPTION_INTEGER, 0, &saves.steps, "N",
     "steps between checkpoints, whatever they cost"},
    {"keep", OPTION_KEY, 0, "trainer.keep", "N", NULL},
    {"retries", OPTION_KEY, 0, "trainer.retries", "N", NULL},
    {"threads", OPTION_KEY, 0, "context.threads", "N", NULL},
    {"precision", OPTION_KEY, 0, "model.precision", "NAME", NULL},
};

static const command self = {
    "train",
    "Trains a joint energy model. Ctrl-C saves and stops; --resume goes on, bit for bit.",
    "SOURCE: glyphs (synthetic digits, no download), idx:DIR (MNIST's format), cifar:DIR,\n"
    "cifar100:DIR, svhn:DIR, png:DIR (a folder for each class), packed:FILE (see 'jem pack');\n"
    "options of generated sets follow, as in glyphs:size=32,channels=3.\n"
    "--ood also takes letters, noise, uniform, constant. Interpolations of the test images and\n"
    "uniform noise are always measured.",
    options,
    COUNT(options),
    &given.settings,
    "model loader sampler optimizer trainer dataset context !dataset.split !model.classes "
    "!model.channels !model.height !model.width"};

typedef struct run {
    jem_config *config;
    jem_context *context;
    images data;
    jem_model *model;
    jem_trainer *trainer;
    metrics log;
    char checkpoint[4200], from[4300]; /* paths: of checkpoints, of the one resumed from */
    int64_t step, iterations;
    int chains; /* whether it has any: a replay buffer that changes */
} run;

/* ---- Signals ---- */

static jem_trainer *running;
static volatile sig_atomic_t stopped;

static const int caught[] = {SIGHUP, SIGINT, SIGTERM};

/* A second one ends the program, for files are replaced only when whole; but a closing terminal
   sends SIGHUP twice. */
static void stop(int number)
{
    struct sigaction current;
    for (int i = 1; number != SIGHUP && i < COUNT(caught); i++)
        if (!sigaction(caught[i], NULL, &current) && current.sa_handler == stop)
            signal(caught[i], SIG_DFL);
    stopped = 1;
    jem_trainer_cancel(running);
}

/* What is ignored stays so: nohup has SIGHUP ignored, a shell SIGINT of what a script runs in its
   background. */
static void catch_signals(jem_trainer *trainer)
{
    struct sigaction action = {.sa_handler = trainer ? stop : SIG_DFL}, before;
    sigemptyset(&action.sa_mask); /* one after the other: the second meets what the first has set */
    for (int i = 0; i < COUNT(caught); i++) sigaddset(&action.sa_mask, caught[i]);
    if (trainer) running = trainer;
    for (int i = 0; i < COUNT(caught); i++)
        if (!sigaction(caught[i], NULL, &before) && before.sa_handler != SIG_IGN)
            sigaction(caught[i], &action, NULL);
}

/* ---- Setting up ---- */

/* What a run from the command line has by itself. */
static int set_defaults(jem_config *config)
{
    static const struct {
        const char *key;
        int64_t value;
    } defaults[] = {{"trainer.keep", 2}, {"trainer.retries", 3}};
    for (int i = 0; i < COUNT(defaults); i++) {
        int32_t set;
        TRY(check(jem_config_is_set(config, defaults[i].key, &set)));
        if (!set) TRY(check(jem_config_set_i64(config, defaults[i].key, defaults[i].value)));
    }
    return 0;
}

/* Settings of a fresh run, or of the checkpoint; then those of the command line. */
static int configure(run *r)
{
    int exists = saver_exists(r->checkpoint);
    int32_t seeded = 0;
    int64_t seed;
    if (given.resume && !exists) return fail("--resume: there is no %s", r->checkpoint);
    if (!given.resume && exists && !given.overwrite)
        return fail("%s holds a run: --resume continues it, --overwrite begins anew", given.output);
    if (given.resume) {
        TRY(saver_find(r->checkpoint, r->from, sizeof r->from, &r->config));
    } else {
        TRY(check(jem_config_create(&r->config)));
        if (given.preset && check(jem_config_preset(r->config, given.preset))) return CODE_USAGE;
    }
    TRY(settings_apply(&given.settings, r->config));
    TRY(set_defaults(r->config));
    TRY(check(jem_config_is_set(r->config, "model.seed", &seeded)));
    TRY(check(jem_config_get_i64(r->config, "trainer.seed", &seed)));
    return seeded ? 0 : check(jem_config_set_i64(r->config, "model.seed", seed));
}

/* The model to begin with, NULL without --init: a resumed run has its own weights. Its
   settings are those of the run, unless the user gave others. */
static int open_source(run *r, jem_model **source)
{
    if (!given.init || given.resume) return 0;
    TRY(check(jem_model_load(source, r->context, given.init)));
    return variants_settings(*source, r->config);
}

/* Only batch norm keeps running statistics; in a network, its text says so. */
static int check_momentum(const run *r)
{
    for (int64_t i = 0; i < jem_model_parameter_count(r->model); i++) {
        jem_parameter_kind kind = 0;
        TRY(check(jem_model_parameter_info(r->model, i, NULL, NULL, NULL, NULL, &kind)));
        if (kind == JEM_PARAMETER_STATISTIC) return 0;
    }
    return effect_none(&given.settings, "model.norm_momentum", "without batch norm");
}

static int make_model(run *r)
{
    int64_t classes;
    jem_model *source = NULL;
    TRY(open_source(r, &source));
    TRY(effect_check(&given.settings, r->config, given.resume ? EFFECT_RESUMED : EFFECT_FRESH));
    TRY(check(jem_dataset_info(r->data.data, NULL, NULL, NULL, NULL, &classes)));
    TRY(check(jem_config_set_i64(r->config, "model.classes", classes)));
    TRY(check(jem_config_set_i64(r->config, "model.channels", r->data.channels)));
    TRY(check(jem_config_set_i64(r->config, "model.height", r->data.height)));
    TRY(check(jem_config_set_i64(r->config, "model.width", r->data.width)));
    if (given.resume) TRY(saver_fits(r->from, r->config));
    TRY(check(jem_model_create(&r->model, r->context, r->config)));
    TRY(check_momentum(r));
    if (source) TRY(variants_begin(source, r->model));
    jem_model_destroy(source);
    TRY(model_tell_precision(r->model, r->config));
    return describe_run(r->model, r->config, &r->data, classes);
}

static void tell_start(const run *r)
{
    int64_t threads = 0, classes = 0, weights = 0, memory = 0;
    const char *precision = "";
    jem_trainer_memory(r->trainer, NULL, &memory);
    jem_context_threads(r->context, &threads);
    jem_model_precision(r->model, &precision);
    jem_model_info(r->model, NULL, NULL, NULL, &classes, NULL);
    for (int64_t i = 0; i < jem_model_parameter_count(r->model); i++) {
        int64_t elements = 0;
        jem_parameter_kind kind = 0;
        jem_model_parameter_info(r->model, i, NULL, NULL, NULL, &elements, &kind);
        if (kind == JEM_PARAMETER_TRAINABLE) weights += elements;
    }
    fprintf(stderr,
            "%s: %" PRId64 " images %" PRId64 "x%" PRId64 "x%" PRId64 ", %" PRId64
            " classes; %" PRId64 " parameters; %s; %" PRId64 " threads; %.*f MB; step %" PRId64
            " of %" PRId64 "\n",
            given.data, r->data.count, r->data.channels, r->data.height, r->data.width, classes,
            weights, precision, threads, memory < 10000000, (double)memory / 1e6, r->step,
            r->iterations);
}

/* What only the report at the end reads: a wrong name is told now. */
static int check_sets(const run *r)
{
    images test = {0}, ood = {0};
    const images *d = &r->data;
    int code = images_open(&test, r->context, given.test ? given.test : given.data, r->config,
                           "test", d->channels, d->height, d->width);
    if (!code) code = images_check_test(&test, d);
    if (!code && test.count < 2)
        code = fail("%s holds one test image, expected two or more: the report measures their "
                    "interpolations, too",
                    test.name);
    if (!code && given.ood)
        code = images_open_ood(&ood, r->context, given.ood, r->config, "test", &test);
    images_close(&ood);
    images_close(&test);
    return code;
}

static int set_up(run *r)
{
    double px, pxy;
    if (!given.log_every) given.log_every = 1;
    if (saves.seconds < 0) {
        fail("--checkpoint-seconds: got %g, expected seconds >= 0", saves.seconds);
        return CODE_USAGE;
    }
    if (given.resume && (given.preset || given.init || given.overwrite))
        return options_exclude(
            "--resume goes on with the run's settings and weights: it excludes --preset, "
            "--init and --overwrite");
    if (!given.test && !images_have_test(given.data))
        return fail("%s has no test images of its own: name some with --test", given.data);
    if (!given.resume || !access(given.output, F_OK)) {
        TRY(folder_make(given.output));
        TRY(folder_take(given.output));
    }
    join(r->checkpoint, sizeof r->checkpoint, given.output, "checkpoint.safetensors");
    TRY(configure(r));
    TRY(check(jem_context_create(&r->context, r->config)));
    TRY(images_open(&r->data, r->context, given.data, r->config, "train", 0, 0, 0));
    TRY(check_sets(r));
    TRY(make_model(r));
    TRY(check(jem_trainer_create(&r->trainer, r->model, r->data.data, r->config)));
    if (given.resume) TRY(check(jem_trainer_resume(r->trainer, r->from)));
    TRY(check(jem_trainer_progress(r->trainer, &r->step, &r->iterations)));
    saver_begin(&saves, given.output, r->trainer, r->config);
    TRY(check(jem_config_get_f64(r->config, "trainer.px", &px)));
    TRY(check(jem_config_get_f64(r->config, "trainer.pxy", &pxy)));
    r->chains = px > 0 || pxy > 0;
    tell_start(r);
    return 0;
}

/* ---- The run ---- */

/* A hundred chains, evenly over the buffer: with a class per block, a class a row. */
static int draw_buffer(const run *r)
{
    enum { SHOWN = 100 };
    jem_sampler *sampler;
    const images *d = &r->data;
    int64_t slots = 0, size = d->channels * d->height * d->width;
    char path[4200], name[64];
    if (!folder_is_own(given.output)) return fail("%s is not the run's folder now", given.output);
    TRY(check(jem_trainer_sampler(&sampler, r->trainer)));
    int code = check(jem_sampler_buffer_info(sampler, &slots));
    int64_t n = slots < SHOWN ? slots : SHOWN;
    float *x = allocate(n * size, sizeof *x);
    if (!x) code = CODE_FAILED;
    for (int64_t i = 0; !code && i < n; i++)
        code = check(jem_sampler_buffer_get(sampler, i * slots / n, 1, x + i * size, size));
    jem_sampler_destroy(sampler);
    snprintf(name, sizeof name, "samples-%06" PRId64 ".png", r->step);
    join_new(path, sizeof path, given.output, name);
    if (!code) code = array_save_grid(path, x, n, 10, d->channels, d->height, d->width);
    free(x);
    return code;
}

static void note_of(const run *r, char *text, size_t capacity)
{
    static const char *const shown[] = {"loss", "accuracy", "energy_data", "energy_sample"};
    static const char *const labels[] = {"loss", "acc", "E(data)", "E(samples)"};
    double values[64];
    size_t at = 0;
    *text = 0;
    if (jem_trainer_metrics(r->trainer, values, COUNT(values)) < 0) return;
    for (int64_t i = 0; i < jem_trainer_metric_count() && i < COUNT(values); i++)
        for (int j = 0; j < COUNT(shown) && at < capacity; j++)
            if (!strcmp(jem_trainer_metric_name(i), shown[j]))
                at += (size_t)snprintf(text + at, capacity - at, "%s%s %.3g", at ? "  " : "",
                                       labels[j], values[i]);
}

static int after_step(run *r, progress *bar)
{
    char note[256];
    TRY(check(jem_trainer_progress(r->trainer, &r->step, NULL)));
    int last = r->step == r->iterations;
    if (r->step % given.log_every == 0 || last) TRY(metrics_write(&r->log, r->trainer));
    if (r->chains && given.sample_every && r->step % given.sample_every == 0 && draw_buffer(r))
        warn("step %" PRId64 " has no picture; training goes on", r->step);
    if (!last) TRY(saver_step(&saves, r->step));
    note_of(r, note, sizeof note);
    progress_update(bar, r->step, note);
    return 0;
}

static int rolled_back(run *r)
{
    int64_t count, from, most;
    char reason[512];
    TRY(check(jem_trainer_progress(r->trainer, &r->step, NULL)));
    TRY(check(jem_trainer_rollbacks(r->trainer, &count, &from, NULL)));
    TRY(check(jem_trainer_rollback_reason(r->trainer, reason, sizeof reason)));
    TRY(check(jem_config_get_i64(r->config, "trainer.retries", &most)));
    warn("%s: back to step %" PRId64 ", roll-back %" PRId64 " of %" PRId64, reason, r->step, count,
         most);
    return metrics_rollback(&r->log, r->trainer);
}

static int interrupted(const run *r)
{
    fprintf(stderr,
            "jem: stopped at step %" PRId64 " of %" PRId64 " and saved; to continue: jem train "
            "--data %s%s%s%s%s --output %s --resume\n",
            r->step, r->iterations, given.data, given.test ? " --test " : "",
            given.test ? given.test : "", given.ood ? " --ood " : "", given.ood ? given.ood : "",
            given.output);
    return CODE_INTERRUPTED;
}

/* After JEM_ERROR_DIVERGED the trainer is that of the step before. */
static int diverged(run *r)
{
    char picture[4200], reason[ERROR_TEXT];
    int drawn;
    jem_last_error(reason, sizeof reason);
    join_new(picture, sizeof picture, given.output, "curves.png");
    TRY(saver_save(&saves));
    metrics_plot(r->log.path, picture, &drawn);
    return fail("%s; the state after step %" PRId64 " is kept in %s; a larger "
                "trainer.energy_penalty, a lower optimizer.rate or more sampler.steps may help",
                reason, r->step, r->checkpoint);
}

/* The state of the last complete step, which is kept if it can be. */
static int failed(run *r, jem_status status)
{
    int code = check(status);
    if (saver_save(&saves) == 0)
        fprintf(stderr, "jem: the state after step %" PRId64 " is kept; --resume goes on\n",
                r->step);
    return code;
}

static int going_on(jem_status status)
{
    return status == JEM_OK || status == JEM_ROLLED_BACK;
}

static int steps(run *r)
{
    progress bar;
    jem_status status = JEM_OK;
    int code = 0;
    TRY(saver_save(&saves)); /* now rather than in an hour: is there room? */
    saver_clear(&saves, given.overwrite);
    TRY(metrics_open(&r->log, given.output, r->trainer));
    catch_signals(r->trainer);
    progress_begin(&bar, "step", r->step, r->iterations);
    while (!code && !stopped && going_on(status = jem_trainer_step(r->trainer)))
        code = status == JEM_OK ? after_step(r, &bar) : rolled_back(r);
    progress_end(&bar);
    if (!code && status < 0) {
        code = status == JEM_ERROR_DIVERGED ? diverged(r) : failed(r, status);
    } else if (!code) {
        code = saver_save(&saves);
        if (!code) saver_tell(&saves);
    }
    catch_signals(NULL);
    return !code && (stopped || status == JEM_CANCELLED) ? interrupted(r) : code;
}

static int finish(run *r)
{
    char picture[4200];
    jem_model *copy;
    report_run report = {.context = r->context,
                         .model = r->model,
                         .trainer = r->trainer,
                         .config = r->config,
                         .folder = given.output,
                         .data = given.data,
                         .test = given.test ? given.test : given.data,
                         .ood = given.ood};
    join_new(picture, sizeof picture, given.output, "curves.png");
    if (!r->log.lost) TRY(metrics_plot(r->log.path, picture, &report.curves));
    TRY(variants_judged(&copy, &report.file, r->trainer, r->config));
    if (copy) report.model = copy;
    int code = report_write(&report);
    jem_model_destroy(copy);
    return code;
}

int run_train(int argc, char **argv)
{
    static run r;
    int code = options_parse(&self, argc, argv);
    if (code) return code < 0 ? 0 : code;
    /* A reader of our output that has gone, and a limit on the size of files, are errors of that
       write and no reason to lose the run. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    code = set_up(&r);
    if (!code) code = steps(&r);
    if (!code) code = finish(&r);
    int closed = code && r.log.lost ? 0 : metrics_close(&r.log);
    if (!code) code = closed;
    jem_trainer_destroy(r.trainer);
    jem_model_destroy(r.model);
    images_close(&r.data);
    jem_context_destroy(r.context);
    jem_config_destroy(r.config);
    settings_clear(&given.settings);
    return code;
}
