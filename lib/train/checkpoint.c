/* Checkpoints: one safetensors file with all that the rest of a run depends on: the
   table of state.c as tensors, settings and facts as metadata. docs/formats.md lists
   every entry. Files of every version from 1 on are read; what a later version adds is
   an entry that older files may lack. */
#include "format/checkpoint.h"
#include "base/config.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/status.h"
#include "train/state.h"
#include <inttypes.h>
#include <string.h>

/* ---- Settings ---- */

static int32_t starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* The trainer's settings with those of its model, which may come from a file. */
static jem_status settings_of(const jem_trainer *t, jem_config **out)
{
    jem_status status = jem_config_clone(out, t->config);
    if (!status) status = jem__model_settings_of(t->model, *out);
    if (status) {
        jem_config_destroy(*out);
        *out = NULL;
    }
    return status;
}

/* Settings that a run may change when it is resumed. */
static int32_t is_free(const jem_trainer *t, const char *key, const jem_config *config)
{
    static const char *const keys[] = {
        "trainer.gap_limit", "trainer.seed", /* its effect is compared */
        "trainer.keep",      "trainer.retries",   "trainer.snapshot_every",
        "loader.prefetch",   "model.class_names", "model.check_input"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strcmp(key, keys[i]) == 0) return 1;
    /* A cosine reaches the end of the run, wherever it is. */
    if (strcmp(key, "trainer.iterations") == 0)
        return strcmp(jem__config_str(config, "trainer.schedule"), "cosine") != 0;
    /* Masks of dropout follow from it, whichever setting the network has them from. */
    if (strcmp(key, "model.seed") == 0) return !jem__model_has_dropout(t->model);
    return starts_with(key, "context.") || starts_with(key, "dataset.") ||
           starts_with(key, "trainer.guard_") || starts_with(key, "trainer.response_") ||
           starts_with(key, "attack.") || starts_with(key, "refine.") ||
           starts_with(key, "calibration.");
}

static jem_status compare_settings(const jem_trainer *t, const char *path, const jem_config *theirs,
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
        if (!same && !is_free(t, key, ours))
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
    char *settings = NULL, data[80], version[16];
    JEM__TRY(settings_of(t, &config));
    jem_status status = config_text(config, &settings);
    jem_config_destroy(config);
    JEM__TRY(status);
    data_text(t, data, sizeof data);
    jem__format(version, sizeof version, "%d", JEM__CHECKPOINT_VERSION);
    const char *pairs[][2] = {{"format", JEM__CHECKPOINT_FORMAT},
                              {"format_version", version},
                              {"settings", settings},
                              {"data", data}};
    for (int i = 0; !status && i < 4; i++)
        status = jem__safetensors_set_metadata(set, pairs[i][0], pairs[i][1]);
    if (!status) status = jem__safetensors_seal(set);
    jem__free(settings);
    return status;
}

/* `keep` files in all stay: see jem__writer_keep. */
static jem_status write_file(const jem__safetensors *set, const char *path, int64_t keep)
{
    jem__writer *writer;
    JEM__TRY(jem__writer_open(&writer, path));
    jem__writer_keep(writer, keep);
    jem_status status = jem__safetensors_write(set, writer);
    if (!status) return jem__writer_commit(writer);
    jem__writer_abandon(writer);
    return status;
}

jem_status jem_trainer_save(const jem_trainer *trainer, const char *path)
{
    jem__safetensors *set = NULL;
    jem__state s = {0};
    JEM__REQUIRE(trainer, "jem_trainer_save");
    JEM__REQUIRE(path, "jem_trainer_save");
    JEM__ENTER(jem__model_context(trainer->model), "jem_trainer_save");
    jem_status status = jem__state_of(&s, trainer);
    if (!status) status = jem__safetensors_create(&set);
    for (int64_t i = 0; !status && i < s.count; i++) {
        const jem__entry *e = &s.entries[i];
        status = jem__safetensors_add(set, e->name, e->dtype, e->dimensions, e->shape, e->data);
    }
    if (!status) status = describe(trainer, set);
    if (!status) status = write_file(set, path, jem__config_i64(trainer->config, "trainer.keep"));
    if (!status) jem__log(JEM_LOG_INFO, "%s: saved after step %" PRId64, path, trainer->step);
    jem__safetensors_destroy(set);
    jem__state_clear(&s);
    return status;
}

