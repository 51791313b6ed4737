/* What is scored: a dataset, or images derived from one. */
#include "cli.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 256 };

/* Generated sets take their shape from settings: that of the model. */
static int follow_shape(jem_config *config, int64_t c, int64_t h, int64_t w)
{
    if (h == w && h >= 8 && h <= 1024) TRY(check(jem_config_set_i64(config, "dataset.size", h)));
    if (c == 1 || c == 3) TRY(check(jem_config_set_i64(config, "dataset.channels", c)));
    return 0;
}

static int open_source(images *set, jem_context *context, const char *source, jem_config *config,
                       const char *split, int64_t c, int64_t h, int64_t w)
{
    char whole[4096];
    int32_t chosen = 0;
    TRY(check(jem_config_is_set(config, "dataset.split", &chosen)));
    if (split || !chosen)
        TRY(check(jem_config_set_str(config, "dataset.split", split ? split : "test")));
    if (c) TRY(follow_shape(config, c, h, w));
    if ((size_t)snprintf(whole, sizeof whole, "%s%s", source, strchr(source, ':') ? "" : ":") >=
        sizeof whole)
        return fail("the data source is longer than %zu bytes", sizeof whole - 1);
    TRY(check(jem_dataset_open(&set->data, context, whole, config)));
    TRY(check(
        jem_dataset_info(set->data, &set->count, &set->channels, &set->height, &set->width, NULL)));
    if (c && (set->channels != c || set->height != h || set->width != w))
        return fail("%s: images are %" PRId64 "x%" PRId64 "x%" PRId64 ", the model takes %" PRId64
                    "x%" PRId64 "x%" PRId64 " (channels, height, width)",
                    source, set->channels, set->height, set->width, c, h, w);
    if (set->count < 1) return fail("%s: holds no images", source);
    return 0;
}

int images_open(images *set, jem_context *context, const char *source, const jem_config *config,
                const char *split, int64_t c, int64_t h, int64_t w)
{
    jem_config *own = NULL;
    *set = (images){.name = source};
    TRY(check(config ? jem_config_clone(&own, config) : jem_config_create(&own)));
    int code = open_source(set, context, source, own, split, c, h, w);
    jem_config_destroy(own);
    if (code) images_close(set);
    return code;
}

int images_split(char *split, size_t capacity, const char *source, const jem_config *config,
                 const char *standard)
{
    static const char *const generated[] = {"glyphs:", "letters:", "noise:"};
    int32_t chosen = 0;
    snprintf(split, capacity, "%s", standard);
    TRY(check(jem_config_is_set(config, "dataset.split", &chosen)));
    if (chosen) jem_config_get_str(config, "dataset.split", split, (int64_t)capacity);
    for (int i = 0; i < COUNT(generated); i++) {
        size_t n = strlen(generated[i]);
        if (strncmp(source, generated[i], n) != 0) continue;
        for (const char *at = source + n; *at; at += *at == ',') {
            size_t length = strcspn(at, ",");
            if (!strncmp(at, "split=", 6)) /* goes over the setting */
                snprintf(split, capacity, "%.*s", (int)length - 6, at + 6);
            at += length;
        }
    }
    return 0;
}

int images_have_test(const char *source)
{
    char path[4096];
    if (!strncmp(source, "packed:", 7)) return 0;
    if (strncmp(source, "png:", 4) != 0) return 1;
    join(path, sizeof path, source + 4, "test");
    return !access(path, F_OK);
}

int images_open_ood(images *set, jem_context *context, const char *source, const jem_config *config,
                    const char *split, const images *of)
{
    static const char *const kinds[] = {"uniform", "constant", "interpolations"};
    for (int i = 0; i < 3; i++) {
        if (strcmp(source, kinds[i]) != 0) continue;
        *set = *of;
        set->name = source;
        set->data = NULL;
        return check(jem_dataset_derive(&set->data, of->data, source, 0));
    }
    return images_open(set, context, source, config, split, of->channels, of->height, of->width);
}

/* ---- Classes ---- */

