/* A model's life: create, clone, destroy; what it is; its plans. */
#include "base/memory.h"
#include "base/status.h"
#include "model/internal.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const jem__setting jem__model_settings[] = {
    {"architecture", 3},  {"depth", 1},      {"widen_factor", 1}, {"classes", 3},
    {"channels", 3},      {"height", 3},     {"width", 3},        {"norm", 1},
    {"norm_momentum", 3}, {"activation", 1}, {"dropout", 1},      {"energy", 3},
    {"network", 2},       {NULL, 0}};

/* ---- What it is ---- */

static jem_status describe(jem_model *model)
{
    int32_t kind = jem__model_is_network(model->config) ? 2 : 1;
    JEM__TRY(jem__metadata_put(model, "format", "jem"));
    for (const jem__setting *s = jem__model_settings; s->name; s++) {
        char key[64], text[64];
        if (!(s->kinds & kind)) continue;
        snprintf(key, sizeof key, "model.%s", s->name);
        JEM__TRY(jem__config_print(model->config, key, text, sizeof text));
        JEM__TRY(jem__metadata_put(model, s->name,
                                   s->kinds == 2 ? jem__config_str(model->config, key) : text));
    }
    const char *names = jem__config_str(model->config, "model.class_names");
    return *names ? jem__metadata_put(model, "class_names", names) : JEM_OK;
}

jem_status jem__model_settings_of(const jem_model *model, jem_config *config)
{
    int32_t kind = jem__model_is_network(model->config) ? 2 : 1;
    for (const jem__setting *s = jem__model_settings; s->name; s++) {
        char key[64];
        if (!(s->kinds & kind)) continue;
        jem__format(key, sizeof key, "model.%s", s->name);
        JEM__TRY(jem__config_read(config, key, jem__model_metadata(model, s->name)));
    }
    const char *names = jem__model_metadata(model, "class_names");
    jem_status status = names ? jem_config_set_str(config, "model.class_names", names) : JEM_OK;
    /* Names are the caller's text, and may be more than a setting holds. */
    return status == JEM_ERROR_CONFIG ? JEM_OK : status;
}

int64_t jem_model_class_name(const jem_model *model, int64_t k, char *buffer, int64_t capacity)
{
    char number[24];
    if (buffer && capacity > 0) *buffer = 0;
    JEM__REQUIRE(model, "jem_model_class_name");
    if (k < 0 || k >= model->graph.classes)
        return jem__fail(JEM_ERROR_ARGUMENT,
                         "jem_model_class_name: class %" PRId64 ", expected 0..%" PRId64, k,
                         (int64_t)model->graph.classes - 1);
    const char *name = model->class_names ? model->class_names[k] : "";
    int64_t length = (int64_t)strcspn(name, ",");
    if (length) return jem__copy_part(name, length, buffer, capacity);
    snprintf(number, sizeof number, "%" PRId64, k);
    return jem__copy_text(number, buffer, capacity);
}

/* ---- Life ---- */

int32_t jem__model_is_network(const jem_config *config)
{
    return strcmp(jem__config_str(config, "model.architecture"), "network") == 0;
}

jem_status jem__model_graph(jem__graph *graph, const jem_config *config)
{
    return jem__model_is_network(config) ? jem__network(graph, config)
                                         : jem__wide_resnet(graph, config);
}

/* bf16 where it is asked for and exists; auto where it is fast, too. */
static void choose_type(jem_model *model, const char *precision)
{
    int32_t wanted = strcmp(precision, "bf16") == 0 ||
                     (strcmp(precision, "auto") == 0 && jem__dnn_fast(JEM__BF16));
    model->type = wanted && jem__dnn_has(model->engine, JEM__BF16) ? JEM__BF16 : JEM__F32;
    if (model->type == JEM__F32 && strcmp(precision, "bf16") == 0)
        jem__log(JEM_LOG_WARNING, "model: no bf16 on this machine, it computes in f32");
}

jem_status jem_model_set_precision(jem_model *model, const char *precision)
{
    JEM__REQUIRE(model, "jem_model_set_precision");
    JEM__REQUIRE(precision, "jem_model_set_precision");
    JEM__ENTER(model->context, "jem_model_set_precision");
    JEM__TRY(jem_config_set_str(model->config, "model.precision", precision));
    choose_type(model, precision);
    return JEM_OK;
}

