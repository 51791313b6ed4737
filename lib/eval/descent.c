/* One run of projected gradient descent, plain or through refined copies.

   Both norms use the gradient's direction alone, so the derivative of the
   cross-entropy, softmax - onehot(y), is divided by 1 - p(y): what is left is
   the softmax over the other classes, minus the label. Where p(y) is 1 in
   floats this still points somewhere. */
#include "eval/descent.h"
#include "base/config.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/status.h"
#include "model/model.h"
#include "tensor/kernels.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

/* ---- Life ---- */

static jem_status room_for_copies(jem__descent *d, const char *function, const jem_config *config)
{
    /* A run's steps and its judgement, for each restart, and the look before. */
    int64_t rounds;
    if (!jem__multiply(d->restarts, d->steps + 1, &rounds) || rounds == INT64_MAX)
        return jem__fail(JEM_ERROR_CONFIG, "%s: attack.steps x attack.restarts are too many",
                         function);
    JEM__TRY(jem__refiner_create(&d->refiner, function, d->model, config, rounds + 1));
    d->room = d->refiner.room;
    JEM__TRY(jem__alloc(&d->copies, d->room * d->refiner.copies,
                        d->shape.image * (int64_t)sizeof *d->copies));
    return jem__alloc(&d->gradient, d->room, d->shape.image * (int64_t)sizeof *d->gradient);
}

jem_status jem__descent_create(jem__descent *d, const char *function, jem_model *model,
                               const jem_config *config)
{
    *d = (jem__descent){.model = model};
    d->l2 = strcmp(jem__config_str(config, "attack.norm"), "l2") == 0;
    d->steps = jem__config_i64(config, "attack.steps");
    d->step_size = (float)jem__config_f64(config, "attack.step_size");
    d->restarts = jem__config_i64(config, "attack.restarts");
    d->random_start = jem__config_i64(config, "attack.random_start") != 0;
    d->refined = jem__config_i64(config, "attack.refined") != 0;
    d->seed = (uint64_t)jem__config_i64(config, "attack.seed");
    /* The same start leads the same way, unless the way is random itself. */
    if (!d->random_start && !d->refined) d->restarts = 1;
    JEM__TRY(jem__eval_shape_of(&d->shape, model));
    d->room = d->shape.piece;
    jem_status status = d->refined ? room_for_copies(d, function, config) : JEM_OK;
    if (!status) status = jem__alloc(&d->logits, d->room * d->shape.classes, sizeof *d->logits);
    /* The pass of one image: a walk arranges its own slices, for any n. */
    if (!status) status = jem_pass_create(&d->pass, model, JEM_PASS_INPUT_GRADIENT, 1);
    if (status) jem__descent_clear(d);
    return status;
}

void jem__descent_clear(jem__descent *d)
{
    jem_pass_destroy(d->pass);
    jem__refiner_clear(&d->refiner);
    jem__free(d->gradient);
    jem__free(d->copies);
    jem__free(d->logits);
    *d = (jem__descent){0};
}

jem_status jem__targets_create(jem__targets *t, int64_t n, int64_t image)
{
    *t = (jem__targets){0};
    jem_status status = jem__alloc(&t->from, n, image * (int64_t)sizeof *t->from);
    if (!status) status = jem__alloc(&t->x, n, image * (int64_t)sizeof *t->x);
    if (!status) status = jem__alloc(&t->y, n, sizeof *t->y);
    if (!status) status = jem__alloc(&t->wrong, n, sizeof *t->wrong);
    if (!status) status = jem__alloc(&t->eps, n, sizeof *t->eps);
    if (!status) status = jem__alloc(&t->index, n, sizeof *t->index);
    if (status) jem__targets_clear(t);
    return status;
}

void jem__targets_clear(jem__targets *t)
{
    jem__free(t->from);
    jem__free(t->x);
    jem__free(t->y);
    jem__free(t->wrong);
    jem__free(t->eps);
    jem__free(t->index);
    *t = (jem__targets){0};
}

/* ---- The loss ---- */

static jem_status check_logits(const float *logits, int64_t k, int64_t image)
{
    for (int64_t j = 0; j < k; j++)
        if (!isfinite(logits[j]))
            return jem__fail(JEM_ERROR_DIVERGED,
                             "attack: image %" PRId64 ": logit %" PRId64 " is %g", image, j,
                             (double)logits[j]);
    return JEM_OK;
}

