/* What handles share between threads: reference counts, and flags to cancel. */
#ifndef JEM__BASE_OBJECT_H
#define JEM__BASE_OBJECT_H

#include <stdatomic.h>
#include <stdint.h>

/* Set from any thread and from signal handlers. */
typedef _Atomic int32_t jem__flag;
_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "a signal handler needs it without a lock");

typedef struct jem__count {
    atomic_int_fast64_t n;
} jem__count;

static inline void jem__count_init(jem__count *c)
{
    atomic_init(&c->n, 1);
}
static inline void jem__count_take(jem__count *c)
{
    atomic_fetch_add(&c->n, 1);
}
/* 1 when the last reference is gone. */
static inline int jem__count_drop(jem__count *c)
{
    return atomic_fetch_sub(&c->n, 1) == 1;
}

#endif