jem_status jem_model_precision(const jem_model *model, const char **precision)
{
    JEM__REQUIRE(model, "jem_model_precision");
    JEM__REQUIRE(precision, "jem_model_precision");
    *precision = model->type == JEM__BF16 ? "bf16" : "f32";
    return JEM_OK;
}

static jem__method method_of(const char *convolution)
{
    return strcmp(convolution, "direct") == 0 ? JEM__DIRECT
           : strcmp(convolution, "fast") == 0 ? JEM__FAST
                                              : JEM__EXACT;
}

jem_status jem__model_new(jem_model **out, jem_context *context, const jem_config *config)
{
    jem_model *model = NULL;
    *out = NULL;
    JEM__TRY(jem__calloc(&model, 1, sizeof *model));
    jem__count_init(&model->count);
    pthread_mutex_init(&model->lock, NULL);
    pthread_cond_init(&model->returned, NULL);
    model->context = jem__context_take(context);
    model->packed_version = -1;
    jem_status status =
        config ? jem_config_clone(&model->config, config) : jem_config_create(&model->config);
    if (!status) {
        model->slice = jem__config_i64(config, "model.slice");
        model->seed = (uint64_t)jem__config_i64(config, "model.seed");
        model->fuse = jem__config_i64(config, "model.fuse") != 0;
        model->method = method_of(jem__config_str(config, "model.convolution"));
        model->check_input = jem__config_i64(config, "model.check_input") != 0;
        status = jem__engine_create(&model->engine);
    }
    if (!status) choose_type(model, jem__config_str(config, "model.precision"));
    if (!status) status = jem__model_graph(&model->graph, model->config);
    if (!status) status = jem__model_store(model);
    if (!status) status = describe(model);
    if (status) {
        jem_model_destroy(model);
        return status;
    }
    *out = model;
    return JEM_OK;
}

jem_status jem_model_create(jem_model **model, jem_context *context, const jem_config *config)
{
    JEM__REQUIRE(model, "jem_model_create");
    *model = NULL;
    JEM__REQUIRE(context, "jem_model_create");
    JEM__ENTER(context, "jem_model_create");
    JEM__TRY(jem__model_new(model, context, config));
    jem_status status = jem__model_initialise(*model);
    if (!status) return JEM_OK;
    jem_model_destroy(*model);
    *model = NULL;
    return status;
}

static jem_status copy_extras(jem_model *copy, const jem_model *model)
{
    JEM__TRY(jem__calloc(&copy->extras, model->extra_count, sizeof *copy->extras));
    for (int64_t i = 0; i < model->extra_count; i++) {
        jem__extra *to = &copy->extras[i];
        *to = model->extras[i];
        to->bytes = NULL;
        to->name = jem__strdup(model->extras[i].name);
        copy->extra_count = i + 1;
        if (!to->name) return JEM_ERROR_MEMORY;
        JEM__TRY(jem__alloc(&to->bytes, to->size, 1));
        memcpy(to->bytes, model->extras[i].bytes, (size_t)to->size);
    }
    return JEM_OK;
}

jem_status jem_model_clone(jem_model **copy, const jem_model *model)
{
    JEM__REQUIRE(copy, "jem_model_clone");
    *copy = NULL;
    JEM__REQUIRE(model, "jem_model_clone");
    JEM__ENTER(model->context, "jem_model_clone");
    jem_model *fresh = NULL;
    JEM__TRY(jem__model_new(&fresh, model->context, model->config));
    for (int32_t i = 0; i < model->graph.parameter_count; i++)
        memcpy(fresh->parameters[i].value, model->parameters[i].value,
               (size_t)model->parameters[i].elements * sizeof(float));
    jem__model_touch(fresh);
    jem_status status = copy_extras(fresh, model);
    for (int64_t i = 0; !status && i < model->metadata_count; i++)
        status = jem__metadata_put(fresh, model->metadata[i].key, model->metadata[i].value);
    if (status) {
        jem_model_destroy(fresh);
        return status;
    }
    *copy = fresh;
    return JEM_OK;
}

