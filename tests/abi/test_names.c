/* What a program or a file may say since ABI 1: settings with their old ranges and choices,
   presets, scores, metrics, statuses. names_1.txt has them; make_names.py wrote it.
   test_names FILE */
#include <jem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static jem_model *model;
static int failures;

static void expect(int good, const char *line)
{
    char text[512];
    if (good) return;
    jem_last_error(text, sizeof text);
    fprintf(stderr, "no longer taken: %s (%s)\n", line, text);
    failures++;
}

/* key NAME="VALUE" in a config of its own, and back. */
static int key(const char *text)
{
    char back[512], name[64];
    int32_t set = 0;
    jem_config *config = NULL;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(text, "="), text);
    int good = !jem_config_create(&config) && !jem_config_parse(config, text) &&
               !jem_config_is_set(config, name, &set) && set &&
               jem_config_text(config, back, sizeof back) > 0 && !jem_config_parse(config, back);
    jem_config_destroy(config);
    return good;
}

static int preset(const char *name)
{
    jem_config *config = NULL;
    int good = !jem_config_create(&config) && !jem_config_preset(config, name);
    jem_config_destroy(config);
    return good;
}

static int score(const char *name)
{
    float x[64] = {0}, value;
    return jem_eval_score(model, name, x, 1, 0, NULL, &value) == JEM_OK;
}

static int metric(const char *name)
{
    int found = 0;
    for (int64_t i = 0; i < jem_trainer_metric_count(); i++)
        found |= !strcmp(jem_trainer_metric_name(i), name);
    return found;
}

static int status(const char *text)
{
    char *name;
    long value = strtol(text, &name, 10);
    return !strcmp(jem_status_name((jem_status)value), name + 1);
}

static int make(void)
{
    jem_config *config = NULL;
    jem_context *context = NULL;
    int good = !jem_config_create(&config) &&
               !jem_config_parse(config, "model.channels=1 model.height=8 model.width=8") &&
               !jem_context_create(&context, config) && !jem_model_create(&model, context, config);
    jem_context_destroy(context);
    jem_config_destroy(config);
    return good;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *kind;
        int (*test)(const char *);
    } kinds[] = {
        {"key ", key},       {"preset ", preset}, {"score ", score},
        {"metric ", metric}, {"status ", status},
    };
    char line[512];
    int lines = 0, known = 0;
    FILE *file = argc == 2 ? fopen(argv[1], "r") : NULL;
    if (!file || !make()) return fprintf(stderr, "usage: test_names FILE\n"), 2;
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        lines++;
        for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
            size_t n = strlen(kinds[i].kind);
            if (strncmp(line, kinds[i].kind, n)) continue;
            expect(kinds[i].test(line + n), line);
            known++;
        }
    }
    fclose(file);
    /* The test itself must refuse what is not there. */
    int blind = key("model.dept=\"1\"") || preset("jemm") || score("los") || metric("los") ||
                status("-1 JEM_ERROR");
    jem_model_destroy(model);
    printf("%d lines, %d refused\n", lines, failures);
    return failures || blind || known != lines || lines < 300;
}
