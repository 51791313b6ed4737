/* The model file: safetensors under the original state_dict names, architecture
   as string metadata. */
#include "base/memory.h"
#include "base/status.h"
#include "model/internal.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- Loading ---- */

/* An entry of the file that is also a setting model.<entry>. */
static jem_status adopt(jem_config *config, const char *file, const char *entry, const char *value)
{
    char key[96];
    jem__format(key, sizeof key, "model.%s", entry);
    jem_status status = jem__config_read(config, key, value);
    if (!status) return JEM_OK;
    return jem__fail_in(status == JEM_ERROR_CONFIG ? JEM_ERROR_FORMAT : status, "%s: metadata %s",
                        file, entry);
}

/* Instance and layer norm have the same tensors, so that a file must say which. */
static jem_status read_norm(jem_config *config, const jem__safetensors *set, const char *file)
{
    if (jem__safetensors_find(set, "f.bn1.running_mean"))
        return jem_config_set_str(config, "model.norm", "batch");
    if (jem__safetensors_find(set, "f.bn1.loc"))
        return jem_config_set_str(config, "model.norm", "act");
    if (jem__safetensors_find(set, "f.bn1.weight"))
        return jem__fail(JEM_ERROR_FORMAT,
                         "%s: f.bn1.weight without running_mean is instance or layer norm: "
                         "metadata norm must say which",
                         file);
    return JEM_OK;
}

/* Sizes that the tensors themselves tell, unless the metadata did. */
static jem_status read_off(jem_config *config, const jem__safetensors *set, const char *file)
{
    const struct {
        const char *key, *tensor;
        int64_t dimension, divisor;
    } sizes[] = {{"model.classes", "class_output.bias", 0, 1},
                 {"model.channels", "f.conv1.weight", 1, 1},
                 {"model.widen_factor", "f.layer1.0.conv1.weight", 0, 16}};
    int32_t set_already;
    for (int i = 0; i < 3; i++) {
        const jem__tensor_info *t = jem__safetensors_find(set, sizes[i].tensor);
        JEM__TRY(jem_config_is_set(config, sizes[i].key, &set_already));
        if (set_already || !t || t->dimensions <= sizes[i].dimension) continue;
        JEM__TRY(jem_config_set_i64(config, sizes[i].key,
                                    t->shape[sizes[i].dimension] / sizes[i].divisor));
    }
    JEM__TRY(jem_config_is_set(config, "model.depth", &set_already));
    if (!set_already) {
        int64_t blocks = 0;
        char name[64];
        do snprintf(name, sizeof name, "f.layer1.%" PRId64 ".conv1.weight", blocks);
        while (jem__safetensors_find(set, name) && ++blocks < 1000);
        if (blocks > 0 && blocks < 166)
            JEM__TRY(jem_config_set_i64(config, "model.depth", 6 * blocks + 4));
    }
    JEM__TRY(jem_config_is_set(config, "model.norm", &set_already));
    return set_already ? JEM_OK : read_norm(config, set, file);
}

/* Files of before version 1, and of other programs, have none. */
static jem_status check_version(const jem__safetensors *set, const char *file)
{
    const char *version = jem__safetensors_metadata(set, "format_version");
    if (!version || strcmp(version, "1") == 0) return JEM_OK;
    return jem__fail(JEM_ERROR_FORMAT, "%s: format_version is '%.16s', this libjem reads 1", file,
                     version);
}

static jem_status settings(jem_config *config, const jem__safetensors *set, const char *file)
{
    const char *format = jem__safetensors_metadata(set, "format");
    if (format && strcmp(format, "jem") != 0 && strcmp(format, "pt") != 0)
        return jem__fail(JEM_ERROR_FORMAT, "%s: metadata format is '%.32s', expected 'jem'", file,
                         format);
    /* "width" is the image's in libjem's own files; others may mean anything by it. */
    for (const jem__setting *s = jem__model_settings; format && s->name; s++) {
        const char *value = jem__safetensors_metadata(set, s->name);
        if (value) JEM__TRY(adopt(config, file, s->name, value));
    }
    if (jem__model_is_network(config)) return JEM_OK;
    return read_off(config, set, file);
}

