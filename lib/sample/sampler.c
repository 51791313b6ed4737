/* The sampler: starts, buffer and Langevin steps around one model.

   Every number is addressed: slots and restarts by the number of the chain, a
   first slot by its place, noise by chain and step. Chains of the buffer and
   chains of the caller are numbered apart, so that they never share noise. */
#include "base/config.h"
#include "base/memory.h"
#include "base/status.h"
#include "sample/internal.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

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
    s->last = (jem__draw_stats){NAN, NAN, NAN};
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
    jem__pending_clear(&s->pending);
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

/* ---- Walks ---- */

enum { DROPOUT_STREAM = 3 }; /* beside those of train/step.c's passes */

jem_status jem__sampler_check_count(const char *function, int64_t n)
{
    if (n < 0 || n > INT32_MAX)
        return jem__fail(JEM_ERROR_ARGUMENT, "%s: n is %" PRId64 ", expected 0..2147483647",
                         function, n);
    return JEM_OK;
}

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

jem_status jem__sampler_need_pass(jem_sampler *s)
{
    return s->pass ? JEM_OK : jem_pass_create(&s->pass, s->model, s->mode, 1);
}

jem_status jem__sampler_walk(jem_sampler *s, float *x, const int32_t *y, int64_t n, uint64_t chain,
                             int64_t step, int64_t steps)
{
    walk_user user = {s, chain, step};
    jem__walk w = {.user = &user, .y = y, .steps = steps, .cancel = &s->cancel, .move = move};
    JEM__TRY(jem__sampler_need_pass(s));
    JEM__TRY(jem_pass_set_stream(s->pass, DROPOUT_STREAM, (int64_t)(chain & ~jem__drawn_chain)));
    jem_status status = s->cancel ? JEM_CANCELLED : jem__pass_walk(s->pass, x, n, &w);
    if (status == JEM_CANCELLED) s->cancel = 0;
    return status;
}

typedef jem_status (*checker)(const jem_model *model, const char *function, const float *x,
                              const int32_t *y, int64_t n);

static jem_status step_chains(jem_sampler *s, float *x, const int32_t *y, int64_t n, int64_t first,
                              int64_t step, int64_t steps, checker check)
{
    JEM__TRY(jem__sampler_check_count("jem_sampler_step", n));
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
    return jem__sampler_walk(s, x, y, n, (uint64_t)first, step, steps);
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

void jem__sampler_set_run(jem_sampler *s, int64_t steps, uint64_t seed)
{
    s->steps = steps;
    s->mover.seed = s->starts.seed = s->buffer.seed = seed;
}

int32_t jem__sampler_has_blocks(const jem_sampler *s)
{
    return s->buffer.blocks > 1;
}

void jem__sampler_buffer_shape(const jem_sampler *s, int64_t *slots, int64_t *image)
{
    *slots = s->buffer.slots;
    *image = s->image;
}

jem_status jem__sampler_state_of(jem_sampler *s, jem__sampler_state *state)
{
    JEM__TRY(jem__buffer_fill(&s->buffer));
    jem__sampler_forget(s);
    *state = (jem__sampler_state){s->buffer.slots, s->image, s->buffer.values, s->buffer.age,
                                  &s->buffer.draws};
    return JEM_OK;
}
