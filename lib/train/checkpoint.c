/* Checkpoints: one safetensors file with all that the rest of a run depends on.

   Metadata: format "jem-checkpoint", version "1", settings (the text of
   jem_config_parse), data (images and classes), checksum. Tensors: model.*
   (F32, state_dict names), optimizer.first and .second (F32: moments of all
   trainable parameters in order), sampler.buffer (F32), sampler.age (I64; -1: a
   slot still at its start), counters (I64). */
#include "base/config.h"
#include "base/memory.h"
#include "base/status.h"
#include "format/safetensors.h"
#include "train/optimizer.h"
#include "train/trainer.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char format[] = "jem-checkpoint", version[] = "1";

enum {
    COUNT_STEP,
    COUNT_UPDATES,
    COUNT_DRAWS,
    COUNT_PX_POSITION,
    COUNT_LABELLED_POSITION,
    COUNTERS
};

/* ---- The state as a list of tensors, for both directions ---- */

typedef struct entry {
    char name[120];
    const char *dtype;
    int64_t dimensions, shape[4], size; /* size in bytes */
    void *data;                         /* in the trainer */
} entry;

typedef struct state {
    entry *entries;
    int64_t count;
    int64_t counters[COUNTERS];
    jem__optimizer_state optimizer;
    jem__sampler_state sampler; /* buffer NULL: the run does not sample */
} state;

static void put(state *s, const char *name, const char *dtype, int64_t dimensions,
                const int64_t *shape, void *data)
{
    entry *e = &s->entries[s->count++];
    jem__format(e->name, sizeof e->name, "%s", name);
    e->dtype = dtype;
    e->dimensions = dimensions;
    e->size = strcmp(dtype, "I64") == 0 ? 8 : 4;
    e->data = data;
    for (int64_t i = 0; i < dimensions; i++) {
        e->shape[i] = shape[i];
        e->size *= shape[i];
    }
}

static jem_status state_of(const jem_trainer *t, state *s)
{
    const jem__parameter *list;
    int64_t n = jem__model_parameters(t->model, &list), counters = COUNTERS;
    JEM__TRY(jem__calloc(&s->entries, n + 5, sizeof *s->entries));
    jem__optimizer_state_of(t->optimizer, &s->optimizer);
    if (t->px > 0) JEM__TRY(jem__sampler_state_of(t->sampler, &s->sampler));
    s->counters[COUNT_STEP] = t->step;
    s->counters[COUNT_UPDATES] = *s->optimizer.steps;
    s->counters[COUNT_DRAWS] = s->sampler.buffer ? *s->sampler.draws : 0;
    JEM__TRY(jem_loader_tell(t->px_loader, &s->counters[COUNT_PX_POSITION]));
    JEM__TRY(jem_loader_tell(t->labelled_loader, &s->counters[COUNT_LABELLED_POSITION]));
    for (int64_t i = 0; i < n; i++) {
        char name[120];
        jem__format(name, sizeof name, "model.%s", list[i].name);
        put(s, name, "F32", list[i].dimensions, list[i].shape, list[i].value);
    }
    put(s, "optimizer.first", "F32", 1, &s->optimizer.elements, s->optimizer.first);
    if (s->optimizer.second)
        put(s, "optimizer.second", "F32", 1, &s->optimizer.elements, s->optimizer.second);
    if (s->sampler.buffer) {
        const int64_t shape[] = {s->sampler.slots, s->sampler.image};
        put(s, "sampler.buffer", "F32", 2, shape, s->sampler.buffer);
        put(s, "sampler.age", "I64", 1, &s->sampler.slots, s->sampler.age);
    }
    put(s, "counters", "I64", 1, &counters, s->counters);
    return JEM_OK;
}

/* ---- Settings ---- */

static int32_t starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static jem_status set_model_key(jem_config *config, const jem_model *model, const jem__key *key)
{
    char text[4096];
    const char *name = key->name + strlen("model.");
    int64_t length = jem_model_metadata_get(model, name, text, sizeof text);
    if (length < 0 || length >= (int64_t)sizeof text) return JEM_OK;
    if (key->type == JEM_KEY_STR)
        return strpbrk(text, "\"\n") ? JEM_OK : jem_config_set_str(config, key->name, text);
    char pair[4096 + 128];
    jem__format(pair, sizeof pair, "%s=\"%s\"", key->name, text);
    return jem_config_parse(config, pair);
}

/* The trainer's settings with those of its model, which may come from a file. */
static jem_status settings_of(const jem_trainer *t, jem_config **out)
{
    jem_status status = jem_config_clone(out, t->config);
    for (int64_t i = 0; !status && i < jem__key_total; i++)
        if (starts_with(jem__keys[i].name, "model."))
            status = set_model_key(*out, t->model, &jem__keys[i]);
    if (status) {
        jem_config_destroy(*out);
        *out = NULL;
    }
    return status;
}

