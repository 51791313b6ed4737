/* CIFAR-10 (first byte even) and CIFAR-100, there with a file of names of that length. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size < 1) return 0;
    size_t names = bytes[0] / 2;
    bytes++;
    size--;
    if (bytes[-1] % 2 == 0) {
        fuzz_put("test_batch.bin", bytes, size);
        fuzz_dataset("cifar", fuzz_folder(), "dataset.split=test");
        return 0;
    }
    if (names > size) names = size;
    fuzz_put("fine_label_names.txt", bytes, names);
    fuzz_put("test.bin", bytes + names, size - names);
    fuzz_dataset("cifar100", fuzz_folder(), "dataset.split=test");
    return 0;
}
