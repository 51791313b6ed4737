/* A host's allocator gets all memory of what is made from a context, and all of it back. */
#include "base/memory.h"
#include "helpers.h"
#include <pthread.h>

/* Keeps count; gives none from the fail'th call on (-1: always gives). */
typedef struct counter {
    pthread_mutex_t lock;
    int64_t bytes, blocks, calls, fail, bad;
} counter;

static void *give(void *user, int64_t size, int64_t alignment)
{
    counter *c = user;
    void *block = NULL;
    pthread_mutex_lock(&c->lock);
    c->bad += size < 1 || alignment < 1 || alignment > 64;
    int32_t none = c->fail >= 0 && c->calls >= c->fail;
    c->calls++;
    if (!none && posix_memalign(&block, (size_t)alignment, (size_t)size) == 0) {
        c->bytes += size;
        c->blocks++;
    }
    pthread_mutex_unlock(&c->lock);
    return block;
}

static void take(void *user, void *pointer, int64_t size)
{
    counter *c = user;
    pthread_mutex_lock(&c->lock);
    c->bytes -= size;
    c->blocks--;
    pthread_mutex_unlock(&c->lock);
    free(pointer);
}

#define COUNTER                                                                                    \
    {                                                                                              \
        .lock = PTHREAD_MUTEX_INITIALIZER, .fail = -1                                              \
    }

static jem_config *settings(void)
{
    jem_config *config;
    OK(jem_config_create(&config));
    OK(jem_config_parse(config, "context.threads=2 model.channels=1 model.height=12 model.width=12 "
                                "dataset.size=12 loader.batch=6 sampler.buffer=20 sampler.steps=2 "
                                "trainer.iterations=2"));
    return config;
}

static jem_context *hosted(const jem_config *config, counter *c)
{
    jem_allocator table = {sizeof table, c, give, take};
    jem_context *context;
    OK(jem_context_create_hosted(&context, config, &table, NULL));
    return context;
}

/* Everything a program does with a model; the first failure. Handles go in no order. */
static jem_status use(jem_context *context, const jem_config *config)
{
    jem_dataset *data = NULL;
    jem_model *model = NULL, *copy = NULL;
    jem_trainer *trainer = NULL;
    float x[144] = {0}, logits[10], dx[144];
    jem_status status = jem_model_create(&model, context, config);
    if (!status) status = jem_model_logits(model, x, 1, logits, 10);
    if (!status) status = jem_model_energy_gradient(model, x, NULL, 1, NULL, dx);
    if (!status) status = jem_dataset_open(&data, context, "glyphs:limit=200", config);
    if (!status) status = jem_trainer_create(&trainer, model, data, config);
    if (!status) status = jem_trainer_run(trainer, NULL);
    if (!status) status = jem_model_clone(&copy, model);
    jem_model_destroy(model);
    jem_dataset_destroy(data);
    jem_trainer_destroy(trainer);
    jem_model_destroy(copy);
    return status;
}

START_TEST(all_of_it)
{
    counter c = COUNTER;
    jem_config *config = settings();
    int64_t before, after, bytes, peak;
    jem__heap_count(NULL, &before, NULL);
    jem_context *context = hosted(config, &c);
    jem__heap_count(NULL, &after, NULL);
    int64_t own = after - before; /* the context itself */
    ck_assert_int_lt(own, 1024);
    OK(use(context, config));
    jem__heap_count(NULL, &after, NULL);
    ck_assert_int_eq(after - before, own);
    ck_assert_int_gt(c.calls, 100);
    OK(jem_context_memory(context, &bytes, &peak));
    ck_assert_int_eq(bytes, c.bytes);
    ck_assert_int_gt(peak, 100000);
    jem_context_destroy(context);
    ck_assert_int_eq(c.bytes, 0);
    ck_assert_int_eq(c.blocks, 0);
    ck_assert_int_eq(c.bad, 0);
    jem_config_destroy(config);
}
END_TEST

/* The last handle frees the heap, whichever it is. */
START_TEST(context_first)
{
    counter c = COUNTER;
    jem_config *config = settings();
    jem_context *context = hosted(config, &c);
    jem_model *model;
    jem_sampler *sampler;
    float x[144];
    OK(jem_model_create(&model, context, config));
    OK(jem_sampler_create(&sampler, model, config));
    jem_context_destroy(context);
    jem_model_destroy(model);
    jem_config_destroy(config);
    OK(jem_sampler_draw(sampler, NULL, 1, x, INT64_MAX));
    ck_assert_int_gt(c.blocks, 0);
    jem_sampler_destroy(sampler);
    ck_assert_int_eq(c.blocks, 0);
    ck_assert_int_eq(c.bytes, 0);
}
END_TEST

START_TEST(no_memory)
{
    jem_config *config = settings();
    counter all = COUNTER;
    jem_context *context = hosted(config, &all);
    OK(use(context, config));
    jem_context_destroy(context);
    for (int64_t at = 0; at < all.calls; at += at < 12 ? 1 : all.calls / 20) {
        counter c = COUNTER;
        c.fail = at;
        jem_allocator table = {sizeof table, &c, give, take};
        jem_status status = jem_context_create_hosted(&context, config, &table, NULL);
        if (status)
            ck_assert_ptr_null(context);
        else
            status = use(context, config);
        char text[200];
        jem_last_error(text, sizeof text);
        ck_assert_msg(status == JEM_ERROR_MEMORY, "allocation %d: %s", (int)at, text);
        ck_assert_msg(strstr(text, "memory") != NULL, "%s", text);
        jem_context_destroy(context);
        ck_assert_int_eq(c.blocks, 0);
    }
    jem_config_destroy(config);
}
END_TEST

static void *crooked(void *user, int64_t size, int64_t alignment)
{
    char *block = give(user, size + 1, alignment);
    return block ? block + 1 : NULL;
}

static void straight(void *user, void *pointer, int64_t size)
{
    take(user, (char *)pointer - 1, size + 1);
}

START_TEST(tables)
{
    counter c = COUNTER;
    jem_context *context = (jem_context *)&c;
    jem_allocator table = {sizeof table - 1, &c, give, take};
    FAILS(JEM_ERROR_ARGUMENT, jem_context_create_hosted(&context, NULL, &table, NULL),
          "struct_size is 31, expected at least 32");
    ck_assert_ptr_null(context);
    table.struct_size = sizeof table;
    table.release = NULL;
    FAILS(JEM_ERROR_ARGUMENT, jem_context_create_hosted(&context, NULL, &table, NULL),
          "release is NULL");
    table.release = straight;
    table.allocate = crooked;
    FAILS(JEM_ERROR_MEMORY, jem_context_create_hosted(&context, NULL, &table, NULL), "memory");
    ck_assert_int_eq(c.blocks, 0);
    jem_log log = {0};
    FAILS(JEM_ERROR_ARGUMENT, jem_context_create_hosted(&context, NULL, NULL, &log),
          "log->struct_size is 0");
    log.struct_size = sizeof log;
    FAILS(JEM_ERROR_ARGUMENT, jem_context_create_hosted(&context, NULL, NULL, &log),
          "log->write is NULL");
}
END_TEST

TESTS("allocator", all_of_it, context_first, no_memory, tables)
