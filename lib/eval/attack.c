/* Attacks: restarts, and the search for the least distance, piece by piece. */
#include "base/config.h"
#include "base/memory.h"
#include "base/status.h"
#include "eval/descent.h"
#include "model/model.h"
#include <inttypes.h>
#include <jem/eval.h>
#include <math.h>
#include <string.h>

/* A piece of the caller's images, and what is known of them. */
typedef struct piece {
    jem__descent *descent;
    jem__targets targets; /* room for all; those that still hold are gathered in it */
    const float *x;
    const int32_t *y;
    int64_t n, number;
    float *eps;     /* [n] */
    int32_t *wrong; /* [n]: found misclassified */
    float *found;   /* [n,image]: the misclassified image, or the last one tried */
} piece;

static jem_status piece_create(piece *p, jem__descent *d)
{
    int64_t image = d->shape.image;
    *p = (piece){.descent = d};
    JEM__TRY(jem__targets_create(&p->targets, d->room, image));
    JEM__TRY(jem__alloc(&p->eps, d->room, sizeof *p->eps));
    JEM__TRY(jem__alloc(&p->wrong, d->room, sizeof *p->wrong));
    return jem__alloc(&p->found, d->room, image * (int64_t)sizeof *p->found);
}

static void piece_clear(piece *p)
{
    jem__targets_clear(&p->targets);
    jem__free(p->eps);
    jem__free(p->wrong);
    jem__free(p->found);
}

/* Those that hold, back where they began. Copies of images are numbered in a row,
   so refined ones stay together. */
static void gather(piece *p)
{
    jem__targets *t = &p->targets;
    int64_t image = p->descent->shape.image;
    t->n = 0;
    t->number = p->number;
    for (int64_t i = 0; i < p->n; i++) {
        if (p->wrong[i] && !p->descent->refined) continue;
        float *x = t->x + t->n * image, *from = t->from + t->n * image;
        memcpy(from, p->x + i * image, (size_t)image * sizeof *x);
        memcpy(x, from, (size_t)image * sizeof *x);
        t->y[t->n] = p->y[i];
        t->wrong[t->n] = p->wrong[i];
        t->eps[t->n] = p->eps[i];
        t->index[t->n++] = i;
    }
}

static void keep(piece *p)
{
    const jem__targets *t = &p->targets;
    int64_t image = p->descent->shape.image;
    for (int64_t i = 0; i < t->n; i++) {
        int64_t at = t->index[i];
        if (p->wrong[at]) continue;
        p->wrong[at] = t->wrong[i];
        memcpy(p->found + at * image, t->x + i * image, (size_t)image * sizeof *t->x);
    }
}

/* The images themselves. */
static jem_status look(piece *p)
{
    jem__descent *d = p->descent;
    for (int64_t i = 0; i < p->n; i++) p->wrong[i] = 0;
    gather(p);
    JEM__TRY(jem__descent_judge(d, &p->targets, d->restarts * (d->steps + 1)));
    keep(p);
    return JEM_OK;
}

/* Runs at eps [n] until nothing holds or the restarts are used up. */
static jem_status attack(piece *p)
{
    jem__descent *d = p->descent;
    for (int64_t restart = 0; restart < d->restarts; restart++) {
        int64_t left = 0;
        for (int64_t i = 0; i < p->n; i++) left += !p->wrong[i];
        if (left == 0) break;
        gather(p);
        JEM__TRY(jem__descent_run(d, &p->targets, restart));
        keep(p);
    }
    return JEM_OK;
}

static jem_status attack_piece(piece *p, double eps, int32_t *robust, float *adversarial)
{
    int64_t image = p->descent->shape.image;
    for (int64_t i = 0; i < p->n; i++) p->eps[i] = (float)eps;
    JEM__TRY(look(p));
    if (eps > 0) JEM__TRY(attack(p));
    for (int64_t i = 0; i < p->n; i++) robust[i] = !p->wrong[i];
    if (adversarial) memcpy(adversarial, p->found, (size_t)(p->n * image) * sizeof *adversarial);
    return JEM_OK;
}

/* ---- The least distance ---- */

static double distance_of(const jem__descent *d, const float *a, const float *b)
{
    double sum = 0, most = 0;
    for (int64_t j = 0; j < d->shape.image; j++) {
        double by = fabs((double)a[j] - (double)b[j]);
        sum += by * by;
        most = fmax(most, by);
    }
    return d->l2 ? sqrt(sum) : most;
}

/* What the last attack found, where it is nearer than before. */
static void take_nearer(const piece *p, float *distance, float *adversarial)
{
    int64_t image = p->descent->shape.image;
    for (int64_t i = 0; i < p->n; i++) {
        float far = (float)distance_of(p->descent, p->found + i * image, p->x + i * image);
        if (!p->wrong[i] || !(far < distance[i])) continue;
        distance[i] = far;
        if (adversarial)
            memcpy(adversarial + i * image, p->found + i * image,
                   (size_t)image * sizeof *adversarial);
    }
}

