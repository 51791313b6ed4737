/* Primitives: convolutions and matrix products, and their bound calls. */
#include "base/fork.h"
#include "base/memory.h"
#include "base/status.h"
#include "dnn/internal.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { MAX_ARGUMENTS = 4 };

struct jem__primitive {
    dnnl_primitive_t primitive;
    dnnl_primitive_desc_t pd; /* owns the layouts */
    int32_t arguments;
    int names[MAX_ARGUMENTS]; /* DNNL_ARG_... */
    jem__md layouts[MAX_ARGUMENTS];
    jem__md scratch;
};

struct jem__call {
    dnnl_primitive_t primitive;
    int32_t arguments;
    dnnl_exec_arg_t memory[MAX_ARGUMENTS + 1];
};

/* The four uses of a convolution, and matrix products: what they are called, and their
   arguments. */
enum kind { FORWARD, DATA, WEIGHTS, TURNED, PRODUCTS };

static const struct use {
    const char *name;
    int32_t arguments;
    struct role {
        int name;
        dnnl_query_t query;
    } roles[4];
} uses[] = {{"forward",
             4,
             {{DNNL_ARG_SRC, dnnl_query_src_md},
              {DNNL_ARG_WEIGHTS, dnnl_query_weights_md},
              {DNNL_ARG_BIAS, dnnl_query_weights_md},
              {DNNL_ARG_DST, dnnl_query_dst_md}}},
            {"backward data",
             3,
             {{DNNL_ARG_DIFF_DST, dnnl_query_diff_dst_md},
              {DNNL_ARG_WEIGHTS, dnnl_query_weights_md},
              {DNNL_ARG_DIFF_SRC, dnnl_query_diff_src_md}}},
            {"backward weights",
             4,
             {{DNNL_ARG_SRC, dnnl_query_src_md},
              {DNNL_ARG_DIFF_DST, dnnl_query_diff_dst_md},
              {DNNL_ARG_DIFF_WEIGHTS, dnnl_query_diff_weights_md},
              {DNNL_ARG_DIFF_BIAS, dnnl_query_diff_weights_md}}},
            {"forward on turned weights",
             3,
             {{DNNL_ARG_SRC, dnnl_query_src_md},
              {DNNL_ARG_WEIGHTS, dnnl_query_weights_md},
              {DNNL_ARG_DST, dnnl_query_dst_md}}},
            {"matrix products",
             3,
             {{DNNL_ARG_SRC, dnnl_query_src_md},
              {DNNL_ARG_WEIGHTS, dnnl_query_weights_md},
              {DNNL_ARG_DST, dnnl_query_dst_md}}}};

/* Every descriptor that a convolution's or product's primitive is made from. */
struct parts {
    jem__md src, weights, bias, dst;
    jem__geometry geometry;
    dnnl_primitive_attr_t attr;
    dnnl_primitive_desc_t hint;
};

static void parts_clear(struct parts *p)
{
    jem__md_destroy(p->src);
    jem__md_destroy(p->weights);
    jem__md_destroy(p->bias);
    jem__md_destroy(p->dst);
    if (p->attr) dnnl_primitive_attr_destroy(p->attr);
    if (p->hint) dnnl_primitive_desc_destroy(p->hint);
}

static dnnl_status_t attr_create(dnnl_primitive_attr_t *attr)
{
    dnnl_status_t status = dnnl_primitive_attr_create(attr);
    /* With the default a primitive run on another thread than its maker's can crash. */
    return status ? status
                  : dnnl_primitive_attr_set_scratchpad_mode(*attr, dnnl_scratchpad_mode_user);
}

static dnnl_status_t parts_create(struct parts *p, const jem__convolution *c, enum kind kind)
{
    dnnl_data_type_t type = jem__dnn_type(c->type);
    *p = (struct parts){0};
    int64_t src[] = {c->n, c->ic, c->ih, c->iw}, dst[] = {c->n, c->oc, c->oh, c->ow};
    int64_t weights[] = {c->oc, c->ic, c->kernel, c->kernel};
    int64_t size[] = {c->ih, c->iw}, out[] = {c->oh, c->ow};
    for (int i = 0; i < 2; i++) {
        p->geometry.strides[i] = c->stride;
        p->geometry.pad_low[i] = c->pad;
        /* oneDNN wants the padding that the last output really reads. */
        p->geometry.pad_high[i] = (out[i] - 1) * c->stride + c->kernel - size[i] - c->pad;
    }
    int backward = kind == DATA || kind == WEIGHTS;
    dnnl_format_tag_t images = backward && c->block == 16  ? dnnl_aBcd16b
                               : backward && c->block == 8 ? dnnl_aBcd8b
                                                           : dnnl_format_tag_any;
    dnnl_status_t status =
        jem__md_create(&p->src, 4, src, kind == DATA && c->wide ? dnnl_f32 : type, images);
    if (!status)
        status = jem__md_create(&p->weights, 4, weights, kind == WEIGHTS ? dnnl_f32 : type,
                                dnnl_format_tag_any);
    if (!status) status = jem__md_create(&p->bias, 1, weights, dnnl_f32, dnnl_a);
    if (!status)
        status = jem__md_create(&p->dst, 4, dst,
                                (kind == TURNED || kind == FORWARD) && c->wide ? dnnl_f32 : type,
                                images);
    if (!status) status = attr_create(&p->attr);
    return status;
}

