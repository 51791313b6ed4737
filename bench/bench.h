/* What the parts of jem_bench share. */
#ifndef JEM_BENCH_H
#define JEM_BENCH_H

#include <jem.h>
#include <time.h>

typedef struct bench_options {
    int64_t depth, width, batch, steps, repeat, threads;
    const char *norm, *precision, *convolution, *activation, *sample_mode, *only;
    int64_t fuse;     /* 0: the plain path */
    const char *runs; /* the precision that this CPU has for the one asked */
} bench_options;

/* A timed piece of work: `run` does it once, `per` times over. */
typedef struct bench_work {
    const char *name;
    jem_status (*run)(void *user);
    void *user;
    double per;   /* repetitions inside one run */
    double flops; /* of one repetition */
} bench_work;

/* The settings, and the context and model, that the options ask for. */
jem_status bench_configure(const bench_options *o, jem_config **config);
jem_status bench_model(const bench_options *o, jem_context **context, jem_model **model);
/* Multiply-adds of one image: convolutions and linear layers. */
double bench_macs(const jem_model *model);
/* n uniform images of the model's 3x32x32. */
float *bench_images(const jem_model *model, int64_t n, uint64_t seed);

/* Times work and prints its JSON line: one run to warm up, then o->repeat. */
int bench_time(const bench_options *o, const bench_work *work);
/* One training step to warm up, then o->repeat calls of step, each of which takes one. */
int bench_train(const bench_options *o, jem_status (*step)(void *user, jem_trainer *trainer),
                void *user);
/* Seconds, of CLOCK_MONOTONIC or of the process. */
double bench_seconds(clockid_t clock);
/* Prints the reason of a failed call; returns 1. */
int bench_fail(const char *what);

/* The parts: each returns 0, or 1 after printing a reason. */
int bench_forward(const bench_options *o);
int bench_sgld_step(const bench_options *o);
int bench_jem_step(const bench_options *o);
int bench_conv_only(const bench_options *o);
int bench_gemm_peak(const bench_options *o);
int bench_check(const bench_options *o);
int bench_profile(const bench_options *o);
int bench_kernels(const bench_options *o);

#endif
