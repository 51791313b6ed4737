/* What a fork does to a library with threads: the child has none of them, and locks that
   another thread held stay locked. */
#ifndef JEM__BASE_FORK_H
#define JEM__BASE_FORK_H

#include <jem/status.h>

/* Watches for forks from now on. */
jem_status jem__fork_watch(void);
/* How many forks lie between the process that started to watch and this one. */
int64_t jem__forks(void);
/* A fork waits while these are held: around the use of process-wide locks that are not
   ours (oneDNN's cache of primitives). Not around callbacks. */
void jem__fork_hold(void);
void jem__fork_release(void);

#endif
