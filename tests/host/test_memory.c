/* The memory that a run is said to take, against what it then takes: of the context no less
   and at most 2 % more, of the process within 15 %. Each case is a process of its own. */
#include "helpers.h"
#include <malloc.h>
#include <sys/wait.h>

typedef struct result {
    int64_t now, most;       /* as told before the run */
    int64_t peak;            /* of the context */
    int64_t before, process; /* of the process, in bytes: before the context, at the peak */
} result;

/* VmRSS and VmHWM, in kB. */
static int64_t of_process(const char *what)
{
    char line[200];
    long long kb = -1;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, what, strlen(what)) == 0) kb = atoll(line + strlen(what) + 1);
    if (f) fclose(f);
    return kb * 1024;
}

typedef struct trained {
    jem_context *context;
    jem_dataset *data;
    jem_model *model;
    jem_trainer *trainer;
} trained;

static trained begin(const char *settings, result *r)
{
    trained t;
    jem_config *config;
    OK(jem_config_create(&config));
    OK(jem_config_parse(config, "context.threads=2 dataset.size=32 dataset.channels=3 "
                                "dataset.limit=300 sampler.steps=1 trainer.iterations=2 "
                                "optimizer.rate=1e-5"));
    OK(jem_config_parse(config, settings));
    OK(jem_context_create(&t.context, config));
    OK(jem_dataset_open(&t.data, t.context, "glyphs:", config));
    OK(jem_model_create(&t.model, t.context, config));
    OK(jem_trainer_create(&t.trainer, t.model, t.data, config));
    OK(jem_trainer_memory(t.trainer, &r->now, &r->most));
    jem_config_destroy(config);
    return t;
}

static void end(trained *t)
{
    jem_trainer_destroy(t->trainer);
    jem_model_destroy(t->model);
    jem_dataset_destroy(t->data);
    jem_context_destroy(t->context);
}

/* oneDNN keeps the code that it makes for each shape, and its own is touched: not the run's. */
static void warm_up(const char *settings)
{
    result r;
    float x[3 * 32 * 32] = {0}, energy;
    trained t = begin(settings, &r);
    OK(jem_model_energy(t.model, x, NULL, 1, &energy));
    end(&t);
    malloc_trim(0);
}

static void run(const char *settings, result *r)
{
    int64_t again, held;
    r->before = of_process("VmRSS");
    trained t = begin(settings, r);
    OK(jem_trainer_run(t.trainer, NULL));
    r->process = of_process("VmHWM");
    OK(jem_context_memory(t.context, &held, &r->peak));
    OK(jem_trainer_memory(t.trainer, NULL, &again));
    ck_assert_int_le(held, again); /* what came and went once may be missing */
    ck_assert_int_le(again, r->most);
    end(&t);
}

static result measure(const char *settings)
{
    int ends[2], status;
    result r = {0};
    ck_assert_int_eq(pipe(ends), 0);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        warm_up(settings);
        run(settings, &r);
        _exit(write(ends[1], &r, sizeof r) == sizeof r ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(status == 0, "%s: status %x", settings, (unsigned)status);
    ck_assert_int_eq(read(ends[0], &r, sizeof r), sizeof r);
    close(ends[0]);
    close(ends[1]);
    return r;
}

/* told / measured within low..high. */
static void expect_close(const char *what, const char *settings, int64_t told, int64_t measured,
                         double low, double high)
{
    double ratio = (double)told / (double)measured;
    printf("%s: %s: told %.3f MB, measured %.3f MB\n", settings, what, (double)told / 1e6,
           (double)measured / 1e6);
    ck_assert_msg(ratio >= low && ratio <= high, "%s: %s: told %.9g MB, measured %.9g MB", settings,
                  what, (double)told / 1e6, (double)measured / 1e6);
}

static void expect_enough(const char *settings, const result *r)
{
    expect_close("context", settings, r->most, r->peak, 1, 1.02);
}

START_TEST(told_before_the_run)
{
    static const char *const cases[] = {
        "model.depth=10 loader.batch=16",
        "model.depth=10 loader.batch=64 sampler.buffer=500",
        "model.depth=10 loader.batch=24 model.norm=batch sampler.mode=training "
        "sampler.buffer=500",
        "model.depth=16 model.widen_factor=2 loader.batch=16 sampler.buffer=500",
        "model.depth=16 model.widen_factor=2 loader.batch=32 trainer.px_batch=8 "
        "optimizer.name=sgd trainer.pxy=1 trainer.validation=50 trainer.validate_every=1 "
        "sampler.buffer=500",
        "model.depth=16 model.widen_factor=4 loader.batch=8 trainer.ema=0.9 "
        "trainer.validation=250 trainer.validate_every=1 sampler.buffer=50",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        result r = measure(cases[i]);
        ck_assert_int_lt(r.now, r.most);
        expect_enough(cases[i], &r);
        if (!TEST_ASAN && !test_valgrind())
            expect_close("process", cases[i], r.most, r.process - r.before, 0.85, 1.15);
    }
}
END_TEST

/* What comes and goes, and what small batches leave out: of the context, told to the byte or
   a little more. */
START_TEST(told_of_small_runs)
{
    static const char *const cases[] = {
        "loader.batch=1 trainer.px_batch=1",
        "loader.batch=9 trainer.px_batch=3 trainer.px=0",
        "loader.batch=10 trainer.px_batch=3 trainer.pxy=1 optimizer.sam_rho=0.1",
        "loader.batch=10 model.norm=act trainer.px=0",
        "loader.batch=64 model.norm=act",
        "loader.batch=33 trainer.px_batch=7 trainer.pxy=1 model.norm=batch sampler.mode=training",
        "loader.batch=10 trainer.retries=2 trainer.snapshot_every=1",
        "loader.batch=10 trainer.validation=280 trainer.validate_every=1 dataset.limit=400",
        "loader.batch=10 sampler.start=gaussian sampler.restart=1 optimizer.head_only=1",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char settings[256];
        snprintf(settings, sizeof settings,
                 "dataset.size=8 model.height=8 model.width=8 model.depth=10 sampler.buffer=50 %s",
                 cases[i]);
        result r = measure(settings);
        expect_enough(settings, &r);
    }
}
END_TEST

/* More workers than slices: some slots are never touched, and so not resident. */
START_TEST(workers_without_work_are_told)
{
    const char *settings = "context.threads=7 model.depth=10 loader.batch=20 sampler.buffer=500";
    result r = measure(settings);
    expect_enough(settings, &r);
}
END_TEST

TESTS("memory", told_before_the_run, told_of_small_runs, workers_without_work_are_told)