/* Settings that a run may change when it is resumed. */
static int32_t is_free(const char *key, const jem_config *config)
{
    static const char *const keys[] = {
        "trainer.iterations", "trainer.gap_limit", "trainer.seed", /* its effect is compared */
        "loader.prefetch",    "model.class_names", "model.check_input"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strcmp(key, keys[i]) == 0) return 1;
    if (strcmp(key, "model.seed") == 0) return jem__config_f64(config, "model.dropout") == 0;
    return starts_with(key, "context.") || starts_with(key, "dataset.");
}

static jem_status compare_settings(const char *path, const jem_config *theirs,
                                   const jem_config *ours)
{
    for (int64_t i = 0; i < jem__key_total; i++) {
        const char *key = jem__keys[i].name;
        const char *a = jem__config_str(theirs, key), *b = jem__config_str(ours, key);
        int32_t same = jem__keys[i].type == JEM_KEY_I64
                           ? jem__config_i64(theirs, key) == jem__config_i64(ours, key)
                       : jem__keys[i].type == JEM_KEY_F64
                           ? jem__config_f64(theirs, key) == jem__config_f64(ours, key)
                           : strcmp(a, b) == 0;
        if (!same && !is_free(key, ours))
            return jem__fail(JEM_ERROR_FORMAT, "%s: the run had %s=%.64s, this trainer has %.64s",
                             path, key, a, b);
    }
    return JEM_OK;
}

static jem_status config_text(const jem_config *config, char **text)
{
    int64_t size = jem_config_text(config, NULL, 0) + 1;
    JEM__TRY(jem__alloc(text, size, 1));
    jem_config_text(config, *text, size);
    return JEM_OK;
}

static void data_text(const jem_trainer *t, char *text, size_t size)
{
    jem__format(text, size, "%" PRId64 " images, %" PRId64 " classes", t->data_count,
                t->data_classes);
}

/* ---- Writing ---- */

static jem_status describe(const jem_trainer *t, jem__safetensors *set)
{
    jem_config *config = NULL;
    char *settings = NULL, data[80];
    JEM__TRY(settings_of(t, &config));
    jem_status status = config_text(config, &settings);
    jem_config_destroy(config);
    JEM__TRY(status);
    data_text(t, data, sizeof data);
    const char *pairs[][2] = {
        {"format", format}, {"version", version}, {"settings", settings}, {"data", data}};
    for (int i = 0; !status && i < 4; i++)
        status = jem__safetensors_set_metadata(set, pairs[i][0], pairs[i][1]);
    if (!status) status = jem__safetensors_seal(set);
    jem__free(settings);
    return status;
}

jem_status jem_trainer_save(const jem_trainer *trainer, const char *path)
{
    jem__safetensors *set = NULL;
    state s = {0};
    JEM__REQUIRE(trainer, "jem_trainer_save");
    JEM__REQUIRE(path, "jem_trainer_save");
    jem_status status = state_of(trainer, &s);
    if (!status) status = jem__safetensors_create(&set);
    for (int64_t i = 0; !status && i < s.count; i++) {
        const entry *e = &s.entries[i];
        status = jem__safetensors_add(set, e->name, e->dtype, e->dimensions, e->shape, e->data);
    }
    if (!status) status = describe(trainer, set);
    if (!status) status = jem__safetensors_save(set, path);
    jem__safetensors_destroy(set);
    jem__free(s.entries);
    return status;
}

/* ---- Reading ---- */

static jem_status expect(const jem__safetensors *set, const char *path, const char *key,
                         const char *expected)
{
    const char *got = jem__safetensors_metadata(set, key);
    if (got && strcmp(got, expected) == 0) return JEM_OK;
    return jem__fail(JEM_ERROR_FORMAT, "%s: %s is '%.64s', expected '%s'", path, key,
                     got ? got : "", expected);
}

/* Opens a checkpoint that is whole. */
static jem_status open_checkpoint(jem__safetensors **set, const char *path)
{
    JEM__TRY(jem__safetensors_load(set, path));
    JEM__TRY(expect(*set, path, "format", format));
    JEM__TRY(expect(*set, path, "version", version));
    const char *settings = jem__safetensors_metadata(*set, "settings");
    const char *data = jem__safetensors_metadata(*set, "data");
    if (!settings || !data)
        return jem__fail(JEM_ERROR_FORMAT, "%s: no %s entry in the metadata", path,
                         settings ? "data" : "settings");
    return jem__safetensors_verify(*set, path);
}

static jem_status read_settings(const jem__safetensors *set, const char *path, jem_config **config)
{
    JEM__TRY(jem_config_create(config));
    jem_status status = jem_config_parse(*config, jem__safetensors_metadata(set, "settings"));
    if (!status) return JEM_OK;
    jem_config_destroy(*config);
    *config = NULL;
    return jem__fail_in(status, "%s", path);
}

