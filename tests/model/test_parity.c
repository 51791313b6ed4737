/* The network, the energies, the Langevin chain and the training objective
   against stored values: tests/golden (see make_golden.py) and, where present,
   what the original code computed ($JEM_TEST_DATA/reference). */
#include "format/safetensors.h"
#include "helpers.h"
#include <math.h>

static const char *const files[] = {
    "none_leaky_3x16x12",    "batch_leaky_1x12x14", "none_silu_1x13x9", "batch_silu_5x9x10_depth16",
    "instance_relu_3x11x10", "layer_silu_2x8x13",   "act_leaky_1x10x9", "none_silu_head_2x10x8"};
static const char *const originals[] = {"reference/wrn10x1_none.safetensors",
                                        "reference/wrn10x1_batch.safetensors"};

typedef struct golden {
    const char *name;
    jem__safetensors *set;
    jem_context *context;
    int64_t n, k, image, features;
    int batch_norm, idle, original; /* idle: norms take convolutions' biases out again */
    int waits;                      /* for a first training batch */
    int head;                       /* E(x) is the energy head's */
} golden;

/* ---- Reading ---- */

static const jem__tensor_info *find(const golden *g, const char *name)
{
    const jem__tensor_info *t = jem__safetensors_find(g->set, name);
    ck_assert_msg(t != NULL, "%s: no tensor %s", g->name, name);
    return t;
}

static void *room(int64_t bytes)
{
    void *p = calloc(1, (size_t)bytes + 1);
    ck_assert_ptr_nonnull(p);
    return p;
}

/* Bytes are images: v stands for v/128 - 1. */
static float *numbers(const golden *g, const char *name)
{
    const jem__tensor_info *t = find(g, name);
    float *values = room(t->elements * 4);
    if (strcmp(t->dtype, "U8") == 0)
        for (int64_t i = 0; i < t->elements; i++) values[i] = (float)t->bytes[i] / 128 - 1;
    else
        OK(jem__safetensors_to_f32(t, values));
    return values;
}

static int32_t *labels(const golden *g, const char *name)
{
    const jem__tensor_info *t = find(g, name);
    int32_t *y = room(t->elements * 4);
    ck_assert_str_eq(t->dtype, "I64");
    for (int64_t i = 0; i < t->elements; i++) {
        int64_t v;
        memcpy(&v, t->bytes + i * 8, 8);
        y[i] = (int32_t)v;
    }
    return y;
}

/* The file's weights as a model file: without the prefix, with its metadata (the
   original's files have none of libjem's) and one entry more. */
static jem_model *load(const golden *g, const char *entry, const char *value)
{
    jem__safetensors *set;
    jem_model *model;
    int64_t size;
    OK(jem__safetensors_create(&set));
    if (!g->original) {
        for (int64_t i = 0; i < jem__safetensors_metadata_count(g->set); i++) {
            const char *k, *v;
            jem__safetensors_metadata_at(g->set, i, &k, &v);
            OK(jem__safetensors_set_metadata(set, k, v));
        }
    }
    if (entry) OK(jem__safetensors_set_metadata(set, "format", "jem"));
    if (entry) OK(jem__safetensors_set_metadata(set, entry, value));
    for (int64_t i = 0; i < jem__safetensors_count(g->set); i++) {
        const jem__tensor_info *t = jem__safetensors_get(g->set, i);
        if (strncmp(t->name, "model.", 6) == 0)
            OK(jem__safetensors_add(set, t->name + 6, t->dtype, t->dimensions, t->shape, t->bytes));
    }
    OK(jem__safetensors_save_memory(set, NULL, 0, &size));
    void *bytes = room(size);
    OK(jem__safetensors_save_memory(set, bytes, size, &size));
    OK(jem_model_load_memory(&model, g->context, bytes, size));
    free(bytes);
    jem__safetensors_destroy(set);
    return model;
}

