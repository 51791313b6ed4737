/* Learning: slices of several batches forward and back, gradients added in order. */
#include "base/memory.h"
#include "base/status.h"
#include "model/pass.h"
#include <pthread.h>
#include <string.h>

/* A slice of one of the batches, and the plan for its size. */
typedef struct piece {
    const jem__batch *batch;
    const jem__plan *plan;
    int64_t first;
} piece;

typedef struct learning {
    jem_pass *pass;
    const jem__flag *cancel;
    piece *pieces;
    int64_t count, kinds; /* pieces; different plans at most */
    /* Each parameter's gradient takes the pieces in turn, so that workers follow one
       another through the parameters and the sums have one order. */
    pthread_mutex_t lock;
    pthread_cond_t moved;
    int64_t *turn; /* by gradient: the next piece */
    int32_t failed;
} learning;

static int32_t cancelled(const learning *l)
{
    return l->cancel && *l->cancel;
}

/* ---- Turns ---- */

static void stop(learning *l)
{
    pthread_mutex_lock(&l->lock);
    l->failed = 1;
    pthread_cond_broadcast(&l->moved);
    pthread_mutex_unlock(&l->lock);
}

/* Waits until all pieces before this one have been added; 0 if that will not come. */
static int32_t wait_for_turn(learning *l, int64_t gradient, int64_t index)
{
    pthread_mutex_lock(&l->lock);
    while (l->turn[gradient] != index && !l->failed) pthread_cond_wait(&l->moved, &l->lock);
    int32_t go = !l->failed;
    pthread_mutex_unlock(&l->lock);
    return go;
}

static void pass_turn(learning *l, int64_t gradient)
{
    pthread_mutex_lock(&l->lock);
    l->turn[gradient]++;
    pthread_cond_broadcast(&l->moved);
    pthread_mutex_unlock(&l->lock);
}

static void add_gradients(learning *l, const jem__slot *slot, int64_t index)
{
    for (int32_t i = 0; i < slot->plan->gradient_count; i++) {
        const jem__gradient_out *out = &slot->plan->gradients[i];
        const jem__parameter *p = &l->pass->model->parameters[out->parameter];
        if (!wait_for_turn(l, i, index)) return;
        jem__kernels_here()->add(p->gradient, jem__slot_data(slot, out->buffer), p->gradient,
                                 p->elements);
        pass_turn(l, i);
    }
}

/* ---- Pieces ---- */

/* The worker's slot for a plan, made when it is first needed. */
static jem_status find_slot(const learning *l, const jem__plan *plan, int64_t worker,
                            jem__slot **slot)
{
    jem__slot **row = l->pass->slots + worker * l->kinds;
    for (int64_t i = 0; i < l->kinds; i++) {
        if (row[i] && row[i]->plan != plan) continue;
        if (!row[i]) JEM__TRY(jem__slot_create(&row[i], plan));
        *slot = row[i];
        return JEM_OK;
    }
    /* Plans of earlier calls fill the row. */
    jem__slot_destroy(row[0]);
    row[0] = NULL;
    JEM__TRY(jem__slot_create(&row[0], plan));
    *slot = row[0];
    return JEM_OK;
}

static jem_status derive(const jem__batch *b, jem__slot *slot, int64_t classes)
{
    jem__outputs f = jem__slot_outputs(slot);
    jem__derivatives d = jem__slot_derivatives(slot);
    size_t row = sizeof(float) * (size_t)slot->n, rows = row * (size_t)classes;
    memcpy(b->logits + slot->first * classes, f.logits, rows);
    memset(d.logits, 0, rows);
    if (f.head) {
        memcpy(b->head + slot->first, f.head, row);
        memset(d.head, 0, row);
    }
    return b->derive(b->user, slot->first, slot->n, f, d);
}

static jem_status learn_piece(learning *l, int64_t index, int64_t worker)
{
    const piece *p = &l->pieces[index];
    const jem__batch *b = p->batch;
    jem_pass *pass = l->pass;
    jem__slot *slot;
    if (cancelled(l)) return JEM_CANCELLED;
    JEM__TRY(find_slot(l, p->plan, worker, &slot));
    slot->x = (float *)b->x + p->first * pass->image; /* only walks write */
    slot->dx = slot->own_dx;
    slot->n = p->plan->n;
    slot->first = p->first;
    slot->at = 0;
    slot->dropout_stream = b->stream;
    slot->dropout_number = b->number;
    JEM__TRY(jem__slot_run(slot, jem__pass_end(slot, JEM__FORWARD)));
    JEM__TRY(derive(b, slot, pass->classes));
    JEM__TRY(jem__slot_run(slot, jem__pass_end(slot, JEM__PARAMETERS)));
    add_gradients(l, slot, index);
    return JEM_OK;
}

static jem_status learn_task(void *user, int64_t index, int64_t worker)
{
    learning *l = user;
    jem_status status = learn_piece(l, index, worker);
    if (status) stop(l);
    return status;
}

static int64_t slices_of(const jem_pass *pass, int64_t n)
{
    int64_t slice = jem__pass_slice(pass, n);
    return (n + slice - 1) / slice;
}

