/* What is scored: a dataset, or images made up from one piece by piece. */
#include "cli.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 256 };
enum { UNIFORM = 1, CONSTANT, INTERPOLATIONS };

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

int images_have_test(const char *source)
{
    char path[4096];
    if (!strncmp(source, "packed:", 7)) return 0;
    if (strncmp(source, "png:", 4)) return 1;
    join(path, sizeof path, source + 4, "test");
    return !access(path, F_OK);
}

int images_open_ood(images *set, jem_context *context, const char *source, const jem_config *config,
                    const char *split, const images *of)
{
    static const char *const made[] = {NULL, "uniform", "constant", "interpolations"};
    for (int i = UNIFORM; i <= INTERPOLATIONS; i++)
        if (!strcmp(source, made[i])) {
            if (i == INTERPOLATIONS && of->count < 2)
                return fail("interpolations: %s holds one image, expected two at least", of->name);
            *set = *of;
            set->name = source;
            set->made = i;
            return 0;
        }
    return images_open(set, context, source, config, split, of->channels, of->height, of->width);
}

void images_close(images *set)
{
    if (!set->made) jem_dataset_destroy(set->data); /* otherwise another one's */
    set->data = NULL;
}

/* Numbers that depend on the image's index alone (splitmix64). */
static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static float uniform(uint64_t *state)
{
    return (float)(next(state) >> 40) / 8388608.0F - 1;
}

static int make(const images *set, int64_t index, float *x)
{
    int64_t pixels = set->height * set->width, size = set->channels * pixels;
    uint64_t state = (uint64_t)index * 0xD1342543DE82EF95u + (uint64_t)set->made;
    next(&state);
    if (set->made == UNIFORM)
        for (int64_t i = 0; i < size; i++) x[i] = uniform(&state);
    if (set->made == CONSTANT)
        for (int64_t c = 0; c < set->channels; c++) {
            float value = uniform(&state);
            for (int64_t i = 0; i < pixels; i++) x[c * pixels + i] = value;
        }
    if (set->made == INTERPOLATIONS) {
        int64_t step = 1 + (int64_t)(next(&state) % (uint64_t)(set->count - 1));
        float *other = allocate(size, sizeof *other);
        if (!other) return CODE_FAILED;
        int code = check(jem_dataset_read(set->data, index, 1, x, NULL));
        if (!code)
            code = check(jem_dataset_read(set->data, (index + step) % set->count, 1, other, NULL));
        for (int64_t i = 0; !code && i < size; i++) x[i] = (x[i] + other[i]) / 2;
        free(other);
        return code;
    }
    return 0;
}

int images_read(const images *set, int64_t first, int64_t n, float *x, int32_t *y)
{
    int64_t size = set->channels * set->height * set->width;
    if (!set->made) return check(jem_dataset_read(set->data, first, n, x, y));
    for (int64_t i = 0; i < n; i++) TRY(make(set, first + i, x + i * size));
    return 0;
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
