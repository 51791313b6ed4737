/* Hours of everything in one process, with flat memory: soak DIR MINUTES [SETTINGS]

   Trains a small network with averages, guards, augmentation and validation. After every CYCLE
   steps it saves, evaluates, attacks, samples, scores from threads, reloads the model, packs and
   reads data, opens damaged files, and lets another run diverge. Each minute a line of JSON tells
   the resident memory, as the median over the cycles of that minute; the piece fails when it grows
   by more than 2 % over the first minute that began after WARM cycles. (Single cycles differ by
   up to 3 %, by what malloc keeps: a leak moves the median.) The next piece goes on from DIR's
   checkpoint, and DIR/state sums up the time. SIGTERM and SIGINT end a piece early, as a
   success. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <jem.h>
#include <malloc.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    CYCLE = 20,
    SIDE = 12,
    IMAGE = SIDE * SIDE,
    CLASSES = 10,
    BATCH = 16,
    THREADS = 3,
    WARM = 24
};

static const double growth_limit = 1.02;
static const char *const settings =
    "context.threads=1 model.architecture=network model.network=\"convolution 0 a 8 3 1 1; "
    "norm 1 b batch; silu 2; dropout 3 0.1; convolution 4 c 16 3 2 1; norm 5 d batch; silu 6; "
    "mean 7\" model.channels=1 model.height=12 model.width=12 loader.batch=16 loader.crop=1 "
    "loader.flip=1 "
    "loader.noise=0.03 sampler.buffer=200 sampler.steps=3 sampler.start=gaussian "
    "sampler.conditional=1 sampler.mode=training sampler.clamp=1 sampler.gradient_clamp=1 "
    "optimizer.name=sgd optimizer.rate=0.02 optimizer.clip=1 optimizer.weight_decay=1e-3 "
    "trainer.iterations=1000000000 trainer.energy_penalty=0.1 trainer.ema=0.99 "
    "trainer.validation=100 trainer.validate_every=10 trainer.retries=1000 "
    "trainer.snapshot_every=20 trainer.guard_energy=1000 trainer.response_rate=1 "
    "trainer.response_penalty=0 trainer.keep=2 trainer.pxy=0.1 attack.steps=3 refine.copies=2";
/* Goes beyond its guard again and again, until it has no retry left. */
static const char *const diverging = " trainer.guard_energy=1e-6 trainer.retries=3 "
                                     "trainer.snapshot_every=1 trainer.validation=0";

static jem_context *context;
static jem_config *config;
static jem_dataset *data, *test;
static float images[BATCH * IMAGE], scratch[BATCH * IMAGE];
static int32_t labels[BATCH];
static volatile sig_atomic_t stopped;

#define OK(call) succeed((call), #call)

static void succeed(jem_status status, const char *call)
{
    char text[512];
    if (status == JEM_OK) return;
    jem_last_error(text, sizeof text);
    fprintf(stderr, "soak: %s: %s: %s\n", call, jem_status_name(status), text);
    exit(1);
}

static void must(int condition, const char *what)
{
    if (condition) return;
    fprintf(stderr, "soak: %s\n", what);
    exit(1);
}

static void stop(int number)
{
    stopped = number;
}

/* ---- Time and memory ---- */

static double seconds_of(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double resident(void) /* MiB */
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    must(f && fscanf(f, "%*s %ld", &pages) == 1, "no /proc/self/statm");
    fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}

typedef struct total {
    double seconds, cpu_seconds, growth; /* growth: the worst piece's */
    int64_t pieces, cycles;
} total;

static const char *const total_form =
    "{\"pieces\": %" PRId64 ", \"cycles\": %" PRId64 ", \"seconds\": %.1f, \"cpu_seconds\": %.1f, "
    "\"growth\": %.4f}\n";

static total read_total(const char *path)
{
    total t = {0};
    FILE *f = fopen(path, "r");
    if (!f) return t;
    must(fscanf(f,
                "{\"pieces\": %" SCNd64 ", \"cycles\": %" SCNd64
                ", \"seconds\": %lf, \"cpu_seconds\": %lf, \"growth\": %lf",
                &t.pieces, &t.cycles, &t.seconds, &t.cpu_seconds, &t.growth) == 5,
         "DIR/state: not a soak's state");
    fclose(f);
    return t;
}

