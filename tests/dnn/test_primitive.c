/* Convolutions and reorders, in float32 and bf16, through lib/dnn against loops in double. */
#include "base/isa.h"
#include "base/memory.h"
#include "dnn/dnn.h"
#include "dnn/reorder.h"
#include "helpers.h"
#include "tensor/bf16.h"
#include "tensor/kernels.h"
#include <math.h>

static jem__engine *engine;
static jem__stream *stream;

void omp_set_num_threads(int threads);

/* As workers are, of one OpenMP thread. */
static void begin(void)
{
    omp_set_num_threads(1);
    OK(jem__engine_create(&engine));
    OK(jem__stream_create(&stream, engine));
}

static void end(void)
{
    jem__stream_destroy(stream);
    jem__engine_destroy(engine);
}

static void *room(const jem__layout *layout)
{
    void *memory;
    OK(jem__calloc(&memory, jem__layout_bytes(layout), 1));
    return memory;
}

/* from's data, brought to another layout. */
static void reorder(const jem__layout *from, void *in, const jem__layout *to, void *out)
{
    jem__reorder *r;
    OK(jem__reorder_create(&r, from, to));
    jem__reorder_run(r, in, out);
    jem__reorder_destroy(r);
}

/* Runs a primitive on plain arrays; arguments before `inputs` are read, the others written. */
static void run(const jem__primitive *p, int inputs, const jem__layout *const *plain,
                float *const *data)
{
    int32_t count = jem__primitive_arguments(p);
    void *memory[8] = {0};
    jem__call *call;
    for (int i = 0; i < count; i++) {
        memory[i] = room(jem__primitive_layout(p, i));
        if (i < inputs) reorder(plain[i], data[i], jem__primitive_layout(p, i), memory[i]);
    }
    if (jem__primitive_scratch(p)) OK(jem__alloc(&memory[count], jem__primitive_scratch(p), 1));
    OK(jem__call_create(&call, p, engine, memory));
    OK(jem__call_run(call, stream));
    for (int i = inputs; i < count; i++)
        reorder(jem__primitive_layout(p, i), memory[i], plain[i], data[i]);
    jem__call_destroy(call);
    for (int i = 0; i <= count; i++) jem__free(memory[i]);
}

/* Sum over all (source, weight, destination) of the convolution's products:
   visits each with the three offsets in plain layouts. */
static void products(const jem__convolution *c,
                     void (*visit)(int64_t src, int64_t weight, int64_t dst))
{
    for (int64_t n = 0; n < c->n; n++)
        for (int64_t o = 0; o < c->oc; o++)
            for (int64_t h = 0; h < c->oh; h++)
                for (int64_t w = 0; w < c->ow; w++)
                    for (int64_t i = 0; i < c->ic; i++)
                        for (int64_t a = 0; a < c->kernel; a++)
                            for (int64_t b = 0; b < c->kernel; b++) {
                                int64_t y = h * c->stride + a - c->pad;
                                int64_t x = w * c->stride + b - c->pad;
                                if (y < 0 || x < 0 || y >= c->ih || x >= c->iw) continue;
                                visit(((n * c->ic + i) * c->ih + y) * c->iw + x,
                                      ((o * c->ic + i) * c->kernel + a) * c->kernel + b,
                                      ((n * c->oc + o) * c->oh + h) * c->ow + w);
                            }
}

enum { LIMIT = 40000 };
static float src[LIMIT], weight[LIMIT], bias[64], dst[LIMIT], ddst[LIMIT], dsrc[LIMIT],
    dweight[LIMIT], dbias[64];
static double want_dst[LIMIT], want_dsrc[LIMIT], want_dweight[LIMIT], want_dbias[64];

static void accumulate(int64_t s, int64_t w, int64_t d)
{
    want_dst[d] += (double)src[s] * (double)weight[w];
    want_dsrc[s] += (double)ddst[d] * (double)weight[w];
    want_dweight[w] += (double)ddst[d] * (double)src[s];
}

