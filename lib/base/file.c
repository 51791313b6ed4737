#define _GNU_SOURCE
#include "base/file.h"
#include "base/gzip.h"
#include "base/memory.h"
#include "base/status.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *reason(void)
{
    static _Thread_local char text[128];
    return strerror_r(errno, text, sizeof text);
}

jem_status jem__file_exists(int32_t *exists, const char *path)
{
    *exists = access(path, F_OK) == 0;
    if (*exists || errno == ENOENT || errno == ENOTDIR) return JEM_OK;
    return jem__fail(JEM_ERROR_IO, "%s: cannot look for it: %s", path, reason());
}

static jem_status read_all(int fd, uint8_t *bytes, int64_t size, const char *path)
{
    for (int64_t at = 0; at < size;) {
        ssize_t n = read(fd, bytes + at, (size_t)(size - at));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return jem__fail(JEM_ERROR_IO, "%s: cannot read: %s", path, reason());
        if (n == 0)
            return jem__fail(JEM_ERROR_IO, "%s: shrank while being read, at byte %" PRId64, path,
                             at);
        at += n;
    }
    return JEM_OK;
}

int jem__open(const char *path, int flags, uint32_t mode)
{
    int fd;
    do fd = open(path, flags, (mode_t)mode);
    while (fd < 0 && errno == EINTR);
    return fd;
}

jem_status jem__file_open(int *fd, int64_t *size, const char *path)
{
    struct stat info;
    /* Non-blocking, so that a pipe is refused and not waited for. */
    *fd = jem__open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
    if (*fd < 0) return jem__fail(JEM_ERROR_IO, "%s: cannot open: %s", path, reason());
    jem_status status = JEM_OK;
    if (fstat(*fd, &info))
        status = jem__fail(JEM_ERROR_IO, "%s: cannot look at it: %s", path, reason());
    else if (!S_ISREG(info.st_mode))
        status = jem__fail(JEM_ERROR_IO, "%s: is not a regular file", path);
    else
        *size = info.st_size;
    if (!status) return JEM_OK;
    close(*fd);
    *fd = -1;
    return status;
}

/* *file is NULL where the file does not begin with gzip's magic. */
static jem_status open_packed(jem__gzip **file, int fd, int64_t size, const char *path)
{
    uint8_t magic[2];
    *file = NULL;
    if (size < 2) return JEM_OK;
    JEM__TRY(read_all(fd, magic, 2, path));
    if (lseek(fd, 0, SEEK_SET) != 0)
        return jem__fail(JEM_ERROR_IO, "%s: cannot go back: %s", path, reason());
    if (magic[0] != 0x1f || magic[1] != 0x8b) return JEM_OK;
    return jem__gzip_open(file, fd, size, path);
}

static jem_status read_plain(int fd, uint8_t **bytes, int64_t *size, const char *path,
                             int64_t limit)
{
    if (*size > limit)
        return jem__fail(JEM_ERROR_FORMAT, "%s: has %" PRId64 " bytes, expected at most %" PRId64,
                         path, *size, limit);
    JEM__TRY(jem__alloc(bytes, *size + 1, 1));
    (*bytes)[*size] = 0;
    return read_all(fd, *bytes, *size, path);
}

/* Doubles *bytes, but not past limit + 1. */
static jem_status grow(uint8_t **bytes, int64_t *room, int64_t limit)
{
    uint8_t *fresh;
    int64_t more = *room < limit / 2 ? *room * 2 : limit + 2;
    JEM__TRY(jem__alloc(&fresh, more, 1));
    memcpy(fresh, *bytes, (size_t)*room);
    jem__free(*bytes);
    *bytes = fresh;
    *room = more;
    return JEM_OK;
}

static jem_status read_packed(jem__gzip *p, const char *path, uint8_t **bytes, int64_t *size,
                              int64_t limit)
{
    int64_t room = 1 << 16 < limit ? 1 << 16 : limit + 2;
    *size = 0;
    JEM__TRY(jem__alloc(bytes, room, 1));
    while (!jem__gzip_ended(p)) {
        int64_t got;
        if (*size == room - 1) JEM__TRY(grow(bytes, &room, limit));
        JEM__TRY(jem__gzip_read(p, *bytes + *size, room - 1 - *size, &got));
        *size += got;
        if (*size > limit)
            return jem__fail(JEM_ERROR_FORMAT, "%s: inflates to more than %" PRId64 " bytes", path,
                             limit);
    }
    (*bytes)[*size] = 0;
    return JEM_OK;
}

jem_status jem__file_read(uint8_t **bytes, int64_t *size, const char *path, int64_t limit,
                          int32_t gzip)
{
    int fd;
    jem__gzip *p = NULL;
    *bytes = NULL;
    *size = 0;
    JEM__TRY(jem__file_open(&fd, size, path));
    jem_status status = gzip ? open_packed(&p, fd, *size, path) : JEM_OK;
    if (!status)
        status =
            p ? read_packed(p, path, bytes, size, limit) : read_plain(fd, bytes, size, path, limit);
    jem__gzip_close(p);
    close(fd);
    if (status) {
        jem__free(*bytes);
        *bytes = NULL;
        *size = 0;
    }
    return status;
}

jem_status jem__file_head(uint8_t *head, int64_t *count, const char *path)
{
    int fd;
    int64_t size, room = *count;
    jem__gzip *p = NULL;
    *count = 0;
    JEM__TRY(jem__file_open(&fd, &size, path));
    jem_status status = open_packed(&p, fd, size, path);
    if (!status && p)
        status = jem__gzip_read(p, head, room, count);
    else if (!status) {
        *count = size < room ? size : room;
        status = read_all(fd, head, *count, path);
    }
    jem__gzip_close(p);
    close(fd);
    return status;
}
