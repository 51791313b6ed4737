/* MNIST's format. Two bytes: the length of the file of labels, which follows; then images. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size < 2) return 0;
    size_t labels = bytes[0] | (size_t)bytes[1] << 8;
    if (labels > size - 2) labels = size - 2;
    fuzz_put("t10k-labels-idx1-ubyte", bytes + 2, labels);
    fuzz_put("t10k-images-idx3-ubyte", bytes + 2 + labels, size - 2 - labels);
    fuzz_dataset("idx", fuzz_folder(), "dataset.split=test");
    return 0;
}