static void open_file(golden *g, const char *path, int original)
{
    jem_config *config;
    int64_t c, h, w;
    const char *slash = strrchr(path, '/');
    *g = (golden){.name = slash ? slash + 1 : path, .original = original};
    OK(jem__safetensors_load(&g->set, path));
    OK(jem_config_create(&config));
    OK(jem_config_set_i64(config, "context.threads", 2));
    OK(jem_context_create(&g->context, config));
    jem_config_destroy(config);
    jem_model *model = load(g, NULL, NULL);
    OK(jem_model_info(model, &c, &h, &w, &g->k, &g->features));
    char norm[16];
    jem_model_metadata_get(model, "norm", norm, sizeof norm);
    g->head = jem_model_parameter_find(model, "energy_output.weight") >= 0;
    g->batch_norm = strcmp(norm, "batch") == 0;
    g->idle = g->batch_norm || strcmp(norm, "instance") == 0;
    g->waits = strcmp(norm, "act") == 0;
    g->n = find(g, "x")->shape[0];
    g->image = c * h * w;
    ck_assert_int_eq(find(g, "x")->elements, g->n * g->image);
    jem_model_destroy(model);
}

static void close_file(golden *g)
{
    jem_context_destroy(g->context);
    jem__safetensors_destroy(g->set);
}

/* Runs a check on every file that there is. */
static void each(void (*check)(const golden *))
{
    golden g;
    char path[64];
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "tests/golden/%s.safetensors", files[i]);
        open_file(&g, test_source(path), 0);
        check(&g);
        close_file(&g);
    }
    for (size_t i = 0; i < sizeof originals / sizeof *originals; i++) {
        const char *original = test_data(originals[i]);
        if (!original) continue;
        open_file(&g, original, 1);
        check(&g);
        close_file(&g);
    }
}

/* ---- Comparing ---- */

static double largest(const float *a, int64_t n)
{
    double top = 0;
    for (int64_t i = 0; i < n; i++) top = fmax(top, fabs((double)a[i]));
    return top;
}

/* The worst difference as a share of what is allowed; beyond 1 is a failure. */
static double share(const float *got, const float *want, int64_t n, double allowed)
{
    double worst = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = fabs((double)got[i] - (double)want[i]) / allowed;
        if (!(d <= worst)) worst = isnan(d) ? INFINITY : d;
    }
    return worst;
}

static void close_to(const golden *g, const char *name, const float *got, double tolerance)
{
    float *want = numbers(g, name);
    int64_t n = find(g, name)->elements;
    double s = share(got, want, n, tolerance * largest(want, n));
    ck_assert_msg(s <= 1, "%s: %s is off by %g times the tolerance", g->name, name, s);
    free(want);
}

/* Energies: against their spread over the images. */
static void energies_close(const golden *g, const char *name, const float *got)
{
    float *want = numbers(g, name), low = INFINITY, high = -INFINITY;
    for (int64_t i = 0; i < g->n; i++) low = fminf(low, want[i]), high = fmaxf(high, want[i]);
    ck_assert_float_gt(high, low);
    double s = share(got, want, g->n, 1e-3 * (double)(high - low));
    ck_assert_msg(s <= 1, "%s: %s is off by %g times the tolerance", g->name, name, s);
    free(want);
}

/* ---- Scores and chains ---- */

static void check_scores(const golden *g)
{
    jem_model *model = load(g, NULL, NULL);
    float *x = numbers(g, "x"), *energy = room(g->n * 4), *out = room(g->n * g->image * 4);
    float *logits = room(g->n * g->k * 4), *features = room(g->n * g->features * 4);
    int32_t *y = labels(g, "y");
    OK(jem_model_logits(model, x, g->n, logits, g->n * g->k));
    close_to(g, "eval.logits", logits, 1e-4);
    OK(jem_model_features(model, x, g->n, features, g->n * g->features));
    close_to(g, "eval.features", features, 1e-4);
    OK(jem_model_energy(model, x, NULL, g->n, energy));
    energies_close(g, "eval.energy", energy);
    OK(jem_model_energy(model, x, y, g->n, energy));
    energies_close(g, "eval.energy_xy", energy);
    OK(jem_model_energy_gradient(model, x, NULL, g->n, energy, out));
    energies_close(g, "eval.energy", energy);
    close_to(g, "eval.energy_grad", out, 1e-4);
    OK(jem_model_energy_gradient(model, x, y, g->n, NULL, out));
    close_to(g, "eval.energy_xy_grad", out, 1e-4);
    if (g->original) {
        jem_model_destroy(model);
        model = load(g, "energy", "head");
        OK(jem_model_energy(model, x, NULL, g->n, energy));
        energies_close(g, "eval.energy_head", energy);
        OK(jem_model_energy(model, x, y, g->n, energy));
        energies_close(g, "eval.energy_xy", energy);
    }
    free(x), free(y), free(energy), free(out), free(logits), free(features);
    jem_model_destroy(model);
}

