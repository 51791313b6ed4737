/* The sampler: starts, buffer and Langevin steps around one model.

   Every number is addressed: slots and restarts by the number of the chain, a
   first slot by its place, noise by chain and step. Chains of the buffer and
   chains of the caller are numbered apart, so that they never share noise. */
#include "sample/sampler.h"
#include "base/config.h"
#include "base/memory.h"
#include "base/status.h"
#include "model/footprint.h"
#include "model/model.h"
#include "sample/buffer.h"
#include "sample/langevin.h"
#include "sample/start.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

static const uint64_t drawn_chain = (uint64_t)1 << 63; /* set in numbers of the buffer's chains */
enum { DROPOUT_STREAM = 3 };                           /* beside those of train/step.c's passes */

/* Draws before their commit. */
typedef struct pending {
    int64_t n, room;
    int64_t *slot, *age; /* [room]: of all */
    int32_t *fresh;      /* [room]: starts here; of the last draw */
    float *start;        /* [room,image]: likewise */
} pending;

typedef struct stats {
    double distance, clamped, age;
} stats;

struct jem_sampler {
    jem__count count;
    jem_model *model;
    jem_pass *pass; /* made when first needed */
    jem_pass_mode mode;
    int64_t image, classes, steps;
    int32_t conditional;
    int32_t apart; /* 1: each chain of a walk has a number of its own; 0: that of the first */
    jem__mover mover;
    jem__starts starts;
    jem__buffer buffer;
    pending pending;
    stats last, next; /* means of the last draw; sums of the pending ones */
    jem__flag cancel;
};

/* ---- Life ---- */

static jem_status read_settings(jem_sampler *s, const jem_config *config)
{
    int64_t c, h, w;
    JEM__TRY(jem_model_info(s->model, &c, &h, &w, &s->classes, NULL));
    s->image = c * h * w;
    s->steps = jem__config_i64(config, "sampler.steps");
    s->conditional = jem__config_i64(config, "sampler.conditional") != 0;
    s->mode = strcmp(jem__config_str(config, "sampler.mode"), "training") == 0
                  ? JEM_PASS_TRAIN_INPUT
                  : JEM_PASS_INPUT_GRADIENT;
    jem__mover_read(&s->mover, config);
    s->starts.image = s->image;
    s->starts.classes = s->classes;
    jem__starts_read(&s->starts, config);
    if (s->starts.gaussian) JEM__TRY(jem__factor_load(&s->starts.factor, s->model));
    return jem__buffer_read(&s->buffer, config, s->image, s->classes);
}

jem_status jem_sampler_create(jem_sampler **sampler, jem_model *model, const jem_config *config)
{
    jem_sampler *s = NULL;
    JEM__REQUIRE(sampler, "jem_sampler_create");
    *sampler = NULL;
    JEM__REQUIRE(model, "jem_sampler_create");
    JEM__ENTER(jem__model_context(model), "jem_sampler_create");
    JEM__TRY(jem__calloc(&s, 1, sizeof *s));
    jem__count_init(&s->count);
    s->model = jem__model_take(model);
    s->last = (stats){NAN, NAN, NAN};
    s->apart = 1;
    jem_status status = read_settings(s, config);
    if (status) {
        jem_sampler_destroy(s);
        return status;
    }
    *sampler = s;
    return JEM_OK;
}

void jem_sampler_destroy(jem_sampler *s)
{
    if (!s || !jem__count_drop(&s->count)) return;
    jem_pass_destroy(s->pass);
    jem__starts_clear(&s->starts);
    jem__buffer_clear(&s->buffer);
    jem__free(s->pending.slot);
    jem__free(s->pending.age);
    jem__free(s->pending.fresh);
    jem__free(s->pending.start);
    jem_model_destroy(s->model);
    jem__free(s);
}

void jem__sampler_evaluate(jem_sampler *s)
{
    s->mode = JEM_PASS_INPUT_GRADIENT;
}

void jem__sampler_share_number(jem_sampler *s)
{
    s->apart = 0;
}

jem_sampler *jem__sampler_take(jem_sampler *s)
{
    jem__count_take(&s->count);
    return s;
}

