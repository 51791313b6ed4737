/* Labelled images: storage, subsets, reading. */
#include "data/dataset.h"
#include "base/memory.h"
#include "base/status.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { FETCHED = 64 }; /* images that are fetched at once */

/* ---- Storage ---- */

jem_status jem__store_create(jem__store **store)
{
    JEM__TRY(jem__calloc(store, 1, sizeof **store));
    jem__count_init(&(*store)->count);
    return JEM_OK;
}

void jem__store_describe(jem__store *store, jem_type type, int64_t n, int64_t c, int64_t h,
                         int64_t w)
{
    store->type = type;
    store->n = n;
    store->c = c;
    store->h = h;
    store->w = w;
}

void jem__store_drop(jem__store *store)
{
    if (!store || !jem__count_drop(&store->count)) return;
    if (store->source) store->source->close(store);
    jem__free(store->pixels);
    jem__free(store->names);
    jem__free(store->lines);
    jem__free(store->labels);
    jem__free(store);
}

int64_t jem__store_image_bytes(const jem__store *s)
{
    return s->c * s->h * s->w * (s->type == JEM_TYPE_U8 ? 1 : (int64_t)sizeof(float));
}

jem_status jem__store_check(const char *function, jem_type type, int64_t n, int64_t c, int64_t h,
                            int64_t w, int64_t *image)
{
    int64_t all;
    if (type != JEM_TYPE_U8 && type != JEM_TYPE_F32)
        return jem__fail(JEM_ERROR_ARGUMENT,
                         "%s: type is %" PRId32 ", expected JEM_TYPE_U8 or JEM_TYPE_F32", function,
                         type);
    if (n < 0 || n > INT32_MAX)
        return jem__fail(JEM_ERROR_ARGUMENT, "%s: n is %" PRId64 ", expected 0..%d", function, n,
                         INT32_MAX);
    if (c < 1 || h < 1 || w < 1)
        return jem__fail(JEM_ERROR_SHAPE,
                         "%s: images are %" PRId64 "x%" PRId64 "x%" PRId64
                         " (channels, height, width), expected at least 1x1x1",
                         function, c, h, w);
    if (!jem__multiply(c, h, image) || !jem__multiply(*image, w, image) ||
        !jem__multiply(*image, n ? n : 1, &all) || !jem__multiply(all, sizeof(float), &all))
        return jem__fail(JEM_ERROR_SHAPE,
                         "%s: %" PRId64 " images of %" PRId64 "x%" PRId64 "x%" PRId64
                         " are more than can be addressed",
                         function, n, c, h, w);
    return JEM_OK;
}

jem_status jem__store_count_classes(jem__store *store, const char *function)
{
    int32_t most = -1;
    for (int64_t i = 0; i < store->n; i++) {
        if (store->labels[i] < 0)
            return jem__fail(JEM_ERROR_ARGUMENT,
                             "%s: label %" PRId32 " of image %" PRId64 ", expected 0 or more",
                             function, store->labels[i], i);
        if (store->labels[i] > most) most = store->labels[i];
    }
    store->classes = (int64_t)most + 1;
    return JEM_OK;
}

jem_status jem__dataset_wrap(jem_dataset **dataset, jem_context *context, jem__store *store)
{
    jem_dataset *fresh;
    jem_status status = jem__calloc(&fresh, 1, sizeof *fresh);
    if (status) {
        jem__store_drop(store);
        return status;
    }
    jem__count_init(&fresh->count);
    fresh->context = jem__context_take(context);
    fresh->store = store;
    fresh->n = store->n;
    *dataset = fresh;
    return JEM_OK;
}

jem_dataset *jem__dataset_take(jem_dataset *dataset)
{
    jem__count_take(&dataset->count);
    return dataset;
}

int32_t jem__dataset_is_host(const jem_dataset *dataset)
{
    const jem__source *source = dataset->store->source;
    return source && source->is_host;
}

void jem_dataset_destroy(jem_dataset *dataset)
{
    if (!dataset || !jem__count_drop(&dataset->count)) return;
    jem__store_drop(dataset->store);
    jem_context_destroy(dataset->context);
    jem__free(dataset->order);
    jem__free(dataset);
}

/* ---- From the caller's arrays ---- */

static jem_status check_finite(const jem__store *store, int64_t image)
{
    const float *v = store->pixels;
    for (int64_t i = 0; i < store->n * image; i++)
        if (!isfinite(v[i]))
            return jem__fail(JEM_ERROR_ARGUMENT,
                             "jem_dataset_create: image %" PRId64
                             " has a non-finite value at index %" PRId64,
                             i / image, i % image);
    return JEM_OK;
}

