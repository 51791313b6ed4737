/* Batches in a random order that is addressed by (seed, stream, epoch). */
#define _GNU_SOURCE
#include "base/config.h"
#include "base/memory.h"
#include "base/status.h"
#include "data/dataset.h"
#include "data/transform.h"
#include <inttypes.h>
#include <jem/loader.h>
#include <pthread.h>
#include <signal.h>

#define MOST_POSITION ((int64_t)1 << 40)

/* Images are numbered over all epochs: number / n is the epoch, number % n the
   place in its order. Batch i is numbers i*batch .. i*batch + batch-1. */
struct jem_loader {
    jem_dataset *dataset;
    int64_t batch, position;
    int32_t shuffle, repeat;
    uint64_t seed, stream;
    jem__augmentation augmentation;

    /* Used by whoever prepares: the prefetch thread, or the caller without one. */
    int32_t *order; /* of the epoch; NULL without shuffle */
    int64_t epoch;  /* -1: none yet */
    int64_t *at;    /* [batch] images */
    float *spare;   /* one image */

    /* Shared with the prefetch thread, under lock. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    int32_t running, stop; /* running: there is a thread */
    int64_t asked, ready;  /* batches; -1: none */
    jem_status status;     /* of the ready batch, with its text */
    char reason[512];
    float *x;
    int32_t *y;
};

/* Images in batch i; 0 past the end. */
static int64_t batch_count(const jem_loader *l, int64_t i)
{
    if (l->repeat) return l->batch;
    int64_t left = l->dataset->n - i * l->batch;
    return left <= 0 ? 0 : left < l->batch ? left : l->batch;
}

static int64_t image_of(jem_loader *l, int64_t number)
{
    int64_t n = l->dataset->n, epoch = number / n;
    if (!l->shuffle) return number % n;
    if (l->epoch != epoch) {
        jem__random random;
        jem__random_at(&random, l->seed, JEM__RANDOM_SHUFFLE, l->stream, (uint64_t)epoch, 0);
        jem__shuffle(&random, l->order, n);
        l->epoch = epoch;
    }
    return l->order[number % n];
}

/* Either of x and y may be NULL. */
static jem_status prepare(jem_loader *l, int64_t position, float *x, int32_t *y)
{
    const jem__store *s = l->dataset->store;
    int64_t image = s->c * s->h * s->w, n = batch_count(l, position), first = position * l->batch;
    for (int64_t i = 0; i < n; i++) l->at[i] = image_of(l, first + i);
    JEM__TRY(jem__dataset_images(l->dataset, l->at, n, x, y));
    for (int64_t i = 0; x && i < n; i++)
        jem__augment(&l->augmentation, l->seed, l->stream, (uint64_t)(first + i), s->c, s->h, s->w,
                     x + i * image, l->spare);
    return JEM_OK;
}

/* ---- The prefetch thread: prepares what is asked for ---- */

static void *prefetch(void *user)
{
    jem_loader *l = user;
    pthread_mutex_lock(&l->lock);
    while (!l->stop) {
        if (l->asked == l->ready) {
            pthread_cond_wait(&l->changed, &l->lock);
            continue;
        }
        int64_t asked = l->asked;
        l->ready = -1;
        pthread_mutex_unlock(&l->lock);
        jem__scope scope = jem__enter(l->dataset->context);
        jem_status status = prepare(l, asked, l->x, l->y);
        jem__restore(scope);
        pthread_mutex_lock(&l->lock);
        l->status = status;
        if (status) jem_last_error(l->reason, sizeof l->reason);
        l->ready = asked;
        pthread_cond_signal(&l->changed);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

/* Without a thread the loader works all the same, so a failure is not an error. */
static void start_thread(jem_loader *l)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    l->running = pthread_create(&l->thread, NULL, prefetch, l) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!l->running) jem__log(JEM_LOG_WARNING, "loader: no thread to prefetch with");
}

/* Copies batch `position` once it is ready, and asks for the one after it. One that failed is
   told once, then asked for again. */
static jem_status fetch(jem_loader *l, int64_t n, float *x, int32_t *y)
{
    jem_status status;
    const jem__store *s = l->dataset->store;
    int64_t values = n * s->c * s->h * s->w;
    pthread_mutex_lock(&l->lock);
    if (l->asked != l->position) {
        l->asked = l->position;
        pthread_cond_signal(&l->changed);
    }
    while (l->ready != l->position) pthread_cond_wait(&l->changed, &l->lock);
    if ((status = l->status)) {
        jem__fail(status, "%s", l->reason);
        l->asked = l->ready = -1;
    }
    for (int64_t i = 0; !status && x && i < values; i++) x[i] = l->x[i];
    for (int64_t i = 0; !status && y && i < n; i++) y[i] = l->y[i];
    if (!status && batch_count(l, l->position + 1) > 0) {
        l->asked = l->position + 1;
        pthread_cond_signal(&l->changed);
    }
    pthread_mutex_unlock(&l->lock);
    return status;
}

/* ---- Public ---- */

