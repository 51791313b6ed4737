/* Packs: copies of parameters in the layouts that kernels read, made once for a
   version of the weights. A whole Langevin trajectory pays for one conversion. */
#include "base/memory.h"
#include "base/status.h"
#include "model/internal.h"
#include <string.h>

struct jem__pack {
    int32_t parameter;
    int32_t form;    /* see jem__model_pack */
    int64_t version; /* of the weights it was made from; -1: not yet */
    jem__layout *layout, *plain;
    jem__primitive *reorder; /* NULL: the form is in the layout already */
    jem__call *call;
    jem__stream *stream;
    float *source; /* the weights in a form other than their own */
    void *data, *scratch;
};

void jem__pack_destroy(jem__pack *pack)
{
    if (!pack) return;
    jem__call_destroy(pack->call);
    jem__stream_destroy(pack->stream);
    jem__primitive_destroy(pack->reorder);
    jem__layout_destroy(pack->layout);
    jem__layout_destroy(pack->plain);
    if (pack->data != pack->source) jem__free(pack->data);
    jem__free(pack->source);
    jem__free(pack->scratch);
    jem__free(pack);
}

/* [o][i][k][k] to [i][o][k][k] with the kernel turned by half a circle. */
static void turn(const jem__parameter *p, float *out)
{
    int64_t o = p->shape[0], in = p->shape[1], area = p->shape[2] * p->shape[3];
    for (int64_t i = 0; i < o; i++)
        for (int64_t j = 0; j < in; j++) {
            const float *from = p->value + (i * in + j) * area;
            float *to = out + (j * o + i) * area;
            for (int64_t a = 0; a < area; a++) to[a] = from[area - 1 - a];
        }
}

/* Brings the weights into the pack's form. */
static void transform(const jem__pack *pack, const jem__parameter *p)
{
    int32_t turned = pack->form & JEM__PACK_TURNED, edge = pack->form - turned;
    if (edge)
        jem__winograd_weights(edge, p->value, p->shape[0], p->shape[1], turned, pack->source);
    else if (turned)
        turn(p, pack->source);
}

static jem_status create(jem__pack *pack, jem_model *model, const jem__layout *layout)
{
    const jem__parameter *p = &model->parameters[pack->parameter];
    int32_t turned = pack->form & JEM__PACK_TURNED, edge = pack->form - turned;
    int64_t o = p->shape[turned ? 1 : 0], i = p->shape[turned ? 0 : 1];
    int64_t places = (int64_t)(edge + 2) * (edge + 2), shape[] = {o, i, p->shape[2], p->shape[3]};
    int64_t matrices[] = {places, i, o};
    void *from = p->value;
    if (pack->form) {
        JEM__TRY(
            jem__alloc(&pack->source, edge ? places * o * i : p->elements, sizeof *pack->source));
        from = pack->source;
    }
    JEM__TRY(jem__layout_clone(&pack->layout, layout));
    JEM__TRY(jem__layout_create(&pack->plain, JEM__F32, edge ? 3 : (int32_t)p->dimensions,
                                edge ? matrices : shape));
    if (pack->source && jem__layout_equal(pack->plain, layout)) {
        pack->data = pack->source;
        return JEM_OK;
    }
    JEM__TRY(jem__primitive_reorder(&pack->reorder, model->engine, pack->plain, pack->layout));
    JEM__TRY(jem__alloc(&pack->data, jem__layout_bytes(layout), 1));
    if (jem__primitive_scratch(pack->reorder) > 0)
        JEM__TRY(jem__alloc(&pack->scratch, jem__primitive_scratch(pack->reorder), 1));
    JEM__TRY(jem__stream_create(&pack->stream, model->engine));
    return jem__call_create(&pack->call, pack->reorder, model->engine,
                            (void *[]){from, pack->data, pack->scratch});
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

jem_status jem__model_pack(jem_model *model, int32_t parameter, int32_t form,
                           const jem__layout *layout, void **packed)
{
    for (int64_t i = 0; i < model->pack_count; i++) {
        const jem__pack *pack = model->packs[i];
        if (pack->parameter != parameter || pack->form != form) continue;
        if (!jem__layout_equal(pack->layout, layout)) continue;
        *packed = pack->data;
        return JEM_OK;
    }
    jem__pack *pack;
    JEM__TRY(room_for_pack(model));
    JEM__TRY(jem__calloc(&pack, 1, sizeof *pack));
    pack->parameter = parameter;
    pack->form = form;
    pack->version = -1;
    jem_status status = create(pack, model, layout);
    if (status) {
        jem__pack_destroy(pack);
        return status;
    }
    model->packs[model->pack_count++] = pack;
    model->packed_version = -1;
    *packed = pack->data;
    return JEM_OK;
}

static jem_status refresh_task(void *user, int64_t index, int64_t worker)
{
    jem_model *model = user;
    jem__pack *pack = model->packs[index];
    (void)worker;
    if (pack->version == model->version) return JEM_OK;
    transform(pack, &model->parameters[pack->parameter]);
    if (pack->reorder) JEM__TRY(jem__call_run(pack->call, pack->stream));
    pack->version = model->version;
    return JEM_OK;
}

jem_status jem__model_refresh(jem_model *model)
{
    if (model->packed_version == model->version) return JEM_OK;
    pthread_mutex_lock(&model->lock);
    jem_status status = jem__pool_run(model->context->pool, model->pack_count, refresh_task, model);
    if (!status) model->packed_version = model->version;
    pthread_mutex_unlock(&model->lock);
    return status;
}