jem_status jem_sampler_set_data(jem_sampler *s, jem_dataset *data)
{
    int64_t c, h, w, dc, dh, dw;
    JEM__REQUIRE(s, "jem_sampler_set_data");
    JEM__REQUIRE(data, "jem_sampler_set_data");
    JEM__ENTER(jem__model_context(s->model), "jem_sampler_set_data");
    JEM__TRY(jem_model_info(s->model, &c, &h, &w, NULL, NULL));
    JEM__TRY(jem_dataset_info(data, NULL, &dc, &dh, &dw, NULL));
    if (c != dc || h != dh || w != dw)
        return jem__fail(JEM_ERROR_SHAPE,
                         "jem_sampler_set_data: images of %" PRId64 "x%" PRId64 "x%" PRId64
                         ", expected %" PRId64 "x%" PRId64 "x%" PRId64,
                         dc, dh, dw, c, h, w);
    return jem__starts_set_data(&s->starts, data);
}

void jem_sampler_cancel(jem_sampler *s)
{
    if (s) s->cancel = 1;
}

int32_t jem__sampler_cancelled(const jem_sampler *s)
{
    return s->cancel;
}

const jem__flag *jem__sampler_cancel_flag(const jem_sampler *s)
{
    return &s->cancel;
}

void jem__sampler_cancel_taken(jem_sampler *s)
{
    s->cancel = 0;
}

jem_context *jem__sampler_context(const jem_sampler *s)
{
    return jem__model_context(s->model);
}

int32_t jem__sampler_conditional(const jem_sampler *s)
{
    return s->conditional;
}

jem_status jem__sampler_by_class(jem_sampler *s)
{
    return jem__buffer_by_class(&s->buffer, s->classes);
}

static jem_status check_labels(const jem_sampler *s, const char *function, const int32_t *y,
                               int64_t n)
{
    for (int64_t i = 0; y && i < n; i++)
        if (y[i] < 0 || y[i] >= s->classes)
            return jem__fail(JEM_ERROR_ARGUMENT,
                             "%s: label %" PRId64 " is %d, expected 0..%" PRId64, function, i, y[i],
                             s->classes - 1);
    return JEM_OK;
}

static jem_status check_count(const char *function, int64_t n)
{
    if (n < 0 || n > INT32_MAX)
        return jem__fail(JEM_ERROR_ARGUMENT, "%s: n is %" PRId64 ", expected 0..2147483647",
                         function, n);
    return JEM_OK;
}

/* ---- Starts, shared among the workers ---- */

/* Image i of x is a start of kind fresh[i], or is left alone if that is negative. */
typedef struct start_run {
    const jem_sampler *sampler;
    const int32_t *y, *fresh; /* either may be NULL */
    const int64_t *slot;      /* where fresh */
    int64_t first;            /* number of image 0's start, but for JEM__START_SLOT: the slot */
    float *x;
} start_run;

static jem_status start_task(void *user, int64_t i, int64_t worker)
{
    const start_run *run = user;
    const jem_sampler *s = run->sampler;
    int32_t y = run->y ? run->y[i] : -1, kind = JEM__START_CALLER;
    uint64_t index = (uint64_t)(run->first + i);
    (void)worker;
    if (run->fresh) {
        kind = run->fresh[i];
        if (kind < 0) return JEM_OK;
        if (kind == JEM__START_SLOT) index = (uint64_t)run->slot[i];
        /* A chain of any class stays in that of its block. */
        if (y < 0) y = jem__buffer_class(&s->buffer, run->slot[i]);
    }
    return jem__start_draw(&s->starts, kind, index, y, run->x + i * s->image);
}

static jem_status run_starts(start_run *run, int64_t n)
{
    jem__pool *pool = jem__model_context(run->sampler->model)->pool;
    return jem__pool_run(pool, n, start_task, run);
}

jem_status jem_sampler_draw_starts(jem_sampler *s, const int32_t *y, int64_t n, int64_t first,
                                   float *x, int64_t capacity)
{
    JEM__REQUIRE(s, "jem_sampler_draw_starts");
    JEM__ENTER(jem__model_context(s->model), "jem_sampler_draw_starts");
    JEM__TRY(check_count("jem_sampler_draw_starts", n));
    if (first < 0 || first > INT64_MAX - n)
        return jem__fail(JEM_ERROR_ARGUMENT,
                         "jem_sampler_draw_starts: first is %" PRId64 ", expected 0..2^63-1-n",
                         first);
    if (n == 0) return JEM_OK;
    JEM__REQUIRE(x, "jem_sampler_draw_starts");
    JEM__TRY(jem__check_capacity("jem_sampler_draw_starts", "x", capacity, n, s->image));
    JEM__TRY(check_labels(s, "jem_sampler_draw_starts", y, n));
    start_run run = {.sampler = s, .y = y, .first = first, .x = x};
    return run_starts(&run, n);
}

/* ---- Walks ---- */