static jem_status cut(learning *l, const jem__batch *batches, int64_t count)
{
    jem_pass *pass = l->pass;
    for (int64_t i = 0; i < count; i++) {
        const jem__batch *b = &batches[i];
        const jem__plan *full = NULL, *tail;
        int64_t slice = jem__pass_slice(pass, b->n), slices = slices_of(pass, b->n);
        int64_t rest = b->n - (slices - 1) * slice;
        JEM__TRY(jem__model_plan(pass->model, rest, pass->wants, &tail));
        if (slices > 1) JEM__TRY(jem__model_plan(pass->model, slice, pass->wants, &full));
        for (int64_t j = 0; j < slices; j++)
            l->pieces[l->count++] = (piece){b, j == slices - 1 ? tail : full, j * slice};
    }
    return JEM_OK;
}

static jem_status room_for_slots(jem_pass *pass, int64_t count)
{
    if (pass->slot_count == count) return JEM_OK;
    jem__slot **fresh;
    JEM__TRY(jem__calloc(&fresh, count, sizeof(jem__slot *)));
    for (int64_t i = 0; i < pass->slot_count; i++) jem__slot_destroy(pass->slots[i]);
    jem__free(pass->slots);
    pass->slots = fresh;
    pass->slot_count = count;
    return JEM_OK;
}

/* Every worker may take every piece. */
static jem_status slots_for_all(learning *l, int64_t workers)
{
    jem__slot *slot;
    for (int64_t w = 0; w < workers; w++)
        for (int64_t i = 0; i < l->count; i++) JEM__TRY(find_slot(l, l->pieces[i].plan, w, &slot));
    return JEM_OK;
}

int64_t jem__pass_learn_room(const jem_pass *pass, int64_t pieces)
{
    return pieces * (int64_t)sizeof(piece) +
           pass->model->graph.parameter_count * (int64_t)sizeof(int64_t);
}

/* Room for the pieces and, behind them, the turns. */
static jem_status room_for_pieces(learning *l, int64_t pieces)
{
    jem_pass *pass = l->pass;
    int64_t turns = pass->model->graph.parameter_count, front = pieces * (int64_t)sizeof *l->pieces;
    int64_t bytes = jem__pass_learn_room(pass, pieces);
    if (pass->room_bytes < bytes) {
        jem__free(pass->room);
        pass->room_bytes = 0;
        JEM__TRY(jem__alloc(&pass->room, bytes, 1));
        pass->room_bytes = bytes;
    }
    l->pieces = (piece *)pass->room;
    l->turn = (int64_t *)(pass->room + front);
    memset(l->turn, 0, (size_t)turns * sizeof *l->turn);
    return JEM_OK;
}

static jem_status learn_apart(jem_pass *pass, const jem__batch *batches, int64_t count,
                              const jem__flag *cancel)
{
    learning l = {.pass = pass, .cancel = cancel, .kinds = 1 + count};
    int64_t pieces = 0;
    for (int64_t i = 0; i < count; i++) pieces += slices_of(pass, batches[i].n);
    pthread_mutex_init(&l.lock, NULL);
    pthread_cond_init(&l.moved, NULL);
    jem__pool *pool = pass->model->context->pool;
    jem_status status = room_for_pieces(&l, pieces);
    if (!status) status = cut(&l, batches, count);
    if (!status) status = room_for_slots(pass, jem__pool_threads(pool) * l.kinds);
    if (!status) status = slots_for_all(&l, jem__pool_threads(pool));
    if (!status) status = jem__model_refresh(pass->model);
    if (!status) status = jem__pool_run(pool, l.count, learn_task, &l);
    if (!status && cancelled(&l)) status = JEM_CANCELLED;
    pthread_cond_destroy(&l.moved);
    pthread_mutex_destroy(&l.lock);
    return status;
}

/* ---- Coupled batches: one after the other, all slices of one in step ---- */

typedef struct coupled {
    jem_pass *pass;
    const jem__batch *batch;
} coupled;

static jem_status derive_task(void *user, int64_t slice, int64_t worker)
{
    const coupled *c = user;
    return derive(c->batch, jem__pass_slot(c->pass, slice, worker), c->pass->classes);
}

static jem_status learn_coupled(jem_pass *pass, const jem__batch *b)
{
    coupled c = {pass, b};
    pass->dropout_stream = b->stream;
    pass->dropout_number = b->number;
    JEM__TRY(jem__pass_arrange(pass, b->n, 1));
    for (int64_t i = 0; i < pass->slices; i++) jem__pass_aim(pass, pass->slots[i], i, b->x, NULL);
    JEM__TRY(jem__pass_phase(pass, JEM__FORWARD));
    JEM__TRY(jem__pool_run(pass->model->context->pool, pass->slices, derive_task, &c));
    JEM__TRY(jem__pass_phase(pass, JEM__PARAMETERS));
    return jem__pass_reduce(pass);
}

jem_status jem__pass_learn(jem_pass *pass, const jem__batch *batches, int64_t count,
                           const jem__flag *cancel)
{
    pass->version = -1;
    if (count == 0) return JEM_OK;
    pass->dropout_stream = batches[0].stream;
    pass->dropout_number = batches[0].number;
    JEM__TRY(jem__pass_initialise(pass, batches[0].x, batches[0].n));
    if (!pass->coupled) return learn_apart(pass, batches, count, cancel);
    for (int64_t i = 0; i < count; i++) {
        if (cancel && *cancel) return JEM_CANCELLED;
        JEM__TRY(learn_coupled(pass, &batches[i]));
    }
    return JEM_OK;
}