static void near(const char *what, const jem__convolution *c, const float *got, const double *want,
                 int64_t count)
{
    double top = 0;
    for (int64_t i = 0; i < count; i++) top = fmax(top, fabs(want[i]));
    ck_assert(top > 0);
    /* Sources have eight bits in bf16, and sums may cancel. */
    double allowed = c->type == JEM__BF16 ? 1e-2 * (1 + top) : 1e-5 * top;
    for (int64_t i = 0; i < count; i++)
        ck_assert_msg(fabs((double)got[i] - want[i]) <= allowed,
                      "%s[%d] of %dx%dx%d -> %d, kernel %d, stride %d: got %g, expected %g", what,
                      (int)i, (int)c->ic, (int)c->ih, (int)c->iw, (int)c->oc, (int)c->kernel,
                      (int)c->stride, (double)got[i], want[i]);
}

static jem__layout *layout_of(int32_t dimensions, int64_t a, int64_t b, int64_t c, int64_t d)
{
    jem__layout *layout;
    OK(jem__layout_create(&layout, JEM__F32, dimensions, (int64_t[]){a, b, c, d}));
    return layout;
}

/* What the input gradient by a forward primitive wants: [i][o], kernels turned. */
static void turn(const jem__convolution *c, const float *from, float *to)
{
    int64_t area = c->kernel * c->kernel;
    for (int64_t o = 0; o < c->oc; o++)
        for (int64_t i = 0; i < c->ic; i++)
            for (int64_t a = 0; a < area; a++)
                to[(i * c->oc + o) * area + area - 1 - a] = from[(o * c->ic + i) * area + a];
}

static void check_turned(const jem__convolution *c, const jem__layout *ls, const jem__layout *ld,
                         int64_t s)
{
    static float turned[LIMIT];
    jem__primitive *p;
    jem__layout *lt = layout_of(4, c->ic, c->oc, c->kernel, c->kernel);
    turn(c, weight, turned);
    OK(jem__primitive_turned(&p, engine, c));
    run(p, 2, (const jem__layout *[]){ld, lt, ls}, (float *[]){ddst, turned, dsrc});
    jem__primitive_destroy(p);
    jem__layout_destroy(lt);
    near("diff_src by turned weights", c, dsrc, want_dsrc, s);
}

/* LeakyReLU and SiLU of the result, in the same primitive. */
static void check_activations(jem__convolution c, const jem__layout *const *plain, int64_t d)
{
    static double want[LIMIT];
    jem__primitive *p;
    for (c.activation = JEM__LEAKY_RELU; c.activation <= JEM__SILU; c.activation++) {
        c.slope = 0.2f;
        OK(jem__primitive_forward(&p, engine, &c));
        run(p, 3, plain, (float *[]){src, weight, bias, dst});
        jem__primitive_destroy(p);
        for (int64_t i = 0; i < d; i++)
            want[i] = c.activation == JEM__SILU ? want_dst[i] / (1 + exp(-want_dst[i]))
                                                : want_dst[i] * (want_dst[i] > 0 ? 1 : 0.2);
        near("activation", &c, dst, want, d);
    }
}

static void check(jem__convolution c)
{
    c.oh = (c.ih + 2 * c.pad - c.kernel) / c.stride + 1;
    c.ow = (c.iw + 2 * c.pad - c.kernel) / c.stride + 1;
    int64_t s = c.n * c.ic * c.ih * c.iw, w = c.oc * c.ic * c.kernel * c.kernel;
    int64_t d = c.n * c.oc * c.oh * c.ow;
    ck_assert(s <= LIMIT && w <= LIMIT && d <= LIMIT);
    for (int64_t i = 0; i < s; i++) src[i] = sinf((float)(i * 13 % 1013));
    for (int64_t i = 0; i < w; i++) weight[i] = cosf((float)(i * 29 % 997));
    for (int64_t i = 0; i < c.oc; i++) bias[i] = (float)i / 7;
    for (int64_t i = 0; i < d; i++) ddst[i] = sinf((float)(i * 31 % 1009) + 1);
    memset(want_dsrc, 0, sizeof want_dsrc);
    memset(want_dweight, 0, sizeof want_dweight);
    memset(want_dbias, 0, sizeof want_dbias);
    for (int64_t i = 0; i < d; i++) {
        want_dst[i] = (double)bias[i / (c.oh * c.ow) % c.oc];
        want_dbias[i / (c.oh * c.ow) % c.oc] += (double)ddst[i];
    }
    products(&c, accumulate);

    jem__layout *ls = layout_of(4, c.n, c.ic, c.ih, c.iw),
                *ld = layout_of(4, c.n, c.oc, c.oh, c.ow);
    jem__layout *lw = layout_of(4, c.oc, c.ic, c.kernel, c.kernel),
                *lb = layout_of(1, c.oc, 0, 0, 0);
    jem__primitive *p;
    OK(jem__primitive_forward(&p, engine, &c));
    run(p, 3, (const jem__layout *[]){ls, lw, lb, ld}, (float *[]){src, weight, bias, dst});
    jem__primitive_destroy(p);
    near("dst", &c, dst, want_dst, d);
    OK(jem__primitive_data(&p, engine, &c));
    run(p, 2, (const jem__layout *[]){ld, lw, ls}, (float *[]){ddst, weight, dsrc});
    jem__primitive_destroy(p);
    near("diff_src", &c, dsrc, want_dsrc, s);
    if (c.stride == 1 && c.pad < c.kernel) check_turned(&c, ls, ld, s);
    check_activations(c, (const jem__layout *[]){ls, lw, lb, ld}, d);
    OK(jem__primitive_weights(&p, engine, &c));
    run(p, 2, (const jem__layout *[]){ls, ld, lw, lb}, (float *[]){src, ddst, dweight, dbias});
    jem__primitive_destroy(p);
    near("diff_weights", &c, dweight, want_dweight, w);
    near("diff_bias", &c, dbias, want_dbias, c.oc);
    jem__layout_destroy(ls), jem__layout_destroy(ld);
    jem__layout_destroy(lw), jem__layout_destroy(lb);
}

