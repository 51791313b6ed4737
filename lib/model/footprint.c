/* How much memory a pass will hold: plans are compiled, slots only counted. */
#include "model/footprint.h"
#include "base/memory.h"
#include "base/status.h"
#include "model/pass.h"

static int64_t slot_bytes(const jem__plan *plan)
{
    const jem__image in = plan->graph->input;
    int64_t dx = plan->wants & JEM__WANT_INPUT ? plan->n * in.c * in.h * in.w * 4 : 0;
    return plan->arena + dx + plan->step_count * (int64_t)sizeof(jem__call *);
}

static int64_t held(const jem_pass *pass)
{
    int64_t bytes = 0;
    for (int64_t i = 0; i < pass->slot_count; i++)
        if (pass->slots[i]) bytes += slot_bytes(pass->slots[i]->plan);
    return bytes;
}

/* How n images are cut: slices of one size, and the last. full NULL: one slice is all. */
typedef struct cut {
    const jem__plan *full, *tail;
    int64_t fulls;
} cut;

static jem_status cut_of(const jem_pass *pass, int64_t n, cut *c)
{
    int64_t slice = jem__pass_slice(pass, n), slices = (n + slice - 1) / slice;
    *c = (cut){.fulls = slices - 1};
    JEM__TRY(jem__model_plan(pass->model, n - (slices - 1) * slice, pass->wants, &c->tail));
    return c->fulls ? jem__model_plan(pass->model, slice, pass->wants, &c->full) : JEM_OK;
}

static int64_t workers_of(const jem_pass *pass)
{
    return jem__pool_threads(pass->model->context->pool);
}

jem_status jem__pass_run_bytes(jem_pass *pass, int64_t n, int64_t *bytes)
{
    cut c;
    *bytes = 0;
    if (n < 1) return JEM_OK;
    JEM__TRY(cut_of(pass, n, &c));
    int64_t fulls = pass->coupled ? c.fulls : workers_of(pass);
    *bytes = slot_bytes(c.tail) + (c.full ? fulls * slot_bytes(c.full) : 0) - held(pass);
    return JEM_OK;
}

/* Uncoupled batches: every worker has a slot for every plan, which several batches may share. */
jem_status jem__pass_learn_bytes(jem_pass *pass, const int64_t *sizes, int64_t count,
                                 int64_t *bytes)
{
    enum { MOST = 16 };
    const jem__plan *plans[MOST];
    int64_t kinds = 0, most = 0, total = 0;
    for (int64_t i = 0; i < count; i++) {
        cut c;
        if (sizes[i] < 1) continue;
        JEM__TRY(cut_of(pass, sizes[i], &c));
        int64_t coupled = slot_bytes(c.tail) + (c.full ? c.fulls * slot_bytes(c.full) : 0);
        most = coupled > most ? coupled : most;
        for (int part = 0; part < 2; part++) {
            const jem__plan *plan = part ? c.full : c.tail;
            int64_t at = 0;
            while (at < kinds && plans[at] != plan) at++;
            if (!plan || at < kinds || kinds == MOST) continue;
            plans[kinds++] = plan;
            total += workers_of(pass) * slot_bytes(plan);
        }
    }
    *bytes = (pass->coupled ? most : total) - held(pass);
    return JEM_OK;
}

jem_status jem__model_score_bytes(jem_model *model, int64_t n, int64_t *bytes)
{
    jem_pass *pass = NULL;
    *bytes = 0;
    JEM__TRY(jem__pass_borrow(&pass, model, JEM_PASS_INFER));
    jem_status status = jem__pass_run_bytes(pass, n, bytes);
    jem__pass_return(pass);
    return status;
}