/* A class without a name has its number for one. */
static int is_number(const char *name, int64_t k)
{
    char number[24];
    snprintf(number, sizeof number, "%" PRId64, k);
    return !strcmp(name, number);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A list of names in between commas, taken apart. */
static int split_names(char *text, char ***names, int64_t *count)
{
    *count = 1;
    for (const char *at = text; *at; at++) *count += *at == ',';
    *names = allocate(*count, sizeof **names);
    if (!*names) return CODE_FAILED;
    for (int64_t k = 0; k < *count; k++) (*names)[k] = strsep(&text, ",");
    return 0;
}

/* Whether a class of the set has one of these names, which are sorted for it. */
static int any_known(const images *set, int64_t classes, char **names, int64_t count)
{
    char name[256], *key = name;
    qsort(names, (size_t)count, sizeof *names, by_text);
    for (int64_t k = 0; k < classes; k++) {
        jem_dataset_class_name(set->data, k, name, sizeof name);
        if (!is_number(name, k) && bsearch(&key, names, (size_t)count, sizeof *names, by_text))
            return 1;
    }
    return 0;
}

/* Classes of one number and other names; whoever named a model's classes anew may go on. */
static int check_names(const images *set, int64_t classes, char **names, int64_t count)
{
    char here[256];
    int64_t first = 0;
    for (; first < classes; first++) {
        jem_dataset_class_name(set->data, first, here, sizeof here);
        if (!is_number(here, first) && (first >= count || strcmp(here, names[first]) != 0)) break;
    }
    if (first == classes) return 0;
    const char *other = first < count ? names[first] : "";
    if (any_known(set, classes, names, count))
        return fail("%s: class %" PRId64 " is '%s', the model's is '%s': expected its classes, in "
                    "its order",
                    set->name, first, here, other);
    if (*other && !is_number(other, first))
        warn("%s: class %" PRId64 " is '%s', the model's is '%s': taken for the same", set->name,
             first, here, other);
    return 0;
}

int images_check_classes(const images *set, const jem_model *model)
{
    int64_t classes, most, count;
    char *text, **names;
    TRY(check(jem_dataset_info(set->data, NULL, NULL, NULL, NULL, &classes)));
    TRY(check(jem_model_info(model, NULL, NULL, NULL, &most, NULL)));
    if (classes > most)
        return fail("%s has %" PRId64 " classes, the model %" PRId64, set->name, classes, most);
    TRY(metadata_text(model, "class_names", &text));
    if (!text) return 0;
    int code = split_names(text, &names, &count);
    if (!code) code = check_names(set, classes, names, count);
    free(names);
    free(text);
    return code;
}

int images_check_test(const images *test, const images *train)
{
    int64_t classes, most;
    char name[256], other[256];
    TRY(check(jem_dataset_info(test->data, NULL, NULL, NULL, NULL, &classes)));
    TRY(check(jem_dataset_info(train->data, NULL, NULL, NULL, NULL, &most)));
    if (classes > most)
        return fail("the test images of %s are of %" PRId64
                    " classes, the training data of %" PRId64,
                    test->name, classes, most);
    for (int64_t k = 0; k < classes; k++) {
        jem_dataset_class_name(test->data, k, name, sizeof name);
        jem_dataset_class_name(train->data, k, other, sizeof other);
        if (!strcmp(name, other) || is_number(name, k) || is_number(other, k)) continue;
        return fail("the test images of %s: class %" PRId64 " is '%s', that of the training data "
                    "'%s'",
                    test->name, k, name, other);
    }
    return 0;
}

int images_check_resize(const char *source, const jem_config *config)
{
    int64_t resize;
    TRY(check(jem_config_get_i64(config, "dataset.resize", &resize)));
    if (!resize || !strncmp(source, "png:", 4)) return 0;
    fail("dataset.resize scales the images of png:DIR; %s has its own size", source);
    return CODE_USAGE;
}

void images_close(images *set)
{
    jem_dataset_destroy(set->data);
    set->data = NULL;
}

int images_read(const images *set, int64_t first, int64_t n, float *x, int32_t *y)
{
    int64_t size = set->channels * set->height * set->width;
    return check(jem_dataset_read(set->data, first, n, x, n * size, y));
}

/* With score NULL: logits [count,classes] and labels; else scores [count]. */
static int run(const images *set, jem_model *model, const char *score, const jem_config *config,
               int64_t each, float *out, int32_t *labels)
{
    progress bar;
    float *x = allocate(PIECE * set->channels * set->height * set->width, sizeof *x);
    int code = x ? 0 : CODE_FAILED;
    progress_begin(&bar, set->name, 0, set->count);
    for (int64_t i = 0; !code && i < set->count; i += PIECE) {
        int64_t n = set->count - i < PIECE ? set->count - i : PIECE;
        code = images_read(set, i, n, x, labels ? labels + i : NULL);
        if (!code)
            code = check(score ? jem_eval_score(model, score, x, n, i, config, out + i)
                               : jem_model_logits(model, x, n, out + i * each, n * each));
        progress_update(&bar, i + n, NULL);
    }
    progress_end(&bar);
    free(x);
    return code;
}

int images_score(const images *set, jem_model *model, const char *score, const jem_config *config,
                 float **scores)
{
    *scores = allocate(set->count, sizeof **scores);
    return *scores ? run(set, model, score, config, 1, *scores, NULL) : CODE_FAILED;
}

int images_logits(const images *set, jem_model *model, float **logits, int32_t **labels)
{
    int64_t classes;
    *labels = NULL;
    *logits = NULL;
    TRY(check(jem_model_info(model, NULL, NULL, NULL, &classes, NULL)));
    *logits = allocate(set->count * classes, sizeof **logits);
    *labels = allocate(set->count, sizeof **labels);
    if (!*logits || !*labels) return CODE_FAILED;
    return run(set, model, NULL, NULL, classes, *logits, *labels);
}
