/* jem_bench: times the work of a joint energy model; one JSON line per measurement.

   usage: jem_bench [--depth 16] [--width 2] [--batch 64] [--norm none|batch]
                    [--precision f32|bf16|auto] [--convolution exact|fast|direct]
                    [--activation leaky_relu|relu|silu] [--sample-mode eval|train] [--steps 20]
                    [--repeat 5] [--threads 2] [--only check,forward,sgld_step,jem_step]

   The network is the JEM Wide-ResNet on 3x32x32 images, ten classes.

     check      energies, gradients and new weights against the plain path: errors
                relative to their norm
     forward    log p(x) of one batch, no gradient
     sgld_step  one SGLD step of one batch: forward and gradient by x, step 1, noise 0.01
     jem_step   one training step: --steps SGLD steps, three passes, Adam
     conv_only  the network's bare convolutions as direct sums, forward and input
                gradient, in the precision, slices and form that the engine uses: its
                ceiling in bf16; in float32 Winograd's method goes beyond it
     gemm_peak  the machine's matrix product, 2048 cubed, through oneDNN
     kernels    the library's own kernels: bits and nanoseconds an element of each
                instruction set beside those of plain C
     profile    microseconds of each operator, per image and on one worker: of an SGLD step,
                and of a pass with gradients by the weights; then those of the phases of a
                whole training step, and of a thread's waiting in it

   gflops counts 2 x multiply-adds of convolutions and linear layers: forward
   1, sgld_step and conv_only 2, jem_step 2 steps + 9. */
#define _POSIX_C_SOURCE 200809L
#include "bench.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static const struct part {
    const char *name;
    int (*run)(const bench_options *o);
} parts[] = {
    {"forward", bench_forward},     {"sgld_step", bench_sgld_step}, {"jem_step", bench_jem_step},
    {"conv_only", bench_conv_only}, {"gemm_peak", bench_gemm_peak}, {"check", bench_check},
    {"profile", bench_profile},     {"kernels", bench_kernels},     {0}};

int bench_fail(const char *what)
{
    char text[512];
    jem_last_error(text, sizeof text);
    fprintf(stderr, "jem_bench: %s: %s\n", what, text);
    return 1;
}

double bench_seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int bench_time(const bench_options *o, const bench_work *work)
{
    double *seconds = calloc((size_t)o->repeat, sizeof *seconds);
    jem_status status = seconds ? work->run(work->user) : JEM_ERROR_MEMORY;
    for (int64_t i = 0; !status && i < o->repeat; i++) {
        double from = bench_seconds(CLOCK_MONOTONIC);
        status = work->run(work->user);
        seconds[i] = (bench_seconds(CLOCK_MONOTONIC) - from) / work->per;
    }
    if (status) {
        free(seconds);
        return bench_fail(work->name);
    }
    qsort(seconds, (size_t)o->repeat, sizeof *seconds, ascending);
    double median = (seconds[(o->repeat - 1) / 2] + seconds[o->repeat / 2]) / 2;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("{\"what\": \"%s\", \"ms\": %.3f, \"ms_min\": %.3f, \"gflops\": %.0f, \"rss_mib\": %ld, "
           "\"libjem\": \"%s\", \"depth\": %ld, \"width\": %ld, \"batch\": %ld, \"norm\": \"%s\", "
           "\"precision\": \"%s\", \"convolution\": \"%s\", \"activation\": \"%s\", "
           "\"sample_mode\": \"%s\", \"steps\": %ld, \"threads\": %ld}\n",
           work->name, median * 1e3, seconds[0] * 1e3, work->flops / median / 1e9,
           usage.ru_maxrss >> 10, jem_version(), (long)o->depth, (long)o->width, (long)o->batch,
           o->norm, o->runs, o->convolution, o->activation, o->sample_mode, (long)o->steps,
           (long)o->threads);
    fflush(stdout);
    free(seconds);
    return 0;
}

