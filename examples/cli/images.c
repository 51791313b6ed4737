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
