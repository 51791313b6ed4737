/* A subset with as many images of each class: the labels of semi-supervised runs. */
#include "base/memory.h"
#include "base/status.h"
#include "data/dataset.h"
#include <inttypes.h>

enum { BALANCED_STREAM = 1 }; /* jem_dataset_split has 0 */

static const char function[] = "jem_dataset_balanced";

/* The first per_class images of each class in a random order. */
static jem_status choose(const jem_dataset *data, int64_t per_class, uint64_t seed, int32_t *order,
                         int64_t *found, int32_t *labels, int64_t *indices)
{
    int64_t classes = data->store->classes, count = 0;
    jem__random random;
    JEM__TRY(jem_dataset_read(data, 0, data->n, NULL, 0, labels));
    jem__random_at(&random, seed, JEM__RANDOM_SPLIT, BALANCED_STREAM, 0, 0);
    jem__shuffle(&random, order, data->n);
    for (int64_t i = 0; i < data->n; i++) {
        int32_t y = labels[order[i]];
        if (found[y]++ < per_class) indices[count++] = order[i];
    }
    for (int64_t k = 0; k < classes; k++)
        if (found[k] < per_class)
            return jem__fail(JEM_ERROR_ARGUMENT,
                             "%s: class %" PRId64 " has %" PRId64 " images, per_class is %" PRId64,
                             function, k, found[k], per_class);
    return JEM_OK;
}

jem_status jem_dataset_balanced(jem_dataset **subset, jem_dataset *dataset, int64_t per_class,
                                uint64_t seed)
{
    int32_t *order = NULL, *labels = NULL;
    int64_t *found = NULL, *indices = NULL;
    JEM__REQUIRE(subset, function);
    *subset = NULL;
    JEM__REQUIRE(dataset, function);
    JEM__ENTER(dataset->context, function);
    int64_t classes = dataset->store->classes;
    if (per_class < 1 || per_class > dataset->n)
        return jem__fail(JEM_ERROR_ARGUMENT,
                         "%s: per_class is %" PRId64 ", expected 1..%" PRId64
                         ", the images of the dataset",
                         function, per_class, dataset->n);
    jem_status status = jem__alloc(&order, dataset->n, sizeof *order);
    if (!status) status = jem__calloc(&found, classes, sizeof *found);
    if (!status) status = jem__alloc(&indices, dataset->n, sizeof *indices);
    if (!status) status = jem__alloc(&labels, dataset->n, sizeof *labels);
    if (!status) status = choose(dataset, per_class, seed, order, found, labels, indices);
    if (!status) status = jem_dataset_subset(subset, dataset, indices, per_class * classes);
    jem__free(order);
    jem__free(labels);
    jem__free(found);
    jem__free(indices);
    return status;
}