/* softmax over the other classes, and -1 at y; zeros if there is no other class. */
static void direction(const float *logits, int32_t y, int64_t k, float scale, float *dlogits)
{
    double top = -INFINITY, sum = 0;
    for (int64_t j = 0; j < k; j++)
        if (j != y && logits[j] > top) top = logits[j];
    for (int64_t j = 0; j < k; j++)
        if (j != y) sum += exp(logits[j] - top);
    for (int64_t j = 0; j < k; j++)
        dlogits[j] = j == y ? -scale : (float)(exp(logits[j] - top) / sum) * scale;
    if (k == 1) dlogits[0] = 0;
}

/* ---- Steps ---- */

static float bounded(float v, float low, float high)
{
    return v < low ? low : v > high ? high : v;
}

/* Back into the ball around `from`, and into the box. */
static void project(const jem__descent *d, const float *from, float eps, float *x)
{
    int64_t n = d->shape.image;
    if (!d->l2) {
        for (int64_t j = 0; j < n; j++)
            x[j] = bounded(bounded(x[j], from[j] - eps, from[j] + eps), -1, 1);
        return;
    }
    double sum = 0;
    for (int64_t j = 0; j < n; j++) {
        double by = (double)x[j] - (double)from[j];
        sum += by * by;
    }
    double shrink = sum > (double)eps * (double)eps ? (double)eps / sqrt(sum) : 1;
    for (int64_t j = 0; j < n; j++) {
        double by = (double)x[j] - (double)from[j];
        x[j] = bounded((float)(from[j] + shrink * by), -1, 1);
    }
}

static jem_status step(const jem__descent *d, const jem__targets *t, int64_t i, const float *g)
{
    int64_t n = d->shape.image;
    float *x = t->x + i * n, eps = t->eps[i];
    float size = d->step_size > 0 ? d->step_size : 2.5F * eps / (float)d->steps;
    double sum = jem__kernels_here()->sum_squares(g, n);
    if (!isfinite(sum))
        return jem__fail(JEM_ERROR_DIVERGED,
                         "attack: image %" PRId64 ": the gradient is not finite",
                         t->number + t->index[i]);
    double scale = sum > 0 ? size / sqrt(sum) : 0;
    for (int64_t j = 0; j < n; j++)
        x[j] += d->l2 ? (float)(scale * g[j]) : g[j] > 0 ? size : g[j] < 0 ? -size : 0;
    project(d, t->from + i * n, eps, x);
    return JEM_OK;
}

/* Uniform in the ball: radius eps u^(1/d), or each pixel by itself. */
static void scatter(const jem__descent *d, const jem__targets *t, int64_t i, int64_t restart)
{
    const jem__kernels *k = jem__kernels_here();
    int64_t n = d->shape.image;
    float *x = t->x + i * n, eps = t->eps[i];
    jem__random random;
    jem__random_at(&random, d->seed, JEM__RANDOM_ATTACK, 0, (uint64_t)(t->number + t->index[i]),
                   (uint32_t)restart);
    double radius = pow(jem__random_uniform(&random), 1 / (double)n), length = 1;
    if (d->l2) {
        k->fill_normal(&random, x, n);
        length = sqrt(k->sum_squares(x, n));
    } else
        k->fill_uniform(&random, -eps, eps, x, n);
    float scale = !d->l2 ? 1 : length > 0 ? (float)(eps * radius / length) : 0;
    for (int64_t j = 0; j < n; j++) x[j] = t->from[i * n + j] + scale * x[j];
    project(d, t->from + i * n, eps, x);
}

/* ---- A run on the plain network: a worker carries its images through all steps ---- */

typedef struct run {
    jem__descent *descent;
    jem__targets *targets;
} run;

/* Images that are misclassified stay where they are. */
static jem_status derive(void *user, int64_t at, int64_t first, int64_t n, const float *logits,
                         float *dlogits)
{
    const run *r = user;
    const jem__targets *t = r->targets;
    int64_t k = r->descent->shape.classes, left = 0;
    for (int64_t i = first; i < first + n; i++, logits += k, dlogits += k) {
        JEM__TRY(check_logits(logits, k, t->number + t->index[i]));
        if (jem__eval_largest(logits, k) != t->y[i]) t->wrong[i] = 1;
        direction(logits, t->y[i], k, 1, dlogits);
        left += !t->wrong[i];
    }
    return left ? JEM_OK : JEM_END;
}

