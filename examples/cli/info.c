/* jem info: what a model file holds. */
#include "cli.h"
#include <stdlib.h>
#include <string.h>

static struct {
    const char *model;
    int json, parameters;
} given;

static const option options[] = {
    {"MODEL", OPTION_POSITIONAL, 1, &given.model, NULL, "the model, safetensors"},
    {"parameters", OPTION_FLAG, 0, &given.parameters, NULL, "list every parameter"},
    {"json", OPTION_FLAG, 0, &given.json, NULL, "as JSON"},
};

static const command self = {"info",
                             "Shape, classes, parameters and metadata of a model file.",
                             NULL,
                             options,
                             COUNT(options),
                             NULL,
                             NULL};

typedef struct facts {
    int64_t c, h, w, classes, features, tensors, trainable, statistics;
    int64_t starts_rank, starts_bytes; /* bytes 0: the model carries none */
    double starts_explained;
} facts;

static int gather(const jem_model *model, facts *f)
{
    TRY(check(
        jem_model_starts_info(model, &f->starts_rank, &f->starts_bytes, &f->starts_explained)));
    TRY(check(jem_model_info(model, &f->c, &f->h, &f->w, &f->classes, &f->features)));
    f->tensors = jem_model_parameter_count(model);
    for (int64_t i = 0; i < f->tensors; i++) {
        int64_t elements;
        jem_parameter_kind kind;
        TRY(check(jem_model_parameter_info(model, i, NULL, NULL, NULL, &elements, &kind)));
        *(kind == JEM_PARAMETER_TRAINABLE ? &f->trainable : &f->statistics) += elements;
    }
    return 0;
}

static void parameter_text(const jem_model *model, int64_t i, char *shape, size_t capacity,
                           const char **name, jem_parameter_kind *kind)
{
    int64_t dimensions, size[4];
    size_t at = 0;
    *shape = 0;
    jem_model_parameter_info(model, i, name, &dimensions, size, NULL, kind);
    for (int64_t d = 0; d < dimensions && at < capacity; d++)
        at += (size_t)snprintf(shape + at, capacity - at, "%s%" PRId64, d ? "x" : "", size[d]);
}

static int print_text(const jem_model *model, const facts *f)
{
    char name[256], shape[128];
    printf("input       %" PRId64 "x%" PRId64 "x%" PRId64 " (channels, height, width)\n", f->c,
           f->h, f->w);
    printf("classes     %" PRId64 ":", f->classes);
    for (int64_t k = 0; k < f->classes && k < 20; k++) {
        jem_model_class_name(model, k, name, sizeof name);
        printf(" ");
        text_print(stdout, name);
    }
    printf("%s\nfeatures    %" PRId64 "\n", f->classes > 20 ? " ..." : "", f->features);
    printf("parameters  %" PRId64 " in %" PRId64 " tensors", f->trainable, f->tensors);
    if (f->statistics) printf(", and %" PRId64 " statistics", f->statistics);
    if (f->starts_bytes)
        printf("\nstarts      class Gaussians of rank %" PRId64 ", %" PRId64
               " bytes; %.1f %% of the variance in the factor",
               f->starts_rank, f->starts_bytes, 100 * f->starts_explained);
    printf("\nmetadata\n");
    for (int64_t i = 0; i < jem_model_metadata_count(model); i++) {
        char *key, *text;
        TRY(metadata_entry(model, i, &key, &text));
        char clean[300];
        text_clean(clean, sizeof clean, key);
        printf("  %-20s ", clean);
        text_print(stdout, text);
        printf("\n");
        free(key);
        free(text);
    }
    for (int64_t i = 0; given.parameters && i < f->tensors; i++) {
        const char *parameter;
        jem_parameter_kind kind;
        parameter_text(model, i, shape, sizeof shape, &parameter, &kind);
        printf("%s  %-40s %-14s%s\n", i ? "" : "tensors\n", parameter, shape,
               kind == JEM_PARAMETER_STATISTIC ? " statistic" : "");
    }
    return 0;
}

static int print_json(const jem_model *model, const facts *f)
{
    json out;
    char name[256], shape[128];
    json_open(&out, stdout, 0);
    json_object(&out, NULL);
    json_integer(&out, "channels", f->c);
    json_integer(&out, "height", f->h);
    json_integer(&out, "width", f->w);
    json_integer(&out, "features", f->features);
    json_integer(&out, "parameters", f->trainable);
    json_integer(&out, "statistics", f->statistics);
    if (f->starts_bytes) {
        json_integer(&out, "starts_rank", f->starts_rank);
        json_integer(&out, "starts_bytes", f->starts_bytes);
        json_number(&out, "starts_explained_variance", f->starts_explained);
    }
    json_array(&out, "classes");
    for (int64_t k = 0; k < f->classes; k++) {
        jem_model_class_name(model, k, name, sizeof name);
        json_text(&out, NULL, name);
    }
    json_close(&out, ']');
    json_object(&out, "metadata");
    for (int64_t i = 0; i < jem_model_metadata_count(model); i++) {
        char *key, *text;
        TRY(metadata_entry(model, i, &key, &text));
        json_text(&out, key, text);
        free(key);
        free(text);
    }
    json_close(&out, '}');
    if (given.parameters) json_object(&out, "tensors");
    for (int64_t i = 0; given.parameters && i < f->tensors; i++) {
        const char *parameter;
        jem_parameter_kind kind;
        parameter_text(model, i, shape, sizeof shape, &parameter, &kind);
        json_text(&out, parameter, shape);
    }
    if (given.parameters) json_close(&out, '}');
    json_close(&out, '}');
    json_end(&out);
    return 0;
}

int run_info(int argc, char **argv)
{
    jem_context *context = NULL;
    jem_model *model = NULL;
    facts f = {0};
    int code = options_parse(&self, argc, argv);
    if (code) return code < 0 ? 0 : code;
    code = check(jem_context_create(&context, NULL));
    if (!code) code = check(jem_model_load(&model, context, given.model));
    if (!code) code = gather(model, &f);
    if (!code) code = given.json ? print_json(model, &f) : print_text(model, &f);
    jem_model_destroy(model);
    jem_context_destroy(context);
    return code;
}