static jem_status copy_arrays(jem__store *store, const void *pixels, const int32_t *labels,
                              int64_t image)
{
    int64_t element = store->type == JEM_TYPE_U8 ? 1 : sizeof(float), n = store->n;
    JEM__TRY(jem__alloc(&store->pixels, n * image, element));
    JEM__TRY(jem__calloc(&store->labels, n, sizeof *labels));
    if (n > 0) memcpy(store->pixels, pixels, (size_t)(n * image * element));
    if (n > 0 && labels) memcpy(store->labels, labels, (size_t)n * sizeof *labels);
    if (store->type == JEM_TYPE_F32) JEM__TRY(check_finite(store, image));
    return jem__store_count_classes(store, "jem_dataset_create");
}

jem_status jem_dataset_create(jem_dataset **dataset, jem_context *context, const void *pixels,
                              jem_type type, const int32_t *labels, int64_t n, int64_t c, int64_t h,
                              int64_t w)
{
    static const char function[] = "jem_dataset_create";
    int64_t image;
    jem__store *store;
    JEM__REQUIRE(dataset, function);
    *dataset = NULL;
    JEM__REQUIRE(context, function);
    JEM__ENTER(context, function);
    JEM__TRY(jem__store_check(function, type, n, c, h, w, &image));
    if (n > 0) JEM__REQUIRE(pixels, function);
    JEM__TRY(jem__store_create(&store));
    jem__store_describe(store, type, n, c, h, w);
    jem_status status = copy_arrays(store, pixels, labels, image);
    if (status) {
        jem__store_drop(store);
        return status;
    }
    return jem__dataset_wrap(dataset, context, store);
}

/* ---- Subsets ---- */

void jem__shuffle(jem__random *random, int32_t *order, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        int64_t j = jem__random_below(random, (uint32_t)i + 1);
        if (j < i) order[i] = order[j];
        order[j] = (int32_t)i;
    }
}

/* A dataset of count images of the parent's store; its order is yet to be filled. */
static jem_status share(jem_dataset **subset, jem_dataset *dataset, int64_t count)
{
    jem_dataset *fresh = NULL;
    jem__count_take(&dataset->store->count);
    JEM__TRY(jem__dataset_wrap(&fresh, dataset->context, dataset->store));
    fresh->n = count;
    jem_status status = jem__alloc(&fresh->order, count, sizeof *fresh->order);
    if (status)
        jem_dataset_destroy(fresh);
    else
        *subset = fresh;
    return status;
}

static int32_t stored(const jem_dataset *dataset, int64_t i)
{
    return dataset->order ? dataset->order[i] : (int32_t)i;
}

jem_status jem_dataset_subset(jem_dataset **subset, jem_dataset *dataset, const int64_t *indices,
                              int64_t count)
{
    static const char function[] = "jem_dataset_subset";
    JEM__REQUIRE(subset, function);
    *subset = NULL;
    JEM__REQUIRE(dataset, function);
    JEM__ENTER(dataset->context, function);
    if (count < 0 || count > INT32_MAX)
        return jem__fail(JEM_ERROR_ARGUMENT, "%s: count is %" PRId64 ", expected 0..%d", function,
                         count, INT32_MAX);
    if (count > 0) JEM__REQUIRE(indices, function);
    for (int64_t i = 0; i < count; i++)
        if (indices[i] < 0 || indices[i] >= dataset->n)
            return jem__fail(JEM_ERROR_ARGUMENT,
                             "%s: indices[%" PRId64 "] is %" PRId64 ", the dataset has %" PRId64
                             " images",
                             function, i, indices[i], dataset->n);
    JEM__TRY(share(subset, dataset, count));
    for (int64_t i = 0; i < count; i++) (*subset)->order[i] = stored(dataset, indices[i]);
    return JEM_OK;
}

