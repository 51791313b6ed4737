/* Teaches a trained model another kind of images, few of which have labels, without
   forgetting the first kind: cross-entropy by sharpness-aware steps, energies held near
   those of the model before, weights pulled to those before (Li et al. 2018, L2-SP) and
   averaged with them at the end (Wortsman et al. 2022). The images are digits of half the
   contrast, in arrays of the program's own.

   usage: finetune MODEL.safetensors [STEPS [OUTPUT.safetensors]] */
#include <jem.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MANY = 1000, TEST = 400, N = 32, PER_CLASS = 30 };

static int64_t channels, height, width, image, classes;

/* Every call returns a negative number when it fails: stop, with its reason. */
static void check(int64_t status)
{
    char text[512];
    if (status >= 0) return;
    jem_last_error(text, sizeof text);
    fprintf(stderr, "finetune: %s: %s\n", jem_status_name((jem_status)status), text);
    exit(1);
}

static void *room(int64_t count, size_t size)
{
    void *memory = calloc((size_t)count, size);
    if (memory) return memory;
    fprintf(stderr, "finetune: out of memory\n");
    exit(1);
}

/* A model in memory, as in a program that carries its own. */
static jem_model *load(jem_context *context, const char *path)
{
    jem_model *model;
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END)) {
        perror(path);
        exit(1);
    }
    int64_t size = ftell(file);
    void *bytes = room(size + 1, 1);
    rewind(file);
    size = (int64_t)fread(bytes, 1, (size_t)size, file);
    fclose(file);
    check(jem_model_load_memory(&model, context, bytes, size));
    free(bytes);
    return model;
}

static void save(const jem_model *model, const char *path)
{
    int64_t size;
    check(jem_model_save_memory(model, NULL, 0, &size));
    void *bytes = room(size, 1);
    check(jem_model_save_memory(model, bytes, size, &size));
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, (size_t)size, file) != (size_t)size || fclose(file)) {
        perror(path);
        exit(1);
    }
    free(bytes);
}

/* ---- Data: labels for a few, the rest to test on ---- */

static void own_images(jem_dataset **labelled, jem_dataset **test, jem_context *context,
                       const jem_config *config)
{
    jem_dataset *digits, *all;
    float *x = room(MANY * image, sizeof *x);
    int32_t *y = room(MANY, sizeof *y);
    int64_t *last = room(TEST, sizeof *last), *first = room(MANY - TEST, sizeof *first);
    check(jem_dataset_open(&digits, context, "glyphs:seed=5", config));
    check(jem_dataset_read(digits, 0, MANY, x, MANY * image, y));
    for (int64_t i = 0; i < MANY * image; i++) x[i] *= 0.5F;
    check(jem_dataset_create(&all, context, x, JEM_TYPE_F32, y, MANY, channels, height, width));
    for (int64_t i = 0; i < MANY; i++) *(i < TEST ? &last[i] : &first[i - TEST]) = i;
    check(jem_dataset_subset(test, all, last, TEST));
    jem_dataset_destroy(digits);
    check(jem_dataset_subset(&digits, all, first, MANY - TEST));
    check(jem_dataset_balanced(labelled, digits, PER_CLASS, 1));
    jem_dataset_destroy(digits);
    jem_dataset_destroy(all); /* its subsets keep the images */
    free(first);
    free(last);
    free(y);
    free(x);
}

/* ---- One gradient ---- */

typedef struct step {
    jem_model *model, *before;
    jem_pass *pass;
    const float *x;
    const int32_t *y;
    float *logits, *dlogits, energy[N], target[N];
    int64_t number;
} step;

/* Cross-entropy plus 0.1 mean (E - E_before)^2 / 2, by a forward whose dropout is the step's. */
static double gradient(step *s)
{
    double loss;
    float denergy[N];
    check(jem_model_gradient_zero(s->model));
    check(jem_pass_set_stream(s->pass, 0, s->number));
    check(jem_pass_forward(s->pass, s->x, N, s->logits, N * classes));
    check(jem_pass_energy(s->pass, s->energy));
    for (int i = 0; i < N; i++) denergy[i] = 0.1F * (s->energy[i] - s->target[i]) / N;
    for (int64_t i = 0; i < N * classes; i++) s->dlogits[i] = 0;
    check(jem_loss_cross_entropy(s->logits, s->y, N, classes, 1, &loss, s->dlogits));
    check(jem_pass_backward_energy(s->pass, s->dlogits, denergy, JEM_GRADIENT_PARAMETERS, NULL));
    return loss;
}

/* For each trainable parameter, its values before and its own. */
static void each_weight(step *s, void (*act)(step *, int64_t, int64_t, const float *, float *))
{
    for (int64_t i = 0; i < jem_model_parameter_count(s->model); i++) {
        int64_t elements;
        jem_parameter_kind kind;
        check(jem_model_parameter_info(s->model, i, NULL, NULL, NULL, &elements, &kind));
        if (kind != JEM_PARAMETER_TRAINABLE) continue;
        float *old = room(elements, sizeof *old), *now = room(elements, sizeof *now);
        check(jem_model_parameter_get(s->before, i, old, elements));
        check(jem_model_parameter_get(s->model, i, now, elements));
        act(s, i, elements, old, now);
        free(old);
        free(now);
    }
}

static void pull(step *s, int64_t i, int64_t elements, const float *old, float *now)
{
    float *g;
    check(jem_model_gradient_map(s->model, i, &g));
    for (int64_t j = 0; j < elements; j++) g[j] += 1e-2F * (now[j] - old[j]);
}

static void average(step *s, int64_t i, int64_t elements, const float *old, float *now)
{
    float *values;
    (void)now;
    check(jem_model_parameter_map(s->model, i, &values));
    for (int64_t j = 0; j < elements; j++) values[j] = (values[j] + old[j]) / 2;
    check(jem_model_parameter_unmap(s->model, i));
}