typedef struct walk_user {
    const jem_sampler *sampler;
    uint64_t chain; /* number of image 0 */
    int64_t step;   /* number of the walk's step 0 */
} walk_user;

static jem_status move(void *user, int64_t step, int64_t first, int64_t n, float *x,
                       const float *dx, const float *energy)
{
    const walk_user *u = user;
    const jem_sampler *s = u->sampler;
    for (int64_t i = 0; i < n; i++)
        JEM__TRY(jem__mover_step(&s->mover, u->chain + (uint64_t)((first + i) * s->apart),
                                 u->step + step, s->image, x + i * s->image, dx + i * s->image,
                                 energy[i]));
    return JEM_OK;
}

/* The pass of one image: a walk arranges its own slices, for any n. */
static jem_status need_pass(jem_sampler *s)
{
    return s->pass ? JEM_OK : jem_pass_create(&s->pass, s->model, s->mode, 1);
}

static jem_status walk(jem_sampler *s, float *x, const int32_t *y, int64_t n, uint64_t chain,
                       int64_t step, int64_t steps)
{
    walk_user user = {s, chain, step};
    jem__walk w = {.user = &user, .y = y, .steps = steps, .cancel = &s->cancel, .move = move};
    JEM__TRY(need_pass(s));
    JEM__TRY(jem_pass_set_stream(s->pass, DROPOUT_STREAM, (int64_t)(chain & ~drawn_chain)));
    jem_status status = s->cancel ? JEM_CANCELLED : jem__pass_walk(s->pass, x, n, &w);
    if (status == JEM_CANCELLED) s->cancel = 0;
    return status;
}

typedef jem_status (*checker)(const jem_model *model, const char *function, const float *x,
                              const int32_t *y, int64_t n);

static jem_status step_chains(jem_sampler *s, float *x, const int32_t *y, int64_t n, int64_t first,
                              int64_t step, int64_t steps, checker check)
{
    JEM__TRY(check_count("jem_sampler_step", n));
    if (first < 0 || first > INT64_MAX - n)
        return jem__fail(JEM_ERROR_ARGUMENT,
                         "jem_sampler_step: first is %" PRId64 ", expected 0..2^63-1-n", first);
    if (step < 0 || steps < 0 || step > UINT32_MAX - steps)
        return jem__fail(JEM_ERROR_ARGUMENT,
                         "jem_sampler_step: step %" PRId64 " and %" PRId64
                         " steps, expected numbers >= 0 with a sum below 2^32",
                         step, steps);
    if (n == 0) return JEM_OK;
    JEM__REQUIRE(x, "jem_sampler_step");
    JEM__TRY(check(s->model, "jem_sampler_step", x, y, n));
    return walk(s, x, y, n, (uint64_t)first, step, steps);
}

jem_status jem_sampler_step(jem_sampler *s, float *x, const int32_t *y, int64_t n, int64_t first,
                            int64_t step, int64_t steps)
{
    JEM__REQUIRE(s, "jem_sampler_step");
    JEM__ENTER(jem__model_context(s->model), "jem_sampler_step");
    /* A chain that goes on is no less free than between the steps of one call. */
    return step_chains(s, x, y, n, first, step, steps,
                       step ? jem__model_check_chain : jem__model_check);
}

jem_status jem__sampler_step_on(jem_sampler *s, float *x, int64_t n, int64_t first, int64_t step,
                                int64_t steps)
{
    return step_chains(s, x, NULL, n, first, step, steps, jem__model_check_chain);
}

/* ---- Draws from the buffer ---- */

static jem_status room_for(jem_sampler *s, int64_t n)
{
    pending *p = &s->pending, fresh = {.n = p->n, .room = p->n + n};
    if (fresh.room <= p->room) return JEM_OK;
    n = fresh.room;
    jem_status status = jem__alloc(&fresh.slot, n, sizeof *fresh.slot);
    if (!status) status = jem__alloc(&fresh.age, n, sizeof *fresh.age);
    if (!status) status = jem__alloc(&fresh.fresh, n, sizeof *fresh.fresh);
    if (!status) status = jem__alloc(&fresh.start, n, s->image * (int64_t)sizeof *fresh.start);
    if (!status && p->n > 0) {
        memcpy(fresh.slot, p->slot, (size_t)p->n * sizeof *p->slot);
        memcpy(fresh.age, p->age, (size_t)p->n * sizeof *p->age);
    }
    pending drop = status ? fresh : *p;
    jem__free(drop.slot);
    jem__free(drop.age);
    jem__free(drop.fresh);
    jem__free(drop.start);
    if (!status) *p = fresh;
    return status;
}

