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

/* Both end with NULLs. */
extern const case_of scoring_cases[], training_cases[];

extern inject_kind kind;
extern int64_t nth;       /* call of that kind that fails; 0: none */
extern char failure[512]; /* text of the case's failed call; empty: it did not fail */

world world_of(void);
void world_end(world *w);
/* A path in the folder of the files that cases read and write. */
const char *in_folder(const char *name);
void put_files(void);

/* ---- Writing cases ---- */

static inline void begin(void)
{
    *failure = 0;
    if (nth) inject_arm(kind, nth, 1, 0);
}

/* Keeps the text of a failure, which a later call may replace. */
static inline int failed(int64_t status)
{
    if (status < 0) jem_last_error(failure, sizeof failure);
    return status < 0;
}

/* The call that a case is about. */
#define TRIED_ONCE(status, expression)                                                             \
    do {                                                                                           \
        begin();                                                                                   \
        status = (expression);                                                                     \
        inject_disarm();                                                                           \
        failed(status);                                                                            \
    } while (0)

/* When it failed, it is made again on the same handles, and must succeed. */
#define TRIED(status, expression)                                                                  \
    do {                                                                                           \
        TRIED_ONCE(status, expression);                                                            \
        if (status < 0) OK(expression);                                                            \
    } while (0)

/* A call that makes an object: all or nothing; it is there in the end. */
#define MADE(status, object, expression)                                                           \
    do {                                                                                           \
        TRIED_ONCE(status, expression);                                                            \
        ck_assert(!status == !!(object));                                                          \
        if (status < 0) OK(expression);                                                            \
    } while (0)

/* The name of a case is that of the call. */
#define CASE(name) static jem_status case_##name(world *w)
#define CALLS(name, expression)                                                                    \
    CASE(name)                                                                                     \
    {                                                                                              \
        jem_status status;                                                                         \
        (void)w;                                                                                   \
        TRIED(status, expression);                                                                 \
        return status;                                                                             \
    }
#define MAKES(name, type, object, expression)                                                      \
    CASE(name)                                                                                     \
    {                                                                                              \
        type *object;                                                                              \
        jem_status status;                                                                         \
        (void)w;                                                                                   \
        MADE(status, object, expression);                                                          \
        type##_destroy(object);                                                                    \
        return status;                                                                             \
    }

#define NAMED(name)                                                                                \
    {                                                                                              \
#name, case_##name                                                                         \
    }

#endif
