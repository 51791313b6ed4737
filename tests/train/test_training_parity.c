/* Steps of SAM, Nesterov's momentum and p(x,y), averaged weights and the cosine against
   PyTorch's own: tests/golden/training_*.safetensors (see make_training.py). */
#include "format/safetensors.h"
#include "helpers.h"
#include "train/average.h"
#include "train/schedule.h"
#include <math.h>

enum { STEPS = 3, CHAIN = 3 };

typedef struct golden {
    const char *name;
    jem__safetensors *set, *base; /* steps; the weights they begin with */
    int64_t n, k, image;
} golden;

/* How an own loop goes about a rule; what is wrong in some is told by the name. */
typedef struct way {
    const char *rule, *settings;
    double px, pxy;
    double decay;            /* of the average */
    int moving_statistics;   /* also in SAM's second gradient */
    int unconditional_chain; /* for p(x,y) */
} way;

/* ---- Reading ---- */

static const jem__tensor_info *find(const jem__safetensors *set, const char *name)
{
    const jem__tensor_info *t = jem__safetensors_find(set, name);
    ck_assert_msg(t != NULL, "no tensor %s", name);
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
    const jem__tensor_info *t = find(g->set, name);
    float *values = room(t->elements * 4);
    if (strcmp(t->dtype, "U8") == 0)
        for (int64_t i = 0; i < t->elements; i++) values[i] = (float)t->bytes[i] / 128 - 1;
    else
        OK(jem__safetensors_to_f32(t, values));
    return values;
}

static void labels(const golden *g, const char *name, int32_t *y)
{
    const jem__tensor_info *t = find(g->set, name);
    for (int64_t i = 0; i < t->elements; i++) {
        int64_t v;
        memcpy(&v, t->bytes + i * 8, 8);
        y[i] = (int32_t)v;
    }
}

static jem_model *load(const golden *g)
{
    jem__safetensors *set;
    jem_model *model;
    int64_t size;
    jem_context *context = test_context(2);
    OK(jem__safetensors_create(&set));
    for (int64_t i = 0; i < jem__safetensors_metadata_count(g->base); i++) {
        const char *k, *v;
        jem__safetensors_metadata_at(g->base, i, &k, &v);
        OK(jem__safetensors_set_metadata(set, k, v));
    }
    for (int64_t i = 0; i < jem__safetensors_count(g->base); i++) {
        const jem__tensor_info *t = jem__safetensors_get(g->base, i);
        if (strncmp(t->name, "model.", 6) == 0)
            OK(jem__safetensors_add(set, t->name + 6, t->dtype, t->dimensions, t->shape, t->bytes));
    }
    OK(jem__safetensors_save_memory(set, NULL, 0, &size));
    void *bytes = room(size);
    OK(jem__safetensors_save_memory(set, bytes, size, &size));
    OK(jem_model_load_memory(&model, context, bytes, size));
    free(bytes);
    jem__safetensors_destroy(set);
    jem_context_destroy(context);
    return model;
}

static golden open_golden(const char *name)
{
    golden g = {.name = name};
    char path[200];
    int64_t c, h, w;
    snprintf(path, sizeof path, "tests/golden/%s.safetensors", name);
    OK(jem__safetensors_load(&g.set, test_source(path)));
    snprintf(path, sizeof path, "tests/golden/%s.safetensors",
             jem__safetensors_metadata(g.set, "base"));
    OK(jem__safetensors_load(&g.base, test_source(path)));
    jem_model *model = load(&g);
    OK(jem_model_info(model, &c, &h, &w, &g.k, NULL));
    g.image = c * h * w;
    g.n = find(g.set, "loop.0.xp")->shape[0];
    jem_model_destroy(model);
    return g;
}

static void close_golden(golden *g)
{
    jem__safetensors_destroy(g->set);
    jem__safetensors_destroy(g->base);
}

/* ---- An own loop ---- */

