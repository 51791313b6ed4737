/* A dataset whose images the host hands over when they are wanted. */
#include "base/memory.h"
#include "base/status.h"
#include "data/dataset.h"
#include <inttypes.h>
#include <math.h>

static jem_status check_labels(const jem__store *s, const int64_t *indices, int64_t n,
                               const int32_t *labels)
{
    for (int64_t i = 0; i < n; i++)
        if (labels[i] < 0 || labels[i] >= s->classes)
            return jem__fail(JEM_ERROR_ARGUMENT,
                             "the read callback gave image %" PRId64 " the label %" PRId32
                             ", expected 0..%" PRId64,
                             indices[i], labels[i], s->classes - 1);
    return JEM_OK;
}

static jem_status check_values(const jem__store *s, const int64_t *indices, int64_t n,
                               const float *x)
{
    int64_t image = s->c * s->h * s->w;
    for (int64_t i = 0; i < n * image; i++)
        if (!isfinite(x[i]))
            return jem__fail(JEM_ERROR_ARGUMENT,
                             "the read callback gave image %" PRId64
                             " a non-finite value at index %" PRId64,
                             indices[i / image], i % image);
    return JEM_OK;
}

static jem_status fetch(const jem__store *s, const int64_t *indices, int64_t n, void *pixels,
                        int32_t *labels)
{
    const jem_dataset_callbacks *host = s->opened;
    if (n == 0) return JEM_OK;
    jem__scope outside = jem__enter(NULL);
    int32_t code = host->read(host->user, indices, n, pixels, labels);
    jem__restore(outside);
    if (code)
        return jem__fail(JEM_ERROR_IO,
                         "the read callback gave %" PRId32 " for %" PRId64 " images, the first "
                         "of which is %" PRId64,
                         code, n, indices[0]);
    if (labels) JEM__TRY(check_labels(s, indices, n, labels));
    return pixels && s->type == JEM_TYPE_F32 ? check_values(s, indices, n, pixels) : JEM_OK;
}

static void release(jem__store *s)
{
    jem_dataset_callbacks *host = s->opened;
    jem__scope outside = jem__enter(NULL);
    if (host->release) host->release(host->user);
    jem__restore(outside);
    jem__free(host);
}

static const jem__source source = {fetch, release, 1};

static jem_status check_table(const char *function, const jem_dataset_callbacks *callbacks)
{
    if (callbacks->struct_size < (int64_t)sizeof *callbacks)
        return jem__fail(JEM_ERROR_ARGUMENT,
                         "%s: struct_size is %" PRId64 ", expected at least %zu", function,
                         callbacks->struct_size, sizeof *callbacks);
    if (!callbacks->read)
        return jem__fail(JEM_ERROR_ARGUMENT, "%s: callbacks->read is NULL", function);
    return JEM_OK;
}

jem_status jem_dataset_create_callbacks(jem_dataset **dataset, jem_context *context,
                                        const jem_dataset_callbacks *callbacks, jem_type type,
                                        int64_t n, int64_t c, int64_t h, int64_t w, int64_t classes)
{
    static const char function[] = "jem_dataset_create_callbacks";
    jem_dataset_callbacks *host;
    jem__store *store;
    int64_t image;
    JEM__REQUIRE(dataset, function);
    *dataset = NULL;
    JEM__REQUIRE(context, function);
    JEM__ENTER(context, function);
    JEM__REQUIRE(callbacks, function);
    JEM__TRY(check_table(function, callbacks));
    if (classes < 1 || classes > INT32_MAX)
        return jem__fail(JEM_ERROR_ARGUMENT, "%s: classes is %" PRId64 ", expected 1..%d", function,
                         classes, INT32_MAX);
    JEM__TRY(jem__store_check(function, type, n, c, h, w, &image));
    JEM__TRY(jem__store_create(&store));
    jem__store_describe(store, type, n, c, h, w);
    store->classes = classes;
    JEM__TRY(jem__dataset_wrap(dataset, context, store));
    /* The host's data come last: a failure leaves them to the caller. */
    jem_status status = jem__calloc(&host, 1, sizeof *host);
    if (status) {
        jem_dataset_destroy(*dataset);
        *dataset = NULL;
        return status;
    }
    *host = *callbacks;
    store->source = &source;
    store->opened = host;
    return JEM_OK;
}
