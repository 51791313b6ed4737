/* Packs: copies of parameters in the layouts that kernels read, made once for a
   version of the weights. A whole Langevin trajectory pays for one conversion. A batch
   norm that follows running statistics is folded into those that a plan for inference or
   the input's gradient wants. */
#include "base/memory.h"
#include "base/status.h"
#include "model/internal.h"
#include "model/norm.h"
#include <stdatomic.h>
#include <string.h>

struct jem__pack {
    int32_t parameter;
    int32_t form;          /* see jem__model_pack */
    const jem__node *norm; /* folded into it; NULL: none */
    int64_t version;       /* of the weights, and statistics, it was made from; -1: not yet */
    jem__layout *layout;
    jem__reorder *reorder; /* NULL: the form is in the layout already */
    int64_t folded;        /* floats: the weights times the norm's factors, or the bias with them */
    int64_t formed;        /* floats: the weights in a form other than their own */
    void *data;
};

/* Bytes that drafts may hold together; one there is always. */
enum { MOST_DRAFTED = 256 << 20 };

void jem__pack_destroy(jem__pack *pack)
{
    if (!pack) return;
    jem__reorder_destroy(pack->reorder);
    jem__layout_destroy(pack->layout);
    jem__free(pack->data);
    jem__free(pack);
}

/* [o][i][k][k] to [i][o][k][k] with the kernel turned by half a circle: some rows at a time,
   so that neither side jumps through memory at each kernel. */
static void turn(const jem__parameter *p, const float *weights, float *out)
{
    enum { ROWS = 16 };
    int64_t o = p->shape[0], in = p->shape[1], area = p->shape[2] * p->shape[3];
    for (int64_t first = 0; first < o; first += ROWS) {
        int64_t end = first + ROWS < o ? first + ROWS : o;
        for (int64_t j = 0; j < in; j++)
            for (int64_t i = first; i < end; i++) {
                const float *from = weights + (i * in + j) * area;
                float *to = out + (j * o + i) * area;
                for (int64_t a = 0; a < area; a++) to[a] = from[area - 1 - a];
            }
    }
}

/* norm(w * x + b) = (scale w) * x + (scale b + shift) for each output channel. */
static void fold(const jem__pack *pack, const jem_model *model, const jem__parameter *p, float *out)
{
    int64_t each = p->elements / p->shape[0];
    for (int64_t k = 0; k < p->shape[0]; k++) {
        double scale, shift;
        jem__batch_norm_affine(model, pack->norm, k, &scale, &shift);
        if (p->dimensions == 1)
            out[k] = (float)(scale * (double)p->value[k] + shift);
        else
            for (int64_t i = k * each; i < (k + 1) * each; i++)
                out[i] = (float)(scale * (double)p->value[i]);
    }
}

/* Brings the weights into the pack's form and layout. What stands between is in the draft:
   folded weights, formed weights. */
static void renew(const jem__pack *pack, const jem_model *model, float *draft)
{
    const jem__parameter *p = &model->parameters[pack->parameter];
    int32_t turned = pack->form & JEM__PACK_TURNED, edge = pack->form - turned;
    float *weights = p->value, *formed = pack->reorder ? draft + pack->folded : pack->data;
    if (pack->norm) {
        weights = pack->reorder || pack->form ? draft : pack->data;
        fold(pack, model, p, weights);
    }
    if (edge)
        jem__winograd_weights(edge, weights, p->shape[0], p->shape[1], turned, formed);
    else if (turned)
        turn(p, weights, formed);
    if (pack->reorder) jem__reorder_run(pack->reorder, pack->form ? formed : weights, pack->data);
}

static int64_t whole_lines(int64_t floats)
{
    return (floats + 15) / 16 * 16;
}

/* What stands between the weights and their form in this layout. */
static jem_status plan_draft(jem__pack *pack, const jem__parameter *p, const jem__layout *plain)
{
    int32_t same = (pack->norm || pack->form) && jem__layout_equal(plain, pack->layout);
    if (pack->norm && (pack->form || !same)) pack->folded = whole_lines(p->elements);
    if (same) return JEM_OK;
    if (pack->form) pack->formed = whole_lines(jem__layout_bytes(plain) / 4);
    return jem__reorder_create(&pack->reorder, plain, pack->layout);
}