typedef struct loop {
    const golden *g;
    const way *way;
    jem_model *model, *first;
    jem_pass *pass;
    jem_optimizer *optimizer;
    jem_sampler *sampler;
    jem_config *config;
    float *xp, *xl, *xq, *xj;
    int32_t y[8];
} loop;

/* Adds the gradients of weight * mean E, and of the cross-entropy if asked for; the
   mean energy and the cross-entropy. */
static void part(loop *l, const float *x, const int32_t *y, double weight, int classify,
                 double *losses)
{
    int64_t n = l->g->n, k = l->g->k;
    float *logits = room(n * k * 4), *d = room(n * k * 4);
    OK(jem_pass_forward(l->pass, x, n, logits, INT64_MAX));
    OK(jem_loss_energy(logits, y, n, k, 1, &losses[0], NULL));
    if (weight != 0) OK(jem_loss_energy(logits, y, n, k, weight, NULL, d));
    if (classify) OK(jem_loss_cross_entropy(logits, l->y, n, k, 1, &losses[1], d));
    OK(jem_pass_backward(l->pass, d, JEM_GRADIENT_PARAMETERS, NULL));
    free(logits);
    free(d);
}

/* losses: of p(x), p(x,y), p(y|x) */
static void gradients(loop *l, double *losses)
{
    double data[2], sampled[2], joint[2] = {0}, labelled[2];
    OK(jem_model_gradient_zero(l->model));
    part(l, l->xp, NULL, l->way->px, 0, data);
    part(l, l->xq, NULL, -l->way->px, 0, sampled);
    if (l->way->pxy > 0) part(l, l->xj, l->y, -l->way->pxy, 0, joint);
    part(l, l->xl, l->y, l->way->pxy, 1, labelled);
    losses[0] = data[0] - sampled[0];
    losses[1] = l->way->pxy > 0 ? labelled[0] - joint[0] : 0;
    losses[2] = labelled[1];
}

static float *batch(const loop *l, int64_t step, const char *what)
{
    char name[32];
    snprintf(name, sizeof name, "loop.%d.%s", (int)step, what);
    return numbers(l->g, name);
}

/* ---- Comparing: the worst difference as a share of what is allowed ---- */

/* Changes of parameters and statistics against the stored ones' under kind ("sam.up"),
   relative to a tensor's largest, up to what three float32 weights are rounded by. An
   ascent is along gradients, which have some rounding where they should be 0. */
static double changes(const loop *l, const char *kind, jem_model *now, int trainable_only)
{
    double worst = 0, slack = trainable_only ? 1e-6 : 0;
    for (int64_t p = 0; p < jem_model_parameter_count(now); p++) {
        const char *name;
        char stored_name[160];
        int64_t size;
        jem_parameter_kind parameter;
        OK(jem_model_parameter_info(now, p, &name, NULL, NULL, &size, &parameter));
        if (trainable_only && parameter != JEM_PARAMETER_TRAINABLE) continue;
        snprintf(stored_name, sizeof stored_name, "%s.%s", kind, name);
        int64_t stored = find(l->g->set, stored_name)->elements;
        float *want = numbers(l->g, stored_name), *from = room(size * 4), *got = room(size * 4);
        double top = 0;
        OK(jem_model_parameter_get(l->first, p, from, size));
        OK(jem_model_parameter_get(now, p, got, size));
        for (int64_t i = 0; i < stored; i++) {
            int64_t e = stored == size ? i : i * 7919 % size;
            top = fmax(top, fabs((double)want[i] - (double)from[e]));
        }
        for (int64_t i = 0; i < stored; i++) {
            int64_t e = stored == size ? i : i * 7919 % size;
            double ulp = (double)(nextafterf(fabsf(want[i]), INFINITY) - fabsf(want[i]));
            double s = fabs((double)got[e] - (double)want[i]) / (2e-3 * top + 1.5 * ulp + slack);
            if (!(s <= worst)) worst = isnan(s) ? INFINITY : s;
        }
        free(want), free(from), free(got);
    }
    return worst;
}

typedef struct outcome {
    double losses, up, after, average;
} outcome;

