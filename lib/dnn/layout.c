/* Layouts and the engine. */
#include "base/isa.h"
#include "base/status.h"
#include "dnn/compat.h"
#include "dnn/internal.h"
#include <stdio.h>
#include <string.h>

jem_status jem__dnn_fail(dnnl_status_t status, const char *what)
{
    if (status == dnnl_out_of_memory) return jem__fail(JEM_ERROR_MEMORY, "%s: out of memory", what);
    const char *reason = status == dnnl_unimplemented       ? "not implemented"
                         : status == dnnl_invalid_arguments ? "invalid arguments"
                         : status == dnnl_runtime_error     ? "run-time error"
                                                            : "failed";
    return jem__fail(JEM_ERROR_BACKEND, "oneDNN: %s: %s (status %d)", what, reason, (int)status);
}

/* Our own kernels keep to oneDNN's limit. Its sets contain each other's bits. */
static void follow_limit(void)
{
    int isa = (int)dnnl_get_effective_cpu_isa();
    int avx2 = (int)dnnl_cpu_isa_avx2, avx512 = (int)dnnl_cpu_isa_avx512_core;
    jem__isa_limit((isa & avx512) == avx512 ? JEM__ISA_AVX512
                   : (isa & avx2) == avx2   ? JEM__ISA_AVX2
                                            : JEM__ISA_PLAIN);
}

jem_status jem__engine_create(jem__engine **engine)
{
    *engine = NULL;
    const dnnl_version_t *version = dnnl_version();
    if (version->major != DNNL_VERSION_MAJOR)
        return jem__fail(JEM_ERROR_BACKEND,
                         "oneDNN: version %d.%d at run time, expected %d.x as at build time",
                         version->major, version->minor, DNNL_VERSION_MAJOR);
    follow_limit();
    dnnl_engine_t e = NULL;
    dnnl_status_t status = dnnl_engine_create(&e, dnnl_cpu, 0);
    if (status) return jem__dnn_fail(status, "engine");
    *engine = (jem__engine *)e;
    return JEM_OK;
}

void jem__engine_destroy(jem__engine *engine)
{
    if (engine) dnnl_engine_destroy((dnnl_engine_t)engine);
}

jem_status jem__stream_create(jem__stream **stream, jem__engine *engine)
{
    dnnl_stream_t s = NULL;
    dnnl_status_t status = dnnl_stream_create(&s, (dnnl_engine_t)engine, dnnl_stream_in_order);
    *stream = (jem__stream *)s;
    return status ? jem__dnn_fail(status, "stream") : JEM_OK;
}

void jem__stream_destroy(jem__stream *stream)
{
    if (stream) dnnl_stream_destroy((dnnl_stream_t)stream);
}

jem_status jem__layout_create(jem__layout **layout, int32_t type, int32_t dimensions,
                              const int64_t *shape)
{
    jem__md md = NULL;
    dnnl_format_tag_t tag = dimensions == 1   ? dnnl_a
                            : dimensions == 2 ? dnnl_ab
                            : dimensions == 3 ? dnnl_abc
                                              : dnnl_abcd;
    dnnl_status_t status = jem__md_create(&md, dimensions, shape, jem__dnn_type(type), tag);
    *layout = (jem__layout *)md;
    return status ? jem__dnn_fail(status, "memory descriptor") : JEM_OK;
}

jem_status jem__layout_images(jem__layout **layout, int32_t type, const int64_t *shape, int64_t b)
{
    jem__md md = NULL;
    dnnl_format_tag_t tag = b == 1    ? dnnl_abcd
                            : b == 4  ? dnnl_aBcd4b
                            : b == 8  ? dnnl_aBcd8b
                            : b == 16 ? dnnl_aBcd16b
                                      : dnnl_acdb;
    dnnl_status_t status = jem__md_create(&md, 4, shape, jem__dnn_type(type), tag);
    *layout = (jem__layout *)md;
    return status ? jem__dnn_fail(status, "memory descriptor") : JEM_OK;
}

