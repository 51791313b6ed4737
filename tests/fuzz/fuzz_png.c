/* A PNG folder of one image. The first byte says whether checksums are made right (else few inputs
   would come further than them), and which settings it is opened with. */
#include "fuzz.h"
#include <zlib.h>

enum { MOST = 1 << 16 };

static uint32_t big_endian(const uint8_t *b)
{
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static void repair(uint8_t *png, size_t size)
{
    for (size_t at = 8; at + 12 <= size;) {
        size_t length = big_endian(png + at);
        if (length > size - at - 12) return;
        uint32_t sum = (uint32_t)crc32(0, png + at + 4, (uInt)(length + 4));
        at += 8 + length;
        for (int i = 0; i < 4; i++) png[at + (size_t)i] = (uint8_t)(sum >> (24 - 8 * i));
        at += 4;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static uint8_t png[MOST];
    static const char *const settings[] = {"", "dataset.resize=9",
                                           "dataset.memory=0 dataset.channels=1",
                                           "dataset.resize=40 dataset.channels=3"};
    if (size < 1 || size > MOST) return 0;
    memcpy(png, bytes + 1, size - 1);
    if (bytes[0] & 1) repair(png, size - 1);
    mkdir(fuzz_path("class"), 0777);
    fuzz_put("class/a.png", png, size - 1);
    fuzz_dataset("png", fuzz_folder(), settings[bytes[0] >> 1 & 3]);
    return 0;
}
