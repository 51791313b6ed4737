/* Convolution with bias, by oneDNN. */
#include "base/status.h"
#include "model/parameters.h"
#include "model/plan.h"

static jem__convolution geometry(const jem__plan *plan, const jem__node *node)
{
    jem__image in = jem__graph_shape(plan->graph, node->input[0]);
    return (jem__convolution){plan->n,       in.c,          in.h,          in.w,
                              node->shape.c, node->shape.h, node->shape.w, node->kernel,
                              node->stride,  node->pad};
}

static jem_status forward(jem__plan *plan, int32_t index)
{
    const jem__node *node = &plan->graph->nodes[index];
    const struct jem__value *in = &plan->values[node->input[0]], *out = &plan->values[index + 1];
    jem__convolution c = geometry(plan, node);
    jem__primitive *p = NULL;
    int32_t b[4];
    JEM__TRY(jem__primitive_forward(&p, jem__model_engine(plan->model), &c));
    JEM__TRY(jem__plan_keep(plan, p));
    JEM__TRY(jem__plan_as(plan, in->buffer, in->layout, jem__primitive_layout(p, JEM__FORWARD_SRC),
                          &b[JEM__FORWARD_SRC]));
    JEM__TRY(jem__plan_packed(plan, node->parameter[0],
                              jem__primitive_layout(p, JEM__FORWARD_WEIGHTS),
                              &b[JEM__FORWARD_WEIGHTS]));
    JEM__TRY(jem__plan_parameter(plan, node->parameter[1], &b[JEM__FORWARD_BIAS]));
    JEM__TRY(jem__plan_define(plan, index + 1, jem__primitive_layout(p, JEM__FORWARD_DST)));
    b[JEM__FORWARD_DST] = out->buffer;
    return jem__plan_call(plan, node, p, b);
}

static jem_status weights(jem__plan *plan, const jem__node *node, const struct jem__value *in,
                          const struct jem__value *out)
{
    jem__convolution c = geometry(plan, node);
    jem__primitive *p = NULL;
    const jem__layout *plain;
    int64_t shape[] = {c.oc, c.ic, c.kernel, c.kernel};
    int32_t b[4], dw;
    JEM__TRY(jem__primitive_weights(&p, jem__model_engine(plan->model), &c));
    JEM__TRY(jem__plan_keep(plan, p));
    const jem__layout *packed = jem__primitive_layout(p, JEM__WEIGHTS_DIFF_WEIGHTS);
    JEM__TRY(jem__plan_as(plan, in->buffer, in->layout, jem__primitive_layout(p, JEM__WEIGHTS_SRC),
                          &b[JEM__WEIGHTS_SRC]));
    JEM__TRY(jem__plan_as(plan, out->gradient, out->layout,
                          jem__primitive_layout(p, JEM__WEIGHTS_DIFF_DST),
                          &b[JEM__WEIGHTS_DIFF_DST]));
    JEM__TRY(jem__plan_buffer(plan, jem__layout_bytes(packed), &b[JEM__WEIGHTS_DIFF_WEIGHTS]));
    JEM__TRY(jem__plan_buffer(plan,
                              jem__layout_bytes(jem__primitive_layout(p, JEM__WEIGHTS_DIFF_BIAS)),
                              &b[JEM__WEIGHTS_DIFF_BIAS]));
    JEM__TRY(jem__plan_call(plan, node, p, b));
    JEM__TRY(jem__plan_layout(plan, 4, shape, &plain));
    JEM__TRY(jem__plan_as(plan, b[JEM__WEIGHTS_DIFF_WEIGHTS], packed, plain, &dw));
    JEM__TRY(jem__plan_gradient_out(plan, node->parameter[0], dw));
    return jem__plan_gradient_out(plan, node->parameter[1], b[JEM__WEIGHTS_DIFF_BIAS]);
}

static jem_status data(jem__plan *plan, const jem__node *node, const struct jem__value *in,
                       const struct jem__value *out)
{
    jem__convolution c = geometry(plan, node);
    jem__primitive *p = NULL;
    int32_t b[3], dx;
    JEM__TRY(jem__primitive_data(&p, jem__model_engine(plan->model), &c));
    JEM__TRY(jem__plan_keep(plan, p));
    const jem__layout *layout = jem__primitive_layout(p, JEM__DATA_DIFF_SRC);
    JEM__TRY(jem__plan_as(plan, out->gradient, out->layout,
                          jem__primitive_layout(p, JEM__DATA_DIFF_DST), &b[JEM__DATA_DIFF_DST]));
    JEM__TRY(jem__plan_packed(plan, node->parameter[0], jem__primitive_layout(p, JEM__DATA_WEIGHTS),
                              &b[JEM__DATA_WEIGHTS]));
    JEM__TRY(jem__plan_buffer(plan, jem__layout_bytes(layout), &b[JEM__DATA_DIFF_SRC]));
    JEM__TRY(jem__plan_call(plan, node, p, b));
    JEM__TRY(jem__plan_as(plan, b[JEM__DATA_DIFF_SRC], layout, in->layout, &dx));
    return jem__plan_gradient(plan, node->input[0], dx);
}

static jem_status backward(jem__plan *plan, int32_t index)
{
    const jem__node *node = &plan->graph->nodes[index];
    const struct jem__value *in = &plan->values[node->input[0]], *out = &plan->values[index + 1];
    if (plan->wants & JEM__WANT_PARAMETERS) JEM__TRY(weights(plan, node, in, out));
    return jem__plan_wants_gradient(plan, node->input[0]) ? data(plan, node, in, out) : JEM_OK;
}

const jem__op jem__op_convolution = {"convolution", forward, backward};
