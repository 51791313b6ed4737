/* Packed files. An odd first byte: their checksums are made right first. */
#include "data/packed.h"
#include "format/safetensors.h"
#include "fuzz.h"

enum { MOST = 1 << 16 };

static const jem__tensor_info *tensor(const jem__safetensors *set, const char *name, int64_t least)
{
    const jem__tensor_info *t = jem__safetensors_find(set, name);
    return t && t->size >= least ? t : NULL;
}

static void put_sum(uint8_t *at, uint32_t sum)
{
    memcpy(at, &sum, sizeof sum);
}

static void repair(uint8_t *file, size_t size)
{
    jem__safetensors *set;
    uint64_t header = 0;
    if (jem__safetensors_load_memory(&set, file, (int64_t)size, "fuzz")) return;
    const jem__tensor_info *images = tensor(set, "images", 1), *labels = tensor(set, "labels", 4);
    const jem__tensor_info *sums = tensor(set, "checksums", 4), *seal = tensor(set, "seal", 8);
    memcpy(&header, file, sizeof header);
    uint8_t *data = file + 8 + header;
    if (images && labels && sums && seal) {
        int64_t n = sums->size / 4, each = images->size / n;
        for (int64_t i = 0; i < n; i++)
            put_sum(data + sums->at + 4 * i,
                    jem__packed_sum(0, data + images->at + i * each, each));
        put_sum(data + seal->at, jem__packed_sum(0, file, (int64_t)(8 + header)));
        uint32_t tables = jem__packed_sum(0, data + labels->at, labels->size);
        put_sum(data + seal->at + 4, jem__packed_sum(tables, data + sums->at, sums->size));
    }
    jem__safetensors_destroy(set);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static uint8_t file[MOST];
    if (size < 1 || size > MOST) return 0;
    memcpy(file, bytes + 1, size - 1);
    if (bytes[0] & 1) repair(file, size - 1);
    fuzz_put("a.jem", file, size - 1);
    fuzz_dataset("packed", fuzz_path("a.jem"), bytes[0] & 2 ? "dataset.map=1" : "");
    return 0;
}