static void print_shape(char *text, size_t size, int64_t dimensions, const int64_t *shape)
{
    size_t at = (size_t)snprintf(text, size, "[");
    for (int64_t i = 0; i < dimensions && at < size; i++)
        at += (size_t)snprintf(text + at, size - at, "%s%" PRId64, i ? "," : "", shape[i]);
    if (at < size) snprintf(text + at, size - at, "]");
}

/* That the file has what the network needs: before there is room for it. */
static jem_status check_tensor(const jem__parameter_info *p, const jem__safetensors *set,
                               const char *file)
{
    const jem__tensor_info *t = jem__safetensors_find(set, p->name);
    char want[128], got[256];
    print_shape(want, sizeof want, p->dimensions, p->shape);
    if (!t)
        return jem__fail(JEM_ERROR_FORMAT, "%s: tensor %s is missing, expected shape %s", file,
                         p->name, want);
    print_shape(got, sizeof got, t->dimensions, t->shape);
    if (strcmp(want, got) != 0)
        return jem__fail(JEM_ERROR_FORMAT, "%s: tensor %s has shape %s, expected %s", file, p->name,
                         got, want);
    return JEM_OK;
}

static jem_status check_tensors(const jem_config *config, const jem__safetensors *set,
                                const char *file)
{
    jem__graph graph = {0};
    jem_status status = jem__model_graph(&graph, config);
    if (status) jem__fail_in(status, "%s", file);
    for (int32_t i = 0; !status && i < graph.parameter_count; i++)
        status = check_tensor(&graph.parameters[i], set, file);
    jem__graph_clear(&graph);
    return status;
}

static jem_status take(jem__parameter *p, const jem__safetensors *set, const char *file)
{
    const jem__tensor_info *t = jem__safetensors_find(set, p->name);
    jem_status status = jem__safetensors_to_f32(t, p->value);
    if (status) return jem__fail_in(status, "%s: tensor %s", file, p->name);
    for (int64_t i = 0; i < p->elements; i++)
        if (p->value[i] * 0 != 0)
            return jem__fail(JEM_ERROR_FORMAT,
                             "%s: tensor %s, element %" PRId64 " is %g, expected a finite number",
                             file, p->name, i, (double)p->value[i]);
    return JEM_OK;
}

static jem_status keep_extra(jem_model *model, jem__safetensors *set, int64_t index)
{
    const jem__tensor_info *t = jem__safetensors_get(set, index);
    jem__extra *e = &model->extras[model->extra_count];
    *e = (jem__extra){.dimensions = t->dimensions, .size = t->size};
    model->extra_count++;
    memcpy(e->shape, t->shape, sizeof e->shape);
    snprintf(e->dtype, sizeof e->dtype, "%s", t->dtype);
    if (!(e->name = jem__strdup(t->name))) return JEM_ERROR_MEMORY;
    if ((e->bytes = jem__safetensors_take(set, index))) return JEM_OK;
    JEM__TRY(jem__alloc(&e->bytes, t->size, 1));
    memcpy(e->bytes, t->bytes, (size_t)t->size);
    return JEM_OK;
}

static jem_status fill(jem_model *model, jem__safetensors *set, const char *file)
{
    for (int32_t i = 0; i < model->graph.parameter_count; i++)
        JEM__TRY(take(&model->parameters[i], set, file));
    jem__model_touch(model);
    int64_t count = jem__safetensors_count(set);
    JEM__TRY(jem__calloc(&model->extras, count, sizeof *model->extras));
    for (int64_t i = 0; i < count; i++)
        if (jem__parameter_find(model, jem__safetensors_get(set, i)->name) < 0)
            JEM__TRY(keep_extra(model, set, i));
    for (int64_t i = 0; i < jem__safetensors_metadata_count(set); i++) {
        const char *key, *value;
        jem__safetensors_metadata_at(set, i, &key, &value);
        if (!jem__metadata_is_file(key) && !jem__model_metadata(model, key))
            JEM__TRY(jem__metadata_put(model, key, value));
    }
    /* What is loaded can be saved, with the entries of libjem's own. */
    if (model->metadata_count > JEM__MODEL_TEXTS)
        return jem__fail(JEM_ERROR_FORMAT,
                         "%s: %" PRId64 " metadata entries with those that describe the network, "
                         "expected at most %d",
                         file, model->metadata_count, JEM__MODEL_TEXTS);
    return JEM_OK;
}