static void tune(step *s, jem_dataset *labelled, const jem_config *config, int64_t steps)
{
    jem_loader *loader;
    jem_optimizer *optimizer;
    float *x = room(N * image, sizeof *x);
    int32_t y[N];
    int64_t n, batch;
    double rate;
    s->x = x;
    s->y = y;
    s->logits = room(N * classes, sizeof *s->logits);
    s->dlogits = room(N * classes, sizeof *s->dlogits);
    check(jem_config_get_f64(config, "optimizer.rate", &rate));
    check(jem_loader_create(&loader, labelled, config));
    check(jem_optimizer_create(&optimizer, s->model, config));
    check(jem_pass_create(&s->pass, s->model, JEM_PASS_TRAIN, N));
    check(jem_loader_seek(loader, 0)); /* step i takes batch i: a loop may begin anywhere */
    for (s->number = 0; s->number < steps; s->number++) {
        check(jem_loader_tell(loader, &batch));
        check(jem_loader_next(loader, x, N * image, y, N, &n));
        check(jem_model_energy(s->before, x, NULL, N, s->target));
        gradient(s);
        check(jem_optimizer_ascend(optimizer)); /* to where the loss is worst nearby */
        check(jem_pass_hold_statistics(s->pass, 1));
        double loss = gradient(s);
        check(jem_pass_hold_statistics(s->pass, 0));
        check(jem_optimizer_restore(optimizer));
        each_weight(s, pull);
        double share = (double)s->number / (double)steps; /* cosine */
        check(jem_optimizer_set_rate(optimizer, rate * (1 + cos(3.14159265 * share)) / 2));
        check(jem_optimizer_step(optimizer, NULL));
        printf("step %3lld  batch %3lld  loss %.4f\n", (long long)s->number, (long long)batch,
               loss);
    }
    each_weight(s, average);
    jem_pass_destroy(s->pass);
    jem_optimizer_destroy(optimizer);
    jem_loader_destroy(loader);
    free(s->dlogits);
    free(s->logits);
    free(x);
}

/* ---- What it was worth ---- */

/* Accuracy, and the share of letters that log p(x) lets pass where 95 % of the digits do. */
static void report(const char *when, jem_model *model, jem_dataset *test, jem_dataset *letters)
{
    float *logits = room(TEST * classes, sizeof *logits), in[TEST], out[TEST], threshold;
    int32_t y[TEST];
    double accuracy, auroc;
    int passed = 0;
    check(jem_eval_logits(model, test, logits, TEST * classes, y, TEST));
    check(jem_eval_accuracy(logits, y, TEST, classes, &accuracy));
    check(jem_eval_score_data(model, "log_px", test, NULL, in, TEST));
    check(jem_eval_score_data(model, "log_px", letters, NULL, out, TEST));
    check(jem_eval_ood(in, TEST, out, TEST, &auroc, NULL, NULL, NULL));
    check(jem_eval_threshold(in, TEST, 0.95, &threshold));
    for (int i = 0; i < TEST; i++) passed += out[i] >= threshold;
    printf("%s: accuracy %.3f, AUROC against letters %.3f, %d of %d letters pass\n", when, accuracy,
           auroc, passed, TEST);
    free(logits);
}

/* Chains that begin at the test images: a model that knows them leaves them where they are. */
static void walk(const char *when, jem_model *model, jem_dataset *test, const jem_config *config)
{
    jem_sampler *sampler;
    float *x = room(N * image, sizeof *x);
    double distance;
    check(jem_sampler_create(&sampler, model, config));
    check(jem_dataset_read(test, 0, N, x, N * image, NULL));
    check(jem_sampler_buffer_set(sampler, 0, N, x));
    check(jem_sampler_draw(sampler, NULL, N, x, N * image));
    check(jem_sampler_stats(sampler, &distance, NULL, NULL));
    printf("%s: chains move %.2f from test images\n", when, distance);
    jem_sampler_destroy(sampler);
    free(x);
}

int main(int argc, char **argv)
{
    char text[256];
    jem_config *config;
    jem_context *context;
    jem_dataset *labelled, *test, *letters;
    step s = {0};
    if (argc < 2) return fprintf(stderr, "usage: finetune MODEL [STEPS [OUTPUT]]\n"), 2;

    check(jem_config_create(&config));
    check(jem_config_parse(config, "loader.batch=32 optimizer.sam_rho=0.05 sampler.buffer=32 "
                                   "sampler.steps=5 sampler.restart=0 sampler.noise=0.005"));
    check(jem_config_set_f64(config, "optimizer.rate", 3e-4));
    check(jem_config_text(config, text, sizeof text));
    printf("settings: %s\n", text);
    check(jem_context_create(&context, config));
    s.model = load(context, argv[1]);
    check(jem_model_clone(&s.before, s.model));
    check(jem_model_info(s.model, &channels, &height, &width, &classes, NULL));
    image = channels * height * width;

    own_images(&labelled, &test, context, config);
    check(jem_dataset_open(&letters, context, "letters:split=test,limit=400", config));
    tune(&s, labelled, config, argc > 2 ? atoll(argv[2]) : 40);
    report("before", s.before, test, letters);
    report("after", s.model, test, letters);
    walk("before", s.before, test, config);
    walk("after", s.model, test, config);
    if (argc > 3) save(s.model, argv[3]);

    jem_dataset_destroy(letters);
    jem_dataset_destroy(test);
    jem_dataset_destroy(labelled);
    jem_model_destroy(s.before);
    jem_model_destroy(s.model);
    jem_context_destroy(context);
    jem_config_destroy(config);
    return 0;
}