static int64_t room_bytes(const jem_sampler *s, int64_t chains)
{
    return 2 * jem__block_bytes(chains * (int64_t)sizeof *s->pending.slot) +
           jem__block_bytes(chains * (int64_t)sizeof *s->pending.fresh) +
           jem__block_bytes(chains * s->image * (int64_t)sizeof *s->pending.start);
}

jem_status jem__sampler_draw_bytes(jem_sampler *s, const int64_t *sizes, int64_t count,
                                   int64_t *bytes)
{
    const jem__buffer *b = &s->buffer;
    const int64_t image = s->image * (int64_t)sizeof(float);
    int64_t waiting = 0, room = s->pending.room;
    JEM__TRY(need_pass(s));
    JEM__TRY(jem__pass_run_bytes(s->pass, sizes, count, bytes));
    if (!b->values)
        *bytes += jem__block_bytes(b->slots * image) +
                  jem__block_bytes(b->slots * (int64_t)sizeof *b->age);
    for (int64_t i = 0; i < count; i++) {
        waiting += sizes[i];
        if (waiting <= room) continue;
        *bytes += room_bytes(s, waiting); /* beside the old room for a moment */
        room = waiting;
    }
    /* A worker that draws a start has an image to work with. */
    if (s->starts.gaussian)
        *bytes += jem__pool_threads(jem__model_context(s->model)->pool) * jem__block_bytes(image);
    return JEM_OK;
}

/* Where each chain begins, into x and pending.start; its age so far. first is the
   number of the first one. */
static jem_status begin(jem_sampler *s, const int32_t *y, int64_t first, int64_t n, float *x)
{
    pending *p = &s->pending;
    int64_t *slot = p->slot + p->n, *ages = p->age + p->n;
    const jem__buffer *b = &s->buffer;
    for (int64_t i = 0; i < n; i++) {
        int32_t restart;
        jem__buffer_choose(b, first + i, y ? y[i] : -1, &slot[i], &restart);
        int64_t age = b->age[slot[i]];
        p->fresh[i] = restart ? JEM__START_RESTART : age < 0 ? JEM__START_SLOT : -1;
        ages[i] = p->fresh[i] < 0 ? age : 0;
        if (p->fresh[i] < 0)
            memcpy(x + i * s->image, b->values + slot[i] * s->image, (size_t)s->image * sizeof *x);
    }
    start_run run = {s, y, p->fresh, slot, first, x};
    JEM__TRY(run_starts(&run, n));
    memcpy(p->start, x, (size_t)(n * s->image) * sizeof *x);
    return JEM_OK;
}

/* Adds n chains more to the sums of what is pending. */
static void measure(jem_sampler *s, int64_t n, const float *x)
{
    const pending *p = &s->pending;
    for (int64_t i = 0; i < n; i++) {
        const float *from = p->start + i * s->image, *to = x + i * s->image;
        double sum = 0;
        int64_t clamped = 0;
        for (int64_t j = 0; j < s->image; j++) {
            double d = (double)to[j] - (double)from[j];
            sum += d * d;
            clamped += fabsf(to[j]) >= 1;
        }
        s->next.distance += sqrt(sum);
        s->next.clamped += (double)clamped;
        s->next.age += (double)p->age[p->n + i];
    }
}

static stats means(const jem_sampler *s)
{
    double n = (double)s->pending.n;
    return (stats){s->next.distance / n, s->next.clamped / (n * (double)s->image), s->next.age / n};
}

void jem__sampler_forget(jem_sampler *s)
{
    s->pending.n = 0;
    s->next = (stats){0, 0, 0};
}

jem_status jem__sampler_draw_pending(jem_sampler *s, const int32_t *y, int64_t n, float *x)
{
    pending *p = &s->pending;
    int64_t first = s->buffer.draws + p->n;
    JEM__TRY(jem__buffer_fill(&s->buffer));
    JEM__TRY(room_for(s, n));
    JEM__TRY(begin(s, y, first, n, x));
    jem_status status = walk(s, x, y, n, drawn_chain | (uint64_t)first, 0, s->steps);
    if (status) return status;
    measure(s, n, x);
    for (int64_t i = 0; i < n; i++) p->age[p->n + i] += s->steps;
    p->n += n;
    return JEM_OK;
}

void jem__sampler_commit(jem_sampler *s, const float *x)
{
    pending *p = &s->pending;
    if (p->n == 0) return;
    jem__buffer_put(&s->buffer, p->slot, p->age, p->n, x);
    s->buffer.draws += p->n;
    s->last = means(s);
    p->n = 0;
}

