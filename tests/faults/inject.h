/* Faults at a chosen call of the operating system, of the allocator or of oneDNN.

   The linker's --wrap leads the calls of libjem (and of the test) here; libraries
   below libjem keep their own. Nothing in the product knows of it. */
#ifndef JEM_TESTS_FAULTS_INJECT_H
#define JEM_TESTS_FAULTS_INJECT_H

#include <stdint.h>

typedef enum inject_kind {
    INJECT_OPEN,
    INJECT_READ,
    INJECT_WRITE,
    INJECT_FSYNC,
    INJECT_RENAME,
    INJECT_LINK,
    INJECT_UNLINK,
    INJECT_OPENDIR,
    INJECT_READDIR,
    INJECT_STAT, /* of a path or of an open file */
    INJECT_ACCESS,
    INJECT_SEEK,
    INJECT_LOCK,
    INJECT_MAP,
    INJECT_ALLOC,
    INJECT_THREAD,
    INJECT_DNN,
    INJECT_KINDS
} inject_kind;

/* Instead of an errno: */
enum {
    INJECT_SHORT = 10001, /* a read or write does half of what was asked */
    INJECT_KILL = 10002,  /* half of the write, or the call itself, then SIGKILL */
    INJECT_END = 10003    /* a read finds the end of the file */
};

extern const char *const inject_names[INJECT_KINDS];

/* Call number nth (from 1) of a kind goes wrong, and all after it if sticky. Other
   kinds are disarmed. */
void inject_arm(inject_kind kind, int64_t nth, int error, int sticky);
void inject_disarm(void);
int64_t inject_fired(void);  /* faults since it was armed */
int64_t inject_blocks(void); /* allocated by libjem and not freed */

/* Non-zero: clocks jump to and fro by hours. Reads so far, jumping or not. */
void inject_clock(int jumps);
int64_t inject_clock_reads(void);

#endif
