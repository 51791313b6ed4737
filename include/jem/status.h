/* jem/status.h: status codes, error text, version. */
#ifndef JEM_STATUS_H
#define JEM_STATUS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef JEM_API
#if defined(__GNUC__)
#define JEM_API __attribute__((visibility("default")))
#else
#define JEM_API
#endif
#endif

/* What a call returns: 0 is success, negative is failure, positive is success
   with a remark. Values are pinned and never reused. */
typedef int32_t jem_status;

enum {
    JEM_OK = 0,
    /* Stopped by a callback or a cancel call; state is that of the last complete step. */
    JEM_CANCELLED = 1,
    JEM_END = 2, /* nothing is left to do (all iterations done, loader without repeat exhausted) */
    JEM_ROLLED_BACK = 3,         /* training diverged and went back to its last good state; go on */
    JEM_ERROR_ARGUMENT = -1,     /* NULL, a bad count, a value out of range */
    JEM_ERROR_SHAPE = -2,        /* a shape or capacity that does not fit */
    JEM_ERROR_CONFIG = -3,       /* an unknown key or a value outside its range */
    JEM_ERROR_MEMORY = -4,       /* out of memory */
    JEM_ERROR_IO = -5,           /* the operating system refused: open, read, write, disk full */
    JEM_ERROR_FORMAT = -6,       /* a file is not what it claims to be */
    JEM_ERROR_STATE = -7,        /* the call does not fit the object's state */
    JEM_ERROR_BACKEND = -8,      /* oneDNN failed */
    JEM_ERROR_DIVERGED = -9,     /* non-finite or exploding values; nothing was learned from them */
    JEM_ERROR_UNSUPPORTED = -10, /* valid, but not available in this build or on this machine */
    JEM_ERROR_FORK = -11 /* the handle was made before a fork: its threads are the parent's */
};

/* The reason of the last failure on the calling thread, one line of UTF-8; empty if
   nothing failed yet. At most capacity bytes are written to buffer, always terminated;
   returns the length of the whole text without its terminator. buffer may be NULL: only
   the length is returned. Any thread. */
JEM_API int64_t jem_last_error(char *buffer, int64_t capacity);

/* The name of a status ("JEM_ERROR_SHAPE"), a static string; "unknown status"
   for any other value. Any thread. */
JEM_API const char *jem_status_name(jem_status status);

/* The release, "0.1.0": a static string. Any thread. */
JEM_API const char *jem_version(void);

/* The ABI of these headers. */
enum { JEM_ABI_VERSION = 1 };

/* The ABI of the library, the soname's number: JEM_ABI_VERSION, or headers and library do
   not belong together, which a program that loads the library by itself must check. Any
   thread. */
JEM_API int32_t jem_abi_version(void);

/* One line: release, oneDNN at build and at run time, instruction set.
   Same contract as jem_last_error. Any thread. */
JEM_API int64_t jem_build_info(char *buffer, int64_t capacity);

#ifdef __cplusplus
}
#endif
#endif