static dnnl_status_t finish(jem__primitive *p, const struct role *roles, int32_t count)
{
    jem__fork_hold(); /* oneDNN's cache has a lock */
    dnnl_status_t status = dnnl_primitive_create(&p->primitive, p->pd);
    jem__fork_release();
    if (status) return status;
    p->arguments = count;
    for (int32_t i = 0; i < count; i++) {
        int second = roles[i].name == DNNL_ARG_BIAS || roles[i].name == DNNL_ARG_DIFF_BIAS;
        p->names[i] = roles[i].name;
        p->layouts[i] = dnnl_primitive_desc_query_md(p->pd, roles[i].query, second);
        if (!p->layouts[i]) return dnnl_runtime_error;
    }
    p->scratch = dnnl_primitive_desc_query_md(p->pd, dnnl_query_scratchpad_md, 0);
    return dnnl_success;
}

static dnnl_status_t add_post_ops(dnnl_primitive_attr_t attr, const jem__convolution *c)
{
    dnnl_post_ops_t ops = NULL;
    if (!c->activation) return dnnl_success;
    dnnl_status_t status = dnnl_post_ops_create(&ops);
    if (!status && c->activation == JEM__LEAKY_RELU)
        status = jem__post_eltwise(ops, dnnl_eltwise_relu, c->slope);
    if (!status && c->activation == JEM__SILU)
        status = jem__post_eltwise(ops, dnnl_eltwise_swish, 1);
    if (!status) status = dnnl_primitive_attr_set_post_ops(attr, ops);
    if (ops) dnnl_post_ops_destroy(ops);
    return status;
}

/* A backward primitive is made with a forward one as a hint, all of one type. */
static dnnl_status_t hint_create(struct parts *p, dnnl_engine_t e, const jem__convolution *c)
{
    jem__convolution narrow = *c;
    struct parts forward;
    narrow.wide = 0;
    dnnl_status_t status = parts_create(&forward, &narrow, FORWARD);
    if (!status)
        status = jem__pd_forward(&p->hint, e, forward.src, forward.weights, forward.bias,
                                 forward.dst, &forward.geometry, forward.attr);
    parts_clear(&forward);
    return status;
}

static jem_status create(jem__primitive **out, jem__engine *engine, const jem__convolution *c,
                         enum kind kind)
{
    dnnl_engine_t e = (dnnl_engine_t)engine;
    struct parts parts;
    jem__primitive *p = NULL;
    *out = NULL;
    JEM__TRY(jem__calloc(&p, 1, sizeof *p));
    dnnl_status_t status = parts_create(&parts, c, kind);
    const jem__geometry *g = &parts.geometry;
    if (!status && kind == FORWARD) status = add_post_ops(parts.attr, c);
    if (!status && kind == FORWARD)
        status = jem__pd_forward(&p->pd, e, parts.src, parts.weights, parts.bias, parts.dst, g,
                                 parts.attr);
    if (!status && kind == TURNED)
        status =
            jem__pd_forward(&p->pd, e, parts.src, parts.weights, NULL, parts.dst, g, parts.attr);
    if (!status && (kind == DATA || kind == WEIGHTS)) status = hint_create(&parts, e, c);
    if (!status && kind == DATA)
        status =
            jem__pd_data(&p->pd, e, parts.src, parts.weights, parts.dst, g, parts.hint, parts.attr);
    if (!status && kind == WEIGHTS)
        status = jem__pd_weights(&p->pd, e, parts.src, parts.weights, parts.bias, parts.dst, g,
                                 parts.hint, parts.attr);
    if (!status) status = finish(p, uses[kind].roles, uses[kind].arguments);
    parts_clear(&parts);
    if (status) {
        char what[256];
        snprintf(what, sizeof what,
                 "convolution %s %s %" PRId64 "x%" PRId64 "x%" PRId64 "x%" PRId64 " -> %" PRId64
                 " channels, kernel %" PRId64 ", stride %" PRId64,
                 uses[kind].name, c->type == JEM__BF16 ? "bf16" : "f32", c->n, c->ic, c->ih, c->iw,
                 c->oc, c->kernel, c->stride);
        jem__primitive_destroy(p);
        return jem__dnn_fail(status, what);
    }
    *out = p;
    return JEM_OK;
}