static void write_total(const char *path, const total *t)
{
    char fresh[4200];
    snprintf(fresh, sizeof fresh, "%s.new", path);
    FILE *f = fopen(fresh, "w");
    must(f != NULL, "cannot write DIR/state");
    fprintf(f, total_form, t->pieces, t->cycles, t->seconds, t->cpu_seconds, t->growth);
    must(fclose(f) == 0 && rename(fresh, path) == 0, "cannot write DIR/state");
}

/* ---- What a cycle does ---- */

static void *score_images(void *user)
{
    jem_model *model = user;
    float energy[BATCH], gradient[BATCH * IMAGE];
    for (int i = 0; i < 3; i++) {
        OK(jem_model_energy(model, images, NULL, BATCH, energy));
        OK(jem_model_energy_gradient(model, images, labels, BATCH, energy, gradient));
    }
    return NULL;
}

static void score_from_threads(jem_model *model)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        must(!pthread_create(&threads[i], NULL, score_images, model), "no thread");
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
}

static jem_model *reload(const jem_model *model, const char *path)
{
    jem_model *again, *third;
    float a[BATCH * CLASSES], b[BATCH * CLASSES];
    int64_t size;
    OK(jem_model_save(model, path));
    OK(jem_model_load(&again, context, path));
    OK(jem_model_save_memory(again, NULL, 0, &size));
    void *bytes = malloc((size_t)size);
    must(bytes != NULL, "no memory");
    OK(jem_model_save_memory(again, bytes, size, &size));
    OK(jem_model_load_memory(&third, context, bytes, size));
    free(bytes);
    OK(jem_model_logits((jem_model *)model, images, BATCH, a, BATCH * CLASSES));
    OK(jem_model_logits(third, images, BATCH, b, BATCH * CLASSES));
    must(memcmp(a, b, sizeof a) == 0, "a loaded model gives other logits");
    jem_model_destroy(third);
    return again;
}

static double evaluate(jem_model *model)
{
    static float logits[200 * CLASSES];
    static int32_t truth[200];
    double accuracy, ece;
    float scores[BATCH];
    int32_t robust[BATCH], y[BATCH];
    OK(jem_eval_logits(model, test, logits, 200 * CLASSES, truth, 200));
    OK(jem_eval_accuracy(logits, truth, 200, CLASSES, &accuracy));
    OK(jem_eval_ece(logits, truth, 200, CLASSES, 20, &ece, NULL, NULL, NULL));
    OK(jem_eval_score(model, "refine_log_px", images, BATCH, 0, config, scores));
    OK(jem_eval_attack(model, images, labels, BATCH, 0, 0.1, config, robust, scratch));
    OK(jem_eval_refined_logits(model, images, BATCH, 0, config, logits, BATCH * CLASSES));
    jem_status status = jem_model_calibrate(model, test, config);
    if (status != JEM_ERROR_STATE) OK(status); /* in the beginning it is no better than chance */
    OK(jem_model_predict(model, images, BATCH, y, NULL, scores, robust));
    return accuracy;
}

static void sample(jem_model *model)
{
    jem_sampler *sampler;
    OK(jem_sampler_create(&sampler, model, config));
    OK(jem_sampler_set_data(sampler, data));
    for (int i = 0; i < 3; i++) OK(jem_sampler_draw(sampler, labels, BATCH, scratch, INT64_MAX));
    jem_sampler_destroy(sampler);
}

static void pack(const char *path)
{
    char source[4200];
    jem_dataset *packed;
    OK(jem_dataset_save(test, path));
    snprintf(source, sizeof source, "packed:%s", path);
    OK(jem_dataset_open(&packed, context, source, NULL));
    OK(jem_dataset_read(packed, 0, BATCH, images, INT64_MAX, labels));
    jem_dataset_destroy(packed);
}

