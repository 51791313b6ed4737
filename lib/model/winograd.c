/* A convolution as transform, matrix products by oneDNN, and transform back, so many
   tiles at a time that what stands between them stays in the cache. */
#include "model/winograd.h"
#include "base/status.h"
#include "model/parameters.h"
#include <string.h>

enum {
    FEWEST_TILES = 16, /* a product of fewer rows costs more than it saves */
    MOST_TILES = 128,  /* more of them leave the cache */
    HELD = 32 << 20,   /* bytes of transformed weights: more of them leave it too */
    FEWEST_USES = 64   /* tiles: so many pay for weights from memory, where bf16's are an eighth */
};

static int64_t tiles(const jem__convolution *c, int64_t edge)
{
    return c->n * ((c->oh + edge - 1) / edge) * ((c->ow + edge - 1) / edge);
}

/* 1 if the transforms, which take a share of 1/channels, are worth it. */
static int32_t worth(const jem__convolution *c, int64_t edge, int64_t fewest)
{
    return c->ic >= fewest && c->oc >= fewest && tiles(c, edge) >= FEWEST_TILES;
}

/* 1 if weights come from memory and serve too few tiles for that. */
static int32_t starved(const jem__convolution *c, int64_t edge)
{
    int64_t weights = (edge + 2) * (edge + 2) * c->ic * c->oc;
    return weights > HELD / 4 && tiles(c, edge) < FEWEST_USES;
}

/* Products are float32 whatever the type. For bf16 images edge 4 is exact enough: its rounding is
   far below theirs. It takes a quarter of the multiplications, each at twice the time of bf16's;
   with AMX at sixteen times. */
int64_t jem__winograd_edge(const jem__plan *plan, const jem__convolution *c,
                           const jem__layout *from)
{
    int64_t b = jem__layout_block(from);
    jem__method method = jem__model_method(plan->model);
    if (method == JEM__DIRECT || jem__layout_type(from) != plan->type) return 0;
    if (c->kernel != 3 || c->stride != 1 || (b != 8 && b != 16) || c->ic % b || c->oc % b) return 0;
    if (plan->type == JEM__BF16)
        return !jem__dnn_amx() && worth(c, 4, 32) && !starved(c, 4) ? 4 : 0;
    if (method == JEM__FAST && worth(c, 4, 16)) return 4;
    return worth(c, 2, 32) ? 2 : 0;
}

static jem__tiling tiling_of(const jem__convolution *c, int64_t edge, int64_t b)
{
    int64_t all = tiles(c, edge), batches = (all + MOST_TILES - 1) / MOST_TILES;
    return (jem__tiling){.edge = edge,
                         .n = c->n,
                         .ic = c->ic,
                         .oc = c->oc,
                         .b = b,
                         .h = c->ih,
                         .w = c->iw,
                         .pad = c->pad,
                         .oh = c->oh,
                         .ow = c->ow,
                         .down = (c->oh + edge - 1) / edge,
                         .across = (c->ow + edge - 1) / edge,
                         .batch = (all + batches - 1) / batches,
                         .leaky = c->activation == JEM__LEAKY_RELU,
                         .slope = c->slope};
}

/* The first three are the products', as is SCRATCH where they need one. */
enum { A = JEM__PRODUCTS_A, B = JEM__PRODUCTS_B, C = JEM__PRODUCTS_C, SCRATCH };
enum { FROM = SCRATCH + 1, BIAS, TO, BUFFERS };

/* The last batch begins early enough to be a whole one, and skips what is done. */
static void run(const jem__step *step, jem__slot *slot)
{
    const jem__tiling *t = step->tiling;
    const jem__winograd *k = jem__winograd_here(slot->plan->type, t->b);
    float *a = jem__slot_data(slot, step->buffer[A]), *c = jem__slot_data(slot, step->buffer[C]);
    const float *bias = jem__slot_data(slot, step->buffer[BIAS]);
    int64_t all = jem__tiling_tiles(t);
    for (int64_t i = 0; i < all && !slot->status; i += t->batch) {
        int64_t first = i + t->batch <= all ? i : all - t->batch;
        k->in(t, jem__slot_data(slot, step->buffer[FROM]), first, a);
        slot->status = jem__call_run(slot->calls[slot->at], slot->stream);
        k->out(t, c, first, i - first, bias, jem__slot_data(slot, step->buffer[TO]));
    }
}