static int set_option(bench_options *o, const char *name, const char *value)
{
    const struct {
        const char *name;
        int64_t *number;
        const char **text;
    } table[] = {{"--depth", &o->depth, 0},
                 {"--width", &o->width, 0},
                 {"--batch", &o->batch, 0},
                 {"--steps", &o->steps, 0},
                 {"--repeat", &o->repeat, 0},
                 {"--threads", &o->threads, 0},
                 {"--norm", 0, &o->norm},
                 {"--precision", 0, &o->precision},
                 {"--only", 0, &o->only},
                 {"--sample-mode", 0, &o->sample_mode},
                 {"--convolution", 0, &o->convolution},
                 {"--activation", 0, &o->activation}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (strcmp(name, table[i].name) != 0) continue;
        if (table[i].text) {
            *table[i].text = value;
            return 0;
        }
        char *end;
        *table[i].number = strtoll(value, &end, 10);
        if (*end || *table[i].number < 1) {
            fprintf(stderr, "jem_bench: %s %s: expected a whole number >= 1\n", name, value);
            return 1;
        }
        return 0;
    }
    fprintf(stderr, "jem_bench: unknown option %s (the head of bench/jem_bench.c lists them)\n",
            name);
    return 1;
}

static void print_help(void)
{
    puts("usage: jem_bench [--depth 16] [--width 2] [--batch 64] [--norm none|batch]\n"
         "         [--precision f32|bf16|auto] [--convolution exact|fast|direct]\n"
         "         [--activation leaky_relu|relu|silu] [--sample-mode eval|train] [--steps 20]\n"
         "         [--repeat 5] [--threads 2] [--only PART,...]\n"
         "One JSON line per measurement. Parts (the head of bench/jem_bench.c tells more):");
    for (const struct part *part = parts; part->name; part++) printf("  %s\n", part->name);
}

/* Runs the comma-separated parts of o->only. */
static int run(const bench_options *o)
{
    for (const char *at = o->only; *at;) {
        size_t length = strcspn(at, ",");
        const struct part *part = parts;
        while (part->name && (strlen(part->name) != length || strncmp(part->name, at, length)))
            part++;
        if (!part->name) {
            fprintf(stderr, "jem_bench: --only %.*s: no such measurement\n", (int)length, at);
            return 1;
        }
        if (part->run(o)) return 1;
        at += length + (at[length] == ',');
    }
    return 0;
}

/* Which precision o->precision comes to on this CPU; told, since figures of one must not be
   read as the other's. */
static int find_precision(bench_options *o)
{
    bench_options small = *o;
    jem_context *context = NULL;
    jem_model *model = NULL;
    small.depth = 10;
    small.width = small.threads = 1;
    jem_status status = bench_model(&small, &context, &model);
    if (!status) status = jem_model_precision(model, &o->runs);
    jem_model_destroy(model);
    jem_context_destroy(context);
    if (status) return bench_fail("--precision");
    if (strcmp(o->runs, o->precision) != 0 && strcmp(o->precision, "auto") != 0)
        fprintf(stderr, "jem_bench: this CPU has no %s: measuring %s\n", o->precision, o->runs);
    return 0;
}

int main(int argc, char **argv)
{
    bench_options o = {.depth = 16,
                       .width = 2,
                       .batch = 64,
                       .steps = 20,
                       .repeat = 5,
                       .threads = 2,
                       .norm = "none",
                       .precision = "f32",
                       .convolution = "exact",
                       .activation = "leaky_relu",
                       .sample_mode = "eval",
                       .only = "check,forward,sgld_step,jem_step",
                       .fuse = 1};
    for (int i = 1; i < argc; i += 2) {
        if (strcmp(argv[i], "--help") == 0) {
            print_help();
            return 0;
        }
        if (i + 1 == argc) {
            fprintf(stderr, "jem_bench: %s: a value is missing\n", argv[i]);
            return 2;
        }
        if (set_option(&o, argv[i], argv[i + 1])) return 2;
    }
    return find_precision(&o) || run(&o);
}
