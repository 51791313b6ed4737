/* profile: where the time goes, operator by operator on one worker, of an SGLD step and of a
   pass with gradients by the weights; and phase by phase of whole training steps. */
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

typedef struct profile {
    const bench_options *o;
    jem_context *context;
    jem_model *model;
    const jem__plan *plan;
    const char *forward, *backward; /* what the plan's phases are called */
    jem__slot *slot;
    float *x;
    double *seconds; /* by step of the plan, then energy, then update */
    int64_t runs;
} profile;

static double lap(double *from)
{
    double at = bench_seconds(CLOCK_MONOTONIC), seconds = at - *from;
    *from = at;
    return seconds;
}

static jem_status one_step(profile *p, const jem__mover *mover, double *seconds)
{
    jem__slot *slot = p->slot;
    int64_t image = p->model->graph.input.c * p->model->graph.input.h * p->model->graph.input.w;
    float energy[4096];
    double at = bench_seconds(CLOCK_MONOTONIC);
    slot->at = 0;
    for (int32_t i = 0; i < p->plan->step_count; i++) {
        if (i == p->plan->forward_count) {
            int64_t k = p->model->graph.classes;
            jem__outputs f = jem__slot_outputs(slot);
            jem__energy(f, NULL, slot->n, k, energy);
            jem__energy_derivative(f, NULL, slot->n, k, jem__slot_derivatives(slot));
            seconds[p->plan->step_count] += lap(&at);
        }
        const jem__step *step = &p->plan->steps[i];
        if (step->combine) {
            step->combine(step, &slot, 1);
            slot->at++;
        } else {
            JEM__TRY(jem__slot_run(slot, i + 1));
        }
        seconds[i] += lap(&at);
    }
    for (int64_t i = 0; p->plan->wants & JEM__WANT_INPUT && i < slot->n; i++)
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
        print_line(i < p->plan->forward_count ? p->forward : p->backward,
                   step->node      ? step->node->op->name
                   : step->reorder ? "reorder"
                                   : "sum of gradients",
                   shape, p->seconds[i] / images, total / images);
    }
    print_line("between", "energy", "", p->seconds[p->plan->step_count] / images, total / images);
    if (p->plan->wants & JEM__WANT_INPUT)
        print_line("update", "langevin", "", p->seconds[p->plan->step_count + 1] / images,
                   total / images);
    print_line(p->forward, "total", "", total / images, total / images);
}

static int profile_plan(profile *p, int32_t wants, const char *forward, const char *backward)
{
    int64_t slice = p->model->slice, n = p->o->batch < slice ? p->o->batch : slice;
    p->forward = forward;
    p->backward = backward;
    jem_status status = jem__model_plan(p->model, n, wants, &p->plan);
    if (!status) status = jem__model_refresh(p->model);
    if (!status) {
        p->x = bench_images(p->model, n, 1);
        p->seconds = calloc((size_t)p->plan->step_count + 2, sizeof *p->seconds);
        status = p->x && p->seconds ? jem__pool_run(p->context->pool, 1, profile_task, p)
                                    : JEM_ERROR_MEMORY;
    }
    int failed = status ? bench_fail("profile") : 0;
    if (!failed) print_profile(p);
    jem__slot_destroy(p->slot);
    free(p->x);
    free(p->seconds);
    p->slot = NULL;
    p->x = NULL;
    p->seconds = NULL;
    return failed;
}

/* ---- Whole training steps, on all threads ---- */

/* The trainer's metrics, and what the profile calls them. */
static const struct phase {
    const char *metric, *name;
} phase_names[] = {{"seconds_load", "data"},
                   {"seconds_sample", "sampling"},
                   {"seconds_pass", "passes"},
                   {"seconds_update", "optimizer"}};
enum { PHASES = sizeof phase_names / sizeof phase_names[0] };

typedef struct phases {
    double seconds[PHASES], processor, all; /* sums over steps; processor: of all threads */
    int64_t steps;
} phases;

static jem_status run_phases(void *user, jem_trainer *trainer)
{
    enum { MOST = 64 };
    phases *p = user;
    double values[MOST], wall = bench_seconds(CLOCK_MONOTONIC),
                         processor = bench_seconds(CLOCK_PROCESS_CPUTIME_ID);
    JEM__TRY(jem_trainer_step(trainer));
    p->all += bench_seconds(CLOCK_MONOTONIC) - wall;
    p->processor += bench_seconds(CLOCK_PROCESS_CPUTIME_ID) - processor;
    JEM__TRY(jem_trainer_metrics(trainer, values, MOST));
    for (int64_t i = 0; i < jem_trainer_metric_count(); i++)
        for (int k = 0; k < PHASES; k++)
            if (!strcmp(jem_trainer_metric_name(i), phase_names[k].metric))
                p->seconds[k] += values[i];
    p->steps++;
    return JEM_OK;
}

static int profile_training(const bench_options *o)
{
    static const char phase[] = "training step";
    phases p = {.steps = 0};
    if (bench_train(o, run_phases, &p)) return 1;
    double steps = (double)p.steps, step = p.all / steps;
    for (int k = 0; k < PHASES; k++)
        print_line(phase, phase_names[k].name, "", p.seconds[k] / steps, step);
    print_line(phase, "waiting, a thread", "", step - p.processor / steps / (double)o->threads,
               step);
    print_line(phase, "total", "", step, step);
    return 0;
}

int bench_profile(const bench_options *o)
{
    profile p = {.o = o, .runs = o->repeat * 10};
    jem_status status = bench_model(o, &p.context, &p.model);
    int failed = status ? bench_fail("profile") : 0;
    if (!failed) failed = profile_plan(&p, JEM__WANT_INPUT, "forward", "backward");
    if (!failed)
        failed = profile_plan(&p, JEM__WANT_PARAMETERS | JEM__TRAINING, "training forward",
                              "training backward");
    jem_model_destroy(p.model);
    jem_context_destroy(p.context);
    return failed || profile_training(o);
}
