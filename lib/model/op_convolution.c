/* Convolution with bias, by oneDNN. */
#include "base/status.h"
#include "model/fuse.h"
#include "model/parameters.h"
#include "model/plan.h"
#include "model/rest.h"
#include "model/winograd.h"

static jem__convolution geometry(const jem__plan *plan, const jem__node *node)
{
    jem__image in = jem__graph_shape(plan->graph, node->input[0]);
    return (jem__convolution){.n = plan->n,
                              .ic = in.c,
                              .ih = in.h,
                              .iw = in.w,
                              .oc = node->shape.c,
                              .oh = node->shape.h,
                              .ow = node->shape.w,
                              .kernel = node->kernel,
                              .stride = node->stride,
                              .pad = node->pad,
                              .type = plan->type};
}

static const jem__node *norm_of(const jem__plan *plan, const jem__node *node)
{
    int32_t norm = jem__fuse_norm(plan, (int32_t)(node - plan->graph->nodes));
    return norm < 0 ? NULL : &plan->graph->nodes[norm];
}

static jem_status bias(jem__plan *plan, const jem__node *node, int32_t *buffer)
{
    const jem__node *norm = norm_of(plan, node);
    const jem__layout *plain;
    if (!norm) return jem__plan_parameter(plan, node->parameter[1], buffer);
    JEM__TRY(jem__plan_layout(plan, JEM__F32, 1, (int64_t[]){node->shape.c}, &plain));
    return jem__plan_packed(plan, node->parameter[1], JEM__PACK_PLAIN, norm, plain, buffer);
}

/* Convolution, norm and activation by oneDNN, into value last. */
static jem_status direct(jem__plan *plan, const jem__node *node, const jem__convolution *c,
                         int32_t last)
{
    const jem__layout *from, *to;
    jem__primitive *p = NULL;
    int32_t b[4], source;
    JEM__TRY(jem__primitive_forward(&p, jem__model_engine(plan->model), c));
    JEM__TRY(jem__plan_keep(plan, p));
    JEM__TRY(jem__rest_join(plan, node, c->type, &source, &from));
    JEM__TRY(jem__plan_as(plan, source, from, jem__primitive_layout(p, JEM__FORWARD_SRC),
                          &b[JEM__FORWARD_SRC]));
    JEM__TRY(jem__plan_packed(plan, node->parameter[0], JEM__PACK_PLAIN, norm_of(plan, node),
                              jem__primitive_layout(p, JEM__FORWARD_WEIGHTS),
                              &b[JEM__FORWARD_WEIGHTS]));
    JEM__TRY(bias(plan, node, &b[JEM__FORWARD_BIAS]));
    to = jem__primitive_layout(p, JEM__FORWARD_DST);
    if (jem__layout_type(to) == plan->type) {
        JEM__TRY(jem__plan_define(plan, last, to));
        b[JEM__FORWARD_DST] = plan->values[last].buffer;
        return jem__plan_call(plan, node, p, b);
    }
    JEM__TRY(jem__plan_buffer(plan, jem__layout_bytes(to), &b[JEM__FORWARD_DST]));
    JEM__TRY(jem__plan_call(plan, node, p, b));
    return jem__rest_split(plan, node, b[JEM__FORWARD_DST], to, last);
}

static jem_status tiled(jem__plan *plan, const jem__node *node, const jem__convolution *c,
                        int64_t edge, int32_t last)
{
    const struct jem__value *in = &plan->values[node->input[0]];
    jem__filter f = {.node = node,
                     .c = c,
                     .edge = edge,
                     .b = jem__layout_block(in->layout),
                     .norm = norm_of(plan, node)};
    const jem__layout *layout;
    JEM__TRY(jem__plan_images(plan, plan->type, node->shape, f.b, &layout));
    JEM__TRY(jem__plan_define(plan, last, layout));
    JEM__TRY(bias(plan, node, &f.bias));
    f.from = in->buffer;
    f.to = plan->values[last].buffer;
    return jem__winograd_step(plan, &f);
}

