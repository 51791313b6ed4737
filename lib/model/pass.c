/* A pass: a batch cut into slices, each with a slot of the plan for its size.

   Slices follow from the batch size and model.slice, never from the number of
   threads, and parameter gradients add up in slice order. Passes that keep
   activations between forward and backward, or whose slices are coupled, have a
   slot per slice; the others a slot per worker. */
#include "model/pass.h"
#include "base/memory.h"
#include "base/status.h"
#include "tensor/kernels.h"
#include <inttypes.h>
#include <string.h>

static int32_t wants_of(jem_pass_mode mode)
{
    switch (mode) {
    case JEM_PASS_INFER:
        return 0;
    case JEM_PASS_INPUT_GRADIENT:
        return JEM__WANT_INPUT;
    case JEM_PASS_GRADIENT:
        return JEM__WANT_INPUT | JEM__WANT_PARAMETERS;
    case JEM_PASS_TRAIN:
        return JEM__WANT_INPUT | JEM__WANT_PARAMETERS | JEM__TRAINING;
    case JEM_PASS_TRAIN_INPUT:
        return JEM__WANT_INPUT | JEM__TRAINING;
    case JEM_PASS_HEAD:
        return JEM__WANT_PARAMETERS | JEM__OUTPUTS_ONLY;
    default:
        return -1;
    }
}

jem_status jem__pass_new(jem_pass **out, jem_model *model, int32_t wants, int64_t max_batch)
{
    jem_pass *pass = NULL;
    const jem__graph *g = &model->graph;
    *out = NULL;
    JEM__TRY(jem__calloc(&pass, 1, sizeof *pass));
    pass->model = model;
    pass->wants = wants;
    pass->coupled = (wants & JEM__INITIALISE) || ((wants & JEM__TRAINING) && jem__graph_coupled(g));
    pass->max_batch = max_batch;
    pass->image = g->input.c * g->input.h * g->input.w;
    pass->classes = g->classes;
    pass->version = -1;
    *out = pass;
    return JEM_OK;
}

static jem_status create(jem_pass **pass, jem_model *model, jem_pass_mode mode, int64_t max_batch)
{
    JEM__TRY(jem__pass_new(pass, model, wants_of(mode), max_batch));
    (*pass)->mode = mode;
    return JEM_OK;
}

jem_status jem_pass_create(jem_pass **pass, jem_model *model, jem_pass_mode mode, int64_t max_batch)
{
    JEM__REQUIRE(pass, "jem_pass_create");
    *pass = NULL;
    JEM__REQUIRE(model, "jem_pass_create");
    JEM__ENTER(model->context, "jem_pass_create");
    if (wants_of(mode) < 0)
        return jem__fail(JEM_ERROR_ARGUMENT, "jem_pass_create: mode %d, expected 1..6", mode);
    if (max_batch < 1 || max_batch > INT32_MAX)
        return jem__fail(JEM_ERROR_ARGUMENT,
                         "jem_pass_create: max_batch %" PRId64 ", expected 1..2147483647",
                         max_batch);
    JEM__TRY(create(pass, model, mode, max_batch));
    jem__model_take(model);
    /* Compile and allocate now, so that running needs neither. */
    jem_status status = jem__pass_arrange(*pass, max_batch, 1);
    if (status) {
        jem_pass_destroy(*pass);
        *pass = NULL;
    }
    return status;
}

void jem__pass_free(jem_pass *pass)
{
    if (!pass) return;
    for (int64_t i = 0; i < pass->slot_count; i++) jem__slot_destroy(pass->slots[i]);
    jem__free(pass->slots);
    jem__free(pass->room);
    jem__free(pass);
}

void jem_pass_destroy(jem_pass *pass)
{
    if (!pass) return;
    jem_model *model = pass->model;
    jem__pass_free(pass);
    jem_model_destroy(model);
}

jem_status jem_pass_set_stream(jem_pass *pass, int64_t stream, int64_t number)
{
    JEM__REQUIRE(pass, "jem_pass_set_stream");
    if (stream < 0 || number < 0 || number > INT64_MAX / 2) /* it counts up */
        return jem__fail(JEM_ERROR_ARGUMENT,
                         "jem_pass_set_stream: got %" PRId64 ", %" PRId64 ", expected numbers >= 0",
                         stream, number);
    pass->dropout_stream = stream;
    pass->dropout_number = number;
    return JEM_OK;
}

