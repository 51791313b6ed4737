/* How far one array is from another, as a share of that one's norm. */
#ifndef JEM_TESTS_DISTANCE_H
#define JEM_TESTS_DISTANCE_H

#include <math.h>
#include <stdint.h>

static double distance(const float *a, const float *b, int64_t n)
{
    double sum = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = (double)a[i] - (double)b[i];
        sum += d * d;
        size += (double)b[i] * (double)b[i];
    }
    return sqrt(sum / (size + 1e-30));
}

#endif
