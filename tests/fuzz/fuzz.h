/* What the fuzz targets share. A target is one file with one function,

     int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

   linked with libFuzzer (meson option fuzz, clang), or with driver.c, which replays seeds and
   damages them: then it is a test like any other. */
#ifndef JEM_TESTS_FUZZ_H
#define JEM_TESTS_FUZZ_H

#include <jem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* A property that must hold whatever the input is. */
#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* Failures that a hostile file may cause. */
static inline int fuzz_fair(jem_status status)
{
    return status == JEM_OK || status == JEM_ERROR_FORMAT || status == JEM_ERROR_SHAPE ||
           status == JEM_ERROR_CONFIG || status == JEM_ERROR_UNSUPPORTED;
}

/* Inputs that were found good. */
extern int64_t fuzz_accepted;

/* A path in a scratch folder of this process, in memory where there is such a place, and that
   folder. Two static buffers in turn. */
const char *fuzz_path(const char *name);
const char *fuzz_folder(void);
void fuzz_put(const char *name, const void *bytes, size_t size);

/* A safetensors file of an input, in `file` with room for `most` bytes; returns its size, 0 if it
   does not fit. The input is the header; the tensors' bytes are zeros, unless the header is ended
   by a zero byte and patches follow: three bytes for the place, one for the count less one, and so
   many bytes to put there. */
size_t fuzz_file(uint8_t *file, size_t most, const uint8_t *bytes, size_t size);
/* The same, with the checksum made right, written to that name of the scratch folder; 0 if it is no
   safetensors file. */
int fuzz_put_sealed(const char *name, const uint8_t *bytes, size_t size);

/* One context for all inputs, with one thread. */
jem_context *fuzz_context(void);

/* Opens "KIND:WHERE", reads all there is, lets go; packed files are packed again first. */
void fuzz_dataset(const char *kind, const char *where, const char *settings);

#endif