jem_status jem_pass_hold_statistics(jem_pass *pass, int32_t hold)
{
    JEM__REQUIRE(pass, "jem_pass_hold_statistics");
    pass->hold = hold != 0;
    return JEM_OK;
}

/* ---- Slices and slots ---- */

static int64_t jem__pass_first(const jem_pass *pass, int64_t slice)
{
    return slice * pass->slice;
}
static int64_t jem__pass_count(const jem_pass *pass, int64_t slice)
{
    return slice == pass->slices - 1 ? pass->tail : pass->slice;
}

/* A batch that fits one slice is halved, so that two workers share it. */
int64_t jem__pass_slice(const jem_pass *pass, int64_t n)
{
    int64_t half = (n + 1) / 2, slice = pass->coupled && half < 2 ? 2 : half;
    return slice < pass->model->slice ? slice : pass->model->slice;
}

static jem_status place(jem_pass *pass, int64_t index, const jem__plan *plan)
{
    if (pass->slots[index] && pass->slots[index]->plan == plan) return JEM_OK;
    jem__slot_destroy(pass->slots[index]);
    pass->slots[index] = NULL;
    return jem__slot_create(&pass->slots[index], plan);
}

static jem_status room_for_slots(jem_pass *pass, int64_t count)
{
    jem__slot **fresh;
    if (count <= pass->slot_count) return JEM_OK;
    JEM__TRY(jem__calloc(&fresh, count, sizeof *fresh));
    if (pass->slots) memcpy(fresh, pass->slots, (size_t)pass->slot_count * sizeof *fresh);
    jem__free(pass->slots);
    pass->slots = fresh;
    pass->slot_count = count;
    return JEM_OK;
}

/* Cuts n images into slices and sees that every slot is there. */
jem_status jem__pass_arrange(jem_pass *pass, int64_t n, int32_t keep)
{
    const jem__plan *full = NULL, *tail;
    int64_t workers = jem__pool_threads(pass->model->context->pool);
    pass->version = -1;
    pass->slice = jem__pass_slice(pass, n);
    pass->slices = (n + pass->slice - 1) / pass->slice;
    pass->tail = n - (pass->slices - 1) * pass->slice;
    pass->per_slice = keep || pass->coupled;
    JEM__TRY(jem__model_plan(pass->model, pass->tail, pass->wants, &tail));
    if (pass->slices > 1) JEM__TRY(jem__model_plan(pass->model, pass->slice, pass->wants, &full));
    int64_t fulls = pass->per_slice ? pass->slices - 1 : workers;
    JEM__TRY(room_for_slots(pass, fulls + 1));
    for (int64_t i = 0; full && i < fulls; i++) JEM__TRY(place(pass, i, full));
    JEM__TRY(place(pass, fulls, tail));
    return jem__model_refresh(pass->model);
}

jem__slot *jem__pass_slot(const jem_pass *pass, int64_t slice, int64_t worker)
{
    if (pass->per_slice) return pass->slots[slice];
    int64_t workers = jem__pool_threads(pass->model->context->pool);
    return pass->slots[slice == pass->slices - 1 ? workers : worker];
}

void jem__pass_aim(const jem_pass *pass, jem__slot *slot, int64_t slice, const float *x, float *dx)
{
    int64_t at = jem__pass_first(pass, slice) * pass->image;
    slot->x = (float *)x + at; /* only a walk's move writes to it */
    slot->dx = dx ? dx + at : slot->own_dx;
    slot->n = jem__pass_count(pass, slice);
    slot->first = jem__pass_first(pass, slice);
    slot->at = 0;
    slot->moves_statistics = pass->mode == JEM_PASS_TRAIN && !pass->hold;
    slot->dropout_stream = pass->dropout_stream;
    slot->dropout_number = pass->dropout_number;
}

/* Where the steps of a phase end. */
int32_t jem__pass_end(const jem__slot *slot, jem__phase phase)
{
    const jem__plan *plan = slot->plan;
    return phase == JEM__FORWARD      ? plan->forward_count
           : phase == JEM__PARAMETERS ? plan->parameter_count
                                      : plan->step_count;
}

