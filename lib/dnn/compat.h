/* One shape for oneDNN 2.x and 3.x: that of 3.x. DNNL_VERSION_MAJOR appears in
   this file pair and nowhere else. */
#ifndef JEM__DNN_COMPAT_H
#define JEM__DNN_COMPAT_H

#include <jem/status.h>
#include <oneapi/dnnl/dnnl.h>

#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t jem__md;
#else
typedef const dnnl_memory_desc_t *jem__md;
#endif

/* tag any or plain; the result is the caller's. */
dnnl_status_t jem__md_create(jem__md *md, int ndims, const int64_t *dims, dnnl_data_type_t type,
                             dnnl_format_tag_t tag);
/* With distances between neighbours, in elements. */
dnnl_status_t jem__md_strided(jem__md *md, int ndims, const int64_t *dims, dnnl_data_type_t type,
                              const int64_t *strides);
dnnl_status_t jem__md_clone(jem__md *copy, jem__md md);
void jem__md_destroy(jem__md md);
/* Shape, strides and inner blocks; 0 if it is not a blocked layout. */
typedef struct jem__blocking {
    int ndims, inner;
    int64_t dims[DNNL_MAX_NDIMS], strides[DNNL_MAX_NDIMS];
    int64_t blocks[DNNL_MAX_NDIMS], block_dims[DNNL_MAX_NDIMS];
} jem__blocking;
int jem__md_blocking(jem__md md, jem__blocking *out);
dnnl_data_type_t jem__md_type(jem__md md);

dnnl_status_t jem__post_eltwise(dnnl_post_ops_t ops, dnnl_alg_kind_t kind, float alpha);
dnnl_status_t jem__post_sum(dnnl_post_ops_t ops); /* results are added to what is there */

typedef struct jem__geometry {
    dnnl_dims_t strides, dilates, pad_low, pad_high;
} jem__geometry;
dnnl_status_t jem__pd_forward(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, jem__md src,
                              jem__md weights, jem__md bias, jem__md dst, const jem__geometry *g,
                              const_dnnl_primitive_attr_t attr);
dnnl_status_t jem__pd_data(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, jem__md diff_src,
                           jem__md weights, jem__md diff_dst, const jem__geometry *g,
                           const_dnnl_primitive_desc_t hint, const_dnnl_primitive_attr_t attr);
dnnl_status_t jem__pd_weights(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, jem__md src,
                              jem__md diff_weights, jem__md diff_bias, jem__md diff_dst,
                              const jem__geometry *g, const_dnnl_primitive_desc_t hint,
                              const_dnnl_primitive_attr_t attr);
/* Batches of matrix products. */
dnnl_status_t jem__pd_matmul(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, jem__md src,
                             jem__md weights, jem__md dst, const_dnnl_primitive_attr_t attr);

#endif
