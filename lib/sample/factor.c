/* Fits low-rank class Gaussians and draws from them. */
#include "sample/factor.h"
#include "base/context.h"
#include "base/memory.h"
#include "base/status.h"
#include "base/threads.h"
#include "data/dataset.h"
#include "sample/start.h"
#include "sample/survey.h"
#include "tensor/kernels.h"
#include <math.h>
#include <string.h>

/* More directions than asked for make the power iteration converge in few sweeps
   (Halko, Martinsson and Tropp 2011, section 4.5). */
enum { SWEEPS = 4, SPARE = 8 };
enum { BLOCK = 8 }; /* images at a time, so that a direction stays in the cache */

/* ---- One class ---- */

typedef struct fit {
    jem__factor *out;
    jem_dataset *data;
    const jem__survey *survey;
    uint64_t seed;
} fit;

/* What a class works with: directions q and their images under the covariance. */
typedef struct desk {
    int64_t p;                       /* rows of q and cq */
    float *q, *cq, *x;               /* [p,image], [p,image], [BLOCK,image] */
    double *variance, *small, *axes; /* [image], [p,p], [p,p] */
} desk;

static jem_status desk_make(desk *d, int64_t p, int64_t image)
{
    int64_t row = image * (int64_t)sizeof(float);
    d->p = p;
    JEM__TRY(jem__alloc(&d->q, p, row));
    JEM__TRY(jem__alloc(&d->cq, p, row));
    JEM__TRY(jem__alloc(&d->x, BLOCK, row));
    JEM__TRY(jem__calloc(&d->variance, image, sizeof *d->variance));
    JEM__TRY(jem__calloc(&d->small, p * p, sizeof *d->small));
    return jem__calloc(&d->axes, p * p, sizeof *d->axes);
}

static void desk_clear(desk *d)
{
    jem__free(d->q);
    jem__free(d->cq);
    jem__free(d->x);
    jem__free(d->variance);
    jem__free(d->small);
    jem__free(d->axes);
}

/* Orthonormal rows, by Gram-Schmidt, twice because once loses digits; rows that depend
   on those before become zero. */
static void orthonormalise(float *rows, int64_t p, int64_t n)
{
    const jem__kernels *k = jem__kernels_here();
    for (int64_t i = 0; i < p; i++) {
        float *row = rows + i * n;
        double before = sqrt(k->sum_squares(row, n));
        for (int pass = 0; pass < 2; pass++)
            for (int64_t j = 0; j < i; j++)
                k->axpy(-k->dot(rows + j * n, row, n), rows + j * n, row, n);
        double norm = sqrt(k->sum_squares(row, n));
        float scale = norm > 1e-5 * before && norm > 0 ? (float)(1 / norm) : 0;
        for (int64_t j = 0; j < n; j++) row[j] *= scale;
    }
}

/* cq = cov q, in one reading of the class; the first one also sums the variances. */
static jem_status sweep(const fit *f, int64_t c, desk *d, int32_t first)
{
    const jem__kernels *k = jem__kernels_here();
    const jem__survey *v = f->survey;
    int64_t n = v->begin[c + 1] - v->begin[c], image = v->image;
    float share = (float)(1 / (double)n);
    memset(d->cq, 0, (size_t)(d->p * image) * sizeof *d->cq);
    for (int64_t i = 0; i < n; i += BLOCK) {
        int64_t count = n - i < BLOCK ? n - i : BLOCK;
        for (int64_t b = 0; b < count; b++) {
            float *x = d->x + b * image;
            JEM__TRY(
                jem_dataset_read(f->data, v->members[v->begin[c] + i + b], 1, x, INT64_MAX, NULL));
            k->axpy(-1, v->mean + c * image, x, image);
            for (int64_t j = 0; first && j < image; j++)
                d->variance[j] += (double)x[j] * (double)x[j] / (double)n;
        }
        for (int64_t r = 0; r < d->p; r++)
            for (int64_t b = 0; b < count; b++) {
                const float *x = d->x + b * image;
                k->axpy(share * k->dot(d->q + r * image, x, image), x, d->cq + r * image, image);
            }
    }
    return JEM_OK;
}

/* Eigenvectors of the symmetric a [p,p] as columns of v, eigenvalues on a's diagonal
   (cyclic Jacobi; Golub and Van Loan, section 8.5). */
static void diagonalise(double *a, double *v, int64_t p)
{
    for (int64_t i = 0; i < p * p; i++) v[i] = i % (p + 1) == 0;
    for (int turn = 0; turn < 30; turn++) {
        double off = 0, on = 0;
        for (int64_t i = 0; i < p * p; i++) *(i % (p + 1) ? &off : &on) += a[i] * a[i];
        if (off <= 1e-24 * on) return;
        for (int64_t i = 0; i < p; i++)
            for (int64_t j = i + 1; j < p; j++) {
                if (a[i * p + j] == 0) continue;
                double t = (a[j * p + j] - a[i * p + i]) / (2 * a[i * p + j]);
                t = (t < 0 ? -1 : 1) / (fabs(t) + sqrt(t * t + 1));
                double cosine = 1 / sqrt(t * t + 1), sine = t * cosine;
                for (int64_t k = 0; k < p; k++) {
                    double x = a[k * p + i], y = a[k * p + j];
                    a[k * p + i] = cosine * x - sine * y;
                    a[k * p + j] = sine * x + cosine * y;
                }
                for (int64_t k = 0; k < p; k++) {
                    double x = a[i * p + k], y = a[j * p + k];
                    a[i * p + k] = cosine * x - sine * y;
                    a[j * p + k] = sine * x + cosine * y;
                    x = v[k * p + i], y = v[k * p + j];
                    v[k * p + i] = cosine * x - sine * y;
                    v[k * p + j] = sine * x + cosine * y;
                }
            }
    }
}

