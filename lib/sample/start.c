#include "sample/start.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/status.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { MOST = 512 };

void jem__gaussians_destroy(jem__gaussians *g)
{
    if (!g) return;
    for (int64_t c = 0; g->images && c < g->classes; c++) jem__free(g->images[c]);
    jem__free(g->images);
    jem__free(g->count);
    jem__free(g->mean);
    jem__free(g);
}

/* Reads the images of all classes, one pass over the data. */
static jem_status collect(jem__gaussians *g, const jem_dataset *data, int64_t n, float *x)
{
    for (int64_t i = 0; i < n; i++) {
        int32_t y;
        JEM__TRY(jem_dataset_read(data, i, 1, x, &y));
        if (y < 0 || y >= g->classes || g->count[y] >= MOST) continue;
        if (!g->images[y]) JEM__TRY(jem__alloc(&g->images[y], MOST * g->image, sizeof(float)));
        memcpy(g->images[y] + g->count[y]++ * g->image, x, (size_t)g->image * sizeof *x);
    }
    for (int64_t c = 0; c < g->classes; c++)
        if (g->count[c] == 0)
            return jem__fail(JEM_ERROR_STATE,
                             "class Gaussians: the data has no image of class %" PRId64, c);
    return JEM_OK;
}

static void center(jem__gaussians *g, int64_t c)
{
    float *mean = g->mean + c * g->image;
    for (int64_t j = 0; j < g->image; j++) {
        double sum = 0;
        for (int64_t i = 0; i < g->count[c]; i++) sum += (double)g->images[c][i * g->image + j];
        mean[j] = (float)(sum / (double)g->count[c]);
        for (int64_t i = 0; i < g->count[c]; i++) g->images[c][i * g->image + j] -= mean[j];
    }
}

jem_status jem__gaussians_create(jem__gaussians **out, const jem_dataset *data, int64_t classes)
{
    jem__gaussians *g = NULL;
    int64_t n, ch, h, w;
    float *x = NULL;
    *out = NULL;
    JEM__TRY(jem_dataset_info(data, &n, &ch, &h, &w, NULL));
    JEM__TRY(jem__calloc(&g, 1, sizeof *g));
    g->classes = classes;
    g->image = ch * h * w;
    jem_status status = jem__calloc(&g->count, classes, sizeof *g->count);
    if (!status) status = jem__calloc(&g->images, classes, sizeof *g->images);
    if (!status) status = jem__calloc(&g->mean, classes * g->image, sizeof *g->mean);
    if (!status) status = jem__alloc(&x, g->image, sizeof *x);
    if (!status) status = collect(g, data, n, x);
    jem__free(x);
    if (status) {
        jem__gaussians_destroy(g);
        return status;
    }
    for (int64_t c = 0; c < classes; c++) center(g, c);
    *out = g;
    return JEM_OK;
}

void jem__start(const jem__gaussians *g, int32_t y, uint64_t seed, uint64_t stream, uint64_t index,
                int64_t image, float *x)
{
    jem__random r;
    jem__random_at(&r, seed, JEM__RANDOM_START, stream, index, 0);
    if (!g) {
        jem__random_fill_uniform(&r, -1, 1, x, image);
        return;
    }
    if (y < 0) y = (int32_t)jem__random_below(&r, (uint32_t)g->classes);
    float scale = 1 / sqrtf((float)g->count[y]);
    jem__random_at(&r, seed, JEM__RANDOM_START, stream, index, 1);
    jem__random_fill_normal(&r, x, image);
    for (int64_t j = 0; j < image; j++) x[j] = g->mean[y * image + j] + 0.01f * x[j];
    for (int64_t i = 0; i < g->count[y]; i++) {
        const float *at = g->images[y] + i * image;
        float z = jem__random_normal(&r) * scale;
        for (int64_t j = 0; j < image; j++) x[j] += z * at[j];
    }
    for (int64_t j = 0; j < image; j++) x[j] = x[j] > 1 ? 1 : x[j] < -1 ? -1 : x[j];
}
