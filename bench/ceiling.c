/* What bounds the engine: the network's bare convolutions, and the machine's
   matrix product. */
#include "base/memory.h"
#include "base/status.h"
#include "base/threads.h"
#include "bench.h"
#include "model/internal.h"
#include <oneapi/dnnl/dnnl.h>
#include <stdlib.h>
#include <string.h>

void omp_set_num_threads(int threads);

/* ---- conv_only: every convolution forward and back to its input, slice by
   slice on the workers. Sources and results share one small memory per worker,
   so that what is left is the kernels. ---- */

typedef struct ceiling {
    const bench_options *o;
    jem_context *context;
    jem_model *model;
    jem__primitive **primitives; /* forward and backward of each convolution */
    int64_t count, slices, workers;
    void **weights;        /* by primitive */
    jem__call **calls;     /* by worker and primitive */
    jem__stream **streams; /* by worker */
    void **memory;         /* by worker: source, destination, bias, scratch */
    int64_t largest[4];    /* bytes of those */
} ceiling;

enum { SOURCE, RESULT, BIAS, SCRATCH, MEMORIES };

static int64_t slice_of(const ceiling *c)
{
    int64_t half = (c->o->batch + 1) / 2;
    return half < c->model->slice ? half : c->model->slice;
}

static void note(int64_t *most, int64_t bytes)
{
    if (bytes > *most) *most = bytes;
}

/* Forward: src weights bias dst; backward: diff_dst weights diff_src. */
static jem_status make_primitives(ceiling *c)
{
    const jem__graph *g = &c->model->graph;
    for (int32_t i = 0; i < g->node_count; i++) {
        const jem__node *node = &g->nodes[i];
        jem__image in = jem__graph_shape(g, node->input[0]), out = node->shape;
        if (node->op != &jem__op_convolution) continue;
        jem__convolution shape = {.n = slice_of(c),
                                  .ic = in.c,
                                  .ih = in.h,
                                  .iw = in.w,
                                  .oc = out.c,
                                  .oh = out.h,
                                  .ow = out.w,
                                  .kernel = node->kernel,
                                  .stride = node->stride,
                                  .pad = node->pad,
                                  .type = jem__model_type(c->model)};
        int turned = shape.stride == 1 && shape.pad < shape.kernel; /* as the engine does it */
        JEM__TRY(jem__primitive_forward(&c->primitives[c->count++], c->model->engine, &shape));
        JEM__TRY((turned ? jem__primitive_turned : jem__primitive_data)(&c->primitives[c->count++],
                                                                        c->model->engine, &shape));
    }
    return JEM_OK;
}

static int64_t bytes_of(const jem__primitive *p, int32_t argument)
{
    return jem__layout_bytes(jem__primitive_layout(p, argument));
}

static int role_of(int forward, int32_t argument, int32_t arguments)
{
    if (argument == arguments) return SCRATCH;
    if (argument == 0) return SOURCE;
    if (forward && argument == JEM__FORWARD_BIAS) return BIAS;
    return argument == 1 ? -1 : RESULT;
}

static jem_status make_memory(ceiling *c)
{
    for (int64_t i = 0; i < c->count; i++) {
        const jem__primitive *p = c->primitives[i];
        int32_t arguments = jem__primitive_arguments(p);
        for (int32_t a = 0; a < arguments; a++) {
            int role = role_of(i % 2 == 0, a, arguments);
            if (role >= 0) note(&c->largest[role], bytes_of(p, a));
        }
        note(&c->largest[SCRATCH], jem__primitive_scratch(p));
        JEM__TRY(jem__calloc(&c->weights[i], bytes_of(p, 1), 1));
    }
    for (int64_t w = 0; w < c->workers; w++)
        for (int r = 0; r < MEMORIES; r++)
            JEM__TRY(jem__calloc(&c->memory[w * MEMORIES + r], c->largest[r] + 64, 1));
    return JEM_OK;
}

static jem_status make_calls(ceiling *c)
{
    for (int64_t w = 0; w < c->workers; w++) {
        JEM__TRY(jem__stream_create(&c->streams[w], c->model->engine));
        for (int64_t i = 0; i < c->count; i++) {
            void *memory[8];
            int32_t arguments = jem__primitive_arguments(c->primitives[i]);
            for (int32_t a = 0; a <= arguments; a++) {
                int role = role_of(i % 2 == 0, a, arguments);
                memory[a] = role < 0 ? c->weights[i] : c->memory[w * MEMORIES + role];
            }
            JEM__TRY(jem__call_create(&c->calls[w * c->count + i], c->primitives[i],
                                      c->model->engine, memory));
        }
    }
    return JEM_OK;
}

static jem_status make(void *user, int64_t index, int64_t worker)
{
    ceiling *c = user;
    int64_t most = 2 * c->model->graph.node_count;
    (void)index, (void)worker;
    JEM__TRY(jem__calloc(&c->primitives, most, sizeof(void *)));
    JEM__TRY(jem__calloc(&c->weights, most, sizeof(void *)));
    JEM__TRY(jem__calloc(&c->calls, c->workers * most, sizeof(void *)));
    JEM__TRY(jem__calloc(&c->streams, c->workers, sizeof(void *)));
    JEM__TRY(jem__calloc(&c->memory, c->workers * MEMORIES, sizeof(void *)));
    JEM__TRY(make_primitives(c));
    JEM__TRY(make_memory(c));
    return make_calls(c);
}