typedef struct phase_run {
    jem_pass *pass;
    jem__phase phase;
} phase_run;

static jem_status phase_task(void *user, int64_t slice, int64_t worker)
{
    phase_run *run = user;
    jem__slot *slot = jem__pass_slot(run->pass, slice, worker);
    return jem__slot_run(slot, jem__pass_end(slot, run->phase));
}

/* What couples the slices, and moves all past it. */
static jem_status combine_task(void *user, int64_t index, int64_t worker)
{
    const phase_run *run = user;
    const jem_pass *pass = run->pass;
    const jem__slot *slot = pass->slots[0];
    const jem__step *step = &slot->plan->steps[slot->at];
    (void)index, (void)worker;
    step->combine(step, pass->slots, pass->slices);
    if (slot->moves_statistics) pass->model->statistics++;
    for (int64_t i = 0; i < pass->slices; i++) pass->slots[i]->at++;
    return JEM_OK;
}

/* Runs all slices to the end of a phase, meeting at each coupling step. */
jem_status jem__pass_phase(jem_pass *pass, jem__phase phase)
{
    phase_run run = {pass, phase};
    jem__pool *pool = pass->model->context->pool;
    for (;;) {
        JEM__TRY(jem__pool_run(pool, pass->slices, phase_task, &run));
        const jem__slot *slot = pass->slots[0];
        if (slot->at >= jem__pass_end(slot, phase)) return JEM_OK;
        JEM__TRY(jem__pool_run(pool, 1, combine_task, &run));
    }
}

/* ---- Forward and backward ---- */

static void copy_logits(const jem_pass *pass, const jem__slot *slot, float *logits)
{
    if (logits)
        memcpy(logits + slot->first * pass->classes, jem__slot_data(slot, slot->plan->logits),
               (size_t)(slot->n * pass->classes) * sizeof *logits);
}

jem_status jem_pass_forward(jem_pass *pass, const float *x, int64_t n, float *logits,
                            int64_t capacity)
{
    JEM__REQUIRE(pass, "jem_pass_forward");
    JEM__REQUIRE(x, "jem_pass_forward");
    JEM__REQUIRE(logits, "jem_pass_forward");
    JEM__ENTER(pass->model->context, "jem_pass_forward");
    if (n < 1 || n > pass->max_batch)
        return jem__fail(JEM_ERROR_SHAPE,
                         "jem_pass_forward: %" PRId64 " images, expected 1..%" PRId64, n,
                         pass->max_batch);
    JEM__TRY(jem__check_capacity("jem_pass_forward", "logits", capacity, n, pass->classes));
    JEM__TRY(jem__model_check(pass->model, "jem_pass_forward", x, NULL, n));
    JEM__TRY(jem__pass_initialise(pass, x, n));
    JEM__TRY(jem__pass_arrange(pass, n, 1));
    for (int64_t i = 0; i < pass->slices; i++) jem__pass_aim(pass, pass->slots[i], i, x, NULL);
    JEM__TRY(jem__pass_phase(pass, JEM__FORWARD));
    for (int64_t i = 0; i < pass->slices; i++) copy_logits(pass, pass->slots[i], logits);
    pass->dropout_number++;
    pass->version = jem__model_version(pass->model);
    return JEM_OK;
}

static jem_status reduce_task(void *user, int64_t index, int64_t worker)
{
    jem_pass *pass = user;
    const jem__gradient_out *out = &pass->slots[0]->plan->gradients[index];
    const jem__parameter *p = &pass->model->parameters[out->parameter];
    (void)worker;
    for (int64_t i = 0; i < pass->slices; i++) {
        const jem__slot *slot = pass->slots[i];
        const float *part = jem__slot_data(slot, slot->plan->gradients[index].buffer);
        jem__kernels_here()->add(p->gradient, part, p->gradient, p->elements);
    }
    return JEM_OK;
}

jem_status jem__pass_reduce(jem_pass *pass)
{
    return jem__pool_run(pass->model->context->pool, pass->slots[0]->plan->gradient_count,
                         reduce_task, pass);
}