static void compare_losses(const loop *l, int64_t step, const double *losses, outcome *out)
{
    char name[64];
    snprintf(name, sizeof name, "%s.losses", l->way->rule);
    float *want = numbers(l->g, name);
    for (int i = 0; i < 3; i++)
        out->losses = fmax(out->losses, fabs(losses[i] - (double)want[step * 3 + i]) / 1e-3);
    free(want);
}

static void step(loop *l, int64_t index, outcome *out)
{
    const way *w = l->way;
    double losses[3], above[3], rho;
    char name[64];
    l->xp = batch(l, index, "xp"), l->xl = batch(l, index, "xl");
    l->xq = batch(l, index, "xi"), l->xj = batch(l, index, "xi");
    snprintf(name, sizeof name, "loop.%d.yl", (int)index);
    labels(l->g, name, l->y);
    OK(jem_sampler_step(l->sampler, l->xq, NULL, l->g->n, 0, 0, CHAIN));
    OK(jem_sampler_step(l->sampler, l->xj, w->unconditional_chain ? NULL : l->y, l->g->n, 0, 0,
                        CHAIN));
    gradients(l, losses);
    compare_losses(l, index, losses, out);
    OK(jem_config_get_f64(l->config, "optimizer.sam_rho", &rho));
    if (rho > 0) {
        OK(jem_optimizer_ascend(l->optimizer));
        snprintf(name, sizeof name, "%s.up", w->rule);
        if (index == 0) out->up = changes(l, name, l->model, 1);
        OK(jem_pass_hold_statistics(l->pass, !w->moving_statistics));
        gradients(l, above);
        OK(jem_pass_hold_statistics(l->pass, 0));
        OK(jem_optimizer_restore(l->optimizer));
    }
    OK(jem_optimizer_step(l->optimizer, NULL));
    free(l->xp), free(l->xl), free(l->xq), free(l->xj);
}

static outcome follow(const golden *g, const way *w)
{
    loop l = {.g = g, .way = w};
    outcome out = {0, 0, 0, 0};
    jem__average average = {0};
    jem_model *mean;
    char name[64], decay[64];
    OK(jem_config_create(&l.config));
    OK(jem_config_parse(l.config, "sampler.noise=0 sampler.step_size=1 sampler.buffer=1 "
                                  "optimizer.name=sgd optimizer.rate=1e-2 optimizer.momentum=0.9 "
                                  "optimizer.weight_decay=5e-3"));
    OK(jem_config_parse(l.config, w->settings));
    snprintf(decay, sizeof decay, "trainer.ema=%g", w->decay);
    OK(jem_config_parse(l.config, decay));
    l.model = load(g);
    OK(jem_model_clone(&l.first, l.model));
    OK(jem_pass_create(&l.pass, l.model, JEM_PASS_TRAIN, g->n));
    OK(jem_optimizer_create(&l.optimizer, l.model, l.config));
    OK(jem_sampler_create(&l.sampler, l.model, l.config));
    OK(jem__average_read(&average, l.config, l.model));
    for (int64_t i = 0; i < STEPS; i++) {
        step(&l, i, &out);
        jem__average_add(&average, l.model, i + 1);
    }
    snprintf(name, sizeof name, "%s.after", w->rule);
    out.after = changes(&l, name, l.model, 0);
    if (w->decay > 0) {
        OK(jem__model_with(&mean, l.model, average.values));
        out.average = changes(&l, "average.after", mean, 0);
        jem_model_destroy(mean);
    }
    jem__average_clear(&average);
    jem_sampler_destroy(l.sampler);
    jem_optimizer_destroy(l.optimizer);
    jem_pass_destroy(l.pass);
    jem_model_destroy(l.first);
    jem_model_destroy(l.model);
    jem_config_destroy(l.config);
    return out;
}