START_TEST(scores)
{
    each(check_scores);
}
END_TEST

static void chain(jem_model *model, const char *settings, float *x, const int32_t *y, int64_t n,
                  int64_t steps)
{
    jem_config *config;
    jem_sampler *sampler;
    OK(jem_config_create(&config));
    OK(jem_config_parse(config, "sampler.noise=0 sampler.buffer=1"));
    OK(jem_config_parse(config, settings));
    OK(jem_sampler_create(&sampler, model, config));
    OK(jem_sampler_step(sampler, x, y, n, 0, 0, steps));
    jem_sampler_destroy(sampler);
    jem_config_destroy(config);
}

/* Five steps, within 1e-3 of the distance moved. Own LeakyReLU files hold none:
   there a kink within rounding decides where a chain goes. */
static void check_chain(const golden *g, jem_model *model, const char *name, const char *settings,
                        const int32_t *y)
{
    int64_t n = g->n * g->image;
    float *start = numbers(g, "x0"), *x = numbers(g, "x0"), *want = numbers(g, name);
    double distance = 0, difference = 0;
    chain(model, settings, x, y, g->n, 5);
    for (int64_t i = 0; i < n; i++) {
        distance += pow((double)want[i] - (double)start[i], 2);
        difference += pow((double)want[i] - (double)x[i], 2);
    }
    ck_assert_double_gt(distance, 0);
    ck_assert_msg(difference <= 1e-6 * distance, "%s: %s is off by %g of the distance moved",
                  g->name, name, sqrt(difference / distance));
    double s = share(x, want, n, 1e-3 * sqrt(distance));
    ck_assert_msg(s <= 1, "%s: one pixel of %s is off by %g times the tolerance", g->name, name, s);
    free(start), free(x), free(want);
}

static void check_chains(const golden *g)
{
    if (!jem__safetensors_find(g->set, "eval.sgld5")) return;
    jem_model *model = load(g, NULL, NULL);
    int32_t *y = labels(g, "y");
    check_chain(g, model, "eval.sgld5", "sampler.step_size=1", NULL);
    check_chain(g, model, "eval.sgld5_xy", "sampler.step_size=1", y);
    if (!g->original)
        check_chain(g, model, "eval.sgld5_clamped",
                    "sampler.step_size=2 sampler.gradient_clamp=0.01 sampler.clamp=1", NULL);
    free(y);
    jem_model_destroy(model);
}

START_TEST(chains)
{
    each(check_chains);
}
END_TEST

/* ---- Training mode ---- */

static void check_training_mode(const golden *g)
{
    static const jem_pass_mode modes[] = {JEM_PASS_TRAIN, JEM_PASS_TRAIN_INPUT};
    float *x = numbers(g, "x"), *dx = room(g->n * g->image * 4);
    float *logits = room(g->n * g->k * 4), *dlogits = room(g->n * g->k * 4);
    for (int i = 0; i < 2; i++) {
        jem_model *model = load(g, NULL, NULL);
        jem_pass *pass;
        OK(jem_pass_create(&pass, model, modes[i], g->n));
        OK(jem_pass_forward(pass, x, g->n, logits, INT64_MAX));
        /* A pass that moves no statistics sets no initial values either. */
        int moves = modes[i] == JEM_PASS_TRAIN;
        close_to(g, g->waits && !moves ? "eval.logits" : "train.logits", logits, 1e-4);
        if (jem__safetensors_find(g->set, "train.energy_grad") && (moves || !g->waits)) {
            memset(dlogits, 0, (size_t)(g->n * g->k) * 4);
            OK(jem_loss_energy(logits, NULL, g->n, g->k, (double)g->n, NULL, dlogits));
            OK(jem_pass_backward(pass, dlogits, JEM_GRADIENT_INPUT, dx));
            close_to(g, "train.energy_grad", dx, 1e-4);
        }
        jem_pass_destroy(pass);
        jem_model_destroy(model);
    }
    free(x), free(dx), free(logits), free(dlogits);
}