static const jem__convolution cases[] = {
    {.n = 2, .ic = 3, .ih = 9, .iw = 7, .oc = 16, .kernel = 3, .stride = 1, .pad = 1},
    {.n = 1, .ic = 1, .ih = 5, .iw = 12, .oc = 5, .kernel = 3, .stride = 2, .pad = 1},
    {.n = 3, .ic = 16, .ih = 8, .iw = 8, .oc = 32, .kernel = 3, .stride = 1, .pad = 1},
    {.n = 3, .ic = 16, .ih = 9, .iw = 11, .oc = 32, .kernel = 3, .stride = 2, .pad = 1},
    {.n = 2, .ic = 17, .ih = 6, .iw = 5, .oc = 9, .kernel = 1, .stride = 2, .pad = 0},
    {.n = 1, .ic = 32, .ih = 4, .iw = 4, .oc = 64, .kernel = 1, .stride = 1, .pad = 0},
    {.n = 5, .ic = 2, .ih = 3, .iw = 3, .oc = 3, .kernel = 3, .stride = 1, .pad = 0},
};

START_TEST(convolutions)
{
    begin();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int32_t type = 0; type < JEM__TYPES; type++) {
            jem__convolution c = cases[i];
            c.type = type;
            if (jem__dnn_has(engine, type)) check(c);
            c.wide = 1;
            if (type == JEM__BF16 && jem__dnn_has(engine, type)) check(c);
        }
    end();
}
END_TEST

/* Batches of products with rows apart, as Winograd's method needs them. */
START_TEST(matrix_products)
{
    static const int64_t shapes[][4] = {{16, 5, 8, 24}, {36, 64, 32, 16}, {1, 1, 3, 1}};
    begin();
    for (int s = 0; s < 3; s++) {
        int64_t count = shapes[s][0], rows = shapes[s][1], inner = shapes[s][2],
                columns = shapes[s][3], apart = 16;
        int64_t a_step = rows * inner + apart, c_step = rows * columns + apart;
        jem__primitive *p;
        jem__call *call;
        jem__layout *plain;
        OK(jem__primitive_products(&p, engine, count, rows, inner, columns, a_step, c_step));
        OK(jem__layout_create(&plain, JEM__F32, 3, (int64_t[]){count, inner, columns}));
        float *a = calloc((size_t)(count * a_step), 4), *c = calloc((size_t)(count * c_step), 4);
        float *b = calloc((size_t)(count * inner * columns), 4);
        for (int64_t i = 0; i < count * a_step; i++) a[i] = (float)(i * 7 % 23 - 11);
        for (int64_t i = 0; i < count * inner * columns; i++) b[i] = (float)(i * 5 % 19 - 9);
        const jem__layout *packed = jem__primitive_layout(p, JEM__PRODUCTS_B);
        void *memory[4] = {a, room(packed), c, NULL};
        reorder(plain, b, packed, memory[1]);
        if (jem__primitive_scratch(p)) OK(jem__alloc(&memory[3], jem__primitive_scratch(p), 1));
        OK(jem__call_create(&call, p, engine, memory));
        OK(jem__call_run(call, stream));
        for (int64_t i = 0; i < count * rows * columns; i++) {
            int64_t g = i / rows / columns, r = i / columns % rows, k = i % columns;
            double want = 0; /* whole numbers: exact */
            for (int64_t j = 0; j < inner; j++)
                want += (double)a[g * a_step + r * inner + j] *
                        (double)b[(g * inner + j) * columns + k];
            ck_assert_double_eq((double)c[g * c_step + r * columns + k], want);
        }
        for (int64_t g = 0; g < count; g++)
            for (int64_t i = rows * columns; i < c_step; i++)
                ck_assert_float_eq(c[g * c_step + i], 0);
        jem__call_destroy(call);
        jem__primitive_destroy(p);
        jem__layout_destroy(plain);
        jem__free(memory[1]);
        jem__free(memory[3]);
        free(a);
        free(b);
        free(c);
    }
    end();
}
END_TEST

