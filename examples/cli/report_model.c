/* What a report says of the model and its settings. */
#include "html.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void library_error(const html *page)
{
    char text[ERROR_TEXT];
    jem_last_error(text, sizeof text);
    fputs("<p class=\"alarm\">", page->file);
    html_text(page, text);
    fputs("</p>\n", page->file);
}

static void show_metadata(const html *page, const jem_model *model)
{
    fputs("<details><summary>Metadata of the file</summary><table>\n", page->file);
    for (int64_t i = 0; i < jem_model_metadata_count(model); i++) {
        char *key, *text;
        if (metadata_entry(model, i, &key, &text)) continue;
        html_row(page, key, text);
        free(key);
        free(text);
    }
    fputs("</table></details>\n", page->file);
}

static void show_facts(const html *page, const jem_model *model, const char *path)
{
    int64_t c, h, w, classes, features, rank = 0, bytes = 0, weights = 0,
                                        n = jem_model_parameter_count(model);
    double explained = 0;
    char text[256], name[128];
    struct stat info;
    if (jem_model_info(model, &c, &h, &w, &classes, &features) < 0) return;
    for (int64_t i = 0; i < n; i++) {
        int64_t elements = 0;
        jem_parameter_kind kind = 0;
        jem_model_parameter_info(model, i, NULL, NULL, NULL, &elements, &kind);
        if (kind == JEM_PARAMETER_TRAINABLE) weights += elements;
    }
    fputs("<table>\n", page->file);
    snprintf(text, sizeof text,
             "%" PRId64 "x%" PRId64 "x%" PRId64 " (channels, height, width), values in [-1,1]", c,
             h, w);
    html_row(page, "Input", text);
    size_t at = (size_t)snprintf(text, sizeof text, "%" PRId64 ":", classes);
    for (int64_t k = 0; k < classes && at < sizeof text - 40; k++) {
        jem_model_class_name(model, k, name, sizeof name);
        at += (size_t)snprintf(text + at, sizeof text - at, " %.30s", name);
    }
    html_row(page, "Classes", text);
    snprintf(text, sizeof text, "%" PRId64 " in %" PRId64 " tensors; %" PRId64 " features", weights,
             n, features);
    html_row(page, "Parameters", text);
    if (!stat(path, &info)) {
        snprintf(text, sizeof text, "%.2f MB", (double)info.st_size / 1e6);
        html_row(page, "File", text);
    }
    if (jem_model_starts_info(model, &rank, &bytes, &explained) >= 0 && bytes) {
        snprintf(text, sizeof text,
                 "class Gaussians of rank %" PRId64
                 ", %.2f MB, %.1f %% of the variance in the factor",
                 rank, (double)bytes / 1e6, 100 * explained);
        html_row(page, "Starts", text);
    }
    fputs("</table>\n", page->file);
    show_metadata(page, model);
}

void show_model(const html *page, const char *folder)
{
    jem_context *context = NULL;
    jem_model *model = NULL;
    char path[4300];
    join(path, sizeof path, folder, "model.safetensors");
    if (access(path, R_OK)) return;
    html_section(page, "Model");
    if (jem_context_create(&context, NULL) < 0 || jem_model_load(&model, context, path) < 0)
        library_error(page);
    else
        show_facts(page, model, path);
    jem_model_destroy(model);
    jem_context_destroy(context);
}

/* Keys that were set first, with their help; the rest folded away. */
static void show_keys(const html *page, const jem_config *config, int chosen)
{
    char value[4096];
    const char *name, *standard, *help;
    for (int64_t i = 0; i < jem_config_key_count(); i++) {
        jem_key_type type;
        int64_t whole = 0;
        double real = 0;
        jem_config_key_info(i, &name, &type, &standard, NULL, &help);
        if (type == JEM_KEY_STR) {
            jem_config_get_str(config, name, value, sizeof value);
        } else if (type == JEM_KEY_I64) {
            jem_config_get_i64(config, name, &whole);
            snprintf(value, sizeof value, "%" PRId64, whole);
        } else {
            jem_config_get_f64(config, name, &real);
            json_format(value, sizeof value, real);
        }
        int same = !strcmp(value, standard) ||
                   (type == JEM_KEY_F64 && real == strtod(standard, NULL)) ||
                   (type == JEM_KEY_I64 && (double)whole == strtod(standard, NULL));
        if (same == chosen) continue;
        fputs("<tr><th>", page->file);
        html_text(page, name);
        fputs("</th><td class=\"w\">", page->file);
        html_text(page, value);
        fputs("</td><td class=\"soft\">", page->file);
        html_text(page, help);
        fputs("</td></tr>\n", page->file);
    }
}

void show_settings(const html *page, const char *folder)
{
    jem_config *config = NULL;
    char path[4300];
    join(path, sizeof path, folder, "checkpoint.safetensors");
    if (access(path, R_OK)) return;
    html_section(page, "Settings");
    if (jem_config_load(&config, path) < 0) {
        library_error(page);
        return;
    }
    fputs("<p>Those that differ from the defaults:</p><table>\n", page->file);
    show_keys(page, config, 1);
    fputs("</table><details><summary>All others, at their defaults</summary><table>\n", page->file);
    show_keys(page, config, 0);
    fputs("</table></details>\n", page->file);
    jem_config_destroy(config);
}
