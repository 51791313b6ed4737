/* jem score: what a model says of images in an .npy file. */
#include "cli.h"
#include <math.h>
#include <stdlib.h>

static struct {
    const char *model, *input, *labels, *logits, *energy, *gradient;
    int compact;
    settings settings;
} given;

static const option options[] = {
    {"model", OPTION_TEXT, 1, &given.model, "FILE", "the model, safetensors"},
    {"input", OPTION_TEXT, 1, &given.input, "X.npy", "images, float32 [n,C,H,W] in [-1,1]"},
    {"labels", OPTION_TEXT, 0, &given.labels, "Y.npy",
     "int64 or int32 [n]: energy and gradient of E(x,y)"},
    {"logits", OPTION_TEXT, 0, &given.logits, "L.npy", "write logits, float32 [n,classes]"},
    {"energy", OPTION_TEXT, 0, &given.energy, "E.npy", "write E(x), float32 [n]"},
    {"gradient", OPTION_TEXT, 0, &given.gradient, "G.npy", "write dE/dx, float32 [n,C,H,W]"},
    {"json", OPTION_FLAG, 0, &given.compact, NULL, "JSON on one line"},
    {"threads", OPTION_KEY, 0, "context.threads", "N", NULL},
    {"precision", OPTION_KEY, 0, "model.precision", "NAME", NULL},
};

static const command self = {
    "score",
    "What a model says of images, in evaluation mode: with output files, logits, energies\n"
    "and gradients; without, JSON with class, probability and log p(x) of each image, and\n"
    "whether it is accepted, if the model was calibrated (jem calibrate).",
    "E(x) = -log sum exp f(x), E(x,y) = -f(x)[y]; log p(x) is -E(x) up to a constant.",
    options,
    COUNT(options),
    &given.settings,
    "context"};

typedef struct work {
    jem_context *context;
    jem_model *model;
    jem_array *array;
    const float *x;
    int32_t *y;
    float *logits, *energy, *gradient, *log_px;
    int32_t *accepted;
    double temperature;
    int64_t n, c, h, w, classes;
} work;

static int check_options(void)
{
    if (given.labels && given.logits && !given.energy && !given.gradient)
        return options_exclude("--labels has no effect on --logits: it is for --energy and "
                               "--gradient, and for what is printed without files");
    if (given.compact && (given.logits || given.energy || given.gradient))
        return options_exclude("--json has no effect with --logits, --energy and --gradient: "
                               "nothing is printed then");
    return 0;
}

static int load(work *k)
{
    jem_config *config = NULL;
    TRY(check(jem_config_create(&config)));
    int code = settings_apply(&given.settings, config);
    if (!code) code = check(jem_context_create(&k->context, config));
    if (!code) code = model_open(&k->model, k->context, given.model, config);
    jem_config_destroy(config);
    TRY(code);
    TRY(check(jem_model_info(k->model, &k->c, &k->h, &k->w, &k->classes, NULL)));
    TRY(array_images(&k->array, given.input, k->model, &k->x, &k->n));
    if (given.labels) TRY(array_labels(given.labels, k->model, &k->n, &k->y));
    return 0;
}

/* By what jem calibrate left in the model, if anything. */
static int decide(work *k)
{
    jem_config *kept;
    k->temperature = 1;
    k->log_px = allocate(k->n, sizeof *k->log_px);
    k->accepted = allocate(k->n, sizeof *k->accepted);
    if (!k->log_px || !k->accepted) return CODE_FAILED;
    int code = model_calibration(k->model, &kept);
    if (!code && kept)
        code = check(jem_config_get_f64(kept, "calibration.temperature", &k->temperature));
    jem_config_destroy(kept);
    TRY(code);
    return check_input(given.input,
                       jem_model_predict(k->model, k->x, k->n, NULL, NULL, k->log_px, k->accepted));
}

static int compute(work *k)
{
    int64_t image = k->c * k->h * k->w, gradient = given.gradient ? k->n * image : 0;
    int want_logits = given.logits || (!given.energy && !given.gradient);
    k->logits = allocate(want_logits ? k->n * k->classes : 0, sizeof *k->logits);
    k->gradient = allocate(gradient, sizeof *k->gradient);
    k->energy = allocate(k->n, sizeof *k->energy);
    if (!k->logits || !k->gradient || !k->energy) return CODE_FAILED;
    if (want_logits)
        TRY(check_input(given.input,
                        jem_model_logits(k->model, k->x, k->n, k->logits, k->n * k->classes)));
    if (!given.logits && want_logits) TRY(decide(k));
    if (given.gradient)
        return check_input(given.input, jem_model_energy_gradient(k->model, k->x, k->y, k->n,
                                                                  k->energy, k->gradient));
    if (given.energy)
        return check_input(given.input, jem_model_energy(k->model, k->x, k->y, k->n, k->energy));
    return 0;
}

static int write_files(const work *k)
{
    const int64_t logits[] = {k->n, k->classes}, image[] = {k->n, k->c, k->h, k->w};
    if (given.logits) TRY(array_save(given.logits, k->logits, 2, logits));
    if (given.energy) TRY(array_save(given.energy, k->energy, 1, &k->n));
    if (given.gradient) TRY(array_save(given.gradient, k->gradient, 4, image));
    return 0;
}

static void print(const work *k)
{
    json out;
    json_open(&out, stdout, given.compact);
    json_array(&out, NULL);
    for (int64_t i = 0; i < k->n; i++) {
        const float *row = k->logits + i * k->classes;
        int64_t best = 0;
        double sum = 0;
        char name[256];
        for (int64_t j = 1; j < k->classes; j++) best = row[j] > row[best] ? j : best;
        for (int64_t j = 0; j < k->classes; j++)
            sum += exp(((double)row[j] - row[best]) / k->temperature);
        jem_model_class_name(k->model, best, name, sizeof name);
        out.compact = given.compact;
        json_object(&out, NULL);
        out.compact = 1; /* an image a line */
        json_integer(&out, "image", i);
        json_integer(&out, "class", best);
        json_text(&out, "name", name);
        json_float(&out, "probability", (float)(1 / sum));
        json_float(&out, "log_px", k->log_px[i]);
        if (k->accepted[i] >= 0) json_flag(&out, "accepted", k->accepted[i]);
        if (k->y) {
            json_integer(&out, "label", k->y[i]);
            json_float(&out, "label_probability",
                       (float)(exp(((double)row[k->y[i]] - row[best]) / k->temperature) / sum));
            json_float(&out, "energy", -row[k->y[i]]);
        }
        json_close(&out, '}');
    }
    out.compact = given.compact;
    json_close(&out, ']');
    json_end(&out);
}

int run_score(int argc, char **argv)
{
    work k = {0};
    int code = options_parse(&self, argc, argv);
    if (code) return code < 0 ? 0 : code;
    code = check_options();
    if (!code) code = load(&k);
    if (!code) code = compute(&k);
    if (!code) code = write_files(&k);
    if (!code && !given.logits && !given.energy && !given.gradient) print(&k);
    free(k.y);
    free(k.logits);
    free(k.energy);
    free(k.gradient);
    free(k.log_px);
    free(k.accepted);
    jem_array_destroy(k.array);
    jem_model_destroy(k.model);
    jem_context_destroy(k.context);
    settings_clear(&given.settings);
    return code;
}
