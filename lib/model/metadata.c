/* A model's metadata: texts by key, in the order in which they came, and an index by key, since
   a file may hold 16384 of them. */
#include "base/memory.h"
#include "base/status.h"
#include "model/internal.h"
#include <inttypes.h>
#include <string.h>

/* Where the key stands in the index, or would. */
static int64_t position(const jem_model *model, const char *key, int32_t *found)
{
    int64_t low = 0, high = model->metadata_count;
    *found = 0;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        int order = strcmp(key, model->metadata[model->by_key[middle]].key);
        if (!order) {
            *found = 1;
            return middle;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

const char *jem__model_metadata(const jem_model *model, const char *key)
{
    int32_t found;
    int64_t at = position(model, key, &found);
    return found ? model->metadata[model->by_key[at]].value : NULL;
}

/* Takes both texts; on failure the model is as it was. */
static jem_status insert(jem_model *model, int64_t at, char *key, char *value)
{
    int64_t count = model->metadata_count;
    JEM__TRY(jem__grow(&model->metadata, count, &model->metadata_room, count + 1,
                       sizeof *model->metadata));
    JEM__TRY(
        jem__grow(&model->by_key, count, &model->by_key_room, count + 1, sizeof *model->by_key));
    memmove(model->by_key + at + 1, model->by_key + at,
            (size_t)(count - at) * sizeof *model->by_key);
    model->by_key[at] = count;
    model->metadata[model->metadata_count++] = (jem__entry){key, value};
    return JEM_OK;
}

/* Where each class's name begins in a text of names with commas. */
static jem_status find_names(const char ***names, const char *text, int64_t classes)
{
    JEM__TRY(jem__alloc(names, classes, sizeof **names));
    for (int64_t k = 0; k < classes; k++) {
        (*names)[k] = text;
        text += strcspn(text, ",");
        text += *text == ',';
    }
    return JEM_OK;
}

jem_status jem__metadata_put(jem_model *model, const char *key, const char *value)
{
    int32_t found, names_classes = strcmp(key, "class_names") == 0;
    int64_t at = position(model, key, &found);
    char *copy = jem__strdup(value), *name = NULL;
    const char **names = NULL;
    jem_status status = copy ? JEM_OK : JEM_ERROR_MEMORY;
    if (!status && names_classes) status = find_names(&names, copy, model->graph.classes);
    if (!status && !found)
        status = (name = jem__strdup(key)) ? insert(model, at, name, copy) : JEM_ERROR_MEMORY;
    if (status) {
        jem__free(names);
        jem__free(name);
        jem__free(copy);
        return status;
    }
    if (found) {
        jem__entry *entry = &model->metadata[model->by_key[at]];
        jem__free(entry->value);
        entry->value = copy;
    }
    if (names_classes) {
        jem__free(model->class_names);
        model->class_names = names;
    }
    return JEM_OK;
}

int32_t jem__metadata_is_file(const char *key)
{
    return strcmp(key, "format_version") == 0 || strcmp(key, "checksum") == 0;
}

void jem__metadata_drop(jem_model *model, const char *key)
{
    int32_t found;
    int64_t at = position(model, key, &found);
    if (!found) return;
    int64_t place = model->by_key[at], count = --model->metadata_count;
    jem__entry *entry = &model->metadata[place];
    jem__free(entry->key);
    jem__free(entry->value);
    memmove(entry, entry + 1, (size_t)(count - place) * sizeof *entry);
    memmove(model->by_key + at, model->by_key + at + 1,
            (size_t)(count - at) * sizeof *model->by_key);
    for (int64_t i = 0; i < count; i++) model->by_key[i] -= model->by_key[i] > place;
}

void jem__metadata_clear(jem_model *model)
{
    for (int64_t i = 0; i < model->metadata_count; i++) {
        jem__free(model->metadata[i].key);
        jem__free(model->metadata[i].value);
    }
    jem__free(model->metadata);
    jem__free(model->by_key);
    jem__free(model->class_names);
}

/* ---- The interface ---- */

int64_t jem_model_metadata_get(const jem_model *model, const char *key, char *buffer,
                               int64_t capacity)
{
    if (buffer && capacity > 0) *buffer = 0;
    JEM__REQUIRE(model, "jem_model_metadata_get");
    JEM__REQUIRE(key, "jem_model_metadata_get");
    const char *value = jem__model_metadata(model, key);
    if (!value)
        return jem__fail(JEM_ERROR_ARGUMENT, "jem_model_metadata_get: no entry '%.64s'", key);
    return jem__copy_text(value, buffer, capacity);
}

jem_status jem_model_metadata_set(jem_model *model, const char *key, const char *value)
{
    JEM__REQUIRE(model, "jem_model_metadata_set");
    JEM__REQUIRE(key, "jem_model_metadata_set");
    JEM__REQUIRE(value, "jem_model_metadata_set");
    JEM__ENTER(model->context, "jem_model_metadata_set");
    if (!jem__is_utf8(key) || !jem__is_utf8(value))
        return jem__fail(JEM_ERROR_ARGUMENT, "jem_model_metadata_set: '%.64s' is not UTF-8",
                         jem__is_utf8(key) ? value : key);
    if (strlen(key) > JEM__KEY_LIMIT)
        return jem__fail(JEM_ERROR_ARGUMENT,
                         "jem_model_metadata_set: key '%.40s...' is longer than %d bytes", key,
                         JEM__KEY_LIMIT);
    int fixed = jem__metadata_is_file(key) || strcmp(key, "format") == 0;
    for (const jem__setting *s = jem__model_settings; s->name; s++) fixed |= !strcmp(key, s->name);
    if (fixed)
        return jem__fail(
            JEM_ERROR_STATE,
            "jem_model_metadata_set: %s describes the network or the file and cannot be set", key);
    if (model->metadata_count >= JEM__MODEL_TEXTS && !jem__model_metadata(model, key))
        return jem__fail(JEM_ERROR_ARGUMENT,
                         "jem_model_metadata_set: the model has %" PRId64
                         " entries, as many as a file may hold",
                         model->metadata_count);
    return jem__metadata_put(model, key, value);
}

int64_t jem_model_metadata_count(const jem_model *model)
{
    JEM__REQUIRE(model, "jem_model_metadata_count");
    return model->metadata_count;
}

int64_t jem_model_metadata_key(const jem_model *model, int64_t index, char *buffer,
                               int64_t capacity)
{
    if (buffer && capacity > 0) *buffer = 0;
    JEM__REQUIRE(model, "jem_model_metadata_key");
    if (index < 0 || index >= model->metadata_count)
        return jem__fail(JEM_ERROR_ARGUMENT,
                         "jem_model_metadata_key: entry %" PRId64 " of %" PRId64, index,
                         (int64_t)model->metadata_count);
    return jem__copy_text(model->metadata[index].key, buffer, capacity);
}