/* The file, cut and with a flipped bit: refused. */
static void open_damaged(const char *path, const char *copy)
{
    FILE *f = fopen(path, "rb");
    jem_model *model;
    static uint8_t bytes[1 << 20];
    must(f != NULL, "no model file");
    size_t size = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    bytes[size / 2] ^= 1;
    must(jem_model_load_memory(&model, context, bytes, (int64_t)size) == JEM_ERROR_FORMAT,
         "a damaged model was loaded");
    f = fopen(copy, "wb");
    must(f && fwrite(bytes, 1, size / 2, f) == size / 2 && fclose(f) == 0, "cannot write");
    must(jem_model_load(&model, context, copy) == JEM_ERROR_FORMAT, "half a model was loaded");
}

/* A run of its own that is resumed from what it saved and then diverges for good. */
static void diverge(const char *path)
{
    jem_model *model;
    jem_trainer *trainer;
    jem_config *other;
    jem_status status;
    int64_t count;
    OK(jem_config_clone(&other, config));
    OK(jem_config_parse(other, diverging));
    OK(jem_model_create(&model, context, other));
    OK(jem_trainer_create(&trainer, model, data, other));
    OK(jem_trainer_save(trainer, path));
    OK(jem_trainer_resume(trainer, path));
    while ((status = jem_trainer_step(trainer)) == JEM_OK || status == JEM_ROLLED_BACK) continue;
    must(status == JEM_ERROR_DIVERGED, "a run that should diverge did not");
    OK(jem_trainer_rollbacks(trainer, &count, NULL, NULL));
    must(count == 3, "a run that should roll back thrice did not");
    jem_trainer_destroy(trainer);
    jem_model_destroy(model);
    jem_config_destroy(other);
}

/* ---- A piece ---- */

typedef struct soak {
    char checkpoint[4096], model[4096], copy[4096], packed[4096], other[4096], state[4096];
    jem_model *network;
    jem_trainer *trainer;
    double accuracy;
} soak;

static void make_trainer(soak *s)
{
    OK(jem_model_create(&s->network, context, config));
    OK(jem_trainer_create(&s->trainer, s->network, data, config));
}

static void begin(soak *s, const char *folder, const char *more)
{
    mkdir(folder, 0777);
    snprintf(s->checkpoint, sizeof s->checkpoint, "%s/checkpoint", folder);
    snprintf(s->model, sizeof s->model, "%s/model", folder);
    snprintf(s->copy, sizeof s->copy, "%s/half", folder);
    snprintf(s->packed, sizeof s->packed, "%s/packed", folder);
    snprintf(s->other, sizeof s->other, "%s/diverging", folder);
    snprintf(s->state, sizeof s->state, "%s/state", folder);
    OK(jem_config_create(&config));
    OK(jem_config_parse(config, settings));
    OK(jem_config_parse(config, more));
    OK(jem_context_create(&context, config));
    OK(jem_dataset_open(&data, context, "glyphs:size=12,limit=1000", NULL));
    OK(jem_dataset_open(&test, context, "glyphs:size=12,limit=200,split=test", NULL));
    OK(jem_dataset_read(test, 0, BATCH, images, INT64_MAX, labels));
    make_trainer(s);
    if (access(s->checkpoint, F_OK) == 0) OK(jem_trainer_resume(s->trainer, s->checkpoint));
}

static void end(soak *s)
{
    jem_trainer_destroy(s->trainer);
    jem_model_destroy(s->network);
    jem_dataset_destroy(data);
    jem_dataset_destroy(test);
    jem_context_destroy(context);
    jem_config_destroy(config);
}