jem_status jem__layout_clone(jem__layout **copy, const jem__layout *layout)
{
    jem__md md = NULL;
    dnnl_status_t status = jem__md_clone(&md, (jem__md)layout);
    *copy = (jem__layout *)md;
    return status ? jem__dnn_fail(status, "memory descriptor") : JEM_OK;
}

void jem__layout_destroy(jem__layout *layout)
{
    jem__md_destroy((jem__md)layout);
}

dnnl_data_type_t jem__dnn_type(int32_t type)
{
    return type == JEM__BF16 ? dnnl_bf16 : dnnl_f32;
}

int32_t jem__layout_type(const jem__layout *layout)
{
    return jem__md_type((jem__md)layout) == dnnl_bf16 ? JEM__BF16 : JEM__F32;
}

int64_t jem__layout_bytes(const jem__layout *layout)
{
    return (int64_t)dnnl_memory_desc_get_size((jem__md)layout);
}

int32_t jem__layout_equal(const jem__layout *a, const jem__layout *b)
{
    return dnnl_memory_desc_equal((jem__md)a, (jem__md)b);
}

int64_t jem__layout_block(const jem__layout *layout)
{
    jem__blocking m;
    if (!jem__md_blocking((jem__md)layout, &m) || m.ndims != 4 || m.inner > 1) return 0;
    int64_t b = 1;
    if (m.inner == 1) {
        b = m.blocks[0];
        if (m.block_dims[0] != 1 || (b != 4 && b != 8 && b != 16)) return 0;
    } else if (m.strides[1] == 1 && m.dims[1] > 1) {
        b = m.dims[1];
    }
    /* Strides of [n][c/b][h][w][b]; a dimension of one may have any stride. */
    int64_t blocks = (m.dims[1] + b - 1) / b;
    int64_t w = b, h = m.dims[3] * b, c = m.dims[2] * h, n = blocks * c;
    if ((m.dims[3] > 1 && m.strides[3] != w) || (m.dims[2] > 1 && m.strides[2] != h) ||
        (blocks > 1 && b != m.dims[1] && m.strides[1] != c) || (m.dims[0] > 1 && m.strides[0] != n))
        return 0;
    return b;
}

/* Instruction sets of oneDNN are sets of bits. */
static int32_t has_isa(int set)
{
    return ((int)dnnl_get_effective_cpu_isa() & set) == set;
}

int32_t jem__dnn_amx(void)
{
    return has_isa((int)dnnl_cpu_isa_avx512_core_amx);
}

/* Without AMX, Intel's bf16 products run at half the rate of its float32 ones. */
int32_t jem__dnn_fast(int32_t type)
{
    int intel = 0;
#ifdef __x86_64__
    intel = __builtin_cpu_is("intel");
#endif
    return type == JEM__F32 || jem__dnn_amx() ||
           (!intel && has_isa((int)dnnl_cpu_isa_avx512_core_bf16));
}

static const char *isa_name(void)
{
    switch (dnnl_get_effective_cpu_isa()) {
    case dnnl_cpu_isa_sse41:
        return "SSE4.1";
    case dnnl_cpu_isa_avx:
        return "AVX";
    case dnnl_cpu_isa_avx2:
        return "AVX2";
    case dnnl_cpu_isa_avx512_core:
        return "AVX-512";
    case dnnl_cpu_isa_avx512_core_vnni:
        return "AVX-512 VNNI";
    case dnnl_cpu_isa_avx512_core_bf16:
        return "AVX-512 BF16";
    case dnnl_cpu_isa_avx512_core_amx:
        return "AVX-512 AMX";
    default:
        return "other instruction set";
    }
}

int64_t jem_build_info(char *buffer, int64_t capacity)
{
    char text[256];
    const dnnl_version_t *version = dnnl_version();
    snprintf(text, sizeof text, "libjem %s, oneDNN %d.%d.%d (built with %d.%d.%d), %s",
             jem_version(), version->major, version->minor, version->patch, DNNL_VERSION_MAJOR,
             DNNL_VERSION_MINOR, DNNL_VERSION_PATCH, isa_name());
    return jem__copy_text(text, buffer, capacity);
}