/* 1 if oneDNN has only its plain loops for it. */
static int is_reference(const jem__primitive *p)
{
    const char *name = "";
    dnnl_primitive_desc_query(p->pd, dnnl_query_impl_info_str, 0, (void *)&name);
    return strncmp(name, "ref", 3) == 0;
}

/* In the block that is asked for, if there are fast kernels for it. */
static jem_status create_backward(jem__primitive **p, jem__engine *e, const jem__convolution *c,
                                  enum kind kind)
{
    jem__convolution any = *c;
    any.block = 0;
    if (c->block > 1) {
        jem_status status = create(p, e, c, kind);
        if (status == JEM_ERROR_MEMORY || (!status && !is_reference(*p))) return status;
        jem__primitive_destroy(*p);
    }
    return create(p, e, &any, kind);
}

int32_t jem__dnn_has(jem__engine *engine, int32_t type)
{
    jem__convolution c = {.n = 1,
                          .ic = 16,
                          .ih = 8,
                          .iw = 8,
                          .oc = 16,
                          .oh = 8,
                          .ow = 8,
                          .kernel = 3,
                          .stride = 1,
                          .pad = 1,
                          .type = type};
    struct parts parts;
    dnnl_status_t status = parts_create(&parts, &c, FORWARD);
    if (!status) status = hint_create(&parts, (dnnl_engine_t)engine, &c);
    parts_clear(&parts);
    return status == dnnl_success;
}

jem_status jem__primitive_forward(jem__primitive **p, jem__engine *e, const jem__convolution *c)
{
    return create(p, e, c, FORWARD);
}

jem_status jem__primitive_data(jem__primitive **p, jem__engine *e, const jem__convolution *c)
{
    return create_backward(p, e, c, DATA);
}

jem__convolution jem__convolution_turned(const jem__convolution *c)
{
    jem__convolution turned = *c;
    turned.ic = c->oc;
    turned.ih = c->oh;
    turned.iw = c->ow;
    turned.oc = c->ic;
    turned.oh = c->ih;
    turned.ow = c->iw;
    turned.pad = c->kernel - 1 - c->pad;
    return turned;
}

jem_status jem__primitive_turned(jem__primitive **p, jem__engine *e, const jem__convolution *c)
{
    jem__convolution turned = jem__convolution_turned(c);
    return create(p, e, &turned, TURNED);
}

jem_status jem__primitive_weights(jem__primitive **p, jem__engine *e, const jem__convolution *c)
{
    return create_backward(p, e, c, WEIGHTS);
}

/* From parts (which are cleared) whose making came to a status: count, rows, inner, columns. */
static jem_status products_create(jem__primitive **out, jem__engine *e, struct parts *parts,
                                  dnnl_status_t status, const int64_t size[4])
{
    jem__primitive *p = NULL;
    jem_status memory = jem__calloc(&p, 1, sizeof *p);
    *out = NULL;
    if (!memory && !status)
        status = jem__pd_matmul(&p->pd, (dnnl_engine_t)e, parts->src, parts->weights, parts->dst,
                                parts->attr);
    if (!memory && !status) status = finish(p, uses[PRODUCTS].roles, uses[PRODUCTS].arguments);
    parts_clear(parts);
    if (memory) return memory;
    if (status) {
        char what[256];
        snprintf(what, sizeof what, "%" PRId64 " matrix products %" PRId64 "x%" PRId64 "x%" PRId64,
                 size[0], size[1], size[2], size[3]);
        jem__primitive_destroy(p);
        return jem__dnn_fail(status, what);
    }
    *out = p;
    return JEM_OK;
}