/* The buffers of products: matrices A and C of so many floats, and scratch; B is the caller's. */
static jem_status products_room(jem__plan *plan, const jem__primitive *p, int64_t a, int64_t c,
                                int32_t *b)
{
    JEM__TRY(jem__plan_buffer(plan, a * 4, &b[A]));
    JEM__TRY(jem__plan_buffer(plan, c * 4, &b[C]));
    b[SCRATCH] = -1;
    return jem__primitive_scratch(p) > 0
               ? jem__plan_buffer(plan, jem__primitive_scratch(p), &b[SCRATCH])
               : JEM_OK;
}

jem_status jem__winograd_step(jem__plan *plan, const jem__filter *f)
{
    jem__tiling t = tiling_of(f->c, f->edge, f->b);
    int64_t places = jem__tiling_places(&t), a = jem__tiling_stride(&t, t.ic),
            c = jem__tiling_stride(&t, t.oc);
    int32_t form = (int32_t)f->edge + (f->turned ? JEM__PACK_TURNED : JEM__PACK_PLAIN);
    int32_t b[BUFFERS] = {[FROM] = f->from, [BIAS] = f->bias, [TO] = f->to};
    jem__primitive *p = NULL;
    JEM__TRY(jem__primitive_products(&p, jem__model_engine(plan->model), places, t.batch, t.ic,
                                     t.oc, a, c));
    JEM__TRY(jem__plan_keep(plan, p));
    JEM__TRY(products_room(plan, p, places * a, places * c, b));
    JEM__TRY(jem__plan_packed(plan, f->node->parameter[0], form, f->norm,
                              jem__primitive_layout(p, B), &b[B]));
    return jem__plan_tiled(plan, f->node, run, p, &t, b, BUFFERS);
}

/* ---- The gradient by the weights ---- */

/* A: transformed derivatives, B: transformed source, C: what their products sum to. DB has
   room for two: sums over all tiles, and over those of a batch. */
enum { X = SCRATCH + 1, DY, DW, DB, GRADIENT_BUFFERS };

static void run_weights(const jem__step *step, jem__slot *slot)
{
    const jem__tiling *t = step->tiling;
    const jem__winograd *k = jem__winograd_here(slot->plan->type, t->b);
    float *a = jem__slot_data(slot, step->buffer[A]), *b = jem__slot_data(slot, step->buffer[B]);
    float *c = jem__slot_data(slot, step->buffer[C]), *db = jem__slot_data(slot, step->buffer[DB]);
    int64_t all = jem__tiling_tiles(t);
    memset(db, 0, (size_t)t->oc * sizeof *db);
    if (t->batch < all) memset(c, 0, (size_t)(jem__tiling_places(t) * t->oc * t->ic) * sizeof *c);
    for (int64_t i = 0; i < all && !slot->status; i += t->batch) {
        int64_t first = i + t->batch <= all ? i : all - t->batch;
        k->out_back(t, jem__slot_data(slot, step->buffer[DY]), first, i - first, a, db + t->oc);
        k->in(t, jem__slot_data(slot, step->buffer[X]), first, b);
        slot->status = jem__call_run(slot->calls[slot->at], slot->stream);
        jem__kernels_here()->add(db, db + t->oc, db, t->oc);
    }
    k->weights_back(t, c, jem__slot_data(slot, step->buffer[DW]));
}

jem_status jem__winograd_weights_step(jem__plan *plan, const jem__node *node,
                                      const jem__convolution *c, int64_t edge, int64_t block,
                                      int32_t x, int32_t dy, int32_t *dw, int32_t *db)
{
    jem__tiling t = tiling_of(c, edge, block);
    int64_t places = jem__tiling_places(&t), from = jem__tiling_stride(&t, t.ic),
            to = jem__tiling_stride(&t, t.oc);
    int32_t b[GRADIENT_BUFFERS] = {[X] = x, [DY] = dy};
    jem__primitive *p = NULL;
    JEM__TRY(jem__primitive_transposed_products(&p, jem__model_engine(plan->model), places, t.oc,
                                                t.batch, t.ic, to, from,
                                                t.batch < jem__tiling_tiles(&t)));
    JEM__TRY(jem__plan_keep(plan, p));
    JEM__TRY(products_room(plan, p, places * to, places * t.oc * t.ic, b));
    JEM__TRY(jem__plan_buffer(plan, places * from * 4, &b[B]));
    JEM__TRY(jem__plan_buffer(plan, t.oc * t.ic * 9 * 4, &b[DW]));
    JEM__TRY(jem__plan_buffer(plan, 2 * t.oc * 4, &b[DB]));
    *dw = b[DW];
    *db = b[DB];
    return jem__plan_tiled(plan, node, run_weights, p, &t, b, GRADIENT_BUFFERS);
}
