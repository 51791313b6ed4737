/* Calls of the library, each with what it needs, for test_memory.c. */
#ifndef JEM_TESTS_FAULTS_MEMORY_CASES_H
#define JEM_TESTS_FAULTS_MEMORY_CASES_H

#include "faults/inject.h"
#include "train/tiny.h"

typedef struct world {
    tiny t; /* without a trainer */
    float x[6 * IMAGE], out[6 * IMAGE], logits[6 * K];
    int32_t y[6];
} world;

typedef struct case_of {
    const char *name;
    jem_status (*run)(world *w);
} case_of;

extern const case_of cases[];
extern const int64_t case_count;

extern inject_kind kind;
extern int64_t nth; /* call of that kind that fails; 0: none */

world world_of(void);
void world_end(world *w);
/* A path in the folder of the files that cases read and write. */
const char *in_folder(const char *name);
void put_files(void);

#endif
