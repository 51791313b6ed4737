/* Singular values, by LAPACK where the build has it, else by reflections. */
#ifndef JEM__EVAL_SINGULAR_H
#define JEM__EVAL_SINGULAR_H

#include <jem/status.h>

double jem__dot(const double *a, const double *b, int64_t n);
/* The sum of the singular values of m [rows,columns], which is used up. */
jem_status jem__singular_sum(double *m, int64_t rows, int64_t columns, double *sum);
/* The same without LAPACK. */
jem_status jem__singular_sum_own(double *m, int64_t rows, int64_t columns, double *sum);

#endif
