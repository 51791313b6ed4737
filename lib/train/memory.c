/* What a run will hold at most: what there is, and what its steps make when first needed. */
#include "base/memory.h"
#include "base/status.h"
#include "model/footprint.h"
#include "train/state.h"
#include "train/trainer.h"

static int64_t positive(int64_t bytes)
{
    return bytes > 0 ? bytes : 0;
}

/* With an average, validation is of a model of its own that comes and goes. */
static jem_status validating(jem_trainer *t, int64_t *bytes)
{
    jem_context *context = jem__model_context(t->model);
    jem_model *copy;
    int64_t before, with;
    if (!t->average.values) return jem__validation_bytes(&t->validation, t->model, bytes);
    JEM__TRY(jem_context_memory(context, &before, NULL));
    JEM__TRY(jem_model_clone(&copy, t->model));
    jem_status status = jem__validation_bytes(&t->validation, copy, bytes); /* compiles */
    if (!status) status = jem_context_memory(context, &with, NULL);
    jem_model_destroy(copy);
    if (!status) *bytes += with - before;
    return status;
}

/* Keeping a state makes its table, which has grown from one half as large. */
static jem_status keeping(const jem_trainer *t, int64_t *bytes)
{
    jem__state state;
    *bytes = 0;
    if (t->rollback.retries == 0) return JEM_OK;
    jem_status status = jem__state_of(&state, t);
    *bytes = jem__block_bytes(state.room * (int64_t)sizeof *state.entries) +
             jem__block_bytes(state.room / 2 * (int64_t)sizeof *state.entries);
    jem__state_clear(&state);
    return status;
}

/* The sampler draws for p(x), then for p(x,y); the passes learn from what was drawn. */
static jem_status missing(jem_trainer *t, int64_t *bytes)
{
    int64_t px = t->px > 0 ? t->px_batch : 0, pxy = t->pxy > 0 ? t->batch : 0;
    int64_t labelled = t->pyx > 0 || t->pxy > 0 ? t->batch : 0, more;
    const int64_t drawn[] = {px, pxy}, sizes[] = {px, px, pxy, labelled};
    *bytes = 0;
    if (px + pxy > 0) {
        JEM__TRY(jem__sampler_draw_bytes(t->sampler, drawn, 2, &more));
        *bytes += positive(more);
    }
    JEM__TRY(jem__pass_learn_bytes(t->pass, sizes, 4, &more));
    *bytes += positive(more);
    JEM__TRY(keeping(t, &more));
    *bytes += more;
    if (t->validation.data) {
        JEM__TRY(validating(t, &more));
        *bytes += positive(more);
    }
    return JEM_OK;
}

jem_status jem_trainer_memory(jem_trainer *trainer, int64_t *bytes, int64_t *peak)
{
    int64_t now, more;
    JEM__REQUIRE(trainer, "jem_trainer_memory");
    JEM__ENTER(jem__model_context(trainer->model), "jem_trainer_memory");
    JEM__TRY(missing(trainer, &more)); /* compiles: before the count */
    JEM__TRY(jem_context_memory(jem__model_context(trainer->model), &now, NULL));
    if (bytes) *bytes = now;
    if (peak) *peak = now + more;
    return JEM_OK;
}