/* Forward in order, then back. */
static jem_status slice_task(void *user, int64_t slice, int64_t worker)
{
    ceiling *c = user;
    jem__call **calls = c->calls + worker * c->count;
    (void)slice;
    for (int64_t i = 0; i < c->count; i += 2) JEM__TRY(jem__call_run(calls[i], c->streams[worker]));
    for (int64_t i = c->count - 1; i > 0; i -= 2)
        JEM__TRY(jem__call_run(calls[i], c->streams[worker]));
    return JEM_OK;
}

static jem_status convolve(void *user)
{
    ceiling *c = user;
    return jem__pool_run(c->context->pool, c->slices, slice_task, c);
}

static void drop(ceiling *c)
{
    for (int64_t i = 0; c->calls && i < c->workers * c->count; i++) jem__call_destroy(c->calls[i]);
    for (int64_t i = 0; c->primitives && i < c->count; i++) {
        jem__primitive_destroy(c->primitives[i]);
        if (c->weights) jem__free(c->weights[i]);
    }
    for (int64_t i = 0; c->streams && i < c->workers; i++) jem__stream_destroy(c->streams[i]);
    for (int64_t i = 0; c->memory && i < c->workers * MEMORIES; i++) jem__free(c->memory[i]);
    jem__free(c->primitives);
    jem__free(c->weights);
    jem__free(c->calls);
    jem__free(c->streams);
    jem__free(c->memory);
    jem_model_destroy(c->model);
    jem_context_destroy(c->context);
}

int bench_conv_only(const bench_options *o)
{
    ceiling c = {.o = o};
    jem_status status = bench_model(o, &c.context, &c.model);
    if (!status) {
        c.workers = jem__pool_threads(c.context->pool);
        c.slices = (o->batch + slice_of(&c) - 1) / slice_of(&c);
        status = jem__pool_run(c.context->pool, 1, make, &c);
    }
    int failed = status ? bench_fail("conv_only") : 0;
    if (!failed) {
        double images = (double)(c.slices * slice_of(&c));
        bench_work work = {"conv_only", convolve, &c, 1, 4 * bench_macs(c.model) * images};
        failed = bench_time(o, &work);
    }
    drop(&c);
    return failed;
}

/* ---- gemm_peak ---- */

enum { SIDE = 2048 };

typedef struct product {
    float *a, *b, *c; /* float32 */
    jem__stream *stream;
    jem__call *call; /* bf16 */
} product;

static jem_status multiply(void *user)
{
    product *p = user;
    if (p->call) return jem__call_run(p->call, p->stream);
    return dnnl_sgemm('N', 'N', SIDE, SIDE, SIDE, 1, p->a, SIDE, p->b, SIDE, 0, p->c, SIDE)
               ? JEM_ERROR_BACKEND
               : JEM_OK;
}

static int time_products(const bench_options *o, product *p)
{
    bench_work work = {"gemm_peak", multiply, p, 1, 2.0 * SIDE * SIDE * SIDE};
    return bench_time(o, &work);
}

static int float_products(const bench_options *o)
{
    size_t count = (size_t)SIDE * SIDE;
    product p = {.a = calloc(count, sizeof(float)),
                 .b = calloc(count, sizeof(float)),
                 .c = calloc(count, sizeof(float))};
    int failed = 1;
    for (size_t i = 0; p.a && p.b && i < count; i++) p.a[i] = p.b[i] = (float)(i % 7) - 3;
    if (p.a && p.b && p.c) failed = time_products(o, &p);
    free(p.a);
    free(p.b);
    free(p.c);
    return failed;
}

/* The same product as a 1x1 convolution, in which oneDNN chooses the layouts: of zeros, whose
   products take as long as others. */
static int convolution_products(const bench_options *o, int32_t type)
{
    jem__convolution c = {.n = 1,
                          .ic = SIDE,
                          .ih = SIDE / 32,
                          .iw = 32,
                          .oc = SIDE,
                          .oh = SIDE / 32,
                          .ow = 32,
                          .kernel = 1,
                          .stride = 1,
                          .type = type};
    jem__engine *engine = NULL;
    jem__primitive *primitive = NULL;
    product p = {.a = NULL};
    void *memory[5] = {NULL};
    jem_status status = jem__engine_create(&engine);
    if (!status) status = jem__stream_create(&p.stream, engine);
    if (!status) status = jem__primitive_forward(&primitive, engine, &c);
    for (int32_t i = 0; !status && i < jem__primitive_arguments(primitive); i++)
        status = jem__calloc(&memory[i], bytes_of(primitive, i), 1);
    if (!status) status = jem__calloc(&memory[4], jem__primitive_scratch(primitive) + 1, 1);
    if (!status) status = jem__call_create(&p.call, primitive, engine, memory);
    int failed = status ? bench_fail("gemm_peak") : time_products(o, &p);
    jem__call_destroy(p.call);
    jem__primitive_destroy(primitive);
    jem__stream_destroy(p.stream);
    jem__engine_destroy(engine);
    for (int i = 0; i < 5; i++) jem__free(memory[i]);
    return failed;
}

int bench_gemm_peak(const bench_options *o)
{
    omp_set_num_threads((int)o->threads);
    return strcmp(o->runs, "bf16") == 0 ? convolution_products(o, JEM__BF16) : float_products(o);
}
