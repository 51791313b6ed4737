/* kernels: the library's own kernels on arrays that stay in the second cache: for every
   instruction set that runs here the bits of the plain ones, and nanoseconds an element beside
   theirs. */
#define _POSIX_C_SOURCE 200809L
#include "tensor/kernels.h"
#include "bench.h"
#include "tensor/winograd.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 1 << 14, ARRAYS = 5, SIDE = 16, CHANNELS = 64 }; /* N = SIDE * SIDE * CHANNELS */

typedef struct arrays {
    float *in[ARRAYS]; /* never written */
    float *a[ARRAYS];  /* copies, which kernels write */
} arrays;

typedef struct kernel {
    const char *name;
    void (*run)(int32_t isa, arrays *x);
} kernel;

static const jem__kernels *flat(int32_t isa)
{
    return jem__kernels_of(isa);
}

static const jem__activations *of_floats(int32_t isa)
{
    return jem__activations_of(isa, JEM__F32);
}

#define REAL(x) ((jem__real *)(x))

static void langevin(int32_t isa, arrays *x)
{
    const jem__langevin rule = {.step = 1, .noise = 0.01f, .gradient_clamp = 0.5f, .box = 1};
    flat(isa)->langevin(&rule, x->a[0], x->in[1], x->in[2], N);
}

static void normals(int32_t isa, arrays *x)
{
    jem__random random;
    jem__random_at(&random, 1, 2, 3, 4, 5);
    flat(isa)->fill_normal(&random, x->a[0], N);
}

static void adam(int32_t isa, arrays *x)
{
    const jem__update u = {.factor = 1,
                           .rate = 1e-3f,
                           .beta1 = 0.9f,
                           .beta2 = 0.999f,
                           .rest1 = 0.1f,
                           .rest2 = 1e-3f,
                           .epsilon = 1e-8f,
                           .root = 1};
    flat(isa)->adam(&u, x->in[1], x->a[0], x->a[2], x->a[3], N);
}

static void sgd(int32_t isa, arrays *x)
{
    const jem__update u = {.factor = 1, .rate = 1e-3f, .momentum = 0.9f, .nesterov = 1};
    flat(isa)->sgd(&u, x->in[1], x->a[0], x->a[2], N);
}

static void average(int32_t isa, arrays *x)
{
    flat(isa)->approach(0.01f, x->in[1], x->a[0], N);
}

static void dot4(int32_t isa, arrays *x)
{
    flat(isa)->dot4(x->in[0], x->in[1], N / 4, N / 4, x->a[0]);
}

static void axpy4(int32_t isa, arrays *x)
{
    const float four[] = {1, 2, 3, 4};
    flat(isa)->axpy4(four, x->in[1], N / 4, x->a[0], N / 4);
}

static void leaky_relu(int32_t isa, arrays *x)
{
    of_floats(isa)->leaky_relu(REAL(x->in[0]), REAL(x->a[0]), N, 0.2f);
}

static void leaky_relu_back(int32_t isa, arrays *x)
{
    of_floats(isa)->leaky_relu_back(REAL(x->in[0]), REAL(x->in[1]), REAL(x->a[0]), N, 0.2f);
}

static void silu(int32_t isa, arrays *x)
{
    of_floats(isa)->silu_keep(REAL(x->in[0]), REAL(x->a[0]), REAL(x->a[1]), N);
}

static void add_rests(int32_t isa, arrays *x)
{
    const jem__real *parts[] = {REAL(x->in[0]), REAL(x->in[1]), REAL(x->in[2]), NULL};
    jem__activations_of(isa, JEM__BF16)->add_rests(parts, REAL(x->a[0]), REAL(x->a[1]), N);
}

static const jem__blocked images = {1, CHANNELS, SIDE *SIDE, 8};

static void affine(int32_t isa, arrays *x)
{
    of_floats(isa)->channel_affine(&images, REAL(x->in[0]), x->in[1], x->in[2], x->in[3],
                                   REAL(x->a[0]));
}

static void moments(int32_t isa, arrays *x)
{
    of_floats(isa)->channel_moments(&images, REAL(x->in[0]), (double *)(void *)x->a[0],
                                    (double *)(void *)x->a[1]);
}

static void to_bf16(int32_t isa, arrays *x)
{
    jem__activations_of(isa, JEM__BF16)->narrow(x->in[0], REAL(x->a[0]), N);
}

/* Transforms of one image: its 64 tiles of edge 2, or 16 of edge 4. */
static jem__tiling tiling_of(int64_t edge)
{
    int64_t across = SIDE / edge;
    return (jem__tiling){.edge = edge,
                         .n = 1,
                         .ic = CHANNELS,
                         .oc = CHANNELS,
                         .b = 16,
                         .h = SIDE,
                         .w = SIDE,
                         .pad = 1,
                         .oh = SIDE,
                         .ow = SIDE,
                         .down = across,
                         .across = across,
                         .batch = across * across};
}

static void tiles_in(int32_t isa, arrays *x)
{
    jem__tiling t = tiling_of(2);
    jem__winograd_of(isa, JEM__F32, t.b)->in(&t, REAL(x->in[0]), 0, x->a[4]);
}