static jem_status forward(jem__plan *plan, int32_t index)
{
    const jem__node *node = &plan->graph->nodes[index];
    jem__convolution c = geometry(plan, node);
    int64_t edge = jem__winograd_edge(plan, &c, plan->values[node->input[0]].layout);
    int32_t norm = jem__fuse_norm(plan, index), last = norm < 0 ? index : norm;
    int32_t activation = jem__fuse_activation(plan, last);
    int32_t silu = activation >= 0 && plan->graph->nodes[activation].op == &jem__op_silu;
    if (activation >= 0 && !(edge && silu)) {
        last = activation;
        c.activation = silu ? JEM__SILU : JEM__LEAKY_RELU;
        c.slope = plan->graph->nodes[last].number;
    }
    c.wide = !edge && jem__rest_kept(plan, last + 1);
    if (jem__rest_exact(plan, node)) c.type = JEM__F32;
    JEM__TRY(edge ? tiled(plan, node, &c, edge, last + 1) : direct(plan, node, &c, last + 1));
    jem__fuse_done(plan, index, last);
    return JEM_OK;
}

static jem_status direct_weights(jem__plan *plan, const jem__node *node, const jem__convolution *c,
                                 const struct jem__value *in, const struct jem__value *out,
                                 int32_t *dw, int32_t *db)
{
    jem__primitive *p = NULL;
    const jem__layout *plain;
    int64_t shape[] = {c->oc, c->ic, c->kernel, c->kernel};
    int32_t b[4];
    JEM__TRY(jem__primitive_weights(&p, jem__model_engine(plan->model), c));
    JEM__TRY(jem__plan_keep(plan, p));
    const jem__layout *packed = jem__primitive_layout(p, JEM__WEIGHTS_DIFF_WEIGHTS);
    JEM__TRY(jem__plan_as(plan, in->buffer, in->layout, jem__primitive_layout(p, JEM__WEIGHTS_SRC),
                          &b[JEM__WEIGHTS_SRC]));
    JEM__TRY(jem__plan_as(plan, out->gradient, out->layout,
                          jem__primitive_layout(p, JEM__WEIGHTS_DIFF_DST),
                          &b[JEM__WEIGHTS_DIFF_DST]));
    JEM__TRY(jem__plan_buffer(plan, jem__layout_bytes(packed), &b[JEM__WEIGHTS_DIFF_WEIGHTS]));
    JEM__TRY(jem__plan_buffer(
        plan, jem__layout_bytes(jem__primitive_layout(p, JEM__WEIGHTS_DIFF_BIAS)), db));
    b[JEM__WEIGHTS_DIFF_BIAS] = *db;
    JEM__TRY(jem__plan_call(plan, node, p, b));
    JEM__TRY(jem__plan_layout(plan, JEM__F32, 4, shape, &plain));
    return jem__plan_as(plan, b[JEM__WEIGHTS_DIFF_WEIGHTS], packed, plain, dw);
}

/* 0 if they differ. */
static int64_t common_block(const struct jem__value *in, const struct jem__value *out)
{
    int64_t block = jem__layout_block(in->layout);
    return block == jem__layout_block(out->layout) ? block : 0;
}

static jem_status weights(jem__plan *plan, const jem__node *node, const struct jem__value *in,
                          const struct jem__value *out)
{
    jem__convolution c = geometry(plan, node);
    int64_t edge = jem__winograd_edge(plan, &c, in->layout);
    int32_t dw, db;
    c.block = common_block(in, out);
    if (!c.block) edge = 0;
    JEM__TRY(edge ? jem__winograd_weights_step(plan, node, &c, edge, c.block, in->buffer,
                                               out->gradient, &dw, &db)
                  : direct_weights(plan, node, &c, in, out, &dw, &db));
    JEM__TRY(jem__plan_gradient_out(plan, node->parameter[0], dw));
    return jem__plan_gradient_out(plan, node->parameter[1], db);
}