static jem_status build(jem_model **out, jem_context *context, jem__safetensors *set,
                        const char *file)
{
    jem_config *config = NULL;
    jem_model *model = NULL;
    jem_status status = jem_config_create(&config);
    /* Files of other programs have none. */
    if (!status && jem__safetensors_metadata(set, "checksum"))
        status = jem__safetensors_verify(set, file);
    if (!status) status = check_version(set, file);
    if (!status) status = settings(config, set, file);
    if (!status) status = check_tensors(config, set, file);
    if (!status) {
        status = jem__model_new(&model, context, config);
        if (status) jem__fail_in(status, "%s", file);
    }
    if (!status) status = fill(model, set, file);
    jem_config_destroy(config);
    if (status) {
        jem_model_destroy(model);
        return status == JEM_ERROR_CONFIG ? JEM_ERROR_FORMAT : status;
    }
    jem__log(JEM_LOG_INFO, "%s: loaded, %d parameters", file, model->graph.parameter_count);
    *out = model;
    return JEM_OK;
}

jem_status jem_model_load(jem_model **model, jem_context *context, const char *path)
{
    jem__safetensors *set = NULL;
    JEM__REQUIRE(model, "jem_model_load");
    *model = NULL;
    JEM__REQUIRE(context, "jem_model_load");
    JEM__REQUIRE(path, "jem_model_load");
    JEM__ENTER(context, "jem_model_load");
    JEM__TRY(jem__safetensors_load(&set, path));
    jem_status status = build(model, context, set, path);
    jem__safetensors_destroy(set);
    return status;
}

jem_status jem_model_load_memory(jem_model **model, jem_context *context, const void *bytes,
                                 int64_t size)
{
    jem__safetensors *set = NULL;
    JEM__REQUIRE(model, "jem_model_load_memory");
    *model = NULL;
    JEM__REQUIRE(context, "jem_model_load_memory");
    JEM__REQUIRE(bytes, "jem_model_load_memory");
    JEM__ENTER(context, "jem_model_load_memory");
    JEM__TRY(jem__safetensors_load_memory(&set, bytes, size, "model in memory"));
    jem_status status = build(model, context, set, "model in memory");
    jem__safetensors_destroy(set);
    return status;
}

/* ---- Saving ---- */

static jem_status collect(jem__safetensors **out, const jem_model *model)
{
    jem__safetensors *set = NULL;
    *out = NULL;
    JEM__TRY(jem__safetensors_create(&set));
    jem_status status = JEM_OK;
    for (int64_t i = 0; !status && i < model->metadata_count; i++)
        status =
            jem__safetensors_append_metadata(set, model->metadata[i].key, model->metadata[i].value);
    for (int32_t i = 0; !status && i < model->graph.parameter_count; i++) {
        const jem__parameter *p = &model->parameters[i];
        status = jem__safetensors_add(set, p->name, "F32", p->dimensions, p->shape, p->value);
    }
    for (int64_t i = 0; !status && i < model->extra_count; i++) {
        const jem__extra *e = &model->extras[i];
        status = jem__safetensors_add(set, e->name, e->dtype, e->dimensions, e->shape, e->bytes);
    }
    if (!status) status = jem__safetensors_set_metadata(set, "format_version", "1");
    if (!status) status = jem__safetensors_seal(set);
    if (status)
        jem__safetensors_destroy(set);
    else
        *out = set;
    return status;
}

jem_status jem_model_save(const jem_model *model, const char *path)
{
    jem__safetensors *set = NULL;
    JEM__REQUIRE(model, "jem_model_save");
    JEM__REQUIRE(path, "jem_model_save");
    JEM__ENTER(model->context, "jem_model_save");
    JEM__TRY(collect(&set, model));
    jem_status status = jem__safetensors_save(set, path);
    jem__safetensors_destroy(set);
    return status;
}

jem_status jem_model_save_memory(const jem_model *model, void *bytes, int64_t capacity,
                                 int64_t *size)
{
    jem__safetensors *set = NULL;
    JEM__REQUIRE(model, "jem_model_save_memory");
    JEM__REQUIRE(size, "jem_model_save_memory");
    JEM__ENTER(model->context, "jem_model_save_memory");
    *size = 0;
    JEM__TRY(collect(&set, model));
    jem_status status = jem__safetensors_save_memory(set, bytes, capacity, size);
    jem__safetensors_destroy(set);
    return status;
}