static jem_status check_backward(const jem_pass *pass, const char *function, jem_gradient what,
                                 const float *dx)
{
    int32_t possible = pass->wants & (JEM__WANT_INPUT | JEM__WANT_PARAMETERS);
    int32_t asked = (what & JEM_GRADIENT_INPUT ? JEM__WANT_INPUT : 0) |
                    (what & JEM_GRADIENT_PARAMETERS ? JEM__WANT_PARAMETERS : 0);
    if (what < 1 || what > 3)
        return jem__fail(JEM_ERROR_ARGUMENT,
                         "%s: what is %d, expected JEM_GRADIENT_PARAMETERS, _INPUT or both",
                         function, what);
    if ((what & JEM_GRADIENT_INPUT) && !dx)
        return jem__fail(JEM_ERROR_ARGUMENT, "%s: dx is NULL, expected room for the input gradient",
                         function);
    if (asked & ~possible)
        return jem__fail(JEM_ERROR_STATE, "%s: the pass's mode %d has no such gradient", function,
                         pass->mode);
    if (pass->version < 0)
        return jem__fail(JEM_ERROR_STATE,
                         "%s: no forward to go back from (one backward per forward)", function);
    if (pass->version != jem__model_version(pass->model))
        return jem__fail(JEM_ERROR_STATE, "%s: the weights changed since the forward", function);
    return JEM_OK;
}

typedef struct derivatives {
    const jem_pass *pass;
    const float *dlogits, *denergy;
    float *dx; /* NULL: not wanted */
} derivatives;

/* The caller's derivatives to where a slot's backward steps begin. */
static jem_status put_task(void *user, int64_t slice, int64_t worker)
{
    const derivatives *from = user;
    const jem_pass *pass = from->pass;
    jem__slot *slot = pass->slots[slice];
    int64_t k = pass->classes, bytes = slot->n * k * (int64_t)sizeof(float);
    jem__derivatives d = jem__slot_derivatives(slot);
    (void)worker;
    slot->dx = from->dx ? from->dx + slot->first * pass->image : slot->own_dx;
    if (from->dlogits)
        memcpy(d.logits, from->dlogits + slot->first * k, (size_t)bytes);
    else
        memset(d.logits, 0, (size_t)bytes);
    if (d.head) memset(d.head, 0, (size_t)slot->n * sizeof *d.head);
    if (from->denergy)
        jem__energy_chain(jem__slot_outputs(slot), from->denergy + slot->first, slot->n, k, d);
    return JEM_OK;
}

static jem_status go_back(jem_pass *pass, const char *function, const float *dlogits,
                          const float *denergy, jem_gradient what, float *dx)
{
    JEM__ENTER(pass->model->context, function);
    JEM__TRY(check_backward(pass, function, what, dx));
    pass->version = -1;
    derivatives from = {pass, dlogits, denergy, what & JEM_GRADIENT_INPUT ? dx : NULL};
    JEM__TRY(jem__pool_run(pass->model->context->pool, pass->slices, put_task, &from));
    JEM__TRY(jem__pass_phase(pass, what & JEM_GRADIENT_INPUT ? JEM__WHOLE : JEM__PARAMETERS));
    if (!(what & JEM_GRADIENT_PARAMETERS)) return JEM_OK;
    return jem__pass_reduce(pass);
}

jem_status jem_pass_backward(jem_pass *pass, const float *dlogits, jem_gradient what, float *dx)
{
    JEM__REQUIRE(pass, "jem_pass_backward");
    JEM__REQUIRE(dlogits, "jem_pass_backward");
    return go_back(pass, "jem_pass_backward", dlogits, NULL, what, dx);
}

typedef struct energies {
    const jem_pass *pass;
    float *energy;
} energies;

static jem_status energy_task(void *user, int64_t slice, int64_t worker)
{
    const energies *of = user;
    const jem__slot *slot = of->pass->slots[slice];
    (void)worker;
    jem__energy(jem__slot_outputs(slot), NULL, slot->n, of->pass->classes,
                of->energy + slot->first);
    return JEM_OK;
}