/* The input gradient of stride 1 is itself a convolution, with turned weights:
   oneDNN's forward kernels are the faster ones, and weights are frozen along a
   trajectory, so that turning them costs next to nothing. */
static jem_status direct_data(jem__plan *plan, const jem__node *node, const jem__convolution *c,
                              const struct jem__value *out, const jem__layout **layout, int32_t *dx)
{
    jem__engine *engine = jem__model_engine(plan->model);
    jem__primitive *p = NULL;
    int32_t b[3], turned = c->stride == 1 && c->pad < c->kernel;
    JEM__TRY(turned ? jem__primitive_turned(&p, engine, c) : jem__primitive_data(&p, engine, c));
    JEM__TRY(jem__plan_keep(plan, p));
    JEM__TRY(jem__plan_as(plan, out->gradient, out->layout,
                          jem__primitive_layout(p, JEM__DATA_DIFF_DST), &b[JEM__DATA_DIFF_DST]));
    JEM__TRY(jem__plan_packed(plan, node->parameter[0], turned ? JEM__PACK_TURNED : JEM__PACK_PLAIN,
                              norm_of(plan, node), jem__primitive_layout(p, JEM__DATA_WEIGHTS),
                              &b[JEM__DATA_WEIGHTS]));
    *layout = jem__primitive_layout(p, JEM__DATA_DIFF_SRC);
    JEM__TRY(jem__plan_buffer(plan, jem__layout_bytes(*layout), dx));
    b[JEM__DATA_DIFF_SRC] = *dx;
    return jem__plan_call(plan, node, p, b);
}

static jem_status tiled_data(jem__plan *plan, const jem__node *node, const jem__convolution *c,
                             int64_t edge, const struct jem__value *out, const jem__layout **layout,
                             int32_t *dx)
{
    jem__filter f = {.node = node,
                     .c = c,
                     .edge = edge,
                     .b = jem__layout_block(out->layout),
                     .norm = norm_of(plan, node),
                     .turned = 1,
                     .from = out->gradient,
                     .bias = -1};
    JEM__TRY(jem__plan_images(plan, plan->type, jem__graph_shape(plan->graph, node->input[0]), f.b,
                              layout));
    JEM__TRY(jem__plan_buffer(plan, jem__layout_bytes(*layout), dx));
    f.to = *dx;
    return jem__winograd_step(plan, &f);
}

static jem_status data(jem__plan *plan, const jem__node *node, const struct jem__value *in,
                       const struct jem__value *out)
{
    jem__convolution c = geometry(plan, node), turned = jem__convolution_turned(&c);
    const jem__layout *layout;
    int32_t dx, as;
    c.wide = jem__layout_type(in->layout) == JEM__F32;
    c.block = common_block(in, out);
    int64_t edge = c.pad < c.kernel && c.wide == (plan->type == JEM__F32)
                       ? jem__winograd_edge(plan, &turned, out->layout)
                       : 0;
    JEM__TRY(edge ? tiled_data(plan, node, &turned, edge, out, &layout, &dx)
                  : direct_data(plan, node, &c, out, &layout, &dx));
    JEM__TRY(jem__plan_as(plan, dx, layout, in->layout, &as));
    return jem__plan_gradient(plan, node->input[0], as);
}

static jem_status backward(jem__plan *plan, int32_t index)
{
    const jem__node *node = &plan->graph->nodes[index];
    const struct jem__value *in = &plan->values[node->input[0]], *out = &plan->values[index + 1];
    if (plan->wants & JEM__WANT_PARAMETERS) JEM__TRY(weights(plan, node, in, out));
    return jem__plan_wants_gradient(plan, node->input[0]) ? data(plan, node, in, out) : JEM_OK;
}

/* Parameter gradients need the input again. */
static int32_t keeps(const jem__plan *plan)
{
    return plan->wants & JEM__WANT_PARAMETERS ? JEM__KEEPS_INPUT : 0;
}

const jem__op jem__op_convolution = {"convolution", forward, backward, keeps};
