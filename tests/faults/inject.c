#define _GNU_SOURCE
#include "faults/inject.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <oneapi/dnnl/dnnl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

const char *const inject_names[INJECT_KINDS] = {
    "open", "read",   "write", "fsync", "rename", "link",  "unlink", "opendir", "readdir",
    "stat", "access", "seek",  "lock",  "map",    "alloc", "thread", "oneDNN"};

static atomic_int armed, error_now, sticky_now;
static atomic_llong left, fired, blocks;

void inject_arm(inject_kind kind, int64_t nth, int error, int sticky)
{
    atomic_store(&left, nth);
    atomic_store(&fired, 0);
    atomic_store(&error_now, error);
    atomic_store(&sticky_now, sticky);
    atomic_store(&armed, (int)kind + 1);
}

void inject_disarm(void)
{
    atomic_store(&armed, 0);
}

int64_t inject_fired(void)
{
    return atomic_load(&fired);
}

int64_t inject_blocks(void)
{
    return atomic_load(&blocks);
}

/* What is to happen to this call; 0: nothing. */
static int due(inject_kind kind)
{
    if (atomic_load(&armed) != (int)kind + 1) return 0;
    long long n = atomic_fetch_sub(&left, 1);
    if (n > 1 || (n < 1 && !atomic_load(&sticky_now))) return 0;
    atomic_fetch_add(&fired, 1);
    return atomic_load(&error_now);
}

static void kill_here(void)
{
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

/* For calls that either happen or do not: what they return when they fail, with errno. */
#define FAIL_WITH(failure, kind)                                                                   \
    do {                                                                                           \
        int error_ = due(kind);                                                                    \
        if (error_ == INJECT_KILL) kill_here();                                                    \
        if (error_ && error_ < INJECT_SHORT) {                                                     \
            errno = error_;                                                                        \
            return failure;                                                                        \
        }                                                                                          \
    } while (0)
#define FAIL_IF_DUE(kind) FAIL_WITH(-1, kind)

#define REAL(type, name, ...)                                                                      \
    type __real_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__)

/* ---- Files ---- */

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    FAIL_IF_DUE(INJECT_OPEN);
    return __real_open64(path, flags, mode);
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    FAIL_IF_DUE(INJECT_OPEN);
    return __real_open(path, flags, mode);
}

/* How many bytes of `size` a read shall ask for; -1: it fails. */
static ssize_t readable(size_t size)
{
    int error = due(INJECT_READ);
    if (error == INJECT_END) return 0;
    if (error == INJECT_KILL) kill_here();
    if (error && error < INJECT_SHORT) {
        errno = error;
        return -1;
    }
    return (ssize_t)(error == INJECT_SHORT && size > 1 ? size / 2 : size);
}

REAL(ssize_t, read, int fd, void *bytes, size_t size)
{
    ssize_t n = readable(size);
    return n < 0 ? n : __real_read(fd, bytes, (size_t)n);
}

#define PREAD(name)                                                                                \
    REAL(ssize_t, name, int fd, void *bytes, size_t size, off_t at)                                \
    {                                                                                              \
        ssize_t n = readable(size);                                                                \
        return n < 0 ? n : __real_##name(fd, bytes, (size_t)n, at);                                \
    }
PREAD(pread)
PREAD(pread64)

REAL(ssize_t, write, int fd, const void *bytes, size_t size)
{
    int error = due(INJECT_WRITE);
    if (error && error < INJECT_SHORT) {
        errno = error;
        return -1;
    }
    ssize_t n = __real_write(fd, bytes, error && size > 1 ? size / 2 : size);
    if (error == INJECT_KILL) kill_here();
    return n;
}

REAL(int, fsync, int fd)
{
    FAIL_IF_DUE(INJECT_FSYNC);
    return __real_fsync(fd);
}

REAL(int, rename, const char *from, const char *to)
{
    FAIL_IF_DUE(INJECT_RENAME);
    return __real_rename(from, to);
}

REAL(int, link, const char *from, const char *to)
{
    FAIL_IF_DUE(INJECT_LINK);
    return __real_link(from, to);
}

REAL(int, unlink, const char *path)
{
    FAIL_IF_DUE(INJECT_UNLINK);
    return __real_unlink(path);
}

REAL(DIR *, opendir, const char *path)
{
    FAIL_WITH(NULL, INJECT_OPENDIR);
    return __real_opendir(path);
}

REAL(DIR *, fdopendir, int fd)
{
    FAIL_WITH(NULL, INJECT_OPENDIR);
    return __real_fdopendir(fd);
}

/* The names that calls have with offsets of 64 bits stand beside the plain ones. */
#define READDIR(name)                                                                              \
    REAL(struct dirent *, name, DIR *folder)                                                       \
    {                                                                                              \
        FAIL_WITH(NULL, INJECT_READDIR);                                                           \
        return __real_##name(folder);                                                              \
    }
READDIR(readdir)
READDIR(readdir64)