/* low: no attack succeeded there; distance: one did. Both close in. */
static jem_status bisect(piece *p, float *low, float *distance, float *adversarial)
{
    for (int64_t i = 0; i < p->n; i++) {
        int32_t open = isfinite(distance[i]) && low[i] < distance[i];
        p->wrong[i] = !open; /* nothing to do */
        p->eps[i] = open ? (low[i] + distance[i]) / 2 : 0;
    }
    JEM__TRY(attack(p));
    for (int64_t i = 0; i < p->n; i++) {
        if (p->eps[i] == 0)
            p->wrong[i] = 0; /* nothing was found either */
        else if (!p->wrong[i])
            low[i] = p->eps[i];
    }
    take_nearer(p, distance, adversarial);
    return JEM_OK;
}

static jem_status distance_piece(piece *p, double eps, int64_t bisections, float *low,
                                 float *distance, float *adversarial)
{
    int64_t image = p->descent->shape.image;
    for (int64_t i = 0; i < p->n; i++) {
        p->eps[i] = (float)eps;
        distance[i] = INFINITY;
        low[i] = 0;
    }
    JEM__TRY(look(p));
    if (eps > 0) JEM__TRY(attack(p));
    if (adversarial) memcpy(adversarial, p->found, (size_t)(p->n * image) * sizeof *adversarial);
    take_nearer(p, distance, adversarial);
    for (int64_t i = 0; i < bisections; i++) JEM__TRY(bisect(p, low, distance, adversarial));
    return JEM_OK;
}

/* ---- Calls ---- */

static jem_status check(const char *function, const jem_model *model, const float *x,
                        const int32_t *y, int64_t n, double eps, const void *out)
{
    int64_t c, h, w;
    JEM__TRY(jem__eval_check_images(function, model, x, n, out));
    if (!(eps >= 0) || !isfinite((float)eps))
        return jem__fail(JEM_ERROR_ARGUMENT, "%s: eps is %g, expected a number >= 0", function,
                         eps);
    if (n == 0) return JEM_OK;
    JEM__REQUIRE(y, function);
    JEM__TRY(jem__model_check(model, function, x, y, n));
    JEM__TRY(jem_model_info(model, &c, &h, &w, NULL, NULL));
    for (int64_t i = 0; i < n * c * h * w; i++)
        if (x[i] < -1 || x[i] > 1)
            return jem__fail(JEM_ERROR_ARGUMENT,
                             "%s: image %" PRId64 " has the value %g, expected -1..1", function,
                             i / (c * h * w), (double)x[i]);
    return JEM_OK;
}

typedef struct call {
    const float *x;
    const int32_t *y;
    int64_t n, first;
    double eps;
    int64_t bisections; /* -1: no search */
    int32_t *robust;    /* or */
    float *distance;
    float *adversarial;
} call;

static jem_status run_pieces(const call *c, piece *p, float *low)
{
    const jem__descent *d = p->descent;
    for (int64_t i = 0; i < c->n; i += d->room) {
        float *adversarial = c->adversarial ? c->adversarial + i * d->shape.image : NULL;
        p->x = c->x + i * d->shape.image;
        p->y = c->y + i;
        p->n = c->n - i < d->room ? c->n - i : d->room;
        p->number = c->first + i;
        JEM__TRY(c->robust
                     ? attack_piece(p, c->eps, c->robust + i, adversarial)
                     : distance_piece(p, c->eps, c->bisections, low, c->distance + i, adversarial));
    }
    return JEM_OK;
}

static jem_status run_call(const char *function, const call *c, jem_model *model,
                           const jem_config *config)
{
    jem__descent d;
    piece p;
    float *low = NULL;
    JEM__TRY(jem__descent_create(&d, function, model, config));
    jem_status status =
        jem__eval_check_first(function, c->first, c->n, d.refined ? d.refiner.copies : 1);
    if (!status) status = jem__alloc(&low, d.room, sizeof *low);
    if (!status) {
        status = piece_create(&p, &d);
        if (!status) status = run_pieces(c, &p, low);
        piece_clear(&p);
    }
    jem__free(low);
    jem__descent_clear(&d);
    return status;
}

jem_status jem_eval_attack(jem_model *model, const float *x, const int32_t *y, int64_t n,
                           int64_t first, double eps, const jem_config *config, int32_t *robust,
                           float *adversarial)
{
    static const char function[] = "jem_eval_attack";
    const call c = {x, y, n, first, eps, 0, robust, NULL, adversarial};
    JEM__TRY(check(function, model, x, y, n, eps, robust));
    JEM__ENTER(jem__model_context(model), function);
    return n ? run_call(function, &c, model, config) : JEM_OK;
}

jem_status jem_eval_attack_distance(jem_model *model, const float *x, const int32_t *y, int64_t n,
                                    int64_t first, double eps, const jem_config *config,
                                    float *distance, float *adversarial)
{
    static const char function[] = "jem_eval_attack_distance";
    const call c = {x,     y,        n,
                    first, eps,      jem__config_i64(config, "attack.bisections"),
                    NULL,  distance, adversarial};
    JEM__TRY(check(function, model, x, y, n, eps, distance));
    JEM__ENTER(jem__model_context(model), function);
    return n ? run_call(function, &c, model, config) : JEM_OK;
}