/* ---- Reading ---- */

/* Opens a checkpoint that is whole. */
static jem_status open_checkpoint(jem__safetensors **set, const char *path)
{
    JEM__TRY(jem__safetensors_load(set, path));
    return jem__checkpoint_check(*set, path);
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
    if (!status) status = compare_settings(t, path, theirs, ours);
    jem_config_destroy(theirs);
    jem_config_destroy(ours);
    data_text(t, data, sizeof data);
    return status ? status : jem__checkpoint_expect(set, path, "data", data);
}

static int32_t may_lack(const jem__safetensors *set, const jem__entry *e)
{
    return e->with && (!*e->with || !jem__safetensors_find(set, e->with));
}

static jem_status check_entry(const jem__safetensors *set, const char *path, const jem__entry *e)
{
    const jem__tensor_info *info = jem__safetensors_find(set, e->name);
    if (!info && may_lack(set, e)) return JEM_OK;
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

/* Counts and ages; -1 stands for none. */
static jem_status check_numbers(const jem__safetensors *set, const char *path, const jem__entry *e)
{
    const jem__tensor_info *info = jem__safetensors_find(set, e->name);
    const int64_t most = strstr(e->name, "counter.") ? (int64_t)1 << 40 : (int64_t)1 << 60;
    if (!info || strcmp(e->dtype, "I64") != 0) return JEM_OK;
    for (int64_t i = 0; i < info->elements; i++) {
        int64_t value, least = e->least;
        memcpy(&value, info->bytes + i * 8, sizeof value);
        if (value < least || value > most)
            return jem__fail(JEM_ERROR_FORMAT,
                             "%s: %s, element %" PRId64 ", is %" PRId64 ", expected %" PRId64
                             "..%" PRId64,
                             path, e->name, i, value, least, most);
    }
    return JEM_OK;
}

static jem_status check_all(const jem_trainer *t, const jem__safetensors *set, const char *path,
                            const jem__state *s)
{
    JEM__TRY(check_settings(t, set, path));
    for (int64_t i = 0; i < s->count; i++) {
        JEM__TRY(check_entry(set, path, &s->entries[i]));
        JEM__TRY(check_numbers(set, path, &s->entries[i]));
    }
    return JEM_OK;
}

/* Everything was checked: nothing can fail from here on. */
static void restore(jem_trainer *t, const jem__safetensors *set, const jem__state *s)
{
    for (int64_t i = 0; i < s->count; i++) {
        const jem__entry *e = &s->entries[i];
        const jem__tensor_info *info = jem__safetensors_find(set, e->name);
        if (info)
            memcpy(e->data, info->bytes, (size_t)e->size);
        else if (!*e->with)
            memcpy(e->data, &e->standard, sizeof e->standard);
    }
    jem__state_applied(s, t);
    t->rollback.reason[0] = 0;
    jem__trainer_forget_metrics(t);
}

jem_status jem_trainer_resume(jem_trainer *trainer, const char *path)
{
    jem__safetensors *set = NULL;
    jem__state s = {0};
    JEM__REQUIRE(trainer, "jem_trainer_resume");
    JEM__REQUIRE(path, "jem_trainer_resume");
    JEM__ENTER(jem__model_context(trainer->model), "jem_trainer_resume");
    if (trainer->running)
        return jem__fail(JEM_ERROR_STATE,
                         "jem_trainer_resume: called from inside a callback of the same trainer");
    jem_status status = open_checkpoint(&set, path);
    if (!status) status = jem__state_of(&s, trainer);
    if (!status) status = check_all(trainer, set, path, &s);
    if (!status) {
        restore(trainer, set, &s);
        jem__log(JEM_LOG_INFO, "%s: resumed after step %" PRId64, path, trainer->step);
    }
    jem__safetensors_destroy(set);
    jem__state_clear(&s);
    return status;
}
