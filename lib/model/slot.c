/* Run-time state of a plan: an arena, and the primitives bound to it. */
#include "base/memory.h"
#include "base/status.h"
#include "model/parameters.h"
#include "model/plan.h"

void *jem__slot_data(const jem__slot *slot, int32_t buffer)
{
    if (buffer < 0) return NULL;
    const jem__buffer *b = &slot->plan->buffers[buffer];
    switch (b->where) {
    case JEM__IN_ARENA:
        return slot->arena + b->offset;
    case JEM__IN_X:
        return slot->x;
    case JEM__IN_DX:
        return slot->dx;
    default:
        return b->memory;
    }
}

jem__outputs jem__slot_outputs(const jem__slot *slot)
{
    const jem__plan *plan = slot->plan;
    return (jem__outputs){jem__slot_data(slot, plan->logits), jem__slot_data(slot, plan->head)};
}

jem__derivatives jem__slot_derivatives(const jem__slot *slot)
{
    const jem__plan *plan = slot->plan;
    return (jem__derivatives){jem__slot_data(slot, plan->dlogits),
                              jem__slot_data(slot, plan->dhead)};
}

static jem_status bind(jem__slot *slot, int32_t index)
{
    const jem__plan *plan = slot->plan;
    const jem__step *step = &plan->steps[index];
    void *memory[JEM__STEP_BUFFERS] = {0};
    for (int32_t i = 0; i < JEM__STEP_BUFFERS; i++)
        if (step->buffer[i] >= 0) memory[i] = jem__slot_data(slot, step->buffer[i]);
    return jem__call_create(&slot->calls[index], step->primitive, jem__model_engine(plan->model),
                            memory);
}

jem_status jem__slot_create(jem__slot **out, const jem__plan *plan)
{
    jem__slot *slot = NULL;
    *out = NULL;
    JEM__TRY(jem__calloc(&slot, 1, sizeof *slot));
    slot->plan = plan;
    jem_status status = jem__alloc(&slot->arena, plan->arena, 1);
    if (!status) status = jem__calloc(&slot->calls, plan->step_count, sizeof(jem__call *));
    if (!status && (plan->wants & JEM__WANT_INPUT))
        status =
            jem__alloc(&slot->own_dx,
                       plan->n * plan->graph->input.c * plan->graph->input.h * plan->graph->input.w,
                       sizeof(float));
    if (!status) status = jem__stream_create(&slot->stream, jem__model_engine(plan->model));
    for (int32_t i = 0; !status && i < plan->step_count; i++)
        if (plan->steps[i].primitive) status = bind(slot, i);
    if (status) {
        jem__slot_destroy(slot);
        return status;
    }
    *out = slot;
    return JEM_OK;
}

void jem__slot_destroy(jem__slot *slot)
{
    if (!slot) return;
    for (int32_t i = 0; slot->calls && i < slot->plan->step_count; i++)
        jem__call_destroy(slot->calls[i]);
    jem__stream_destroy(slot->stream);
    jem__free(slot->calls);
    jem__free(slot->own_dx);
    jem__free(slot->arena);
    jem__free(slot);
}

/* The caller's arrays move between runs: point the primitives at them. */
static jem_status point(jem__slot *slot, const jem__step *step, jem__call *call)
{
    for (int32_t i = 0; i < JEM__STEP_BUFFERS; i++) {
        if (step->buffer[i] < 0) continue;
        int where = slot->plan->buffers[step->buffer[i]].where;
        if (where == JEM__IN_X || where == JEM__IN_DX)
            JEM__TRY(jem__call_set(call, i, jem__slot_data(slot, step->buffer[i])));
    }
    return JEM_OK;
}

jem_status jem__slot_run(jem__slot *slot, int32_t end)
{
    slot->status = JEM_OK;
    for (; slot->at < end; slot->at++) {
        const jem__step *step = &slot->plan->steps[slot->at];
        if (step->combine) return JEM_OK;
        if (step->kernel) {
            step->kernel(step, slot);
            if (slot->status) return slot->status;
            continue;
        }
        jem__call *call = slot->calls[slot->at];
        JEM__TRY(point(slot, step, call));
        JEM__TRY(jem__call_run(call, slot->stream));
    }
    return JEM_OK;
}
