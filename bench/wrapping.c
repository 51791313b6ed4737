/* The C side of wrapping.py: scores one image, and none, many times.

   usage: wrapping SETTINGS CALLS */
#define _POSIX_C_SOURCE 200809L
#include <jem.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void check(jem_status status)
{
    char text[512];
    if (status >= 0) return;
    jem_last_error(text, sizeof text);
    fprintf(stderr, "wrapping: %s\n", text);
    exit(1);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(jem_model *model, int64_t n, int64_t calls, double *times)
{
    float x[64] = {0}, energy;
    for (int64_t i = 0; i < calls; i++) {
        double start = now();
        check(jem_model_energy(model, x, NULL, n, &energy));
        times[i] = now() - start;
    }
    qsort(times, (size_t)calls, sizeof *times, ascending);
    return times[calls / 2] * 1e6;
}

int main(int argc, char **argv)
{
    jem_config *config;
    jem_context *context;
    jem_model *model;
    int64_t calls = argc == 3 ? atoll(argv[2]) : 0;
    double *times = calls > 0 ? malloc((size_t)calls * sizeof *times) : NULL;
    if (!times) {
        fprintf(stderr, "usage: wrapping SETTINGS CALLS\n");
        return 2;
    }
    check(jem_config_create(&config));
    check(jem_config_parse(config, argv[1]));
    check(jem_context_create(&context, config));
    check(jem_model_create(&model, context, config));
    median(model, 1, calls, times); /* warm */
    printf("{\"one_us\": %.3f, ", median(model, 1, calls, times));
    printf("\"none_us\": %.4f}\n", median(model, 0, calls, times));
    jem_model_destroy(model);
    jem_context_destroy(context);
    jem_config_destroy(config);
    free(times);
    return 0;
}