START_TEST(training_mode)
{
    each(check_training_mode);
}
END_TEST

/* ---- The training loop ---- */

/* Each as a share of what is allowed. */
typedef struct outcome {
    double losses, gradients, changes;
    char worst[128]; /* the tensor whose change is furthest off */
} outcome;

/* Stored tensors may be samples: value i is element i * 7919 mod size. */
static int64_t element(int64_t i, int64_t size, int64_t stored)
{
    return stored == size ? i : i * 7919 % size;
}

/* A batch or instance norm takes out again what such a bias adds: its gradient is 0. */
static int idle_bias(const golden *g, const char *name)
{
    if (strcmp(name, "energy_output.bias") == 0) return 1; /* the same for data and samples */
    return g->idle && (strstr(name, "conv") || strstr(name, "shortcut")) &&
           strcmp(name + strlen(name) - 5, ".bias") == 0;
}

/* Gradients of step 0: 1e-4 of the tensor's largest plus 1e-6. What an idle
   bias has is rounding, which Adam would make a step of: dropped. */
static double check_gradients(const golden *g, jem_model *model, const char *optimizer, int compare)
{
    char name[160];
    double worst = 0;
    for (int64_t p = 0; p < jem_model_parameter_count(model); p++) {
        const char *parameter;
        int64_t size;
        jem_parameter_kind kind;
        float *gradient;
        OK(jem_model_parameter_info(model, p, &parameter, NULL, NULL, &size, &kind));
        if (kind != JEM_PARAMETER_TRAINABLE) continue;
        OK(jem_model_gradient_map(model, p, &gradient));
        snprintf(name, sizeof name, "%s.grad0.%s", optimizer, parameter);
        if (compare && jem__safetensors_find(g->set, name)) {
            int64_t stored = find(g, name)->elements;
            float *want = numbers(g, name), *got = room(stored * 4);
            for (int64_t i = 0; i < stored; i++) got[i] = gradient[element(i, size, stored)];
            worst = fmax(worst, share(got, want, stored, 1e-4 * largest(want, stored) + 1e-6));
            free(want), free(got);
        }
        if (idle_bias(g, parameter)) {
            ck_assert_double_le(largest(gradient, size), 1e-5);
            memset(gradient, 0, (size_t)size * 4);
        }
    }
    return worst;
}

/* The change of one tensor against the stored one's, relative to its largest
   element, up to what three float32 weights are rounded by. Under batch norm the
   original's Adam walks along the rounding of the idle biases, and running means
   and chains with it: there the difference as a whole counts, and not of those. */
static double change(const golden *g, const char *optimizer, const char *name, const float *before,
                     const float *now, int64_t size)
{
    char stored_name[160];
    double tolerance = strcmp(optimizer, "adam") == 0 ? 1e-2 : 2e-3, top = 0, worst = 0;
    double squares = 0, differences = 0;
    int loose = g->original && g->batch_norm && strcmp(optimizer, "adam") == 0;
    if (loose && (idle_bias(g, name) || strstr(name, "running_mean"))) return 0;
    snprintf(stored_name, sizeof stored_name, "%s.after.%s", optimizer, name);
    int64_t stored = find(g, stored_name)->elements;
    float *want = numbers(g, stored_name);
    for (int64_t i = 0; i < stored; i++)
        top = fmax(top, fabs((double)want[i] - (double)before[element(i, size, stored)]));
    for (int64_t i = 0; i < stored; i++) {
        int64_t e = element(i, size, stored);
        double d = (double)now[e] - (double)want[i], w = (double)want[i] - (double)before[e];
        double ulp = (double)(nextafterf(fabsf(want[i]), INFINITY) - fabsf(want[i]));
        double s = fabs(d) / (tolerance * top + 1.5 * ulp);
        if (!(s <= worst)) worst = isnan(s) ? INFINITY : s;
        squares += w * w;
        differences += d * d;
    }
    free(want);
    return loose ? sqrt(differences / squares) / 3e-2 : worst;
}

