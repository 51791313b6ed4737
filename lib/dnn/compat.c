#include "dnn/compat.h"
#include "base/memory.h"
#include <string.h>

#if DNNL_VERSION_MAJOR >= 3

dnnl_status_t jem__md_create(jem__md *md, int ndims, const int64_t *dims, dnnl_data_type_t type,
                             dnnl_format_tag_t tag)
{
    dnnl_memory_desc_t out = NULL;
    dnnl_status_t status = dnnl_memory_desc_create_with_tag(&out, ndims, dims, type, tag);
    *md = out;
    return status;
}

dnnl_status_t jem__md_strided(jem__md *md, int ndims, const int64_t *dims, dnnl_data_type_t type,
                              const int64_t *strides)
{
    dnnl_memory_desc_t out = NULL;
    dnnl_status_t status = dnnl_memory_desc_create_with_strides(&out, ndims, dims, type, strides);
    *md = out;
    return status;
}

dnnl_status_t jem__md_clone(jem__md *copy, jem__md md)
{
    dnnl_memory_desc_t out = NULL;
    dnnl_status_t status = dnnl_memory_desc_clone(&out, md);
    *copy = out;
    return status;
}

void jem__md_destroy(jem__md md)
{
    if (md) dnnl_memory_desc_destroy((dnnl_memory_desc_t)md);
}

int jem__md_blocking(jem__md md, jem__blocking *out)
{
    dnnl_format_kind_t kind;
    dnnl_dims_t *dims, *strides, *blocks, *indices;
    if (dnnl_memory_desc_query(md, dnnl_query_format_kind, &kind) || kind != dnnl_blocked ||
        dnnl_memory_desc_query(md, dnnl_query_ndims_s32, &out->ndims) ||
        dnnl_memory_desc_query(md, dnnl_query_dims, &dims) ||
        dnnl_memory_desc_query(md, dnnl_query_strides, &strides) ||
        dnnl_memory_desc_query(md, dnnl_query_inner_nblks_s32, &out->inner) ||
        dnnl_memory_desc_query(md, dnnl_query_inner_blks, &blocks) ||
        dnnl_memory_desc_query(md, dnnl_query_inner_idxs, &indices))
        return 0;
    memcpy(out->dims, *dims, sizeof out->dims);
    memcpy(out->strides, *strides, sizeof out->strides);
    memcpy(out->blocks, *blocks, sizeof out->blocks);
    memcpy(out->block_dims, *indices, sizeof out->block_dims);
    return 1;
}

dnnl_data_type_t jem__md_type(jem__md md)
{
    dnnl_data_type_t type = dnnl_data_type_undef;
    dnnl_memory_desc_query(md, dnnl_query_data_type, &type);
    return type;
}

dnnl_status_t jem__pd_forward(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, jem__md src,
                              jem__md weights, jem__md bias, jem__md dst, const jem__geometry *g,
                              const_dnnl_primitive_attr_t attr)
{
    return dnnl_convolution_forward_primitive_desc_create(
        pd, engine, dnnl_forward_training, dnnl_convolution_direct, src, weights, bias, dst,
        g->strides, g->dilates, g->pad_low, g->pad_high, attr);
}

dnnl_status_t jem__pd_data(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, jem__md diff_src,
                           jem__md weights, jem__md diff_dst, const jem__geometry *g,
                           const_dnnl_primitive_desc_t hint, const_dnnl_primitive_attr_t attr)
{
    return dnnl_convolution_backward_data_primitive_desc_create(
        pd, engine, dnnl_convolution_direct, diff_src, weights, diff_dst, g->strides, g->dilates,
        g->pad_low, g->pad_high, hint, attr);
}

dnnl_status_t jem__pd_weights(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, jem__md src,
                              jem__md diff_weights, jem__md diff_bias, jem__md diff_dst,
                              const jem__geometry *g, const_dnnl_primitive_desc_t hint,
                              const_dnnl_primitive_attr_t attr)
{
    return dnnl_convolution_backward_weights_primitive_desc_create(
        pd, engine, dnnl_convolution_direct, src, diff_weights, diff_bias, diff_dst, g->strides,
        g->dilates, g->pad_low, g->pad_high, hint, attr);
}

dnnl_status_t jem__pd_matmul(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, jem__md src,
                             jem__md weights, jem__md dst, const_dnnl_primitive_attr_t attr)
{
    return dnnl_matmul_primitive_desc_create(pd, engine, src, weights, NULL, dst, attr);
}

dnnl_status_t jem__post_eltwise(dnnl_post_ops_t ops, dnnl_alg_kind_t kind, float alpha)
{
    return dnnl_post_ops_append_eltwise(ops, kind, alpha, 0);
}

dnnl_status_t jem__post_sum(dnnl_post_ops_t ops)
{
    return dnnl_post_ops_append_sum(ops, 1, 0, dnnl_data_type_undef);
}

