/* Draws of a sampler: where chains of its buffer begin, and what becomes of them at the commit. */
#include "base/memory.h"
#include "base/status.h"
#include "model/footprint.h"
#include "sample/internal.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

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
    JEM__TRY(jem__sampler_check_count("jem_sampler_draw_starts", n));
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

/* ---- Draws from the buffer ---- */

void jem__pending_clear(jem__pending *p)
{
    jem__free(p->slot);
    jem__free(p->age);
    jem__free(p->fresh);
    jem__free(p->start);
}

static jem_status room_for(jem_sampler *s, int64_t n)
{
    jem__pending *p = &s->pending, fresh = {.n = p->n, .room = p->n + n};
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
    jem__pending_clear(status ? &fresh : p);
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
    JEM__TRY(jem__sampler_need_pass(s));
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
    jem__pending *p = &s->pending;
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
    const jem__pending *p = &s->pending;
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

static jem__draw_stats means(const jem_sampler *s)
{
    double n = (double)s->pending.n;
    return (jem__draw_stats){s->next.distance / n, s->next.clamped / (n * (double)s->image),
                             s->next.age / n};
}

void jem__sampler_forget(jem_sampler *s)
{
    s->pending.n = 0;
    s->next = (jem__draw_stats){0, 0, 0};
}

jem_status jem__sampler_draw_pending(jem_sampler *s, const int32_t *y, int64_t n, float *x)
{
    jem__pending *p = &s->pending;
    int64_t first = s->buffer.draws + p->n;
    JEM__TRY(jem__buffer_fill(&s->buffer));
    JEM__TRY(room_for(s, n));
    JEM__TRY(begin(s, y, first, n, x));
    jem_status status =
        jem__sampler_walk(s, x, y, n, jem__drawn_chain | (uint64_t)first, 0, s->steps);
    if (status) return status;
    measure(s, n, x);
    for (int64_t i = 0; i < n; i++) p->age[p->n + i] += s->steps;
    p->n += n;
    return JEM_OK;
}

void jem__sampler_commit(jem_sampler *s, const float *x)
{
    jem__pending *p = &s->pending;
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
    JEM__TRY(jem__sampler_check_count("jem_sampler_draw", n));
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

/* ---- What the draws were like ---- */

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
    jem__draw_stats now = means(s);
    *distance = now.distance;
    *clamped = now.clamped;
    *age = now.age;
}