/* Tensors that the network does not use are in the saved model as they came. */
static void check_unused(const golden *g, jem_model *model)
{
    jem__safetensors *saved;
    int64_t size, unused = 0;
    OK(jem_model_save_memory(model, NULL, 0, &size));
    void *bytes = room(size);
    OK(jem_model_save_memory(model, bytes, size, &size));
    OK(jem__safetensors_load_memory(&saved, bytes, size, "saved"));
    for (int64_t i = 0; i < jem__safetensors_count(g->set); i++) {
        const jem__tensor_info *t = jem__safetensors_get(g->set, i);
        if (strncmp(t->name, "model.", 6) != 0) continue;
        const jem__tensor_info *s = jem__safetensors_find(saved, t->name + 6);
        ck_assert_msg(s != NULL, "%s is not saved", t->name + 6);
        if (jem_model_parameter_find(model, t->name + 6) >= 0) continue;
        ck_assert_str_eq(s->dtype, t->dtype);
        ck_assert_int_eq(s->size, t->size);
        ck_assert_mem_eq(s->bytes, t->bytes, (size_t)t->size);
        unused++;
    }
    ck_assert_int_ge(unused, g->head ? 2 : 4);
    jem__safetensors_destroy(saved);
    free(bytes);
}

/* weight times the mean of E(x), whatever that is; and backward. */
static double energy_part(const golden *g, jem_pass *pass, double weight)
{
    float *energy = room(g->n * 4), *denergy = room(g->n * 4);
    double loss = 0;
    OK(jem_pass_energy(pass, energy));
    for (int64_t i = 0; i < g->n; i++) {
        loss += weight * (double)energy[i] / (double)g->n;
        denergy[i] = (float)(weight / (double)g->n);
    }
    OK(jem_pass_backward_energy(pass, NULL, denergy, JEM_GRADIENT_PARAMETERS, NULL));
    free(energy), free(denergy);
    return loss;
}

/* One forward and backward of a part of the loss. */
static double part(const golden *g, jem_pass *pass, const float *x, const int32_t *y, double weight)
{
    float *logits = room(g->n * g->k * 4), *dlogits = room(g->n * g->k * 4);
    double loss;
    OK(jem_pass_forward(pass, x, g->n, logits, INT64_MAX));
    if (y)
        OK(jem_loss_cross_entropy(logits, y, g->n, g->k, weight, &loss, dlogits));
    else if (g->head)
        loss = energy_part(g, pass, weight);
    else
        OK(jem_loss_energy(logits, NULL, g->n, g->k, weight, &loss, dlogits));
    if (y || !g->head) OK(jem_pass_backward(pass, dlogits, JEM_GRADIENT_PARAMETERS, NULL));
    free(logits), free(dlogits);
    return loss;
}

static float *batch(const golden *g, int step, const char *what)
{
    char name[32];
    snprintf(name, sizeof name, "loop.%d.%s", step, what);
    return numbers(g, name);
}

static void step(const golden *g, jem_model *model, jem_pass *pass, int i, double losses[2])
{
    char name[32];
    float *xp = batch(g, i, "xp"), *xq = batch(g, i, "xi"), *xl = batch(g, i, "xl");
    snprintf(name, sizeof name, "loop.%d.yl", i);
    int32_t *yl = labels(g, name);
    chain(model, "sampler.step_size=1", xq, NULL, g->n, 3);
    OK(jem_model_gradient_zero(model));
    losses[0] = part(g, pass, xp, NULL, 1);
    losses[0] += part(g, pass, xq, NULL, -1);
    losses[1] = part(g, pass, xl, yl, 1);
    free(xp), free(xq), free(xl), free(yl);
}