jem_status jem_dataset_split(jem_dataset **first, jem_dataset **second, jem_dataset *dataset,
                             int64_t count, uint64_t seed)
{
    static const char function[] = "jem_dataset_split";
    jem_dataset *one = NULL, *rest = NULL;
    int32_t *order = NULL;
    jem__random random;
    if (first) *first = NULL;
    if (second) *second = NULL;
    JEM__REQUIRE(first, function);
    JEM__REQUIRE(second, function);
    JEM__REQUIRE(dataset, function);
    JEM__ENTER(dataset->context, function);
    if (count < 0 || count > dataset->n)
        return jem__fail(JEM_ERROR_ARGUMENT, "%s: count is %" PRId64 ", expected 0..%" PRId64,
                         function, count, dataset->n);
    jem_status status = jem__alloc(&order, dataset->n, sizeof *order);
    if (!status) status = share(&one, dataset, count);
    if (!status) status = share(&rest, dataset, dataset->n - count);
    if (status) goto cleanup;
    jem__random_at(&random, seed, JEM__RANDOM_SPLIT, 0, 0, 0);
    jem__shuffle(&random, order, dataset->n);
    for (int64_t i = 0; i < count; i++) one->order[i] = stored(dataset, order[i]);
    for (int64_t i = count; i < dataset->n; i++) rest->order[i - count] = stored(dataset, order[i]);
    *first = one;
    *second = rest;
    one = rest = NULL;
cleanup:
    jem_dataset_destroy(one);
    jem_dataset_destroy(rest);
    jem__free(order);
    return status;
}

/* ---- Into memory ---- */

/* All images of a dataset; the arrays are the caller's, NULL after a failure. */
static jem_status gather(const jem_dataset *dataset, void **pixels, int32_t **labels)
{
    int64_t bytes = jem__store_image_bytes(dataset->store), at[FETCHED];
    *labels = NULL;
    jem_status status = jem__alloc(pixels, dataset->n, bytes);
    if (!status) status = jem__alloc(labels, dataset->n, sizeof **labels);
    for (int64_t i = 0; !status && i < dataset->n; i += FETCHED) {
        int64_t some = dataset->n - i < FETCHED ? dataset->n - i : FETCHED;
        for (int64_t j = 0; j < some; j++) at[j] = i + j;
        status = jem__dataset_raw(dataset, at, some, (uint8_t *)*pixels + i * bytes, *labels + i);
    }
    if (status) {
        jem__free(*pixels);
        jem__free(*labels);
        *pixels = *labels = NULL;
    }
    return status;
}

jem_status jem__store_hold(jem__store *store)
{
    jem_dataset all = {.store = store, .n = store->n};
    void *pixels;
    int32_t *labels;
    JEM__TRY(gather(&all, &pixels, &labels));
    jem__free(store->labels);
    store->pixels = pixels;
    store->labels = labels;
    store->source->close(store);
    store->source = NULL;
    return JEM_OK;
}

jem_status jem__dataset_hold(jem_dataset **held, jem_dataset *dataset)
{
    const jem__store *from = dataset->store;
    jem__store *store;
    if (!from->source) {
        *held = jem__dataset_take(dataset);
        return JEM_OK;
    }
    JEM__TRY(jem__store_create(&store));
    jem__store_describe(store, from->type, dataset->n, from->c, from->h, from->w);
    store->classes = from->classes;
    jem_status status = gather(dataset, &store->pixels, &store->labels);
    if (status) {
        jem__store_drop(store);
        return status;
    }
    return jem__dataset_wrap(held, dataset->context, store);
}

/* ---- Reading ---- */

/* Images at indices of the store. */
static jem_status raw(const jem__store *s, const int64_t *indices, int64_t n, void *pixels,
                      int32_t *y)
{
    int64_t bytes = jem__store_image_bytes(s);
    int32_t fetches_pixels = pixels && !s->pixels, fetches_labels = y && !s->labels;
    for (int64_t i = 0; pixels && s->pixels && i < n; i++)
        memcpy((uint8_t *)pixels + i * bytes, (const uint8_t *)s->pixels + indices[i] * bytes,
               (size_t)bytes);
    for (int64_t i = 0; y && s->labels && i < n; i++) y[i] = s->labels[indices[i]];
    if (!fetches_pixels && !fetches_labels) return JEM_OK;
    return s->source->fetch(s, indices, n, fetches_pixels ? pixels : NULL,
                            fetches_labels ? y : NULL);
}

static void to_store(const jem_dataset *dataset, int64_t *indices, int64_t n)
{
    for (int64_t i = 0; dataset->order && i < n; i++) indices[i] = dataset->order[indices[i]];
}

jem_status jem__dataset_raw(const jem_dataset *dataset, int64_t *indices, int64_t n, void *pixels,
                            int32_t *y)
{
    to_store(dataset, indices, n);
    return raw(dataset->store, indices, n, pixels, y);
}

static void to_floats(const uint8_t *v, int64_t n, float *x)
{
    for (int64_t k = 0; k < n; k++) x[k] = (float)v[k] / 127.5f - 1.0f;
}

