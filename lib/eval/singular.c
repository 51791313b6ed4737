/* Singular values. The own way: Householder reflections leave a bidiagonal matrix;
   its singular values, and their negatives, are the eigenvalues of the symmetric
   tridiagonal matrix with zeros on the diagonal and those numbers beside it
   (Golub and Kahan 1965), which implicit QL steps find. Or LAPACK's way (meson
   setup -Dlapack=enabled), whose bits and threads are its own. */
#include "eval/singular.h"
#include "base/memory.h"
#include "base/status.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>
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

static void add(double *to, double by, const double *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) to[i] += by * x[i];
}

/* Makes x [n] the vector v of a reflection I - beta v v' that leaves of it only
   its first element, *left. Returns beta. */
static double reflection(double *x, int64_t n, double *left)
{
    double length = sqrt(jem__dot(x, x, n));
    *left = x[0] > 0 ? -length : length;
    x[0] -= *left;
    double square = jem__dot(x, x, n);
    return square > 0 ? 2 / square : 0;
}

/* Clears column k below the diagonal, then row k beyond the element next to it;
   what stays goes to *diagonal and *beside. v [rows] and w [columns] are room. */
static void reduce(double *m, int64_t rows, int64_t columns, int64_t k, double *v, double *w,
                   double *diagonal, double *beside)
{
    int64_t below = rows - k, right = columns - k - 1;
    double *row = m + k * columns + k;
    for (int64_t i = 0; i < below; i++) v[i] = row[i * columns];
    double beta = reflection(v, below, diagonal);
    *beside = 0;
    if (right == 0) return;
    memset(w, 0, (size_t)right * sizeof *w);
    for (int64_t i = 0; i < below; i++) add(w, beta * v[i], row + i * columns + 1, right);
    for (int64_t i = 0; i < below; i++) add(row + i * columns + 1, -v[i], w, right);
    memcpy(w, row + 1, (size_t)right * sizeof *w);
    beta = reflection(w, right, beside);
    for (int64_t i = 1; i < below; i++) {
        double *at = row + i * columns + 1;
        add(at, -beta * jem__dot(at, w, right), w, right);
    }
}

/* One implicit QL step on the unreduced block first..last: chases the bulge that a
   shift by an eigenvalue of its first corner makes up from the end. */
static void ql_step(double *a, double *b, int64_t first, int64_t last)
{
    double half = (a[first + 1] - a[first]) / (2 * b[first]), root = sqrt(half * half + 1);
    double shift = a[first] - b[first] / (half + (half < 0 ? -root : root));
    double g = a[last] - shift, s = 1, c = 1, p = 0;
    for (int64_t i = last - 1; i >= first; i--) {
        double f = s * b[i], h = c * b[i], r = sqrt(f * f + g * g);
        b[i + 1] = r;
        if (r == 0) { /* the block falls apart here */
            a[i + 1] -= p;
            b[last] = 0;
            return;
        }
        s = f / r;
        c = g / r;
        g = a[i + 1] - p;
        r = (a[i] - g) * s + 2 * c * h;
        p = s * r;
        a[i + 1] = g + p;
        g = c * r - h;
    }
    a[first] -= p;
    b[first] = g;
    b[last] = 0;
}

/* Eigenvalues of the symmetric tridiagonal matrix with diagonal a [n], and b [n-1]
   beside it (b has room for n), into a. 0 if it does not converge. */
static int32_t eigenvalues(double *a, double *b, int64_t n)
{
    double largest = 0;
    b[n - 1] = 0;
    for (int64_t i = 0; i < n; i++) largest = fmax(largest, fmax(fabs(a[i]), fabs(b[i])));
    for (int64_t first = 0; first < n; first++)
        for (int steps = 0;; steps++) {
            int64_t last = first;
            while (last < n - 1 && fabs(b[last]) > 1e-16 * largest) last++;
            if (last == first) break;
            if (steps == 100) return 0;
            ql_step(a, b, first, last);
        }
    return 1;
}

/* rows >= columns > 0; room for 2 rows + 6 columns numbers. */
static jem_status sum_of(double *m, int64_t rows, int64_t columns, double *room, double *sum)
{
    double *v = room, *w = v + rows, *a = w + columns, *b = a + 2 * columns;
    memset(a, 0, (size_t)(2 * columns) * sizeof *a);
    for (int64_t k = 0; k < columns; k++)
        reduce(m, rows, columns, k, v, w, &b[2 * k], &b[2 * k + 1]);
    if (!eigenvalues(a, b, 2 * columns))
        return jem__fail(JEM_ERROR_BACKEND,
                         "singular values of %" PRId64 "x%" PRId64 " numbers do not converge", rows,
                         columns);
    *sum = 0;
    for (int64_t i = 0; i < 2 * columns; i++) *sum += fabs(a[i]) / 2;
    return JEM_OK;
}

jem_status jem__singular_sum_own(double *m, int64_t rows, int64_t columns, double *sum)
{
    double *room = NULL, *turned = NULL;
    int64_t more = rows > columns ? rows : columns, less = rows > columns ? columns : rows;
    *sum = 0;
    if (less == 0) return JEM_OK;
    JEM__TRY(jem__alloc(&room, 2 * more + 6 * less, sizeof *room));
    jem_status status =
        rows < columns ? jem__alloc(&turned, rows, columns * (int64_t)sizeof *turned) : JEM_OK;
    if (!status && turned)
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < columns; j++) turned[j * rows + i] = m[i * columns + j];
    if (!status) status = sum_of(turned ? turned : m, more, less, room, sum);
    jem__free(room);
    jem__free(turned);
    return status;
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
    return jem__singular_sum_own(m, rows, columns, sum);
}
#endif
