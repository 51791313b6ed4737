/* safetensors: what is read can be written, and reads back as the same. */
#include "format/safetensors.h"
#include "fuzz.h"

static void convert(const jem__tensor_info *t)
{
    MUST(t->elements >= 0 && t->size >= 0 && t->bytes);
    float *x = malloc((size_t)t->elements * sizeof *x + 1);
    MUST(x != NULL);
    MUST(fuzz_fair(jem__safetensors_to_f32(t, x)));
    free(x);
}

static void write_and_read(const jem__safetensors *set)
{
    jem__safetensors *again;
    int64_t size, count = jem__safetensors_count(set);
    MUST(jem__safetensors_save_memory(set, NULL, 0, &size) == JEM_OK);
    uint8_t *bytes = malloc((size_t)size);
    MUST(bytes != NULL);
    MUST(jem__safetensors_save_memory(set, bytes, size, &size) == JEM_OK);
    MUST(jem__safetensors_load_memory(&again, bytes, size, "again") == JEM_OK);
    MUST(jem__safetensors_count(again) == count);
    MUST(jem__safetensors_metadata_count(again) == jem__safetensors_metadata_count(set));
    for (int64_t i = 0; i < count; i++) {
        const jem__tensor_info *a = jem__safetensors_get(set, i);
        const jem__tensor_info *b = jem__safetensors_find(again, a->name);
        MUST(b && b->size == a->size && memcmp(a->bytes, b->bytes, (size_t)a->size) == 0);
    }
    jem__safetensors_destroy(again);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    jem__safetensors *set;
    jem_status status = jem__safetensors_load_memory(&set, bytes, (int64_t)size, "fuzz");
    MUST(fuzz_fair(status) && !set == (status != JEM_OK));
    if (!set) return 0;
    fuzz_accepted++;
    for (int64_t i = 0; i < jem__safetensors_count(set); i++) convert(jem__safetensors_get(set, i));
    write_and_read(set);
    MUST(jem__safetensors_seal(set) == JEM_OK);
    MUST(jem__safetensors_verify(set, "fuzz") == JEM_OK);
    jem__safetensors_destroy(set);
    return 0;
}