static void right(const golden *g, way w)
{
    outcome o = follow(g, &w);
    printf("%s, %s: losses %.3f, ascent %.3f, changes %.3f, average %.3f of what is allowed\n",
           g->name, w.rule, o.losses, o.up, o.after, o.average);
    ck_assert_msg(o.losses <= 1, "%s, %s: losses off by %g", g->name, w.rule, o.losses);
    ck_assert_msg(o.up <= 1, "%s, %s: ascent off by %g", g->name, w.rule, o.up);
    ck_assert_msg(o.after <= 1, "%s, %s: changes off by %g", g->name, w.rule, o.after);
    ck_assert_msg(o.average <= 1, "%s, %s: average off by %g", g->name, w.rule, o.average);
}

/* The comparison can tell: what is wrong does not pass. */
static void wrong(const golden *g, way w)
{
    outcome o = follow(g, &w);
    ck_assert_msg(o.losses > 1 || o.up > 1 || o.after > 1 || o.average > 1, "%s, %s passes: %s",
                  g->name, w.rule, w.settings);
}

START_TEST(sam)
{
    golden g = open_golden("training_batch");
    right(&g, (way){"sam", "optimizer.sam_rho=0.5", .px = 1});
    right(&g, (way){"asam", "optimizer.sam_rho=2 optimizer.sam_adaptive=1", .px = 1});
    wrong(&g, (way){"sam", "optimizer.sam_rho=0.51", .px = 1});
    wrong(&g, (way){"sam", "", .px = 1});
    wrong(&g, (way){"asam", "optimizer.sam_rho=2", .px = 1});
    wrong(&g, (way){"asam", "optimizer.sam_rho=2 optimizer.sam_adaptive=1", .px = 1,
                    .moving_statistics = 1});
    close_golden(&g);
    g = open_golden("training_none");
    const char *adam = "optimizer.name=adam optimizer.rate=1e-3 optimizer.epsilon=1e-3 "
                       "optimizer.weight_decay=0 optimizer.sam_rho=0.5";
    right(&g, (way){"sam_adam", adam, .px = 1});
    close_golden(&g);
}
END_TEST

START_TEST(nesterov_and_average)
{
    golden g = open_golden("training_batch");
    right(&g, (way){"nesterov", "optimizer.nesterov=1", .px = 1, .decay = 0.7});
    wrong(&g, (way){"nesterov", "", .px = 1, .decay = 0.7});
    wrong(&g, (way){"nesterov", "optimizer.nesterov=1", .px = 1, .decay = 0.69});
    close_golden(&g);
}
END_TEST

START_TEST(joint)
{
    const char *const files[] = {"training_batch", "training_none"};
    for (int i = 0; i < 2; i++) {
        golden g = open_golden(files[i]);
        right(&g, (way){"joint", "", .px = 0.5, .pxy = 0.7});
        wrong(&g, (way){"joint", "", .px = 0.5, .pxy = 0.71});
        wrong(&g, (way){"joint", "", .px = 0.5, .pxy = 0.7, .unconditional_chain = 1});
        close_golden(&g);
    }
}
END_TEST

START_TEST(cosine)
{
    golden g = open_golden("training_batch");
    float *want = numbers(&g, "cosine.rates");
    jem_config *config;
    OK(jem_config_create(&config));
    OK(jem_config_parse(config, "optimizer.rate=1 trainer.schedule=cosine trainer.iterations=20 "
                                "trainer.warmup=4 trainer.rate_end=0.1"));
    for (int off = 0; off < 2; off++) {
        jem__schedule s = {0};
        double worst = 0;
        OK(jem_config_set_i64(config, "trainer.iterations", 20 + off));
        OK(jem__schedule_read(&s, config));
        for (int64_t i = 0; i < 20; i++)
            worst = fmax(worst, fabs(jem__schedule_rate(&s, i) - (double)want[i]));
        if (off) ck_assert_double_gt(worst, 1e-3);
        if (!off) ck_assert_double_le(worst, 1e-6);
        jem__schedule_clear(&s);
    }
    jem_config_destroy(config);
    free(want);
    close_golden(&g);
}
END_TEST

TESTS("training_parity", sam, nesterov_and_average, joint, cosine)
