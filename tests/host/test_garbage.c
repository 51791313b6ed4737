/* What a garbage collector does: handles are destroyed in any order, on any thread, while others
   are in use, and inside callbacks, as far as the running call does not need them. */
#include "helpers.h"
#include <pthread.h>
#include <stdatomic.h>

enum { SIDE = 8, IMAGE = SIDE * SIDE, HANDLES = 11, ORDERS = 40 };

static _Atomic int64_t blocks;

static void *give(void *user, int64_t size, int64_t alignment)
{
    void *block = NULL;
    (void)user;
    if (posix_memalign(&block, (size_t)alignment, (size_t)size)) return NULL;
    blocks++;
    return block;
}

static void take(void *user, void *pointer, int64_t size)
{
    (void)user, (void)size;
    blocks--;
    free(pointer);
}

typedef struct world {
    jem_context *context;
    jem_config *config;
    jem_dataset *data, *subset;
    jem_model *model, *copy;
    jem_pass *pass;
    jem_loader *loader;
    jem_sampler *sampler, *theirs; /* the last one is the trainer's */
    jem_trainer *trainer;
} world;

static world make(const jem_log *log)
{
    const int64_t few[] = {3, 1, 2};
    const jem_allocator allocator = {sizeof allocator, NULL, give, take};
    world w = {0};
    OK(jem_config_create(&w.config));
    OK(jem_config_parse(w.config, "context.threads=2 model.channels=1 model.height=8 model.width=8 "
                                  "dataset.size=8 dataset.limit=30 loader.batch=3 sampler.steps=1 "
                                  "sampler.buffer=10 trainer.iterations=1000"));
    OK(jem_context_create_hosted(&w.context, w.config, &allocator, log));
    OK(jem_dataset_open(&w.data, w.context, "glyphs:", w.config));
    OK(jem_dataset_subset(&w.subset, w.data, few, 3));
    OK(jem_model_create(&w.model, w.context, w.config));
    OK(jem_model_clone(&w.copy, w.model));
    OK(jem_pass_create(&w.pass, w.copy, JEM_PASS_GRADIENT, 3));
    OK(jem_loader_create(&w.loader, w.subset, w.config));
    OK(jem_sampler_create(&w.sampler, w.model, w.config));
    OK(jem_trainer_create(&w.trainer, w.model, w.data, w.config));
    OK(jem_trainer_sampler(&w.theirs, w.trainer));
    return w;
}

/* ---- Any order ---- */

/* Destroys handle i; what is gone is NULL. */
static void destroy(world *w, int i)
{
#define GONE(number, noun, field)                                                                  \
    case number:                                                                                   \
        jem_##noun##_destroy(w->field);                                                            \
        w->field = NULL;                                                                           \
        break
    switch (i) {
        GONE(0, context, context);
        GONE(1, config, config);
        GONE(2, dataset, data);
        GONE(3, dataset, subset);
        GONE(4, model, model);
        GONE(5, model, copy);
        GONE(6, pass, pass);
        GONE(7, loader, loader);
        GONE(8, sampler, sampler);
        GONE(9, sampler, theirs);
        GONE(10, trainer, trainer);
    }
}

/* Whatever is left works. */
static void use(const world *w)
{
    float x[3 * IMAGE], logits[3 * 10];
    int32_t y[3];
    int64_t n;
    if (w->data) OK(jem_dataset_read(w->data, 0, 3, x, 3 * IMAGE, y));
    if (w->loader) OK(jem_loader_next(w->loader, x, 3 * IMAGE, y, 3, &n));
    if (w->sampler) OK(jem_sampler_draw(w->sampler, NULL, 3, x, 3 * IMAGE));
    if (w->trainer) OK(jem_trainer_step(w->trainer));
    if (w->theirs) OK(jem_sampler_buffer_get(w->theirs, 0, 3, x, 3 * IMAGE));
    memset(x, 0, sizeof x);
    if (w->model) OK(jem_model_logits(w->model, x, 3, logits, 30));
    if (w->pass) OK(jem_pass_forward(w->pass, x, 3, logits, 30));
    if (w->context) OK(jem_context_memory(w->context, &n, NULL));
}

typedef struct one {
    world *w;
    int i;
} one;

static void *destroy_there(void *user)
{
    const one *o = user;
    destroy(o->w, o->i);
    return NULL;
}