#define STAT(name, from)                                                                           \
    REAL(int, name, from what, struct stat *info)                                                  \
    {                                                                                              \
        FAIL_IF_DUE(INJECT_STAT);                                                                  \
        return __real_##name(what, info);                                                          \
    }
STAT(stat, const char *)
STAT(stat64, const char *)
STAT(fstat, int)
STAT(fstat64, int)

REAL(int, access, const char *path, int mode)
{
    FAIL_IF_DUE(INJECT_ACCESS);
    return __real_access(path, mode);
}

#define SEEK(name)                                                                                 \
    REAL(off_t, name, int fd, off_t at, int from)                                                  \
    {                                                                                              \
        FAIL_IF_DUE(INJECT_SEEK);                                                                  \
        return __real_##name(fd, at, from);                                                        \
    }
SEEK(lseek)
SEEK(lseek64)

REAL(int, flock, int fd, int what)
{
    FAIL_IF_DUE(INJECT_LOCK);
    return __real_flock(fd, what);
}

#define MAP(name)                                                                                  \
    REAL(void *, name, void *at, size_t size, int protection, int flags, int fd, off_t from)       \
    {                                                                                              \
        FAIL_WITH(MAP_FAILED, INJECT_MAP);                                                         \
        return __real_##name(at, size, protection, flags, fd, from);                               \
    }
MAP(mmap)
MAP(mmap64)

/* ---- Memory and threads ---- */

/* The blocks that libjem holds. free is also that of Check, where it is linked
   statically, so blocks must be known by their address. */
enum { SLOTS = 1 << 20 };
static void *held[SLOTS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void **slot_of(const void *block)
{
    size_t at = (uintptr_t)block / 64 * 2654435761u % SLOTS;
    while (held[at] && held[at] != block) at = (at + 1) % SLOTS;
    return &held[at];
}

static void hold(void *block)
{
    pthread_mutex_lock(&lock);
    *slot_of(block) = block;
    blocks++;
    pthread_mutex_unlock(&lock);
}

/* Those behind it move up, so that no search ends early. */
static void let_go(const void *block)
{
    pthread_mutex_lock(&lock);
    void **slot = slot_of(block);
    if (*slot) {
        *slot = NULL;
        blocks--;
        for (size_t at = (size_t)(slot - held + 1) % SLOTS; held[at]; at = (at + 1) % SLOTS) {
            void *moved = held[at];
            held[at] = NULL;
            *slot_of(moved) = moved;
        }
    }
    pthread_mutex_unlock(&lock);
}

REAL(int, posix_memalign, void **block, size_t alignment, size_t size)
{
    if (due(INJECT_ALLOC)) return ENOMEM;
    int status = __real_posix_memalign(block, alignment, size);
    if (status == 0) hold(*block);
    return status;
}

REAL(void, free, void *block)
{
    if (block) let_go(block);
    __real_free(block);
}

REAL(int, pthread_create, pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
     void *user)
{
    if (due(INJECT_THREAD)) return EAGAIN;
    return __real_pthread_create(thread, attributes, run, user);
}

/* ---- The clock ---- */

static atomic_int clock_jumps;
static atomic_llong clock_reads;

void inject_clock(int jumps)
{
    atomic_store(&clock_jumps, jumps);
}

int64_t inject_clock_reads(void)
{
    return atomic_load(&clock_reads);
}

/* An hour on, an hour back, and all of them at the same time. */
REAL(int, clock_gettime, clockid_t clock, struct timespec *t)
{
    int status = __real_clock_gettime(clock, t);
    long long n = atomic_fetch_add(&clock_reads, 1);
    if (status == 0 && atomic_load(&clock_jumps)) t->tv_sec += (n % 3 - 1) * 3600;
    return status;
}

/* ---- oneDNN ---- */

REAL(dnnl_status_t, dnnl_primitive_create, dnnl_primitive_t *primitive,
     const_dnnl_primitive_desc_t descriptor)
{
    if (due(INJECT_DNN)) return dnnl_out_of_memory;
    return __real_dnnl_primitive_create(primitive, descriptor);
}

REAL(dnnl_status_t, dnnl_primitive_execute, const_dnnl_primitive_t primitive, dnnl_stream_t stream,
     int n, const dnnl_exec_arg_t *arguments)
{
    if (due(INJECT_DNN)) return dnnl_out_of_memory;
    return __real_dnnl_primitive_execute(primitive, stream, n, arguments);
}

REAL(dnnl_status_t, dnnl_stream_create, dnnl_stream_t *stream, dnnl_engine_t engine, unsigned flags)
{
    if (due(INJECT_DNN)) return dnnl_out_of_memory;
    return __real_dnnl_stream_create(stream, engine, flags);
}

REAL(dnnl_status_t, dnnl_engine_create, dnnl_engine_t *engine, dnnl_engine_kind_t kind,
     size_t index)
{
    if (due(INJECT_DNN)) return dnnl_out_of_memory;
    return __real_dnnl_engine_create(engine, kind, index);
}