jem_status jem_pass_energy(const jem_pass *pass, float *energy)
{
    JEM__REQUIRE(pass, "jem_pass_energy");
    JEM__REQUIRE(energy, "jem_pass_energy");
    JEM__ENTER(pass->model->context, "jem_pass_energy");
    if (pass->version < 0)
        return jem__fail(JEM_ERROR_STATE, "jem_pass_energy: no forward, or already gone back");
    energies of = {pass, energy};
    return jem__pool_run(pass->model->context->pool, pass->slices, energy_task, &of);
}

jem_status jem_pass_backward_energy(jem_pass *pass, const float *dlogits, const float *denergy,
                                    jem_gradient what, float *dx)
{
    JEM__REQUIRE(pass, "jem_pass_backward_energy");
    JEM__REQUIRE(denergy, "jem_pass_backward_energy");
    return go_back(pass, "jem_pass_backward_energy", dlogits, denergy, what, dx);
}

/* ---- Inference ---- */

typedef struct inference {
    jem_pass *pass;
    const float *x;
    const jem__wanted *wanted;
    int64_t feature_count;
} inference;

static jem_status infer_task(void *user, int64_t slice, int64_t worker)
{
    inference *run = user;
    jem__slot *slot = jem__pass_slot(run->pass, slice, worker);
    jem__pass_aim(run->pass, slot, slice, run->x, NULL);
    JEM__TRY(jem__slot_run(slot, jem__pass_end(slot, JEM__FORWARD)));
    const jem__wanted *w = run->wanted;
    copy_logits(run->pass, slot, w->logits);
    if (w->features)
        memcpy(w->features + slot->first * run->feature_count,
               jem__slot_data(slot, slot->plan->features),
               (size_t)(slot->n * run->feature_count) * sizeof(float));
    if (w->energy)
        jem__energy(jem__slot_outputs(slot), w->y ? w->y + slot->first : NULL, slot->n,
                    run->pass->classes, w->energy + slot->first);
    return JEM_OK;
}

jem_status jem__pass_infer(jem_pass *pass, const float *x, int64_t n, const jem__wanted *wanted)
{
    inference run = {pass, x, wanted, 0};
    if (n == 0) return JEM_OK;
    JEM__TRY(jem_model_info(pass->model, NULL, NULL, NULL, NULL, &run.feature_count));
    JEM__TRY(jem__pass_arrange(pass, n, 0));
    return jem__pool_run(pass->model->context->pool, pass->slices, infer_task, &run);
}

/* ---- Borrowing ---- */

struct jem_pass *jem__pass_next(const jem_pass *pass)
{
    return pass->next;
}

/* Takes an idle pass of the mode. Else, if there are as many as there may be, one of
   another mode is to make room: *surplus. */
static jem_pass *take_idle(jem_model *model, jem_pass_mode mode, int64_t limit, jem_pass **surplus)
{
    int64_t idle = 0;
    for (jem_pass **at = &model->idle; *at; at = &(*at)->next, idle++)
        if ((*at)->mode == mode) {
            jem_pass *pass = *at;
            *at = pass->next;
            return pass;
        }
    if (idle > 0 && idle + model->borrowed > limit) {
        *surplus = model->idle;
        model->idle = (*surplus)->next;
    }
    return NULL;
}

jem_status jem__pass_borrow(jem_pass **pass, jem_model *model, jem_pass_mode mode)
{
    int64_t limit = jem__pool_threads(model->context->pool) + 1;
    jem_status status = JEM_OK;
    jem_pass *surplus = NULL;
    pthread_mutex_lock(&model->lock);
    while (model->borrowed >= limit) pthread_cond_wait(&model->returned, &model->lock);
    model->borrowed++;
    *pass = take_idle(model, mode, limit, &surplus);
    pthread_mutex_unlock(&model->lock);
    jem__pass_free(surplus);
    if (!*pass) status = create(pass, model, mode, INT32_MAX);
    if (status) {
        pthread_mutex_lock(&model->lock);
        model->borrowed--;
        pthread_cond_signal(&model->returned);
        pthread_mutex_unlock(&model->lock);
    }
    return status;
}

void jem__pass_return(jem_pass *pass)
{
    jem_model *model = pass->model;
    pthread_mutex_lock(&model->lock);
    pass->next = model->idle;
    model->idle = pass;
    model->borrowed--;
    pthread_cond_signal(&model->returned);
    pthread_mutex_unlock(&model->lock);
}
