/* Means and members of the classes of a data set. */
#include "sample/survey.h"
#include "base/memory.h"
#include "base/status.h"
#include <inttypes.h>
#include <string.h>

void jem__survey_clear(jem__survey *v)
{
    jem__free(v->labels);
    jem__free(v->members);
    jem__free(v->begin);
    jem__free(v->mean);
    *v = (jem__survey){0};
}

static jem_status sort_by_class(jem__survey *v, const char *function)
{
    for (int64_t i = 0; i < v->n; i++) {
        if (v->labels[i] < 0 || v->labels[i] >= v->classes)
            return jem__fail(JEM_ERROR_SHAPE,
                             "%s: image %" PRId64 " has label %d, expected 0..%" PRId64, function,
                             i, v->labels[i], v->classes - 1);
        v->begin[v->labels[i] + 1]++;
    }
    for (int64_t k = 0; k < v->classes; k++) {
        if (v->begin[k + 1] == 0)
            return jem__fail(JEM_ERROR_STATE, "%s: class %" PRId64 " has no images", function, k);
        v->begin[k + 1] += v->begin[k];
    }
    for (int64_t i = 0; i < v->n; i++) v->members[v->begin[v->labels[i]]++] = i;
    for (int64_t k = v->classes; k > 0; k--) v->begin[k] = v->begin[k - 1];
    v->begin[0] = 0;
    return JEM_OK;
}

static jem_status means(jem__survey *v, jem_dataset *data, float *x, double *sum)
{
    for (int64_t i = 0; i < v->n; i++) {
        double *of_class = sum + v->labels[i] * v->image;
        JEM__TRY(jem_dataset_read(data, i, 1, x, INT64_MAX, NULL));
        for (int64_t j = 0; j < v->image; j++) of_class[j] += (double)x[j];
    }
    for (int64_t k = 0; k < v->classes; k++) {
        double n = (double)(v->begin[k + 1] - v->begin[k]);
        for (int64_t j = 0; j < v->image; j++)
            v->mean[k * v->image + j] = (float)(sum[k * v->image + j] / n);
    }
    return JEM_OK;
}

jem_status jem__survey_of(jem__survey *v, const char *function, jem_dataset *data, int64_t image,
                          int64_t classes)
{
    float *x = NULL;
    double *sum = NULL;
    *v = (jem__survey){.image = image, .classes = classes};
    JEM__TRY(jem_dataset_info(data, &v->n, NULL, NULL, NULL, NULL));
    JEM__TRY(jem__alloc(&v->labels, v->n, sizeof *v->labels));
    JEM__TRY(jem__alloc(&v->members, v->n, sizeof *v->members));
    JEM__TRY(jem__calloc(&v->begin, classes + 1, sizeof *v->begin));
    JEM__TRY(jem__alloc(&v->mean, classes, image * (int64_t)sizeof *v->mean));
    JEM__TRY(jem_dataset_read(data, 0, v->n, NULL, 0, v->labels));
    JEM__TRY(sort_by_class(v, function));
    jem_status status = jem__alloc(&x, image, sizeof *x);
    if (!status) status = jem__calloc(&sum, classes, image * (int64_t)sizeof *sum);
    if (!status) status = means(v, data, x, sum);
    jem__free(x);
    jem__free(sum);
    return status;
}