jem_status jem_sampler_draw(jem_sampler *s, const int32_t *y, int64_t n, float *x, int64_t capacity)
{
    JEM__REQUIRE(s, "jem_sampler_draw");
    JEM__ENTER(jem__model_context(s->model), "jem_sampler_draw");
    JEM__TRY(check_count("jem_sampler_draw", n));
    if (n == 0) return JEM_OK;
    JEM__REQUIRE(x, "jem_sampler_draw");
    JEM__TRY(jem__check_capacity("jem_sampler_draw", "x", capacity, n, s->image));
    if (!s->conditional != !y)
        return jem__fail(JEM_ERROR_ARGUMENT,
                         "jem_sampler_draw: y is %s, expected %s (sampler.conditional is %d)",
                         y ? "given" : "NULL", y ? "NULL" : "the labels", s->conditional);
    JEM__TRY(check_labels(s, "jem_sampler_draw", y, n));
    jem__sampler_forget(s);
    jem_status status = jem__sampler_draw_pending(s, y, n, x);
    if (status == JEM_OK) jem__sampler_commit(s, x);
    return status;
}

/* ---- Looking inside ---- */

jem_status jem_sampler_buffer_info(const jem_sampler *s, int64_t *slots)
{
    JEM__REQUIRE(s, "jem_sampler_buffer_info");
    JEM__REQUIRE(slots, "jem_sampler_buffer_info");
    *slots = s->buffer.slots;
    return JEM_OK;
}

jem_status jem_sampler_buffer_get(const jem_sampler *s, int64_t first, int64_t n, float *x,
                                  int64_t capacity)
{
    JEM__REQUIRE(s, "jem_sampler_buffer_get");
    JEM__ENTER(jem__model_context(s->model), "jem_sampler_buffer_get");
    const jem__buffer *b = &s->buffer;
    if (first < 0 || n < 0 || first > b->slots || n > b->slots - first)
        return jem__fail(JEM_ERROR_ARGUMENT,
                         "jem_sampler_buffer_get: slots %" PRId64 " and %" PRId64
                         " more, expected within 0..%" PRId64,
                         first, n, b->slots);
    if (n == 0) return JEM_OK;
    JEM__REQUIRE(x, "jem_sampler_buffer_get");
    JEM__TRY(jem__check_capacity("jem_sampler_buffer_get", "x", capacity, n, s->image));
    for (int64_t i = 0; i < n; i++) {
        int64_t slot = first + i;
        if (b->values && b->age[slot] >= 0)
            memcpy(x + i * s->image, b->values + slot * s->image, (size_t)s->image * sizeof *x);
        else
            JEM__TRY(jem__start_draw(&s->starts, JEM__START_SLOT, (uint64_t)slot,
                                     jem__buffer_class(b, slot), x + i * s->image));
    }
    return JEM_OK;
}

void jem__sampler_ages(const jem_sampler *s, int64_t first, int64_t n, int64_t *age)
{
    for (int64_t i = 0; i < n; i++) age[i] = s->buffer.age ? s->buffer.age[first + i] : -1;
}

jem_status jem_sampler_stats(const jem_sampler *s, double *distance, double *clamped, double *age)
{
    JEM__REQUIRE(s, "jem_sampler_stats");
    if (distance) *distance = s->last.distance;
    if (clamped) *clamped = s->last.clamped;
    if (age) *age = s->last.age;
    return JEM_OK;
}

void jem__sampler_pending_stats(const jem_sampler *s, double *distance, double *clamped,
                                double *age)
{
    stats now = means(s);
    *distance = now.distance;
    *clamped = now.clamped;
    *age = now.age;
}

void jem__sampler_set_run(jem_sampler *s, int64_t steps, uint64_t seed)
{
    s->steps = steps;
    s->mover.seed = s->starts.seed = s->buffer.seed = seed;
}

void jem__sampler_buffer_shape(const jem_sampler *s, int64_t *slots, int64_t *image)
{
    *slots = s->buffer.slots;
    *image = s->image;
}

jem_status jem__sampler_state_of(jem_sampler *s, jem__sampler_state *state)
{
    JEM__TRY(jem__buffer_fill(&s->buffer));
    s->pending.n = 0;
    *state = (jem__sampler_state){s->buffer.slots, s->image, s->buffer.values, s->buffer.age,
                                  &s->buffer.draws};
    return JEM_OK;
}