jem_model *jem__model_take(jem_model *model)
{
    jem__count_take(&model->count);
    return model;
}

jem_context *jem__model_context(const jem_model *model)
{
    return model->context;
}

int32_t jem__model_has_head(const jem_model *model)
{
    return model->graph.head;
}

int32_t jem__model_has_dropout(const jem_model *model)
{
    return jem__graph_drops(&model->graph);
}

void jem_model_destroy(jem_model *model)
{
    if (!model || !jem__count_drop(&model->count)) return;
    while (model->idle) {
        jem_pass *pass = model->idle;
        model->idle = jem__pass_next(pass);
        jem__pass_free(pass);
    }
    for (int64_t i = 0; i < model->plan_count; i++) jem__plan_destroy(model->plans[i]);
    jem__free(model->plans);
    jem__model_drop_parameters(model);
    jem__metadata_clear(model);
    for (int64_t i = 0; i < model->extra_count; i++) {
        jem__free(model->extras[i].name);
        jem__free(model->extras[i].bytes);
    }
    jem__free(model->extras);
    jem__graph_clear(&model->graph);
    jem__engine_destroy(model->engine);
    jem_config_destroy(model->config);
    if (!jem__context_forked(model->context)) {
        pthread_mutex_destroy(&model->lock);
        pthread_cond_destroy(&model->returned);
    }
    jem_context_destroy(model->context);
    jem__free(model);
}

jem_status jem_model_info(const jem_model *model, int64_t *channels, int64_t *height,
                          int64_t *width, int64_t *classes, int64_t *features)
{
    JEM__REQUIRE(model, "jem_model_info");
    const jem__graph *g = &model->graph;
    if (channels) *channels = g->input.c;
    if (height) *height = g->input.h;
    if (width) *width = g->input.w;
    if (classes) *classes = g->classes;
    jem__image read = jem__graph_shape(g, g->nodes[jem__graph_classifier(g)].input[0]);
    if (features) *features = read.c * read.h * read.w;
    return JEM_OK;
}

/* ---- Plans ---- */

typedef struct compilation {
    jem_model *model;
    int64_t n;
    int32_t wants;
    jem__plan *plan;
} compilation;

static jem_status compile_task(void *user, int64_t index, int64_t worker)
{
    compilation *c = user;
    (void)index, (void)worker;
    JEM__TRY(jem__plan_create(&c->plan, c->model, &c->model->graph, c->n, c->wants));
    jem__log(JEM_LOG_DEBUG, "model: compiled for %" PRId64 " images: %d steps, %" PRId64 " bytes",
             c->n, c->plan->step_count, c->plan->arena);
    return JEM_OK;
}

static jem_status room_for_plan(jem_model *model)
{
    jem__plan **fresh;
    if (model->plan_count < model->plan_room) return JEM_OK;
    int64_t room = model->plan_room ? 2 * model->plan_room : 16;
    JEM__TRY(jem__calloc(&fresh, room, sizeof *fresh));
    if (model->plans) memcpy(fresh, model->plans, (size_t)model->plan_count * sizeof *fresh);
    jem__free(model->plans);
    model->plans = fresh;
    model->plan_room = room;
    return JEM_OK;
}

jem_status jem__model_plan(jem_model *model, int64_t n, int32_t wants, const jem__plan **plan)
{
    *plan = NULL;
    if (!model->fuse) wants |= JEM__UNFUSED;
    pthread_mutex_lock(&model->lock);
    for (int64_t i = 0; i < model->plan_count; i++)
        if (model->plans[i]->n == n && model->plans[i]->wants == wants &&
            model->plans[i]->type == model->type)
            *plan = model->plans[i];
    jem_status status = *plan ? JEM_OK : room_for_plan(model);
    if (!status && !*plan) {
        compilation c = {model, n, wants, NULL};
        status = jem__pool_run(model->context->pool, 1, compile_task, &c);
        if (!status) *plan = model->plans[model->plan_count++] = c.plan;
    }
    pthread_mutex_unlock(&model->lock);
    return status;
}
