/* Walks: each worker carries its slice through all Langevin steps. */
#include "base/status.h"
#include "energy/energy.h"
#include "model/pass.h"
#include <string.h>

typedef struct walking {
    jem_pass *pass;
    const jem__walk *walk;
    float *x;
    int64_t step; /* of a coupled walk */
    _Atomic int32_t cancelled;
} walking;

static int32_t cancelled(walking *w)
{
    if (w->walk->cancel && *w->walk->cancel) w->cancelled = 1;
    return w->cancelled;
}

/* Between forward and backward of a slice. */
static jem_status derive(walking *w, jem__slot *slot, int64_t step)
{
    const int32_t *y = w->walk->y ? w->walk->y + slot->first : NULL;
    jem__outputs f = jem__slot_outputs(slot);
    jem__derivatives d = jem__slot_derivatives(slot);
    if (!w->walk->derive) {
        jem__energy_derivative(f, y, slot->n, w->pass->classes, d);
        return JEM_OK;
    }
    if (d.head) memset(d.head, 0, (size_t)slot->n * sizeof *d.head);
    return w->walk->derive(w->walk->user, step, slot->first, slot->n, f.logits, d.logits);
}

static jem_status move(walking *w, jem__slot *slot, int64_t step)
{
    enum { BATCH = 64 };
    jem__outputs f = jem__slot_outputs(slot);
    float energy[BATCH];
    if (w->walk->derive)
        return w->walk->move(w->walk->user, step, slot->first, slot->n, slot->x, slot->dx, NULL);
    for (int64_t i = 0; i < slot->n; i += BATCH) {
        int64_t n = slot->n - i < BATCH ? slot->n - i : BATCH, at = slot->first + i;
        jem__outputs here = {f.logits + i * w->pass->classes, f.head ? f.head + i : NULL};
        jem__energy(here, w->walk->y ? w->walk->y + at : NULL, n, w->pass->classes, energy);
        JEM__TRY(w->walk->move(w->walk->user, step, at, n, slot->x + i * w->pass->image,
                               slot->dx + i * w->pass->image, energy));
    }
    return JEM_OK;
}

static jem_status walk_task(void *user, int64_t slice, int64_t worker)
{
    walking *w = user;
    jem__slot *slot = jem__pass_slot(w->pass, slice, worker);
    for (int64_t step = 0; step < w->walk->steps; step++) {
        if (cancelled(w)) return JEM_OK;
        jem__pass_aim(w->pass, slot, slice, w->x, NULL);
        JEM__TRY(jem__slot_run(slot, jem__pass_end(slot, JEM__FORWARD)));
        jem_status status = derive(w, slot, step);
        if (status) return status < 0 ? status : JEM_OK;
        JEM__TRY(jem__slot_run(slot, jem__pass_end(slot, JEM__WHOLE)));
        JEM__TRY(move(w, slot, step));
    }
    return JEM_OK;
}

static jem_status derive_task(void *user, int64_t slice, int64_t worker)
{
    walking *w = user;
    jem_status status = derive(w, jem__pass_slot(w->pass, slice, worker), w->step);
    return status < 0 ? status : JEM_OK;
}

static jem_status move_task(void *user, int64_t slice, int64_t worker)
{
    walking *w = user;
    return move(w, jem__pass_slot(w->pass, slice, worker), w->step);
}

static jem_status coupled_walk(walking *w)
{
    jem_pass *pass = w->pass;
    jem__pool *pool = pass->model->context->pool;
    for (w->step = 0; w->step < w->walk->steps && !cancelled(w); w->step++) {
        for (int64_t i = 0; i < pass->slices; i++)
            jem__pass_aim(pass, pass->slots[i], i, w->x, NULL);
        JEM__TRY(jem__pass_phase(pass, JEM__FORWARD));
        JEM__TRY(jem__pool_run(pool, pass->slices, derive_task, w));
        JEM__TRY(jem__pass_phase(pass, JEM__WHOLE));
        JEM__TRY(jem__pool_run(pool, pass->slices, move_task, w));
    }
    return JEM_OK;
}

jem_status jem__pass_walk(jem_pass *pass, float *x, int64_t n, const jem__walk *walk)
{
    walking w = {.pass = pass, .walk = walk, .x = x};
    if (!(pass->wants & JEM__WANT_INPUT))
        return jem__fail(JEM_ERROR_STATE, "a pass of mode %d has no input gradient", pass->mode);
    if (n == 0) return JEM_OK;
    JEM__TRY(jem__pass_arrange(pass, n, 0));
    JEM__TRY(pass->coupled
                 ? coupled_walk(&w)
                 : jem__pool_run(pass->model->context->pool, pass->slices, walk_task, &w));
    return w.cancelled ? JEM_CANCELLED : JEM_OK;
}
