/* Images made from those of a dataset, to stand for what a model has not seen. */
#include "base/memory.h"
#include "base/status.h"
#include "data/dataset.h"
#include <inttypes.h>
#include <string.h>

typedef jem_status maker(jem_dataset *parent, jem__random *random, int64_t index, float *x);

typedef struct origin {
    jem_dataset *parent;
    maker *make;
    uint64_t seed, kind;
} origin;

static float value(jem__random *random)
{
    return 2 * jem__random_uniform(random) - 1;
}

static jem_status uniform(jem_dataset *parent, jem__random *random, int64_t index, float *x)
{
    const jem__store *s = parent->store;
    (void)index;
    for (int64_t i = 0; i < s->c * s->h * s->w; i++) x[i] = value(random);
    return JEM_OK;
}

static jem_status constant(jem_dataset *parent, jem__random *random, int64_t index, float *x)
{
    const jem__store *s = parent->store;
    (void)index;
    for (int64_t c = 0; c < s->c; c++) {
        float colour = value(random);
        for (int64_t i = 0; i < s->h * s->w; i++) x[c * s->h * s->w + i] = colour;
    }
    return JEM_OK;
}

/* (x_i + x_j) / 2 with another image j. */
static jem_status interpolation(jem_dataset *parent, jem__random *random, int64_t index, float *x)
{
    const jem__store *s = parent->store;
    int64_t size = s->c * s->h * s->w, n = parent->n, first = index;
    int64_t second = (index + 1 + jem__random_below(random, (uint32_t)n - 1)) % n;
    float *other;
    JEM__TRY(jem__alloc(&other, size, sizeof *other));
    jem_status status = jem__dataset_images(parent, &first, 1, x, NULL);
    if (!status) status = jem__dataset_images(parent, &second, 1, other, NULL);
    for (int64_t i = 0; !status && i < size; i++) x[i] = (x[i] + other[i]) / 2;
    jem__free(other);
    return status;
}

static jem_status fetch(const jem__store *s, const int64_t *indices, int64_t n, void *pixels,
                        int32_t *labels)
{
    const origin *o = s->opened;
    jem__random random;
    if (labels) memset(labels, 0, (size_t)n * sizeof *labels);
    for (int64_t i = 0; pixels && i < n; i++) {
        float *x = (float *)pixels + i * s->c * s->h * s->w;
        jem__random_at(&random, o->seed, JEM__RANDOM_DERIVED, o->kind, (uint64_t)indices[i], 0);
        JEM__TRY(o->make(o->parent, &random, indices[i], x));
    }
    return JEM_OK;
}

static void release(jem__store *s)
{
    origin *o = s->opened;
    jem_dataset_destroy(o->parent);
    jem__free(o);
}

static const jem__source of_memory = {fetch, release, 0}, of_host = {fetch, release, 1};

static jem_status choose(origin *o, const char *kind, int64_t n)
{
    static const struct {
        const char *name;
        maker *make;
        int64_t least;
    } kinds[] = {
        {"uniform", uniform, 0}, {"constant", constant, 0}, {"interpolations", interpolation, 2}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kind, kinds[i].name) != 0) continue;
        if (n < kinds[i].least)
            return jem__fail(JEM_ERROR_ARGUMENT,
                             "jem_dataset_derive: %s of a dataset of %" PRId64
                             " images, expected at least %" PRId64,
                             kind, n, kinds[i].least);
        o->make = kinds[i].make;
        o->kind = i;
        return JEM_OK;
    }
    return jem__fail(JEM_ERROR_ARGUMENT,
                     "jem_dataset_derive: kind is '%.40s', expected uniform, constant or "
                     "interpolations",
                     kind);
}

jem_status jem_dataset_derive(jem_dataset **derived, jem_dataset *dataset, const char *kind,
                              uint64_t seed)
{
    static const char function[] = "jem_dataset_derive";
    origin chosen = {.seed = seed}, *own;
    jem__store *store;
    JEM__REQUIRE(derived, function);
    *derived = NULL;
    JEM__REQUIRE(dataset, function);
    JEM__REQUIRE(kind, function);
    JEM__ENTER(dataset->context, function);
    const jem__store *from = dataset->store;
    JEM__TRY(choose(&chosen, kind, dataset->n));
    JEM__TRY(jem__alloc(&own, 1, sizeof *own));
    jem_status status = jem__store_create(&store);
    if (status) {
        jem__free(own);
        return status;
    }
    *own = chosen;
    own->parent = jem__dataset_take(dataset);
    jem__store_describe(store, JEM_TYPE_F32, dataset->n, from->c, from->h, from->w);
    store->classes = dataset->n > 0;
    store->opened = own;
    store->source = jem__dataset_is_host(dataset) ? &of_host : &of_memory;
    return jem__dataset_wrap(derived, dataset->context, store);
}