/* The same with A transposed, into C or onto it; whole numbers: exact. */
START_TEST(transposed_products)
{
    static const int64_t shapes[][4] = {{16, 24, 5, 8}, {36, 16, 64, 32}, {1, 1, 3, 1}};
    begin();
    for (int s = 0; s < 6; s++) {
        int64_t count = shapes[s / 2][0], rows = shapes[s / 2][1], inner = shapes[s / 2][2],
                columns = shapes[s / 2][3], a_step = inner * rows + 16,
                b_step = inner * columns + 16;
        int32_t adds = s % 2;
        jem__primitive *p;
        jem__call *call;
        OK(jem__primitive_transposed_products(&p, engine, count, rows, inner, columns, a_step,
                                              b_step, adds));
        float *a = calloc((size_t)(count * a_step), 4), *b = calloc((size_t)(count * b_step), 4);
        float *c = calloc((size_t)(count * rows * columns), 4);
        for (int64_t i = 0; i < count * a_step; i++) a[i] = (float)(i * 7 % 23 - 11);
        for (int64_t i = 0; i < count * b_step; i++) b[i] = (float)(i * 5 % 19 - 9);
        for (int64_t i = 0; i < count * rows * columns; i++) c[i] = (float)(i % 3);
        void *memory[4] = {a, b, c, NULL};
        if (jem__primitive_scratch(p)) OK(jem__alloc(&memory[3], jem__primitive_scratch(p), 1));
        OK(jem__call_create(&call, p, engine, memory));
        OK(jem__call_run(call, stream));
        for (int64_t i = 0; i < count * rows * columns; i++) {
            int64_t g = i / rows / columns, r = i / columns % rows, k = i % columns;
            double want = adds ? (double)(i % 3) : 0;
            for (int64_t j = 0; j < inner; j++)
                want +=
                    (double)a[g * a_step + j * rows + r] * (double)b[g * b_step + j * columns + k];
            ck_assert_double_eq((double)c[i], want);
        }
        jem__call_destroy(call);
        jem__primitive_destroy(p);
        jem__free(memory[3]);
        free(a);
        free(b);
        free(c);
    }
    end();
}
END_TEST

/* There and back through the layouts that convolutions choose: nothing is lost. */
START_TEST(reorders_are_exact)
{
    begin();
    jem__convolution c = {.n = 2,
                          .ic = 17,
                          .ih = 5,
                          .iw = 6,
                          .oc = 19,
                          .oh = 5,
                          .ow = 6,
                          .kernel = 3,
                          .stride = 1,
                          .pad = 1};
    jem__primitive *p;
    OK(jem__primitive_forward(&p, engine, &c));
    jem__layout *plain[] = {layout_of(4, 2, 17, 5, 6), layout_of(4, 19, 17, 3, 3)};
    for (int i = 0; i < 2; i++) {
        const jem__layout *chosen = jem__primitive_layout(p, i);
        float *a = room(plain[i]), *b = room(chosen), *back = room(plain[i]);
        int64_t count = jem__layout_bytes(plain[i]) / 4;
        for (int64_t j = 0; j < count; j++) a[j] = (float)j * 1.1f;
        reorder(plain[i], a, chosen, b);
        reorder(chosen, b, plain[i], back);
        ck_assert_mem_eq(a, back, (size_t)count * 4);
        jem__free(a), jem__free(b), jem__free(back);
    }
    ck_assert(jem__layout_equal(plain[0], plain[0]) && !jem__layout_equal(plain[0], plain[1]));
    ck_assert_int_eq(jem__layout_block(plain[0]), 1);
    jem__primitive_destroy(p);
    jem__layout_destroy(plain[0]), jem__layout_destroy(plain[1]);
    end();
}
END_TEST