static jem_status create(jem__pack *pack, const jem_model *model, const jem__layout *layout)
{
    const jem__parameter *p = &model->parameters[pack->parameter];
    int32_t turned = pack->form & JEM__PACK_TURNED, edge = pack->form - turned;
    int64_t o = p->shape[turned ? 1 : 0], i = p->shape[turned ? 0 : 1];
    int64_t places = (int64_t)(edge + 2) * (edge + 2), shape[] = {o, i, p->shape[2], p->shape[3]};
    int64_t matrices[] = {places, i, o};
    jem__layout *plain = NULL;
    JEM__TRY(jem__layout_clone(&pack->layout, layout));
    JEM__TRY(jem__alloc(&pack->data, jem__layout_bytes(layout), 1));
    JEM__TRY(jem__layout_create(&plain, JEM__F32, edge ? 3 : (int32_t)p->dimensions,
                                edge ? matrices : shape));
    jem_status status = plan_draft(pack, p, plain);
    jem__layout_destroy(plain);
    return status;
}

static jem_status room_for_pack(jem_model *model)
{
    jem__pack **fresh;
    if (model->pack_count < model->pack_room) return JEM_OK;
    int64_t room = model->pack_room ? 2 * model->pack_room : 64;
    JEM__TRY(jem__calloc(&fresh, room, sizeof *fresh));
    if (model->packs) memcpy(fresh, model->packs, (size_t)model->pack_count * sizeof *fresh);
    jem__free(model->packs);
    model->packs = fresh;
    model->pack_room = room;
    return JEM_OK;
}

/* Packs are made with as many drafts at once as there are threads, if they are small. */
static jem_status room_for_draft(jem_model *model, const jem__pack *pack)
{
    int64_t draft = pack->folded + pack->formed, count = jem__pool_threads(model->context->pool);
    if (model->drafts && draft <= model->draft) return JEM_OK;
    if (count * draft * 4 > MOST_DRAFTED) count = MOST_DRAFTED / 4 / draft;
    if (count < 1) count = 1;
    float *fresh;
    JEM__TRY(jem__alloc(&fresh, count * draft, sizeof *fresh));
    jem__free(model->drafts);
    model->drafts = fresh;
    model->draft = draft;
    model->draft_count = count;
    return JEM_OK;
}

jem_status jem__model_pack(jem_model *model, int32_t parameter, int32_t form, const jem__node *norm,
                           const jem__layout *layout, void **packed)
{
    for (int64_t i = 0; i < model->pack_count; i++) {
        const jem__pack *pack = model->packs[i];
        if (pack->parameter != parameter || pack->form != form || pack->norm != norm) continue;
        if (!jem__layout_equal(pack->layout, layout)) continue;
        *packed = pack->data;
        return JEM_OK;
    }
    jem__pack *pack;
    JEM__TRY(room_for_pack(model));
    JEM__TRY(jem__calloc(&pack, 1, sizeof *pack));
    pack->parameter = parameter;
    pack->form = form;
    pack->norm = norm;
    pack->version = -1;
    jem_status status = create(pack, model, layout);
    if (!status) status = room_for_draft(model, pack);
    if (status) {
        jem__pack_destroy(pack);
        return status;
    }
    model->packs[model->pack_count++] = pack;
    model->packed_version = -1;
    *packed = pack->data;
    return JEM_OK;
}

/* Both only grow, so their sum tells whether either has. */
static int64_t version_of(const jem_model *model)
{
    return model->version + model->statistics;
}

/* Each task takes packs until there are no more; its index is that of its draft. */
static jem_status refresh_task(void *user, int64_t index, int64_t worker)
{
    jem_model *model = user;
    (void)worker;
    for (;;) {
        int64_t next = atomic_fetch_add(&model->pack_next, 1);
        if (next >= model->pack_count) return JEM_OK;
        jem__pack *pack = model->packs[next];
        int64_t now = pack->norm ? version_of(model) : model->version;
        if (pack->version == now) continue;
        renew(pack, model, model->drafts + index * model->draft);
        pack->version = now;
    }
}

jem_status jem__model_refresh(jem_model *model)
{
    int64_t now = version_of(model); /* a move while packs are made is for the next time */
    if (model->packed_version == now) return JEM_OK;
    pthread_mutex_lock(&model->lock);
    model->pack_next = 0;
    jem_status status =
        jem__pool_run(model->context->pool, model->draft_count, refresh_task, model);
    if (!status) model->packed_version = now;
    pthread_mutex_unlock(&model->lock);
    return status;
}
