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

/* The bytes that a safetensors header asks for behind it: up to the last of its tensors' ends. */
size_t fuzz_data_size(const uint8_t *header, size_t size);

/* One context for all inputs, with one thread. */
jem_context *fuzz_context(void);

/* Opens "KIND:WHERE", reads all there is, lets go; packed files are packed again first. */
void fuzz_dataset(const char *kind, const char *where, const char *settings);

#endif