static outcome loop(const golden *g, const char *name, const char *settings, const char *momentum)
{
    outcome out = {0, 0, 0, ""};
    jem_model *model = load(g, momentum ? "norm_momentum" : NULL, momentum), *first;
    jem_config *config;
    jem_pass *pass;
    jem_optimizer *optimizer;
    char text[160];
    double losses[3][2];
    OK(jem_model_clone(&first, model));
    OK(jem_config_create(&config));
    OK(jem_config_set_str(config, "optimizer.name", name));
    OK(jem_config_parse(config, settings));
    OK(jem_pass_create(&pass, model, JEM_PASS_TRAIN, g->n));
    OK(jem_optimizer_create(&optimizer, model, config));
    for (int i = 0; i < 3; i++) {
        step(g, model, pass, i, losses[i]);
        out.gradients = fmax(out.gradients, check_gradients(g, model, name, i == 0));
        OK(jem_optimizer_step(optimizer, NULL));
    }
    snprintf(text, sizeof text, "%s.losses", name);
    float *want = numbers(g, text);
    for (int c = 0; c < 2; c++) {
        double top = fmax(fmax(fabs(want[c]), fabs(want[2 + c])), fabs(want[4 + c]));
        for (int i = 0; i < 3; i++)
            out.losses = fmax(out.losses, fabs(losses[i][c] - want[2 * i + c]) / (1e-3 * top));
    }
    free(want);
    for (int64_t p = 0; p < jem_model_parameter_count(model); p++) {
        const char *parameter;
        int64_t size;
        OK(jem_model_parameter_info(model, p, &parameter, NULL, NULL, &size, NULL));
        float *before = room(size * 4), *now = room(size * 4);
        OK(jem_model_parameter_get(first, p, before, size));
        OK(jem_model_parameter_get(model, p, now, size));
        double s = change(g, name, parameter, before, now, size);
        if (s > out.changes) {
            out.changes = s;
            snprintf(out.worst, sizeof out.worst, "%s", parameter);
        }
        free(before), free(now);
    }
    check_unused(g, model);
    jem_optimizer_destroy(optimizer);
    jem_pass_destroy(pass);
    jem_config_destroy(config);
    jem_model_destroy(first);
    jem_model_destroy(model);
    return out;
}

static const char adam[] = "optimizer.rate=1e-4";
static const char sgd_original[] =
    "optimizer.rate=1e-3 optimizer.momentum=0.9 optimizer.weight_decay=5e-4";
static const char sgd_golden[] =
    "optimizer.rate=1e-3 optimizer.momentum=0.9 optimizer.weight_decay=5e-3";

static void check_loop(const golden *g)
{
    if (!jem__safetensors_find(g->set, "sgd.losses")) return;
    for (int i = 0; i < 2; i++) {
        const char *name = i ? "adam" : "sgd";
        outcome o = loop(g, name, i ? adam : g->original ? sgd_original : sgd_golden, NULL);
        printf("%s, %s: losses %.3f, gradients %.3f, changes %.3f (%s) of what is allowed\n",
               g->name, name, o.losses, o.gradients, o.changes, o.worst);
        ck_assert_msg(o.losses <= 1, "%s, %s: losses off by %g", g->name, name, o.losses);
        ck_assert_msg(o.gradients <= 1, "%s, %s: gradients off by %g", g->name, name, o.gradients);
        ck_assert_msg(o.changes <= 1, "%s, %s: change of %s off by %g", g->name, name, o.worst,
                      o.changes);
    }
}

START_TEST(training_loop)
{
    each(check_loop);
}
END_TEST

/* The comparison can tell: a wrong setting does not pass. */
static void check_wrong_loops(const golden *g)
{
    if (!jem__safetensors_find(g->set, "sgd.losses")) return;
    const char *sgd = g->original ? sgd_original : sgd_golden;
    char settings[128];
    snprintf(settings, sizeof settings, "%s optimizer.momentum=0", sgd);
    outcome o = loop(g, "sgd", settings, NULL);
    ck_assert_msg(o.changes > 1, "%s: passes without momentum", g->name);
    snprintf(settings, sizeof settings, "%s optimizer.weight_decay=0", sgd);
    o = loop(g, "sgd", settings, NULL);
    ck_assert_msg(o.changes > 1, "%s: passes without weight decay", g->name);
    o = loop(g, "adam", "optimizer.rate=1.04e-4", NULL);
    ck_assert_msg(o.changes > 1, "%s: passes with another rate", g->name);
    if (!g->batch_norm) return;
    o = loop(g, "sgd", sgd, "0.1");
    ck_assert_msg(o.changes > 1, "%s: passes with another batch-norm momentum", g->name);
}

START_TEST(wrong_settings_are_seen)
{
    each(check_wrong_loops);
}
END_TEST

TESTS("parity", scores, chains, training_mode, training_loop, wrong_settings_are_seen)
