/* How much memory a pass will hold: plans are compiled, slots only counted. */
#include "model/footprint.h"
#include "base/memory.h"
#include "base/status.h"
#include "model/pass.h"

enum { MOST = 8 }; /* batches */

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* As jem__slot_create makes it; NULL: no slot. */
static int64_t slot_bytes(const jem__plan *plan)
{
    if (!plan) return 0;
    const jem__image in = plan->graph->input;
    int64_t bytes = jem__block_bytes(sizeof(jem__slot)) + jem__block_bytes(plan->arena) +
                    jem__block_bytes(plan->step_count * (int64_t)sizeof(jem__call *));
    if (plan->wants & JEM__WANT_INPUT) bytes += jem__block_bytes(plan->n * in.c * in.h * in.w * 4);
    for (int32_t i = 0; i < plan->step_count; i++)
        if (plan->steps[i].primitive) bytes += jem__call_bytes();
    return bytes;
}

static int64_t held_at(const jem_pass *pass, int64_t i)
{
    return i < pass->slot_count && pass->slots[i] ? slot_bytes(pass->slots[i]->plan) : 0;
}

/* The array of slots. */
static int64_t array_bytes(int64_t slots)
{
    return slots ? jem__block_bytes(slots * (int64_t)sizeof(jem__slot *)) : 0;
}

/* How n images are cut: slices of one size, and the last. full NULL: one slice is all. */
typedef struct cut {
    const jem__plan *full, *tail;
    int64_t slices, fulls; /* fulls: slots for those of one size, before that of the last */
} cut;

static int64_t workers_of(const jem_pass *pass)
{
    return jem__pool_threads(pass->model->context->pool);
}

static jem_status cut_of(const jem_pass *pass, int64_t n, cut *c)
{
    int64_t slice = jem__pass_slice(pass, n), slices = (n + slice - 1) / slice;
    *c = (cut){.slices = slices, .fulls = pass->coupled ? slices - 1 : workers_of(pass)};
    JEM__TRY(jem__model_plan(pass->model, n - (slices - 1) * slice, pass->wants, &c->tail));
    return slices > 1 ? jem__model_plan(pass->model, slice, pass->wants, &c->full) : JEM_OK;
}

static jem_status cut_all(const jem_pass *pass, const int64_t *sizes, int64_t count, cut *cuts,
                          int64_t *kept)
{
    *kept = 0;
    for (int64_t i = 0; i < count && *kept < MOST; i++)
        if (sizes[i] > 0) JEM__TRY(cut_of(pass, sizes[i], &cuts[(*kept)++]));
    return JEM_OK;
}

/* A slot stays until a batch wants one of another size in its place. */
jem_status jem__pass_run_bytes(jem_pass *pass, const int64_t *sizes, int64_t count, int64_t *bytes)
{
    cut cuts[MOST];
    int64_t slots = pass->slot_count;
    *bytes = 0;
    JEM__TRY(cut_all(pass, sizes, count, cuts, &count));
    for (int64_t j = 0; j < count; j++) slots = larger(slots, cuts[j].fulls + 1);
    for (int64_t i = 0; i < slots; i++) {
        int64_t held = held_at(pass, i), most = held;
        for (int64_t j = 0; j < count; j++) {
            if (i < cuts[j].fulls) most = larger(most, slot_bytes(cuts[j].full));
            if (i == cuts[j].fulls) most = larger(most, slot_bytes(cuts[j].tail));
        }
        *bytes += most - held;
    }
    *bytes += array_bytes(slots) - array_bytes(pass->slot_count);
    return JEM_OK;
}

/* Every worker has a slot for every plan, which several batches may share. */
static jem_status learn_apart_bytes(const jem_pass *pass, const int64_t *sizes, int64_t count,
                                    int64_t *bytes)
{
    cut cuts[MOST];
    const jem__plan *plans[2 * MOST];
    int64_t kinds = 0, pieces = 0, workers = workers_of(pass);
    JEM__TRY(cut_all(pass, sizes, count, cuts, &count));
    *bytes = array_bytes(workers * (1 + count)) - array_bytes(pass->slot_count);
    for (int64_t i = 0; i < pass->slot_count; i++) *bytes -= held_at(pass, i);
    for (int64_t i = 0; i < 2 * count; i++) {
        const jem__plan *plan = i % 2 ? cuts[i / 2].full : cuts[i / 2].tail;
        int64_t at = 0;
        while (at < kinds && plans[at] != plan) at++;
        if (at < kinds) continue;
        plans[kinds++] = plan;
        *bytes += workers * slot_bytes(plan);
    }
    for (int64_t i = 0; i < count; i++) pieces += cuts[i].slices;
    int64_t room = jem__pass_learn_room(pass, pieces);
    if (room > pass->room_bytes)
        *bytes += jem__block_bytes(room) - (pass->room ? jem__block_bytes(pass->room_bytes) : 0);
    return JEM_OK;
}

/* Of the pass that comes and goes before the first step. */
static jem_status initialise_bytes(const jem_pass *pass, const int64_t *sizes, int64_t count,
                                   int64_t *bytes)
{
    jem_pass *own = NULL;
    *bytes = 0;
    while (count > 0 && *sizes < 1) sizes++, count--;
    if (count > 0) JEM__TRY(jem__pass_initialiser(&own, pass, *sizes));
    if (!own) return JEM_OK;
    jem_status status = jem__pass_run_bytes(own, sizes, 1, bytes);
    int64_t kept = jem__model_moved_elements(pass->model) * (int64_t)sizeof(float);
    *bytes += jem__block_bytes(sizeof *own) + jem__block_bytes(kept);
    jem__pass_free(own);
    return status;
}

jem_status jem__pass_learn_bytes(jem_pass *pass, const int64_t *sizes, int64_t count,
                                 int64_t *bytes)
{
    int64_t first;
    JEM__TRY(initialise_bytes(pass, sizes, count, &first));
    JEM__TRY((pass->coupled ? jem__pass_run_bytes(pass, sizes, count, bytes)
                            : learn_apart_bytes(pass, sizes, count, bytes)));
    *bytes = larger(*bytes, first);
    return JEM_OK;
}

jem_status jem__model_score_bytes(jem_model *model, const int64_t *sizes, int64_t count,
                                  int64_t *bytes)
{
    jem_pass *pass = NULL;
    *bytes = 0;
    JEM__TRY(jem__pass_borrow(&pass, model, JEM_PASS_INFER));
    jem_status status = jem__pass_run_bytes(pass, sizes, count, bytes);
    jem__pass_return(pass);
    return status;
}