static void tiles_in4(int32_t isa, arrays *x)
{
    jem__tiling t = tiling_of(4);
    jem__winograd_of(isa, JEM__F32, t.b)->in(&t, REAL(x->in[0]), 0, x->a[4]);
}

static void tiles_out(int32_t isa, arrays *x)
{
    jem__tiling t = tiling_of(2);
    jem__winograd_of(isa, JEM__F32, t.b)->out(&t, x->in[4], 0, 0, NULL, REAL(x->a[0]));
}

static void tiles_out4(int32_t isa, arrays *x)
{
    jem__tiling t = tiling_of(4);
    jem__winograd_of(isa, JEM__F32, t.b)->out(&t, x->in[4], 0, 0, NULL, REAL(x->a[0]));
}

static const kernel kernels[] = {{"langevin", langevin},
                                 {"normals", normals},
                                 {"adam", adam},
                                 {"sgd", sgd},
                                 {"average", average},
                                 {"dot4", dot4},
                                 {"axpy4", axpy4},
                                 {"leaky_relu", leaky_relu},
                                 {"leaky_relu_back", leaky_relu_back},
                                 {"silu_keep", silu},
                                 {"add_rests, bf16", add_rests},
                                 {"channel_affine", affine},
                                 {"channel_moments", moments},
                                 {"to_bf16", to_bf16},
                                 {"winograd_in, edge 2", tiles_in},
                                 {"winograd_in, edge 4", tiles_in4},
                                 {"winograd_out, edge 2", tiles_out},
                                 {"winograd_out, edge 4", tiles_out4}};

/* ---- The harness ---- */

/* The last one has room for transformed tiles: 16 numbers for 4, with gaps. */
static size_t floats_of(int i)
{
    return i == ARRAYS - 1 ? 5 * (size_t)N : (size_t)N;
}

static void reset(arrays *x)
{
    for (int i = 0; i < ARRAYS; i++) memcpy(x->a[i], x->in[i], floats_of(i) * sizeof(float));
}

/* Nanoseconds an element: the fastest of o->repeat rounds, on arrays as they come. */
static double time_of(const kernel *k, int32_t isa, arrays *x, int64_t repeat)
{
    enum { ROUND = 50 };
    double best = 1e9;
    for (int64_t i = 0; i < repeat; i++) {
        reset(x);
        double begin = bench_seconds(CLOCK_MONOTONIC);
        for (int j = 0; j < ROUND; j++) k->run(isa, x);
        double taken = (bench_seconds(CLOCK_MONOTONIC) - begin) / ROUND;
        if (taken < best) best = taken;
    }
    return best * 1e9 / N;
}

static int same(const arrays *x, const arrays *y)
{
    for (int i = 0; i < ARRAYS; i++)
        if (memcmp(x->a[i], y->a[i], floats_of(i) * sizeof(float))) return 0;
    return 1;
}

static int try_kernel(const kernel *k, arrays *plain, arrays *x, int64_t repeat)
{
    static const char *const names[] = {"plain", "avx2", "avx512"};
    int failed = 0;
    reset(plain);
    k->run(JEM__ISA_PLAIN, plain);
    double slow = 0;
    for (int32_t isa = 0; isa < JEM__ISA_COUNT; isa++) {
        if (!jem__isa_runs(isa)) continue;
        reset(x);
        k->run(isa, x);
        int equal = same(x, plain);
        double taken = time_of(k, isa, x, repeat);
        if (isa == JEM__ISA_PLAIN) slow = taken;
        printf("{\"what\": \"kernel\", \"name\": \"%s\", \"isa\": \"%s\", \"ns\": %.3f, "
               "\"plain_over_it\": %.2f, \"same_bits\": %s}\n",
               k->name, names[isa], taken, slow / taken, equal ? "true" : "false");
        failed |= !equal;
    }
    return failed;
}

static int make(arrays *x, const arrays *of)
{
    int made = 1;
    for (int i = 0; i < ARRAYS; i++) {
        x->in[i] = of ? of->in[i] : malloc(floats_of(i) * sizeof(float));
        x->a[i] = malloc(floats_of(i) * sizeof(float));
        made &= x->in[i] && x->a[i];
        for (size_t j = 0; !of && x->in[i] && j < floats_of(i); j++) /* in [0, 1) for squares */
            x->in[i][j] =
                (float)((j * 7919 + (size_t)i * 104729) % 10007) / 10007.f - (i == 3 ? 0.f : 0.5f);
    }
    return made;
}

int bench_kernels(const bench_options *o)
{
    arrays x = {{0}, {0}}, plain = {{0}, {0}};
    int failed = !make(&x, NULL);
    if (!failed) failed = !make(&plain, &x);
    if (failed) fprintf(stderr, "jem_bench: kernels: out of memory\n");
    for (size_t i = 0; !failed && i < sizeof kernels / sizeof kernels[0]; i++)
        failed = try_kernel(&kernels[i], &plain, &x, o->repeat);
    for (int i = 0; i < ARRAYS; i++) {
        free(x.in[i]);
        free(x.a[i]);
        free(plain.a[i]);
    }
    return failed;
}
