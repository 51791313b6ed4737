/* jem eval NAME: opens what its subcommands measure. */
#include "eval.h"
#include "draw.h"
#include <string.h>

eval_given given;

static const struct {
    const char *name, *summary;
    int (*run)(int argc, char **argv);
} kinds[] = {
    {"accuracy", "accuracy, negative log-likelihood (nats), Brier score", eval_accuracy},
    {"calibration", "the same, expected calibration error, reliability in 20 bins",
     eval_calibration},
    {"temperature", "the temperature of least NLL; NLL and calibration error with it",
     eval_temperature},
    {"ood", "AUROC, AUPR, false positives at 95 %: how well scores tell other data", eval_ood},
    {"roc", "the points of those ROC curves", eval_roc},
    {"histograms", "how often each value of a score occurs, in the data and in other data",
     eval_histograms},
    {"attack", "robust accuracy: projected gradient descent at each eps", eval_attack},
    {"distance", "how far the nearest misclassified images are that attacks find", eval_distance},
    {"refine", "accuracy after a short chain from each image", eval_refine},
    {"frechet", "Frechet distance between samples and data", eval_frechet},
    {"inception", "inception score of samples", eval_inception},
};

static void print_help(FILE *out)
{
    fputs("Usage: jem eval NAME --model FILE --data SOURCE [OPTIONS]\n\n"
          "Measures a model; prints JSON.\n\n",
          out);
    for (int64_t i = 0; i < COUNT(kinds); i++)
        fprintf(out, "  %-12s %s\n", kinds[i].name, kinds[i].summary);
    fputs(
        "\n'jem eval NAME --help' tells its options; docs/evaluation.md what each number means.\n",
        out);
}

int run_eval(int argc, char **argv)
{
    const char *names[COUNT(kinds)];
    if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
        print_help(stdout);
        return 0;
    }
    if (argc < 2 || argv[1][0] == '-') {
        fail("eval: the first argument names what to measure (see 'jem eval --help')");
        return CODE_USAGE;
    }
    for (int64_t i = 0; i < COUNT(kinds); i++) {
        names[i] = kinds[i].name;
        if (!strcmp(argv[1], names[i])) return kinds[i].run(argc - 1, argv + 1);
    }
    const char *nearest = options_nearest(argv[1], names, COUNT(kinds));
    fail("eval: unknown measure '%s'%s%s%s (see 'jem eval --help')", argv[1],
         nearest ? ", did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
    return CODE_USAGE;
}

static int open_all(eval_work *w)
{
    int64_t c, h, w_;
    TRY(check(jem_config_create(&w->config)));
    TRY(settings_apply(&given.settings, w->config));
    TRY(check(jem_context_create(&w->context, w->config)));
    if (given.model) {
        TRY(model_open(&w->model, w->context, given.model, w->config));
        TRY(check(jem_model_info(w->model, &c, &h, &w_, &w->classes, NULL)));
        w->image = c * h * w_;
        if (given.data)
            TRY(images_open(&w->set, w->context, given.data, w->config, NULL, c, h, w_));
        if (given.as_trained) TRY(model_recipe(w->model, given.model, &given.settings, w->config));
    }
    return 0;
}

int eval_run(const command *self, int argc, char **argv, int (*run)(eval_work *))
{
    eval_work w = {0};
    int code = options_parse(self, argc, argv);
    if (code) return code < 0 ? 0 : code;
    if (given.picture && !page_suffix(given.picture)) {
        fail("--picture: got '%s', expected a name that ends in .png, .pdf or .svg", given.picture);
        code = CODE_USAGE;
    }
    if (!code) code = open_all(&w);
    if (!code) code = run(&w);
    images_close(&w.set);
    jem_model_destroy(w.model);
    jem_context_destroy(w.context);
    jem_config_destroy(w.config);
    settings_clear(&given.settings);
    return code;
}

void eval_begin(json *out, const eval_work *w)
{
    json_open(out, stdout, given.compact);
    json_object(out, NULL);
    if (!w->set.name) return;
    json_text(out, "data", w->set.name);
    json_integer(out, "images", w->set.count);
}

void eval_end(json *out)
{
    json_close(out, '}');
    json_end(out);
}

void eval_sampler(json *out, const jem_config *config)
{
    static const char *const keys[] = {
        "sampler.steps", "sampler.step_size",         "sampler.noise", "sampler.gradient_clamp",
        "sampler.clamp", "sampler.noise_after_clamp", "sampler.seed"};
    for (size_t i = 0; i < COUNT(keys); i++) eval_setting(out, config, keys[i], keys[i]);
}

void eval_setting(json *out, const jem_config *config, const char *key, const char *name)
{
    int64_t whole = 0;
    double value = 0;
    if (!jem_config_get_i64(config, key, &whole)) {
        json_integer(out, name, whole);
    } else {
        jem_config_get_f64(config, key, &value);
        json_number(out, name, value);
    }
}