START_TEST(any_order)
{
    uint64_t state = 1;
    for (int order = 0; order < ORDERS; order++) {
        int left[HANDLES];
        world w = make(NULL);
        for (int i = 0; i < HANDLES; i++) left[i] = i;
        use(&w);
        for (int n = HANDLES; n > 0; n--) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            int at = (int)((state >> 33) % (uint64_t)n);
            one o = {&w, left[at]};
            pthread_t thread;
            left[at] = left[n - 1];
            if (order % 2) {
                ck_assert(!pthread_create(&thread, NULL, destroy_there, &o));
                pthread_join(thread, NULL);
            } else
                destroy_there(&o);
            if (order % 4 < 2 && n > HANDLES - 3) use(&w);
        }
        ck_assert_int_eq(blocks, 0);
    }
}
END_TEST

/* ---- While others are in use ---- */

/* A collector's thread: makes and destroys handles of the context that others compute on. */
static void *collect(void *user)
{
    world *w = user;
    for (int i = 0; i < 20; i++) {
        jem_model *model;
        jem_sampler *sampler;
        float x[3 * IMAGE];
        OK(jem_model_clone(&model, w->copy));
        OK(jem_sampler_create(&sampler, model, w->config));
        OK(jem_sampler_draw(sampler, NULL, 3, x, 3 * IMAGE));
        jem_model_destroy(model);
        jem_sampler_destroy(sampler);
    }
    return NULL;
}

START_TEST(beside_others)
{
    world w = make(NULL);
    pthread_t thread;
    ck_assert(!pthread_create(&thread, NULL, collect, &w));
    for (int i = 0; i < 20; i++) use(&w);
    pthread_join(thread, NULL);
    for (int i = 0; i < HANDLES; i++) destroy(&w, i);
    ck_assert_int_eq(blocks, 0);
}
END_TEST

/* ---- Inside callbacks: handles that the running call does not use ---- */

static world other;
static int32_t at_line;

static void collect_here(void)
{
    destroy(&other, 8);
    destroy(&other, 7);
    destroy(&other, 5);
    destroy(&other, 6);
    destroy(&other, 10);
    destroy(&other, 4);
    destroy(&other, 9);
    destroy(&other, 2);
    destroy(&other, 3);
}

static int32_t after_step(void *user, jem_trainer *trainer, int64_t step)
{
    (void)user, (void)trainer;
    if (step == 2) collect_here();
    return step == 4;
}

static void note(void *user, jem_log_level level, const char *text)
{
    (void)user, (void)level, (void)text;
    if (at_line) collect_here();
    at_line = 0;
}

static int32_t fetch(void *user, const int64_t *indices, int64_t n, void *pixels, int32_t *labels)
{
    (void)user;
    if (other.sampler) collect_here();
    for (int64_t i = 0; labels && i < n; i++) labels[i] = (int32_t)(indices[i] % 10);
    if (pixels) memset(pixels, 100, (size_t)(n * IMAGE));
    return 0;
}

START_TEST(inside_callbacks)
{
    const jem_log log = {sizeof log, NULL, JEM_LOG_DEBUG, note};
    const jem_trainer_callbacks callbacks = {.struct_size = sizeof callbacks, .step = after_step};
    const jem_dataset_callbacks source = {.struct_size = sizeof source, .read = fetch};
    for (int where = 0; where < 3; where++) {
        float x[3 * IMAGE], logits[30];
        world w = make(&log);
        jem_dataset *fetched;
        OK(jem_dataset_create_callbacks(&fetched, w.context, &source, JEM_TYPE_U8, 30, 1, SIDE,
                                        SIDE, 10));
        other = w; /* the same context, which the call's handles keep */
        OK(jem_model_clone(&w.model, other.model));
        OK(jem_trainer_create(&w.trainer, w.model, w.data, w.config));
        for (int i = 0; i < 3; i++)
            OK(jem_loader_next(other.loader, x, 3 * IMAGE, NULL, 0, &(int64_t){0}));
        if (where == 0) ck_assert_int_eq(jem_trainer_run(w.trainer, &callbacks), JEM_CANCELLED);
        if (where == 1) {
            at_line = 1;
            memset(x, 0, sizeof x);
            for (int n = 1; n < 4; n++) OK(jem_model_logits(w.model, x, n, logits, 30));
            ck_assert_int_eq(at_line, 0);
        }
        if (where == 2) OK(jem_dataset_read(fetched, 0, 3, x, 3 * IMAGE, NULL));
        ck_assert_ptr_null(other.sampler);
        OK(jem_trainer_step(w.trainer));
        jem_dataset_destroy(fetched);
        jem_trainer_destroy(w.trainer);
        jem_model_destroy(w.model);
        jem_context_destroy(w.context);
        jem_config_destroy(w.config);
        ck_assert_int_eq(blocks, 0);
    }
}
END_TEST

TESTS("garbage", any_order, beside_others, inside_callbacks)
