/* jem_dataset_open: from "KIND:WHERE" to images. */
#include "base/config.h"
#include "base/memory.h"
#include "base/status.h"
#include "data/dataset.h"
#include "data/glyphs.h"
#include "format/images.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { TRAIN_IMAGES = 20000, TEST_IMAGES = 2000 };
#define MOST_BYTES ((int64_t)1 << 33) /* of a generated set */

static const char function[] = "jem_dataset_open";

static int32_t wants_test(const jem_config *config)
{
    return strcmp(jem__config_str(config, "dataset.split"), "test") == 0;
}

/* ---- Files ---- */

static const char *cifar_name(int64_t k)
{
    static const char *const names[] = {"airplane", "automobile", "bird",  "cat",  "deer",
                                        "dog",      "frog",       "horse", "ship", "truck"};
    return k < 10 ? names[k] : NULL;
}

typedef jem_status reader(jem__images *images, const char *dir, int32_t test, int64_t limit);

static jem_status read_files(jem__store *store, const char *dir, const jem_config *config,
                             reader *read)
{
    jem__images images = {0};
    int64_t image, lines;
    JEM__TRY(read(&images, dir, wants_test(config), jem__config_i64(config, "dataset.limit")));
    jem__store_describe(store, JEM_TYPE_U8, images.n, images.c, images.h, images.w);
    store->pixels = images.pixels;
    store->labels = images.labels;
    store->names = images.names;
    JEM__TRY(
        jem__store_check(function, store->type, store->n, store->c, store->h, store->w, &image));
    JEM__TRY(jem__store_count_classes(store, function));
    if (images.classes) store->classes = images.classes;
    return store->names ? jem__store_find_names(store, &lines) : JEM_OK;
}

static jem_status open_cifar(jem__store *store, const char *where, const jem_config *config)
{
    store->name = cifar_name;
    return read_files(store, where, config, jem__cifar_read);
}

static jem_status open_cifar100(jem__store *store, const char *where, const jem_config *config)
{
    return read_files(store, where, config, jem__cifar100_read);
}

static jem_status open_svhn(jem__store *store, const char *where, const jem_config *config)
{
    return read_files(store, where, config, jem__svhn_read);
}

static jem_status open_idx(jem__store *store, const char *where, const jem_config *config)
{
    return read_files(store, where, config, jem__idx_read);
}

/* ---- Generated ---- */

static const char *digit_name(int64_t k)
{
    return jem__glyphs_name(JEM__GLYPHS_DIGITS, k);
}
static const char *letter_name(int64_t k)
{
    return jem__glyphs_name(JEM__GLYPHS_LETTERS, k);
}

static jem_status generate(jem__store *store, jem_context *context, const jem_config *config,
                           int32_t kind)
{
    jem__glyph_set set = {.kind = kind,
                          .test = wants_test(config),
                          .seed = (uint64_t)jem__config_i64(config, "dataset.seed"),
                          .size = jem__config_i64(config, "dataset.size"),
                          .channels = jem__config_i64(config, "dataset.channels")};
    int64_t n = jem__config_i64(config, "dataset.limit");
    int64_t image = set.channels * set.size * set.size;
    if (set.channels == 2)
        return jem__fail(JEM_ERROR_CONFIG, "%s: dataset.channels is 2, expected 1 or 3", function);
    if (n == 0) n = set.test ? TEST_IMAGES : TRAIN_IMAGES;
    if (n > INT32_MAX || n > MOST_BYTES / image)
        return jem__fail(JEM_ERROR_CONFIG,
                         "%s: %" PRId64 " generated images of %" PRId64
                         " bytes, expected at most %" PRId64 " bytes in all",
                         function, n, image, MOST_BYTES);
    jem__store_describe(store, JEM_TYPE_U8, n, set.channels, set.size, set.size);
    store->classes = jem__glyphs_classes(kind);
    JEM__TRY(jem__alloc(&store->pixels, n, image));
    JEM__TRY(jem__alloc(&store->labels, n, sizeof *store->labels));
    return jem__glyphs_draw(context->pool, &set, n, store->pixels, store->labels);
}

/* config + "size=32,channels=3" */
static jem_status add_option(jem_config *config, const char *text, size_t length)
{
    char pair[128];
    if (length >= 100 || memchr(text, ' ', length) || memchr(text, '"', length))
        return jem__fail(JEM_ERROR_CONFIG, "got '%.*s', expected key=value",
                         length < 40 ? (int)length : 40, text);
    snprintf(pair, sizeof pair, "dataset.%.*s", (int)length, text);
    return jem_config_parse(config, pair);
}

static jem_status add_options(jem_config *config, const char *options)
{
    while (*options) {
        size_t length = strcspn(options, ",");
        JEM__TRY(add_option(config, options, length));
        options += length;
        if (*options) options++;
    }
    return JEM_OK;
}

static jem_status open_generated(jem__store *store, jem_context *context, const char *options,
                                 const jem_config *config, int32_t kind)
{
    jem_config *own = NULL;
    jem_status status = config ? jem_config_clone(&own, config) : jem_config_create(&own);
    if (!status && (status = add_options(own, options)))
        status = jem__fail_in(status, "%s: options '%.100s'", function, options);
    if (!status) status = generate(store, context, own, kind);
    jem_config_destroy(own);
    return status;
}

/* ---- By kind ---- */

/* 1 and *where behind the colon if source is of this kind. */
static int is_kind(const char *source, const char *kind, const char **where)
{
    size_t n = strlen(kind);
    if (strncmp(source, kind, n) != 0 || source[n] != ':') return 0;
    *where = source + n + 1;
    return 1;
}

static jem_status fill(jem__store *store, jem_context *context, const char *source,
                       const jem_config *config)
{
    static const struct {
        const char *kind;
        jem_status (*open)(jem__store *store, const char *where, const jem_config *config);
    } files[] = {{"cifar", open_cifar}, {"cifar100", open_cifar100}, {"idx", open_idx},
                 {"svhn", open_svhn},   {"png", jem__folder_open},   {"packed", jem__packed_open}};
    const char *where;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        if (!is_kind(source, files[i].kind, &where)) continue;
        if (*where) return files[i].open(store, where, config);
        return jem__fail(JEM_ERROR_ARGUMENT, "%s: '%s' has no folder or file after the colon",
                         function, source);
    }
    if (is_kind(source, "noise", &where))
        return open_generated(store, context, where, config, JEM__GLYPHS_NOISE);
    if (is_kind(source, "glyphs", &where)) {
        store->name = digit_name;
        return open_generated(store, context, where, config, JEM__GLYPHS_DIGITS);
    }
    if (is_kind(source, "letters", &where)) {
        store->name = letter_name;
        return open_generated(store, context, where, config, JEM__GLYPHS_LETTERS);
    }
    return jem__fail(JEM_ERROR_ARGUMENT,
                     "%s: got '%.100s', expected KIND:WHERE with one of the kinds cifar, cifar100, "
                     "idx, svhn, png, packed, glyphs, letters, noise",
                     function, source);
}

jem_status jem_dataset_open(jem_dataset **dataset, jem_context *context, const char *source,
                            const jem_config *config)
{
    jem__store *store;
    JEM__REQUIRE(dataset, function);
    *dataset = NULL;
    JEM__REQUIRE(context, function);
    JEM__REQUIRE(source, function);
    JEM__ENTER(context, function);
    JEM__TRY(jem__store_create(&store));
    jem_status status = fill(store, context, source, config);
    if (status) {
        jem__store_drop(store);
        return status;
    }
    return jem__dataset_wrap(dataset, context, store);
}