static jem_status move(void *user, int64_t at, int64_t first, int64_t n, float *x, const float *dx,
                       const float *energy)
{
    const run *r = user;
    for (int64_t i = 0; i < n; i++)
        if (!r->targets->wrong[first + i])
            JEM__TRY(step(r->descent, r->targets, first + i, dx + i * r->descent->shape.image));
    return JEM_OK;
}

static jem_status run_plain(jem__descent *d, jem__targets *t)
{
    run r = {d, t};
    const jem__walk walk = {.user = &r, .steps = d->steps, .move = move, .derive = derive};
    return jem__pass_walk(d->pass, t->x, t->n, &walk);
}

/* ---- A run through refined copies ---- */

/* dlogits of each copy come from the mean logits of its image. */
static jem_status derive_copies(void *user, int64_t at, int64_t first, int64_t n,
                                const float *logits, float *dlogits)
{
    const run *r = user;
    const jem__descent *d = r->descent;
    int64_t k = d->shape.classes, copies = d->refiner.copies;
    for (int64_t i = 0; i < n; i++) {
        int64_t image = (first + i) / copies;
        direction(d->logits + image * k, r->targets->y[image], k, 1 / (float)copies,
                  dlogits + i * k);
    }
    return JEM_OK;
}

static jem_status keep_copies(void *user, int64_t at, int64_t first, int64_t n, float *x,
                              const float *dx, const float *energy)
{
    const run *r = user;
    int64_t image = r->descent->shape.image;
    memcpy(r->descent->copies + first * image, dx, (size_t)(n * image) * sizeof *dx);
    return JEM_OK;
}

static jem_status step_refined(jem__descent *d, jem__targets *t, int64_t round)
{
    run r = {d, t};
    const jem__walk walk = {.user = &r, .steps = 1, .move = keep_copies, .derive = derive_copies};
    int64_t k = d->shape.classes, image = d->shape.image, copies = d->refiner.copies;
    JEM__TRY(jem__refiner_run(&d->refiner, t->x, t->n, t->number, round, d->logits));
    for (int64_t i = 0; i < t->n; i++)
        JEM__TRY(check_logits(d->logits + i * k, k, t->number + t->index[i]));
    JEM__TRY(jem__pass_walk(d->pass, d->refiner.x, t->n * copies, &walk));
    for (int64_t i = 0; i < t->n; i++) {
        float *sum = d->gradient + i * image;
        memcpy(sum, d->copies + i * copies * image, (size_t)image * sizeof *sum);
        for (int64_t c = 1; c < copies; c++)
            jem__kernels_here()->add(sum, d->copies + (i * copies + c) * image, sum, image);
        if (!t->wrong[i]) JEM__TRY(step(d, t, i, sum));
    }
    return JEM_OK;
}

jem_status jem__descent_judge(jem__descent *d, jem__targets *t, int64_t round)
{
    int64_t k = d->shape.classes;
    if (d->refined)
        JEM__TRY(jem__refiner_run(&d->refiner, t->x, t->n, t->number, round, d->logits));
    else
        JEM__TRY(jem_model_logits(d->model, t->x, t->n, d->logits, t->n * k));
    for (int64_t i = 0; i < t->n; i++) {
        JEM__TRY(check_logits(d->logits + i * k, k, t->number + t->index[i]));
        t->wrong[i] |= jem__eval_largest(d->logits + i * k, k) != t->y[i];
    }
    return JEM_OK;
}

jem_status jem__descent_run(jem__descent *d, jem__targets *t, int64_t restart)
{
    int64_t base = restart * (d->steps + 1);
    for (int64_t i = 0; i < t->n; i++)
        if (!t->wrong[i] && d->random_start) scatter(d, t, i, restart);
    if (!d->refined)
        JEM__TRY(run_plain(d, t));
    else
        for (int64_t at = 0; at < d->steps; at++) JEM__TRY(step_refined(d, t, base + at));
    return jem__descent_judge(d, t, base + d->steps);
}