static void cycle(soak *s, int64_t number)
{
    jem_model *average, *again, *best;
    jem_status status = JEM_OK;
    if (number % 4 == 3) { /* another trainer goes on in its place */
        jem_trainer_destroy(s->trainer);
        jem_model_destroy(s->network);
        make_trainer(s);
        OK(jem_trainer_resume(s->trainer, s->checkpoint));
    }
    for (int i = 0; i < CYCLE && status >= 0; i++) status = jem_trainer_step(s->trainer);
    if (status < 0) OK(status);
    OK(jem_trainer_save(s->trainer, s->checkpoint));
    OK(jem_trainer_ema_model(&average, s->trainer));
    again = reload(average, s->model);
    OK(jem_trainer_best_model(&best, s->trainer, NULL));
    jem_model_destroy(best);
    score_from_threads(again);
    s->accuracy = evaluate(again);
    sample(average);
    pack(s->packed);
    open_damaged(s->model, s->copy);
    diverge(s->other);
    jem_model_destroy(again);
    jem_model_destroy(average);
}

enum { FEWEST = 8, MOST = 4096 }; /* cycles of a report */

typedef struct watch {
    double active, last, next, every; /* seconds; active: without the time that it was stopped */
    double sizes[MOST], base, growth, peak; /* MiB, growth a ratio */
    int64_t count, reported;                /* sizes; cycles before them */
} watch;

/* After a cycle, always at the same place in it. */
static void measure(watch *w)
{
    enum { LONGEST = 60 }; /* seconds that a cycle can take */
    double size = resident(), now = seconds_of(CLOCK_MONOTONIC);
    w->active += fmin(now - w->last, LONGEST);
    w->last = now;
    w->peak = fmax(w->peak, size);
    if (w->count < MOST) w->sizes[w->count++] = size;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(watch *w)
{
    qsort(w->sizes, (size_t)w->count, sizeof *w->sizes, ascending);
    double m = w->sizes[w->count / 2];
    if (w->base == 0 && w->reported >= WARM) w->base = m;
    if (w->base > 0) w->growth = fmax(w->growth, m / w->base);
    w->reported += w->count;
    w->count = 0;
    return m;
}

static void report(soak *s, watch *w, const total *before, total *t)
{
    double size = median(w);
    int64_t bytes, step;
    OK(jem_trainer_progress(s->trainer, &step, NULL));
    OK(jem_context_memory(context, &bytes, NULL));
    t->growth = fmax(before->growth, w->growth);
    t->seconds = before->seconds + w->active;
    t->cpu_seconds = before->cpu_seconds + seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    write_total(s->state, t);
    printf("{\"seconds\": %.0f, \"step\": %" PRId64 ", \"cycles\": %" PRId64
           ", \"resident_mib\": %.2f, \"growth\": %.4f, \"peak_mib\": %.2f, \"context_mib\": %.2f, "
           "\"accuracy\": %.3f, \"total_seconds\": %.0f, \"total_cpu_seconds\": %.0f}\n",
           w->active, step, t->cycles, size, w->growth, w->peak, (double)bytes / (1 << 20),
           s->accuracy, t->seconds, t->cpu_seconds);
    fflush(stdout);
    must(w->growth <= growth_limit, "memory has grown by more than 2 %");
    w->next = w->active + w->every;
}

int main(int argc, char **argv)
{
    static soak s;
    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: soak DIR MINUTES [SETTINGS]\n");
        return 2;
    }
    double seconds = 60 * strtod(argv[2], NULL);
    /* Resident memory then tells what is held, and little of what malloc keeps for later: of 17 MiB
       that came and went by 3 %. */
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_MMAP_THRESHOLD, 1 << 16);
    mallopt(M_TRIM_THRESHOLD, 1 << 16);
    signal(SIGTERM, stop);
    signal(SIGINT, stop);
    begin(&s, argv[1], argc == 4 ? argv[3] : "");
    total before = read_total(s.state), t = before;
    static watch w = {.growth = 1};
    w.last = seconds_of(CLOCK_MONOTONIC);
    w.every = fmin(60, seconds / 20);
    t.pieces++;
    int64_t i = 0;
    for (; !stopped && w.active < seconds; i++, t.cycles++) {
        if (w.count >= FEWEST && w.active >= w.next) report(&s, &w, &before, &t);
        cycle(&s, i);
        measure(&w);
    }
    if (w.count) report(&s, &w, &before, &t);
    end(&s);
    must(w.base > 0 || stopped, "the piece was too short to grow warm");
    return 0;
}