jem_status jem__primitive_products(jem__primitive **p, jem__engine *e, int64_t count, int64_t rows,
                                   int64_t inner, int64_t columns, int64_t a_step, int64_t c_step)
{
    struct parts parts = {0};
    int64_t a[] = {count, rows, inner}, b[] = {count, inner, columns}, c[] = {count, rows, columns};
    dnnl_status_t status =
        jem__md_strided(&parts.src, 3, a, dnnl_f32, (int64_t[]){a_step, inner, 1});
    if (!status) status = jem__md_create(&parts.weights, 3, b, dnnl_f32, dnnl_format_tag_any);
    if (!status)
        status = jem__md_strided(&parts.dst, 3, c, dnnl_f32, (int64_t[]){c_step, columns, 1});
    if (!status) status = attr_create(&parts.attr);
    return products_create(p, e, &parts, status, (int64_t[]){count, rows, inner, columns});
}

jem_status jem__primitive_transposed_products(jem__primitive **p, jem__engine *e, int64_t count,
                                              int64_t rows, int64_t inner, int64_t columns,
                                              int64_t a_step, int64_t b_step, int32_t adds)
{
    struct parts parts = {0};
    int64_t a[] = {count, rows, inner}, b[] = {count, inner, columns}, c[] = {count, rows, columns};
    dnnl_post_ops_t ops = NULL;
    dnnl_status_t status =
        jem__md_strided(&parts.src, 3, a, dnnl_f32, (int64_t[]){a_step, 1, rows});
    if (!status)
        status = jem__md_strided(&parts.weights, 3, b, dnnl_f32, (int64_t[]){b_step, columns, 1});
    if (!status) status = jem__md_create(&parts.dst, 3, c, dnnl_f32, dnnl_abc);
    if (!status) status = attr_create(&parts.attr);
    if (!status && adds) status = dnnl_post_ops_create(&ops);
    if (!status && adds) status = jem__post_sum(ops);
    if (!status && adds) status = dnnl_primitive_attr_set_post_ops(parts.attr, ops);
    if (ops) dnnl_post_ops_destroy(ops);
    return products_create(p, e, &parts, status, (int64_t[]){count, rows, inner, columns});
}

void jem__primitive_destroy(jem__primitive *p)
{
    if (!p) return;
    if (p->primitive) dnnl_primitive_destroy(p->primitive);
    if (p->pd) dnnl_primitive_desc_destroy(p->pd);
    jem__free(p);
}

int32_t jem__primitive_arguments(const jem__primitive *p)
{
    return p->arguments;
}

const jem__layout *jem__primitive_layout(const jem__primitive *p, int32_t argument)
{
    return (const jem__layout *)p->layouts[argument];
}

int64_t jem__primitive_scratch(const jem__primitive *p)
{
    return p->scratch ? (int64_t)dnnl_memory_desc_get_size(p->scratch) : 0;
}

/* ---- Calls ---- */

int64_t jem__call_bytes(void)
{
    return jem__block_bytes(sizeof(jem__call));
}

jem_status jem__call_create(jem__call **out, const jem__primitive *p, jem__engine *engine,
                            void *const *memory)
{
    jem__call *call = NULL;
    *out = NULL;
    JEM__TRY(jem__calloc(&call, 1, sizeof *call));
    call->primitive = p->primitive;
    int32_t count = p->arguments + (jem__primitive_scratch(p) > 0);
    for (int32_t i = 0; i < count; i++) {
        int is_scratch = i == p->arguments;
        dnnl_exec_arg_t *a = &call->memory[i];
        a->arg = is_scratch ? DNNL_ARG_SCRATCHPAD : p->names[i];
        dnnl_status_t status = dnnl_memory_create(
            &a->memory, is_scratch ? p->scratch : p->layouts[i], (dnnl_engine_t)engine, memory[i]);
        if (status) {
            jem__call_destroy(call);
            return jem__dnn_fail(status, "memory");
        }
        call->arguments++;
    }
    *out = call;
    return JEM_OK;
}

jem_status jem__call_set(jem__call *call, int32_t argument, void *memory)
{
    dnnl_status_t status = dnnl_memory_set_data_handle(call->memory[argument].memory, memory);
    return status ? jem__dnn_fail(status, "memory") : JEM_OK;
}

jem_status jem__call_run(const jem__call *call, jem__stream *stream)
{
    dnnl_status_t status = dnnl_primitive_execute(call->primitive, (dnnl_stream_t)stream,
                                                  call->arguments, call->memory);
    return status ? jem__dnn_fail(status, "execution of a primitive") : JEM_OK;
}

void jem__call_destroy(jem__call *call)
{
    if (!call) return;
    for (int32_t i = 0; i < call->arguments; i++) dnnl_memory_destroy(call->memory[i].memory);
    jem__free(call);
}