static float at(const void *data, int32_t type, int64_t i)
{
    return type == JEM__BF16 ? jem__bf16_value(((const uint16_t *)data)[i])
                             : ((const float *)data)[i];
}

/* Every value of a layout with padding is one of the source or zero; bf16 rounds to even. */
START_TEST(reorders_pad_with_zeros)
{
    begin();
    int32_t types[] = {JEM__F32, JEM__BF16};
    for (int t = 0; t < 2; t++)
        for (int64_t b = 4; b <= 16; b *= 2) {
            int64_t shape[] = {2, 19, 3, 5}, count = 2 * 19 * 3 * 5, values = 0;
            jem__layout *plain = layout_of(4, 2, 19, 3, 5), *blocked;
            OK(jem__layout_images(&blocked, types[t], shape, b));
            float *from = room(plain), *back = room(plain);
            for (int64_t i = 0; i < count; i++) from[i] = (float)(i + 1) + 1 / 512.f;
            void *to = room(blocked);
            int64_t elements = jem__layout_bytes(blocked) / jem__type_size(types[t]);
            memset(to, 0xFF, (size_t)jem__layout_bytes(blocked));
            reorder(plain, from, blocked, to);
            for (int64_t i = 0; i < elements; i++) values += at(to, types[t], i) != 0;
            ck_assert_int_eq(values, count);
            ck_assert_int_eq(elements, 2 * ((19 + b - 1) / b) * b * 15);
            /* [n][c/b][h][w][b] */
            int64_t n = 1, c = 17, h = 2, w = 3;
            float expected = from[((n * 19 + c) * 3 + h) * 5 + w];
            if (types[t] == JEM__BF16) expected = jem__bf16_value(jem__bf16_round(expected));
            int64_t place = (((n * ((19 + b - 1) / b) + c / b) * 3 + h) * 5 + w) * b + c % b;
            ck_assert_float_eq(at(to, types[t], place), expected);
            reorder(blocked, to, plain, back);
            for (int64_t i = 0; i < count; i++)
                ck_assert_float_eq(back[i], types[t] == JEM__F32
                                                ? from[i]
                                                : jem__bf16_value(jem__bf16_round(from[i])));
            jem__free(from), jem__free(back), jem__free(to);
            jem__layout_destroy(plain), jem__layout_destroy(blocked);
        }
    end();
}
END_TEST

START_TEST(failures_are_reported)
{
    begin();
    jem__primitive *p;
    jem__convolution c = {.n = 1,
                          .ic = 3,
                          .ih = -2,
                          .iw = 2,
                          .oc = 4,
                          .oh = 9,
                          .ow = 9,
                          .kernel = 3,
                          .stride = 1,
                          .pad = 1};
    FAILS(JEM_ERROR_BACKEND, jem__primitive_forward(&p, engine, &c), "oneDNN");
    ck_assert_ptr_null(p);
    end();
}
END_TEST

/* One variable limits oneDNN's kernels and ours. */
START_TEST(own_kernels_keep_to_the_limit)
{
    const char *limit = getenv("ONEDNN_MAX_CPU_ISA");
    int32_t most = JEM__ISA_COUNT - 1;
    begin();
    end();
    if (limit && strcmp(limit, "SSE41") == 0) most = JEM__ISA_PLAIN;
    if (limit && strcmp(limit, "AVX2") == 0) most = JEM__ISA_AVX2;
    while (!jem__isa_runs(most)) most--;
    ck_assert_int_eq(jem__isa(), most);
}
END_TEST

TESTS("primitive", convolutions, matrix_products, transposed_products, reorders_are_exact,
      reorders_pad_with_zeros, failures_are_reported, own_kernels_keep_to_the_limit)
