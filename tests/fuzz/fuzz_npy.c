/* .npy arrays: what is read is written back as the same values. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const int64_t sizes[] = {0, 1, 4, 4, 8, 8};
    jem_array *array, *again;
    jem_type type, other;
    int64_t n, m, shape[8], same[8], total;
    const void *data, *copy;
    fuzz_put("a.npy", bytes, size);
    jem_status status = jem_array_load(&array, fuzz_path("a.npy"));
    MUST(fuzz_fair(status) && !array == (status != JEM_OK));
    if (!array) return 0;
    fuzz_accepted++;
    MUST(jem_array_info(array, &type, &n, shape, &data) == JEM_OK);
    MUST(type >= JEM_TYPE_U8 && type <= JEM_TYPE_F64 && n >= 0 && n <= 8);
    total = sizes[type];
    for (int64_t i = 0; i < n; i++) total *= shape[i];
    MUST(total >= 0 && total <= (int64_t)size);
    if (size % 8 == 0) { /* saving flushes to disk: not for every input */
        MUST(jem_array_save(fuzz_path("b.npy"), data, type, n, shape) == JEM_OK);
        MUST(jem_array_load(&again, fuzz_path("b.npy")) == JEM_OK);
        MUST(jem_array_info(again, &other, &m, same, &copy) == JEM_OK);
        MUST(type == other && n == m && memcmp(shape, same, (size_t)n * sizeof *shape) == 0);
        MUST(memcmp(data, copy, (size_t)total) == 0);
        jem_array_destroy(again);
    }
    jem_array_destroy(array);
    return 0;
}
