/* Starts from a saved replay buffer. */
#include "chains.h"
#include <stdlib.h>
#include <string.h>

typedef struct slots {
    int64_t count, blocks; /* blocks: classes, when each has its own part; else 1 */
    int64_t *usable;       /* [found] slot numbers, in order */
    int64_t found;
} slots;

/* A permutation's next element by splitmix64: none comes twice. */
static int64_t take_random(slots *s, uint64_t *state, int64_t first, int64_t *left)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    int64_t at = first + (int64_t)((z ^ (z >> 31)) % (uint64_t)*left), slot = s->usable[at];
    s->usable[at] = s->usable[first + --*left];
    return slot;
}

/* chosen [n]: slot numbers. */
static int choose(slots *s, const char *path, uint64_t seed, const int32_t *y, int64_t n,
                  int64_t *chosen)
{
    int64_t *first = allocate(s->blocks, sizeof *first), *left = allocate(s->blocks, sizeof *left);
    int code = first && left ? 0 : CODE_FAILED;
    uint64_t state = seed;
    for (int64_t i = s->found - 1; !code && i >= 0; i--) {
        int64_t block = s->usable[i] / (s->count / s->blocks);
        first[block] = i;
        left[block]++;
    }
    for (int64_t i = 0; !code && i < n; i++) {
        int64_t block = s->blocks > 1 ? y[i] : 0;
        if (left[block] == 0)
            code =
                fail("%s: %" PRId64 " chains are asked for, but the buffer has no more used slots"
                     "%s: %" PRId64 " of %" PRId64 " are used in all",
                     path, n, s->blocks > 1 ? " of that class" : "", s->found, s->count);
        else
            chosen[i] = take_random(s, &state, first[block], &left[block]);
    }
    free(first);
    free(left);
    return code;
}

/* As choose; without labels the classes take turns: as even as can be. All there are, in order,
   where they may be fewer, and are no more. */
static int choose_any(slots *s, const char *path, wanted *want, int64_t *chosen)
{
    int32_t *turns = NULL;
    if (want->fewer && s->found > 0 && s->found <= want->n) {
        memcpy(chosen, s->usable, (size_t)s->found * sizeof *chosen);
        want->n = s->found;
        return 0;
    }
    if (s->blocks == 1 || want->y) return choose(s, path, want->seed, want->y, want->n, chosen);
    turns = allocate(want->n, sizeof *turns);
    for (int64_t i = 0; turns && i < want->n; i++) turns[i] = (int32_t)(i % s->blocks);
    int code = turns ? choose(s, path, want->seed, turns, want->n, chosen) : CODE_FAILED;
    free(turns);
    return code;
}

/* Every slot of the file counts as used. */
static int from_array(const char *path, jem_model *model, wanted *want, float *x, char *how,
                      size_t capacity)
{
    jem_array *array = NULL;
    const float *values = NULL;
    slots s = {.blocks = 1};
    int64_t c, h, w, classes, *chosen = NULL;
    TRY(check(jem_model_info(model, &c, &h, &w, &classes, NULL)));
    TRY(array_images(&array, path, model, &values, &s.count));
    s.usable = allocate(s.count, sizeof *s.usable);
    chosen = allocate(want->n, sizeof *chosen);
    int code = s.usable && chosen ? 0 : CODE_FAILED;
    if (!code && want->by_class && s.count % classes)
        code = fail("%s: %" PRId64 " images, expected a multiple of %" PRId64
                    " (--buffer-by-class: a block for each class)",
                    path, s.count, classes);
    if (want->by_class) s.blocks = classes;
    for (int64_t i = 0; !code && i < s.count; i++) s.usable[s.found++] = i;
    if (!code) code = choose_any(&s, path, want, chosen);
    for (int64_t i = 0; !code && i < want->n; i++)
        memcpy(x + i * c * h * w, values + chosen[i] * c * h * w, (size_t)(c * h * w) * sizeof *x);
    snprintf(how, capacity, "%s images of the buffer %s (%" PRId64 "%s)",
             want->n == s.found ? "all" : "random", path, s.count,
             want->by_class ? ", in blocks by class" : "");
    free(s.usable);
    free(chosen);
    jem_array_destroy(array);
    return code;
}

static int find_slots(slots *s, jem_sampler *sampler, int64_t classes, int64_t conditional)
{
    int64_t *age = allocate(s->count, sizeof *age);
    s->usable = allocate(s->count, sizeof *s->usable);
    s->blocks = conditional ? classes : 1;
    int code =
        age && s->usable ? check(jem_sampler_buffer_age(sampler, 0, s->count, age)) : CODE_FAILED;
    for (int64_t i = 0; !code && i < s->count; i++)
        if (age[i] >= 0) s->usable[s->found++] = i;
    free(age);
    return code;
}

static int from_sampler(const char *path, jem_sampler *sampler, slots *s, wanted *want,
                        int64_t image, float *x)
{
    int64_t *chosen = allocate(want->n, sizeof *chosen);
    int code = chosen ? choose_any(s, path, want, chosen) : CODE_FAILED;
    for (int64_t i = 0; !code && i < want->n; i++)
        code = check(jem_sampler_buffer_get(sampler, chosen[i], 1, x + i * image, image));
    free(chosen);
    return code;
}

static int open_buffer(jem_sampler **sampler, const char *path, jem_model *model, slots *s)
{
    jem_config *config = NULL;
    int64_t classes, conditional = 0;
    double pxy = 0;
    TRY(check(jem_config_load(&config, path)));
    int code = check(jem_model_info(model, NULL, NULL, NULL, &classes, NULL));
    if (!code) code = check(jem_config_get_i64(config, "sampler.conditional", &conditional));
    if (!code) code = check(jem_config_get_f64(config, "trainer.pxy", &pxy));
    if (pxy > 0) conditional = 1; /* its chains belong to labels, too */
    if (!code) code = check(jem_config_set_i64(config, "sampler.conditional", conditional));
    if (!code) code = check(jem_config_get_i64(config, "sampler.buffer", &s->count));
    /* Only used slots are read: no start is ever made. */
    if (!code) code = check(jem_config_set_str(config, "sampler.start", "uniform"));
    if (!code) code = check(jem_sampler_create(sampler, model, config));
    if (!code) code = check(jem_sampler_buffer_load(*sampler, path, NULL));
    if (!code) code = find_slots(s, *sampler, classes, conditional);
    jem_config_destroy(config);
    return code;
}

int buffer_starts(const char *path, jem_model *model, wanted *want, float *x, char *how,
                  size_t capacity)
{
    jem_sampler *sampler = NULL;
    slots s = {0};
    int64_t c, h, w;
    if (has_suffix(path, ".npy")) return from_array(path, model, want, x, how, capacity);
    TRY(check(jem_model_info(model, &c, &h, &w, NULL, NULL)));
    int code = open_buffer(&sampler, path, model, &s);
    if (!code) code = from_sampler(path, sampler, &s, want, c * h * w, x);
    snprintf(how, capacity, "%s slots of the replay buffer in %s (%" PRId64 " of %" PRId64 " used)",
             want->n == s.found ? "all used" : "random", path, s.found, s.count);
    free(s.usable);
    jem_sampler_destroy(sampler);
    return code;
}