jem_status jem_config_load(jem_config **config, const char *path)
{
    jem__safetensors *set = NULL;
    JEM__REQUIRE(config, "jem_config_load");
    *config = NULL;
    JEM__REQUIRE(path, "jem_config_load");
    jem_status status = open_checkpoint(&set, path);
    if (!status) status = read_settings(set, path, config);
    jem__safetensors_destroy(set);
    return status;
}

static jem_status check_settings(const jem_trainer *t, const jem__safetensors *set,
                                 const char *path)
{
    jem_config *theirs = NULL, *ours = NULL;
    char data[80];
    jem_status status = read_settings(set, path, &theirs);
    if (!status) status = settings_of(t, &ours);
    if (!status) status = jem__trainer_seeds(theirs);
    if (!status) status = jem__trainer_seeds(ours);
    if (!status) status = compare_settings(path, theirs, ours);
    jem_config_destroy(theirs);
    jem_config_destroy(ours);
    data_text(t, data, sizeof data);
    return status ? status : expect(set, path, "data", data);
}

static jem_status check_entry(const jem__safetensors *set, const char *path, const entry *e)
{
    const jem__tensor_info *info = jem__safetensors_find(set, e->name);
    if (!info) return jem__fail(JEM_ERROR_FORMAT, "%s: there is no tensor %s", path, e->name);
    int32_t same = strcmp(info->dtype, e->dtype) == 0 && info->dimensions == e->dimensions &&
                   info->size == e->size;
    for (int64_t i = 0; same && i < e->dimensions; i++) same = info->shape[i] == e->shape[i];
    return same ? JEM_OK
                : jem__fail(JEM_ERROR_FORMAT,
                            "%s: tensor %s is %s of %" PRId64 " bytes, expected %s of %" PRId64
                            " bytes in the trainer's shape",
                            path, e->name, info->dtype, info->size, e->dtype, e->size);
}

static jem_status check_numbers(const jem__safetensors *set, const char *path, int64_t *counters)
{
    const jem__tensor_info *age = jem__safetensors_find(set, "sampler.age");
    memcpy(counters, jem__safetensors_find(set, "counters")->bytes, COUNTERS * sizeof *counters);
    for (int i = 0; i < COUNTERS; i++)
        if (counters[i] < 0 || counters[i] > (int64_t)1 << 40)
            return jem__fail(JEM_ERROR_FORMAT, "%s: counter %d is %" PRId64 ", expected 0..2^40",
                             path, i, counters[i]);
    for (int64_t i = 0; age && i < age->elements; i++) {
        int64_t value;
        memcpy(&value, age->bytes + i * 8, sizeof value);
        if (value < -1 || value > (int64_t)1 << 60)
            return jem__fail(JEM_ERROR_FORMAT,
                             "%s: the age of slot %" PRId64 " is %" PRId64 ", expected -1..2^60",
                             path, i, value);
    }
    return JEM_OK;
}

static jem_status check_all(const jem_trainer *t, const jem__safetensors *set, const char *path,
                            state *s)
{
    JEM__TRY(check_settings(t, set, path));
    for (int64_t i = 0; i < s->count; i++) JEM__TRY(check_entry(set, path, &s->entries[i]));
    return check_numbers(set, path, s->counters);
}

/* Everything was checked: nothing can fail from here on. */
static void restore(jem_trainer *t, const jem__safetensors *set, state *s)
{
    for (int64_t i = 0; i < s->count; i++)
        memcpy(s->entries[i].data, jem__safetensors_find(set, s->entries[i].name)->bytes,
               (size_t)s->entries[i].size);
    jem__model_touch(t->model);
    t->step = s->counters[COUNT_STEP];
    *s->optimizer.steps = s->counters[COUNT_UPDATES];
    if (s->sampler.buffer) *s->sampler.draws = s->counters[COUNT_DRAWS];
    jem_loader_seek(t->px_loader, s->counters[COUNT_PX_POSITION]);
    jem_loader_seek(t->labelled_loader, s->counters[COUNT_LABELLED_POSITION]);
}

jem_status jem_trainer_resume(jem_trainer *trainer, const char *path)
{
    jem__safetensors *set = NULL;
    state s = {0};
    JEM__REQUIRE(trainer, "jem_trainer_resume");
    JEM__REQUIRE(path, "jem_trainer_resume");
    if (trainer->running)
        return jem__fail(JEM_ERROR_STATE,
                         "jem_trainer_resume: called from inside a callback of the same trainer");
    jem_status status = open_checkpoint(&set, path);
    if (!status) status = state_of(trainer, &s);
    if (!status) status = check_all(trainer, set, path, &s);
    if (!status) restore(trainer, set, &s);
    jem__safetensors_destroy(set);
    jem__free(s.entries);
    return status;
}