/* Bytes that lie in the last quarter of their floats' place. A piece is copied before the
   floats before it grow over it. */
static void to_floats_in_place(float *x, int64_t n)
{
    enum { PIECE = 1024 };
    uint8_t piece[PIECE];
    for (int64_t at = 0; at < n; at += PIECE) {
        int64_t some = n - at < PIECE ? n - at : PIECE;
        memcpy(piece, (const uint8_t *)x + 3 * n + at, (size_t)some);
        to_floats(piece, some, x + at);
    }
}

jem_status jem__dataset_images(const jem_dataset *dataset, int64_t *indices, int64_t n, float *x,
                               int32_t *y)
{
    const jem__store *s = dataset->store;
    int64_t image = s->c * s->h * s->w;
    to_store(dataset, indices, n);
    if (s->type == JEM_TYPE_F32 || !x) return raw(s, indices, n, x, y);
    if (s->pixels) {
        for (int64_t i = 0; i < n; i++)
            to_floats((const uint8_t *)s->pixels + indices[i] * image, image, x + i * image);
        return raw(s, indices, n, NULL, y);
    }
    JEM__TRY(raw(s, indices, n, (uint8_t *)x + 3 * n * image, y));
    to_floats_in_place(x, n * image);
    return JEM_OK;
}

jem_status jem_dataset_info(const jem_dataset *dataset, int64_t *count, int64_t *channels,
                            int64_t *height, int64_t *width, int64_t *classes)
{
    JEM__REQUIRE(dataset, "jem_dataset_info");
    if (count) *count = dataset->n;
    if (channels) *channels = dataset->store->c;
    if (height) *height = dataset->store->h;
    if (width) *width = dataset->store->w;
    if (classes) *classes = dataset->store->classes;
    return JEM_OK;
}

jem_status jem_dataset_read(const jem_dataset *dataset, int64_t first, int64_t n, float *x,
                            int64_t capacity, int32_t *y)
{
    JEM__REQUIRE(dataset, "jem_dataset_read");
    JEM__ENTER(dataset->context, "jem_dataset_read");
    if (first < 0 || n < 0 || n > dataset->n || first > dataset->n - n)
        return jem__fail(JEM_ERROR_ARGUMENT,
                         "jem_dataset_read: %" PRId64 " images from %" PRId64
                         ", the dataset has %" PRId64,
                         n, first, dataset->n);
    int64_t image = dataset->store->c * dataset->store->h * dataset->store->w, at[FETCHED];
    if (x) JEM__TRY(jem__check_capacity("jem_dataset_read", "x", capacity, n, image));
    for (int64_t i = 0; i < n; i += FETCHED) {
        int64_t some = n - i < FETCHED ? n - i : FETCHED;
        for (int64_t j = 0; j < some; j++) at[j] = first + i + j;
        JEM__TRY(
            jem__dataset_images(dataset, at, some, x ? x + i * image : NULL, y ? y + i : NULL));
    }
    return JEM_OK;
}

/* ---- Names of classes ---- */

jem_status jem__store_find_names(jem__store *s, int64_t *count)
{
    const char *at = s->names;
    JEM__TRY(jem__alloc(&s->lines, s->classes, sizeof *s->lines));
    for (*count = 0; *at; ++*count) {
        if (*count < s->classes) s->lines[*count] = at;
        at += strcspn(at, "\n");
        at += *at == '\n';
    }
    for (int64_t k = *count; k < s->classes; k++) s->lines[k] = at; /* no name */
    return JEM_OK;
}

int64_t jem_dataset_class_name(const jem_dataset *dataset, int64_t k, char *buffer,
                               int64_t capacity)
{
    char number[24];
    if (buffer && capacity > 0) *buffer = 0;
    JEM__REQUIRE(dataset, "jem_dataset_class_name");
    if (k < 0 || k >= dataset->store->classes)
        return jem__fail(JEM_ERROR_ARGUMENT,
                         "jem_dataset_class_name: class %" PRId64 ", expected 0..%" PRId64, k,
                         dataset->store->classes - 1);
    snprintf(number, sizeof number, "%" PRId64, k);
    const char *line = dataset->store->lines ? dataset->store->lines[k] : "";
    int64_t length = (int64_t)strcspn(line, "\n");
    if (length) return jem__copy_part(line, length, buffer, capacity);
    const char *name = dataset->store->name ? dataset->store->name(k) : NULL;
    return jem__copy_text(name ? name : number, buffer, capacity);
}