static jem_status read_config(jem_loader *l, const jem_config *config)
{
    const jem__store *s = l->dataset->store;
    l->batch = jem__config_i64(config, "loader.batch");
    l->shuffle = jem__config_i64(config, "loader.shuffle") != 0;
    l->repeat = jem__config_i64(config, "loader.repeat") != 0;
    l->seed = (uint64_t)jem__config_i64(config, "loader.seed");
    l->stream = (uint64_t)jem__config_i64(config, "loader.stream");
    l->augmentation.crop = jem__config_i64(config, "loader.crop");
    l->augmentation.flip = jem__config_i64(config, "loader.flip") != 0;
    l->augmentation.noise = (float)jem__config_f64(config, "loader.noise");
    if (l->augmentation.crop >= s->h || l->augmentation.crop >= s->w)
        return jem__fail(JEM_ERROR_CONFIG,
                         "jem_loader_create: loader.crop is %" PRId64 ", images are %" PRId64
                         "x%" PRId64 ", reflection needs more pixels than that",
                         l->augmentation.crop, s->h, s->w);
    return JEM_OK;
}

static jem_status allocate(jem_loader *l, int32_t prefetching)
{
    const jem__store *s = l->dataset->store;
    int64_t image = s->c * s->h * s->w;
    if (l->shuffle) JEM__TRY(jem__alloc(&l->order, l->dataset->n, sizeof *l->order));
    JEM__TRY(jem__alloc(&l->at, l->batch, sizeof *l->at));
    JEM__TRY(jem__alloc(&l->spare, image, sizeof *l->spare));
    if (!prefetching) return JEM_OK;
    JEM__TRY(jem__alloc(&l->x, l->batch, image * (int64_t)sizeof *l->x));
    return jem__alloc(&l->y, l->batch, sizeof *l->y);
}

jem_status jem_loader_create(jem_loader **loader, jem_dataset *dataset, const jem_config *config)
{
    jem_loader *l;
    JEM__REQUIRE(loader, "jem_loader_create");
    *loader = NULL;
    JEM__REQUIRE(dataset, "jem_loader_create");
    JEM__ENTER(dataset->context, "jem_loader_create");
    if (dataset->n == 0) return jem__fail(JEM_ERROR_STATE, "jem_loader_create: dataset is empty");
    JEM__TRY(jem__calloc(&l, 1, sizeof *l));
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->changed, NULL);
    l->dataset = jem__dataset_take(dataset);
    l->epoch = l->asked = l->ready = -1;
    int32_t prefetching =
        jem__config_i64(config, "loader.prefetch") != 0 && !jem__dataset_is_host(dataset);
    jem_status status = read_config(l, config);
    if (!status) status = allocate(l, prefetching);
    if (status) {
        jem_loader_destroy(l);
        return status;
    }
    if (prefetching) start_thread(l);
    *loader = l;
    return JEM_OK;
}

static void end_thread(jem_loader *l)
{
    if (l->running) {
        pthread_mutex_lock(&l->lock);
        l->stop = 1;
        pthread_cond_signal(&l->changed);
        pthread_mutex_unlock(&l->lock);
        pthread_join(l->thread, NULL);
    }
    pthread_mutex_destroy(&l->lock);
    pthread_cond_destroy(&l->changed);
}

void jem_loader_destroy(jem_loader *loader)
{
    if (!loader) return;
    if (!jem__context_forked(loader->dataset->context)) end_thread(loader);
    jem_dataset_destroy(loader->dataset);
    jem__free(loader->order);
    jem__free(loader->at);
    jem__free(loader->spare);
    jem__free(loader->x);
    jem__free(loader->y);
    jem__free(loader);
}

jem_status jem_loader_next(jem_loader *loader, float *x, int64_t x_capacity, int32_t *y,
                           int64_t y_capacity, int64_t *n)
{
    JEM__REQUIRE(n, "jem_loader_next");
    *n = 0;
    JEM__REQUIRE(loader, "jem_loader_next");
    JEM__ENTER(loader->dataset->context, "jem_loader_next");
    if (loader->position > MOST_POSITION)
        return jem__fail(JEM_ERROR_STATE, "jem_loader_next: no batch after %" PRId64,
                         MOST_POSITION);
    int64_t count = batch_count(loader, loader->position);
    if (count == 0) return JEM_END;
    const jem__store *store = loader->dataset->store;
    if (x)
        JEM__TRY(jem__check_capacity("jem_loader_next", "x", x_capacity, count,
                                     store->c * store->h * store->w));
    if (y) JEM__TRY(jem__check_capacity("jem_loader_next", "y", y_capacity, count, 1));
    JEM__TRY(loader->running ? fetch(loader, count, x, y)
                             : prepare(loader, loader->position, x, y));
    loader->position++;
    *n = count;
    return JEM_OK;
}

jem_status jem_loader_tell(const jem_loader *loader, int64_t *position)
{
    JEM__REQUIRE(loader, "jem_loader_tell");
    JEM__REQUIRE(position, "jem_loader_tell");
    *position = loader->position;
    return JEM_OK;
}

jem_status jem_loader_seek(jem_loader *loader, int64_t position)
{
    JEM__REQUIRE(loader, "jem_loader_seek");
    if (position < 0 || position > MOST_POSITION)
        return jem__fail(JEM_ERROR_ARGUMENT,
                         "jem_loader_seek: position is %" PRId64 ", expected 0..%" PRId64, position,
                         MOST_POSITION);
    loader->position = position;
    return JEM_OK;
}
