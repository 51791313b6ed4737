#include "train/state.h"
#include "base/memory.h"
#include "base/status.h"
#include <string.h>

static jem_status put(jem__state *s, const char *prefix, const char *name, const char *dtype,
                      int64_t dimensions, const int64_t *shape, void *data)
{
    if (s->count == s->room) {
        jem__entry *more;
        int64_t room = s->room ? 2 * s->room : 128;
        JEM__TRY(jem__alloc(&more, room, sizeof *more));
        if (s->count) memcpy(more, s->entries, (size_t)s->count * sizeof *more);
        jem__free(s->entries);
        s->entries = more;
        s->room = room;
    }
    jem__entry *e = &s->entries[s->count++];
    *e = (jem__entry){.dtype = dtype, .dimensions = dimensions, .data = data};
    jem__format(e->name, sizeof e->name, "%s%s", prefix, name);
    e->size = dtype[1] == '6' ? 8 : 4;
    for (int64_t i = 0; i < dimensions; i++) {
        e->shape[i] = shape[i];
        e->size *= shape[i];
    }
    return JEM_OK;
}

static jem_status put_floats(jem__state *s, const char *name, int64_t n, float *data)
{
    return data ? put(s, "", name, "F32", 1, &n, data) : JEM_OK;
}

static jem_status put_count(jem__state *s, const char *name, int64_t *count)
{
    const int64_t one = 1;
    return put(s, "counter.", name, "I64", 1, &one, count);
}

/* A count that files of runs without it lack. */
static jem_status put_late_count(jem__state *s, const char *name, int64_t *count, int64_t standard)
{
    JEM__TRY(put_count(s, name, count));
    s->entries[s->count - 1].with = "";
    s->entries[s->count - 1].standard = standard;
    s->entries[s->count - 1].least = standard < 0 ? standard : 0;
    return JEM_OK;
}

/* ---- The run proper ---- */

static jem_status put_model(jem__state *s, const jem_trainer *t)
{
    const jem__parameter *list;
    int64_t n = jem__model_parameters(t->model, &list);
    for (int64_t i = 0; i < n; i++)
        JEM__TRY(put(s, "model.", list[i].name, "F32", list[i].dimensions, list[i].shape,
                     list[i].value));
    return JEM_OK;
}

static jem_status put_sampler(jem__state *s, const jem_trainer *t)
{
    if (t->px == 0 && t->pxy == 0) return JEM_OK;
    JEM__TRY(jem__sampler_state_of(t->sampler, &s->sampler));
    const int64_t shape[] = {s->sampler.slots, s->sampler.image};
    JEM__TRY(put(s, "", "sampler.buffer", "F32", 2, shape, s->sampler.buffer));
    JEM__TRY(put(s, "", "sampler.age", "I64", 1, shape, s->sampler.age));
    s->entries[s->count - 1].least = -1; /* a slot still at its start */
    return put_count(s, "draws", s->sampler.draws);
}

/* The best model's values follow the order of the model.* entries, as the average's do. */
static jem_status put_validation(jem__state *s, jem__validation *v)
{
    const int64_t results = 4;
    if (!v->data) return JEM_OK;
    JEM__TRY(put_floats(s, "validation.best", v->elements, v->best));
    JEM__TRY(put(s, "", "validation.results", "F64", 1, &results, v->results));
    JEM__TRY(put_count(s, "validation_step", &v->step));
    return put_count(s, "best_step", &v->best_step);
}

static jem_status put_run(jem__state *s, jem_trainer *t)
{
    jem__optimizer_state *o = &s->optimizer;
    jem__optimizer_state_of(t->optimizer, o);
    JEM__TRY(jem_loader_tell(t->px_loader, &s->positions[0]));
    JEM__TRY(jem_loader_tell(t->labelled_loader, &s->positions[1]));
    JEM__TRY(put_model(s, t));
    JEM__TRY(put_floats(s, "optimizer.first", o->elements, o->first));
    JEM__TRY(put_floats(s, "optimizer.second", o->elements, o->second));
    JEM__TRY(put_floats(s, "average", t->average.elements, t->average.values));
    JEM__TRY(put_validation(s, &t->validation));
    JEM__TRY(put_sampler(s, t));
    JEM__TRY(put_count(s, "step", &t->step));
    JEM__TRY(put_count(s, "updates", o->steps));
    JEM__TRY(put_count(s, "px_position", &s->positions[0]));
    JEM__TRY(put_count(s, "labelled_position", &s->positions[1]));
    return put_late_count(s, "alarms", &t->guard.alarms, 0);
}

/* ---- Roll-backs: copies of the run proper, and their counts ---- */

static jem_status put_copy(jem__state *s, const char *prefix, uint8_t *bytes)
{
    for (int64_t i = 0; bytes && i < s->run; i++) {
        jem__entry e = s->entries[i];
        JEM__TRY(put(s, prefix, e.name, e.dtype, e.dimensions, e.shape, bytes));
        s->entries[s->count - 1].with = "counter.good_step";
        s->entries[s->count - 1].least = e.least;
        bytes += e.size;
    }
    return JEM_OK;
}

static jem_status put_rollback(jem__state *s, jem__rollback *r)
{
    JEM__TRY(put_late_count(s, "rollbacks", &r->count, 0));
    JEM__TRY(put_late_count(s, "rollback_from", &r->from, 0));
    JEM__TRY(put_late_count(s, "rollback_to", &r->to, 0));
    if (!r->good.bytes) return JEM_OK;
    JEM__TRY(put_late_count(s, "good_step", &r->good.step, -1));
    JEM__TRY(put_late_count(s, "candidate_step", &r->candidate.step, -1));
    JEM__TRY(put_copy(s, "good.", r->good.bytes));
    return put_copy(s, "candidate.", r->candidate.bytes);
}

jem_status jem__state_of(jem__state *s, const jem_trainer *trainer)
{
    jem_trainer *t = (jem_trainer *)trainer; /* the table serves both directions */
    *s = (jem__state){.count = 0};
    JEM__TRY(put_run(s, t));
    s->run = s->count;
    for (int64_t i = 0; i < s->run; i++) s->bytes += s->entries[i].size;
    return put_rollback(s, &t->rollback);
}

void jem__state_clear(jem__state *s)
{
    jem__free(s->entries);
    s->entries = NULL;
}

void jem__state_applied(const jem__state *s, jem_trainer *t)
{
    jem__model_touch(t->model);
    jem_loader_seek(t->px_loader, s->positions[0]);
    jem_loader_seek(t->labelled_loader, s->positions[1]);
    jem__rollback_respond(t);
}

void jem__state_copy_out(const jem__state *s, uint8_t *bytes)
{
    for (int64_t i = 0; i < s->run; bytes += s->entries[i++].size)
        memcpy(bytes, s->entries[i].data, (size_t)s->entries[i].size);
}

void jem__state_copy_in(const jem__state *s, const uint8_t *bytes)
{
    for (int64_t i = 0; i < s->run; bytes += s->entries[i++].size)
        memcpy(s->entries[i].data, bytes, (size_t)s->entries[i].size);
}