/* The column of the largest remaining eigenvalue, which is taken out; -1: none is positive. */
static int64_t take_largest(double *a, int64_t p, double *value)
{
    int64_t best = -1;
    *value = 0;
    for (int64_t i = 0; i < p; i++)
        if (a[i * (p + 1)] > *value) *value = a[(best = i) * (p + 1)];
    if (best >= 0) a[best * (p + 1)] = 0;
    return best;
}

/* Principal directions inside the span of q, scaled; rounded as the file will hold them,
   so that rest makes up for the rounding too. */
static void write_factor(const fit *f, int64_t c, desk *d)
{
    const jem__kernels *k = jem__kernels_here();
    const jem__activations *bf16 = jem__activations_here(JEM__BF16);
    int64_t image = f->survey->image, p = d->p;
    for (int64_t i = 0; i < p; i++)
        for (int64_t j = 0; j <= i; j++)
            d->small[i * p + j] = d->small[j * p + i] =
                (double)k->dot(d->q + i * image, d->cq + j * image, image);
    diagonalise(d->small, d->axes, p);
    for (int64_t r = 0; r < f->out->rank; r++) {
        float *row = f->out->factor + (c * f->out->rank + r) * image;
        double value;
        int64_t column = take_largest(d->small, p, &value);
        memset(row, 0, (size_t)image * sizeof *row);
        for (int64_t i = 0; column >= 0 && i < p; i++)
            k->axpy((float)(sqrt(value) * d->axes[i * p + column]), d->q + i * image, row, image);
        bf16->narrow(row, (jem__real *)d->x, image);
        bf16->widen((const jem__real *)d->x, row, image);
        for (int64_t j = 0; j < image; j++) d->variance[j] -= (double)row[j] * (double)row[j];
    }
    for (int64_t j = 0; j < image; j++)
        f->out->rest[c * image + j] = (float)sqrt(d->variance[j] > 0 ? d->variance[j] : 0);
}

static jem_status fit_class(void *user, int64_t c, int64_t worker)
{
    const fit *f = user;
    desk d = {0};
    int64_t image = f->survey->image, p = f->out->rank + SPARE;
    jem__random random;
    (void)worker;
    jem_status status = desk_make(&d, p < image ? p : image, image);
    if (!status) {
        jem__random_at(&random, f->seed, JEM__RANDOM_START, 0, (uint64_t)c, JEM__START_FACTOR);
        jem__kernels_here()->fill_normal(&random, d.q, d.p * image);
    }
    for (int i = 0; !status && i < SWEEPS; i++) {
        if (i) memcpy(d.q, d.cq, (size_t)(d.p * image) * sizeof *d.q);
        orthonormalise(d.q, d.p, image);
        status = sweep(f, c, &d, i == 0);
    }
    if (!status) write_factor(f, c, &d);
    desk_clear(&d);
    return status;
}

/* ---- All classes ---- */

/* The host's own images come on the calling thread. */
static jem_status fit_classes(jem_context *context, fit *f)
{
    jem_status status = JEM_OK;
    if (!jem__dataset_is_host(f->data))
        return jem__pool_run(context->pool, f->out->classes, fit_class, f);
    for (int64_t c = 0; !status && c < f->out->classes; c++) status = fit_class(f, c, 0);
    return status;
}

jem_status jem__factor_fit(jem__factor *factor, const char *function, jem_context *context,
                           jem_dataset *data, int64_t image, int64_t classes, int64_t rank,
                           uint64_t seed)
{
    jem__survey survey;
    fit f = {factor, data, &survey, seed};
    int64_t row = image * (int64_t)sizeof(float);
    *factor = (jem__factor){.classes = classes, .rank = rank, .image = image};
    jem_status status = jem__survey_of(&survey, function, data, image, classes);
    if (!status) status = jem__alloc(&factor->factor, classes * rank, row);
    if (!status) status = jem__alloc(&factor->rest, classes, row);
    if (!status) status = fit_classes(context, &f);
    if (status) {
        jem__factor_clear(factor);
    } else {
        factor->mean = survey.mean;
        survey.mean = NULL;
    }
    jem__survey_clear(&survey);
    return status;
}

void jem__factor_clear(jem__factor *factor)
{
    jem__free(factor->mean);
    jem__free(factor->factor);
    jem__free(factor->rest);
    *factor = (jem__factor){0};
}

double jem__factor_explained(const jem__factor *f)
{
    const jem__kernels *k = jem__kernels_here();
    double in = k->sum_squares(f->factor, f->classes * f->rank * f->image);
    double out = k->sum_squares(f->rest, f->classes * f->image);
    return in + out > 0 ? in / (in + out) : 1;
}

void jem__factor_draw(const jem__factor *f, jem__random *random, int32_t y, float *x, float *room)
{
    const jem__kernels *k = jem__kernels_here();
    const float *mean = f->mean + y * f->image, *rest = f->rest + y * f->image;
    const float *factor = f->factor + y * f->rank * f->image;
    const float ridge = JEM__START_RIDGE;
    memcpy(x, mean, (size_t)f->image * sizeof *x);
    for (int64_t r = 0; r < f->rank; r++) {
        float z;
        k->fill_normal(random, &z, 1);
        k->axpy(z, factor + r * f->image, x, f->image);
    }
    k->fill_normal(random, room, f->image);
    for (int64_t i = 0; i < f->image; i++) {
        float v = x[i] + sqrtf(rest[i] * rest[i] + ridge * ridge) * room[i];
        v = v > 1 ? 1 : v;
        x[i] = v < -1 ? -1 : v;
    }
}
