/* profile: where an SGLD step's time goes, operator by operator, on one worker. */
#define _POSIX_C_SOURCE 200809L
#include "base/memory.h"
#include "base/status.h"
#include "base/threads.h"
#include "bench.h"
#include "energy/energy.h"
#include "model/internal.h"
#include "sample/langevin.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct profile {
    const bench_options *o;
    jem_context *context;
    jem_model *model;
    const jem__plan *plan;
    jem__slot *slot;
    float *x, *dx;
    double *seconds; /* by step of the plan, then energy, then update */
    int64_t runs;
} profile;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double lap(double *from)
{
    double at = now(), seconds = at - *from;
    *from = at;
    return seconds;
}

static jem_status one_step(profile *p, const jem__mover *mover, double *seconds)
{
    jem__slot *slot = p->slot;
    int64_t image = p->model->graph.input.c * p->model->graph.input.h * p->model->graph.input.w;
    float energy[4096];
    double at = now();
    slot->at = 0;
    for (int32_t i = 0; i < p->plan->step_count; i++) {
        if (i == p->plan->forward_count) {
            int64_t k = p->model->graph.classes;
            jem__outputs f = jem__slot_outputs(slot);
            jem__energy(f, NULL, slot->n, k, energy);
            jem__energy_derivative(f, NULL, slot->n, k, jem__slot_derivatives(slot));
            seconds[p->plan->step_count] += lap(&at);
        }
        JEM__TRY(jem__slot_run(slot, i + 1));
        seconds[i] += lap(&at);
    }
    for (int64_t i = 0; i < slot->n; i++)
        JEM__TRY(jem__mover_step(mover, (uint64_t)i, 0, image, slot->x + i * image,
                                 slot->dx + i * image, energy[i]));
    seconds[p->plan->step_count + 1] += lap(&at);
    return JEM_OK;
}

static jem_status profile_task(void *user, int64_t index, int64_t worker)
{
    profile *p = user;
    jem__mover mover = {.rule = {.step = 1, .noise = 0.01f}, .seed = 1};
    int64_t warm = 3;
    (void)index, (void)worker;
    JEM__TRY(jem__slot_create(&p->slot, p->plan));
    p->slot->x = p->x;
    p->slot->dx = p->slot->own_dx;
    p->slot->n = p->plan->n;
    for (int64_t i = 0; i < p->runs + warm; i++) {
        if (i == warm) memset(p->seconds, 0, sizeof(double) * (size_t)(p->plan->step_count + 2));
        JEM__TRY(one_step(p, &mover, p->seconds));
    }
    return JEM_OK;
}

static void print_line(const char *phase, const char *what, const char *shape, double seconds,
                       double total)
{
    printf("{\"what\": \"profile\", \"phase\": \"%s\", \"operator\": \"%s\", \"shape\": \"%s\", "
           "\"us\": %.1f, \"share\": %.4f}\n",
           phase, what, shape, seconds * 1e6, seconds / total);
}

static void print_profile(const profile *p)
{
    double total = 0, images = (double)(p->runs * p->plan->n);
    for (int32_t i = 0; i < p->plan->step_count + 2; i++) total += p->seconds[i];
    for (int32_t i = 0; i < p->plan->step_count; i++) {
        const jem__step *step = &p->plan->steps[i];
        char shape[96] = "";
        if (step->node) {
            jem__image in = jem__graph_shape(p->plan->graph, step->node->input[0]);
            snprintf(shape, sizeof shape, "%ldx%ldx%ld to %ld", (long)in.c, (long)in.h, (long)in.w,
                     (long)step->node->shape.c);
        }
        print_line(i < p->plan->forward_count ? "forward" : "backward",
                   step->node        ? step->node->op->name
                   : step->primitive ? "reorder"
                                     : "sum of gradients",
                   shape, p->seconds[i] / images, total / images);
    }
    print_line("between", "energy", "", p->seconds[p->plan->step_count] / images, total / images);
    print_line("update", "langevin", "", p->seconds[p->plan->step_count + 1] / images,
               total / images);
    print_line("all", "total", "", total / images, total / images);
}

int bench_profile(const bench_options *o)
{
    profile p = {.o = o, .runs = o->repeat * 10};
    jem_status status = bench_model(o, &p.context, &p.model);
    if (!status)
        status = jem__model_plan(p.model, o->batch < p.model->slice ? o->batch : p.model->slice,
                                 JEM__WANT_INPUT, &p.plan);
    if (!status) status = jem__model_refresh(p.model);
    if (!status) {
        p.x = bench_images(p.model, p.plan->n, 1);
        p.seconds = calloc((size_t)p.plan->step_count + 2, sizeof *p.seconds);
        status = p.x && p.seconds ? jem__pool_run(p.context->pool, 1, profile_task, &p)
                                  : JEM_ERROR_MEMORY;
    }
    int failed = status ? bench_fail("profile") : 0;
    if (!failed) print_profile(&p);
    jem__slot_destroy(p.slot);
    free(p.x);
    free(p.seconds);
    jem_model_destroy(p.model);
    jem_context_destroy(p.context);
    return failed;
}
