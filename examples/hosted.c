/* libjem as a guest: memory from the host and no more than it allows, log lines to the
   host, images fetched by the host when they are wanted, a run that is only begun if it
   fits, and that ends whole when time is up.

   usage: hosted [MEGABYTES [SECONDS]] */
#define _POSIX_C_SOURCE 200809L
#include <jem.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SIDE = 16, IMAGES = 600, CLASSES = 3 };

/* Every call returns a negative number when it fails: stop, with its reason. */
static void check(int64_t status)
{
    char text[512];
    if (status >= 0) return;
    jem_last_error(text, sizeof text);
    fprintf(stderr, "hosted: %s: %s\n", jem_status_name((jem_status)status), text);
    exit(1);
}

/* ---- Memory: called from any thread ---- */

typedef struct budget {
    _Atomic int64_t left;
} budget;

static void *give(void *user, int64_t size, int64_t alignment)
{
    budget *b = user;
    void *block = NULL;
    if (atomic_fetch_sub(&b->left, size) < size ||
        posix_memalign(&block, (size_t)alignment, (size_t)size)) {
        atomic_fetch_add(&b->left, size);
        return NULL;
    }
    return block;
}

static void take_back(void *user, void *pointer, int64_t size)
{
    budget *b = user;
    free(pointer);
    atomic_fetch_add(&b->left, size);
}

static void note(void *user, jem_log_level level, const char *text)
{
    (void)user;
    printf("log %d: %s\n", (int)level, text);
}

/* ---- Images that exist only when they are asked for: bars, by class, of some slant ---- */

static int32_t read_images(void *user, const int64_t *indices, int64_t n, void *pixels,
                           int32_t *labels)
{
    int64_t *served = user;
    for (int64_t i = 0; i < n; i++) {
        int64_t k = indices[i] % CLASSES, at = 3 + indices[i] / CLASSES % (SIDE - 6);
        uint8_t *p = (uint8_t *)pixels + i * SIDE * SIDE;
        if (labels) labels[i] = (int32_t)k;
        if (!pixels) continue;
        memset(p, 20, SIDE * SIDE);
        for (int64_t j = 2; j < SIDE - 2; j++) {
            int64_t row = k == 0 ? at : j, column = k == 1 ? at : k == 2 ? (j + at) % SIDE : j;
            p[row * SIDE + column] = 230;
        }
    }
    *served += n;
    return 0;
}

/* ---- Time ---- */

static jem_trainer *running;
static jem_sampler *drawing;

static void time_is_up(int number)
{
    (void)number;
    jem_trainer_cancel(running); /* atomic stores; NULL is fine */
    jem_sampler_cancel(drawing);
}

static void train(jem_trainer *trainer, int64_t left)
{
    int64_t now, peak, steps;
    check(jem_trainer_memory(trainer, &now, &peak));
    printf("the run will hold %.1f MB more, %.1f MB are left\n", (double)(peak - now) / 1e6,
           (double)left / 1e6);
    if (peak - now > left) {
        puts("not begun");
        exit(3);
    }
    running = trainer;
    jem_status status = jem_trainer_run(trainer, NULL);
    running = NULL;
    check(status);
    check(jem_trainer_progress(trainer, &steps, NULL));
    printf("%s; whole steps: %lld\n", status == JEM_CANCELLED ? "time is up" : "done",
           (long long)steps);
}

static void draw(jem_model *model, const jem_config *config)
{
    static float x[16 * SIDE * SIDE];
    check(jem_sampler_create(&drawing, model, config));
    alarm(1);
    jem_status status = jem_sampler_draw(drawing, NULL, 16, x, 16 * SIDE * SIDE);
    alarm(0);
    check(status);
    puts(status == JEM_CANCELLED ? "no samples in a second" : "16 samples");
    jem_sampler *done = drawing;
    drawing = NULL;
    jem_sampler_destroy(done);
}

int main(int argc, char **argv)
{
    static budget memory;
    int64_t served = 0, peak;
    struct sigaction action;
    jem_config *config;
    jem_context *context;
    jem_dataset *data;
    jem_model *model;
    jem_trainer *trainer;
    const jem_allocator allocator = {sizeof allocator, &memory, give, take_back};
    const jem_log log = {sizeof log, NULL, JEM_LOG_INFO, note};
    const jem_dataset_callbacks images = {
        .struct_size = sizeof images, .user = &served, .read = read_images};

    memory.left = (argc > 1 ? atoll(argv[1]) : 100) * 1000000;
    memset(&action, 0, sizeof action);
    action.sa_handler = time_is_up;
    sigaction(SIGALRM, &action, NULL);

    check(jem_config_create(&config));
    check(jem_config_parse(config, "model.channels=1 model.height=16 model.width=16 "
                                   "model.classes=3 loader.batch=32 sampler.steps=5 "
                                   "sampler.clamp=1 sampler.buffer=200 optimizer.rate=1e-3 "
                                   "trainer.iterations=100000"));
    check(jem_context_create_hosted(&context, config, &allocator, &log));
    check(jem_dataset_create_callbacks(&data, context, &images, JEM_TYPE_U8, IMAGES, 1, SIDE, SIDE,
                                       CLASSES));
    check(jem_model_create(&model, context, config));
    check(jem_trainer_create(&trainer, model, data, config));
    alarm((unsigned)(argc > 2 ? atoi(argv[2]) : 2));
    train(trainer, memory.left);
    alarm(0);
    draw(model, config);
    check(jem_context_memory(context, NULL, &peak));
    printf("held at most %.1f MB; %lld images were fetched\n", (double)peak / 1e6,
           (long long)served);

    jem_trainer_destroy(trainer);
    jem_model_destroy(model);
    jem_dataset_destroy(data);
    jem_context_destroy(context);
    jem_config_destroy(config);
    return 0;
}
