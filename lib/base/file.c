#define _GNU_SOURCE
#include "base/file.h"
#include "base/memory.h"
#include "base/status.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

static const char *reason(void)
{
    static _Thread_local char text[128];
    return strerror_r(errno, text, sizeof text);
}

int32_t jem__file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

/* ---- Reading ---- */

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
    bytes[size] = 0;
    return JEM_OK;
}

jem_status jem__file_open(int *fd, int64_t *size, const char *path)
{
    struct stat info;
    /* Non-blocking, so that a pipe is refused and not waited for. */
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0) return jem__fail(JEM_ERROR_IO, "%s: cannot open: %s", path, reason());
    if (fstat(*fd, &info) == 0 && S_ISREG(info.st_mode)) {
        *size = info.st_size;
        return JEM_OK;
    }
    close(*fd);
    *fd = -1;
    return jem__fail(JEM_ERROR_IO, "%s: is not a regular file", path);
}

static jem_status read_plain(uint8_t **bytes, int64_t *size, const char *path, int64_t limit)
{
    int fd;
    JEM__TRY(jem__file_open(&fd, size, path));
    jem_status status = JEM_OK;
    if (*size > limit)
        status = jem__fail(JEM_ERROR_FORMAT, "%s: has %" PRId64 " bytes, expected at most %" PRId64,
                           path, *size, limit);
    if (!status) status = jem__alloc(bytes, *size + 1, 1);
    if (!status) status = read_all(fd, *bytes, *size, path);
    close(fd);
    return status;
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

/* zlib takes its memory where libjem takes it. */
static voidpf inflate_alloc(voidpf user, uInt count, uInt size)
{
    void *block;
    (void)user;
    return jem__alloc(&block, count, size) ? Z_NULL : block;
}

static void inflate_free(voidpf user, voidpf block)
{
    (void)user;
    jem__free(block);
}

static jem_status inflate_into(z_stream *z, uint8_t **bytes, int64_t *size, const char *path,
                               int64_t limit)
{
    int64_t room = 1 << 16 < limit ? 1 << 16 : limit + 2;
    int end = Z_OK;
    *size = 0;
    JEM__TRY(jem__alloc(bytes, room, 1));
    while (end == Z_OK) {
        if (*size == room - 1) JEM__TRY(grow(bytes, &room, limit));
        int64_t left = room - 1 - *size;
        z->next_out = *bytes + *size;
        z->avail_out = left < 1 << 30 ? (uInt)left : 1u << 30;
        uInt before = z->avail_out;
        end = inflate(z, Z_NO_FLUSH);
        *size += before - z->avail_out;
        if (*size > limit)
            return jem__fail(JEM_ERROR_FORMAT, "%s: inflates to more than %" PRId64 " bytes", path,
                             limit);
    }
    if (end == Z_MEM_ERROR) return jem__fail(JEM_ERROR_MEMORY, "%s: out of memory", path);
    if (end != Z_STREAM_END)
        return jem__fail(JEM_ERROR_FORMAT, "%s: gzip data is truncated or damaged: %s", path,
                         z->msg ? z->msg : "unexpected end");
    (*bytes)[*size] = 0;
    return JEM_OK;
}

jem_status jem__file_read(uint8_t **bytes, int64_t *size, const char *path, int64_t limit,
                          int32_t gzip)
{
    *bytes = NULL;
    *size = 0;
    jem_status status = read_plain(bytes, size, path, limit);
    if (!status && gzip && *size >= 2 && (*bytes)[0] == 0x1f && (*bytes)[1] == 0x8b) {
        uint8_t *packed = *bytes;
        z_stream z = {.next_in = packed,
                      .avail_in = (uInt)*size,
                      .zalloc = inflate_alloc,
                      .zfree = inflate_free};
        *bytes = NULL;
        if (*size > UINT32_MAX)
            status = jem__fail(JEM_ERROR_FORMAT, "%s: gzip file larger than 4 GiB", path);
        else if (inflateInit2(&z, 15 + 16) != Z_OK)
            status = jem__fail(JEM_ERROR_MEMORY, "%s: out of memory", path);
        else {
            status = inflate_into(&z, bytes, size, path, limit);
            inflateEnd(&z);
        }
        jem__free(packed);
    }
    if (status) {
        jem__free(*bytes);
        *bytes = NULL;
        *size = 0;
    }
    return status;
}
