/* Model files: the input is the header; the tensors' bytes behind it are zeros. */
#include "fuzz.h"
#include <math.h>

enum { HEADER = 1 << 16, DATA = 400000 };

static void use(jem_model *model)
{
    int64_t c, h, w, classes, size;
    MUST(jem_model_info(model, &c, &h, &w, &classes, NULL) == JEM_OK);
    MUST(jem_model_save_memory(model, NULL, 0, &size) == JEM_OK && size > 0);
    if (c * h * w > 3 * 64 * 64) return;
    float *x = calloc((size_t)(c * h * w), sizeof *x), *logits = calloc((size_t)classes, sizeof *x);
    MUST(x && logits);
    MUST(jem_model_logits(model, x, 1, logits, classes) == JEM_OK);
    for (int64_t i = 0; i < classes; i++) MUST(isfinite(logits[i]));
    free(x);
    free(logits);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static uint8_t file[8 + HEADER + DATA];
    jem_model *model;
    size_t data = fuzz_data_size(bytes, size);
    if (size > HEADER || data > DATA) return 0;
    for (int i = 0; i < 8; i++) file[i] = (uint8_t)((uint64_t)size >> 8 * i);
    memcpy(file + 8, bytes, size);
    memset(file + 8 + size, 0, data);
    jem_status status =
        jem_model_load_memory(&model, fuzz_context(), file, (int64_t)(8 + size + data));
    MUST(fuzz_fair(status) && !model == (status != JEM_OK));
    fuzz_accepted += model != NULL;
    if (model) use(model);
    jem_model_destroy(model);
    return 0;
}
