/* SVHN's MATLAB files. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    fuzz_put("test_32x32.mat", bytes, size);
    fuzz_dataset("svhn", fuzz_folder(), "dataset.split=test");
    if (size % 4 == 0) fuzz_dataset("svhn", fuzz_folder(), "dataset.split=test dataset.limit=1");
    return 0;
}
