/* Singular values. The own way is Hestenes' one-sided Jacobi method: rows are
   rotated in pairs until all are at right angles; their lengths are then the
   singular values, the small ones as exact as the large ones. LAPACK's way
   (meson setup -Dlapack=enabled) is several times faster for wide features. */
#include "eval/singular.h"
#include "base/memory.h"
#include "base/status.h"
#include <inttypes.h>
#include <math.h>
#ifdef JEM__LAPACK
#include <lapacke.h>
#endif

/* Eight sums side by side: the order that vectors add in. */
double jem__dot(const double *a, const double *b, int64_t n)
{
    double s[8] = {0}, rest = 0;
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int j = 0; j < 8; j++) s[j] += a[i + j] * b[i + j];
    for (; i < n; i++) rest += a[i] * b[i];
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7])) + rest;
}

static void rotate(double *a, double *b, int64_t n, double c, double s)
{
    for (int64_t i = 0; i < n; i++) {
        double x = a[i], y = b[i];
        a[i] = c * x - s * y;
        b[i] = s * x + c * y;
    }
}

/* Turns every pair of rows once; the number of those that were not at right angles. */
static int64_t sweep(double *m, int64_t rows, int64_t columns, double *square)
{
    int64_t turned = 0;
    for (int64_t p = 0; p < rows; p++)
        square[p] = jem__dot(m + p * columns, m + p * columns, columns);
    for (int64_t p = 0; p < rows - 1; p++)
        for (int64_t q = p + 1; q < rows; q++) {
            double *a = m + p * columns, *b = m + q * columns, dot = jem__dot(a, b, columns);
            if (!(fabs(dot) > 1e-15 * sqrt(square[p]) * sqrt(square[q]))) continue;
            double zeta = (square[q] - square[p]) / (2 * dot);
            double t = (zeta < 0 ? -1 : 1) / (fabs(zeta) + sqrt(1 + zeta * zeta));
            double c = 1 / sqrt(1 + t * t);
            rotate(a, b, columns, c, c * t);
            square[p] -= t * dot;
            square[q] += t * dot;
            square[p] = square[p] > 0 ? square[p] : 0;
            turned++;
        }
    return turned;
}

jem_status jem__singular_sum_jacobi(double *m, int64_t rows, int64_t columns, double *sum)
{
    double *square = NULL;
    JEM__TRY(jem__alloc(&square, rows, sizeof *square));
    for (int i = 0; i < 60 && sweep(m, rows, columns, square); i++)
        ;
    *sum = 0;
    for (int64_t p = 0; p < rows; p++)
        *sum += sqrt(jem__dot(m + p * columns, m + p * columns, columns));
    jem__free(square);
    return JEM_OK;
}

#ifdef JEM__LAPACK
/* Row-major rows x columns is column-major columns x rows, of the same values. */
jem_status jem__singular_sum(double *m, int64_t rows, int64_t columns, double *sum)
{
    lapack_int p = (lapack_int)columns, q = (lapack_int)rows, least = p < q ? p : q, info;
    double *values = NULL, *work = NULL, size, none[1];
    lapack_int *whole = NULL;
    *sum = 0;
    if (least == 0) return JEM_OK;
    info = LAPACKE_dgesdd_work(LAPACK_COL_MAJOR, 'N', p, q, m, p, none, none, 1, none, 1, &size, -1,
                               (lapack_int[8]){0});
    if (info)
        return jem__fail(JEM_ERROR_BACKEND, "LAPACK dgesdd %" PRId64 "x%" PRId64 ": status %d",
                         columns, rows, (int)info);
    jem_status status = jem__alloc(&values, least, sizeof *values);
    if (!status) status = jem__alloc(&work, (int64_t)size, sizeof *work);
    if (!status) status = jem__alloc(&whole, 8 * (int64_t)least, sizeof *whole);
    if (!status) {
        info = LAPACKE_dgesdd_work(LAPACK_COL_MAJOR, 'N', p, q, m, p, values, none, 1, none, 1,
                                   work, (lapack_int)size, whole);
        for (lapack_int i = 0; !info && i < least; i++) *sum += values[i];
        if (info)
            status =
                jem__fail(JEM_ERROR_BACKEND, "LAPACK dgesdd %" PRId64 "x%" PRId64 ": status %d",
                          columns, rows, (int)info);
    }
    jem__free(values);
    jem__free(work);
    jem__free(whole);
    return status;
}
#else
jem_status jem__singular_sum(double *m, int64_t rows, int64_t columns, double *sum)
{
    return jem__singular_sum_jacobi(m, rows, columns, sum);
}
#endif