#else

static dnnl_status_t keep(jem__md *md, const dnnl_memory_desc_t *value)
{
    dnnl_memory_desc_t *out;
    if (jem__calloc(&out, 1, sizeof *out)) return dnnl_out_of_memory;
    *out = *value;
    *md = out;
    return dnnl_success;
}

dnnl_status_t jem__md_create(jem__md *md, int ndims, const int64_t *dims, dnnl_data_type_t type,
                             dnnl_format_tag_t tag)
{
    dnnl_memory_desc_t value;
    *md = NULL;
    dnnl_status_t status = dnnl_memory_desc_init_by_tag(&value, ndims, dims, type, tag);
    return status ? status : keep(md, &value);
}

dnnl_status_t jem__md_strided(jem__md *md, int ndims, const int64_t *dims, dnnl_data_type_t type,
                              const int64_t *strides)
{
    dnnl_memory_desc_t value;
    *md = NULL;
    dnnl_status_t status = dnnl_memory_desc_init_by_strides(&value, ndims, dims, type, strides);
    return status ? status : keep(md, &value);
}

dnnl_status_t jem__md_clone(jem__md *copy, jem__md md)
{
    *copy = NULL;
    return keep(copy, md);
}

void jem__md_destroy(jem__md md)
{
    jem__free((void *)md);
}

int jem__md_blocking(jem__md md, jem__blocking *out)
{
    if (md->format_kind != dnnl_blocked) return 0;
    const dnnl_blocking_desc_t *b = &md->format_desc.blocking;
    out->ndims = md->ndims;
    out->inner = b->inner_nblks;
    memcpy(out->dims, md->dims, sizeof out->dims);
    memcpy(out->strides, b->strides, sizeof out->strides);
    memcpy(out->blocks, b->inner_blks, sizeof out->blocks);
    memcpy(out->block_dims, b->inner_idxs, sizeof out->block_dims);
    return 1;
}

dnnl_data_type_t jem__md_type(jem__md md)
{
    return md->data_type;
}

dnnl_status_t jem__pd_forward(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, jem__md src,
                              jem__md weights, jem__md bias, jem__md dst, const jem__geometry *g,
                              const_dnnl_primitive_attr_t attr)
{
    dnnl_convolution_desc_t d;
    dnnl_status_t status = dnnl_dilated_convolution_forward_desc_init(
        &d, dnnl_forward_training, dnnl_convolution_direct, src, weights, bias, dst, g->strides,
        g->dilates, g->pad_low, g->pad_high);
    return status ? status : dnnl_primitive_desc_create(pd, &d, attr, engine, NULL);
}

dnnl_status_t jem__pd_data(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, jem__md diff_src,
                           jem__md weights, jem__md diff_dst, const jem__geometry *g,
                           const_dnnl_primitive_desc_t hint, const_dnnl_primitive_attr_t attr)
{
    dnnl_convolution_desc_t d;
    dnnl_status_t status = dnnl_dilated_convolution_backward_data_desc_init(
        &d, dnnl_convolution_direct, diff_src, weights, diff_dst, g->strides, g->dilates,
        g->pad_low, g->pad_high);
    return status ? status : dnnl_primitive_desc_create(pd, &d, attr, engine, hint);
}

dnnl_status_t jem__pd_weights(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, jem__md src,
                              jem__md diff_weights, jem__md diff_bias, jem__md diff_dst,
                              const jem__geometry *g, const_dnnl_primitive_desc_t hint,
                              const_dnnl_primitive_attr_t attr)
{
    dnnl_convolution_desc_t d;
    dnnl_status_t status = dnnl_dilated_convolution_backward_weights_desc_init(
        &d, dnnl_convolution_direct, src, diff_weights, diff_bias, diff_dst, g->strides, g->dilates,
        g->pad_low, g->pad_high);
    return status ? status : dnnl_primitive_desc_create(pd, &d, attr, engine, hint);
}

dnnl_status_t jem__pd_matmul(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, jem__md src,
                             jem__md weights, jem__md dst, const_dnnl_primitive_attr_t attr)
{
    dnnl_matmul_desc_t d;
    dnnl_status_t status = dnnl_matmul_desc_init(&d, src, weights, NULL, dst);
    return status ? status : dnnl_primitive_desc_create(pd, &d, attr, engine, NULL);
}

dnnl_status_t jem__post_eltwise(dnnl_post_ops_t ops, dnnl_alg_kind_t kind, float alpha)
{
    return dnnl_post_ops_append_eltwise(ops, 1, kind, alpha, 0);
}

dnnl_status_t jem__post_sum(dnnl_post_ops_t ops)
{
    return dnnl_post_ops_append_sum(ops, 1);
}

#endif
