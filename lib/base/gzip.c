#define _GNU_SOURCE
#include "base/gzip.h"
#include "base/memory.h"
#include "base/status.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

struct jem__gzip {
    int fd;
    int64_t left; /* to read */
    const char *path;
    z_stream z;
    int32_t ended; /* the last byte is out */
    uint8_t in[1 << 15];
};

static jem_status unreadable(const char *path)
{
    char text[128];
    return jem__fail(JEM_ERROR_IO, "%s: cannot read: %s", path,
                     strerror_r(errno, text, sizeof text));
}

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

void jem__inflate_memory(struct z_stream_s *z)
{
    z->zalloc = inflate_alloc;
    z->zfree = inflate_free;
}

jem_status jem__gzip_open(jem__gzip **file, int fd, int64_t size, const char *path)
{
    jem__gzip *p;
    *file = NULL;
    JEM__TRY(jem__calloc(&p, 1, sizeof *p));
    p->fd = fd;
    p->left = size;
    p->path = path;
    jem__inflate_memory(&p->z);
    if (inflateInit2(&p->z, 15 + 16) != Z_OK) {
        jem__free(p);
        return jem__fail(JEM_ERROR_MEMORY, "%s: out of memory", path);
    }
    *file = p;
    return JEM_OK;
}

void jem__gzip_close(jem__gzip *p)
{
    if (!p) return;
    inflateEnd(&p->z);
    jem__free(p);
}

static jem_status refill(jem__gzip *p)
{
    ssize_t n;
    do n = read(p->fd, p->in, sizeof p->in);
    while (n < 0 && errno == EINTR);
    if (n < 0) return unreadable(p->path);
    if (n == 0 && p->left > 0)
        return jem__fail(JEM_ERROR_IO, "%s: shrank while being read", p->path);
    p->left -= n;
    p->z.next_in = p->in;
    p->z.avail_in = (uInt)n;
    return JEM_OK;
}

jem_status jem__gzip_read(jem__gzip *p, uint8_t *bytes, int64_t room, int64_t *got)
{
    for (*got = 0; *got < room && !p->ended;) {
        if (!p->z.avail_in) JEM__TRY(refill(p));
        int64_t left = room - *got;
        uInt ask = left < 1 << 30 ? (uInt)left : 1u << 30;
        p->z.next_out = bytes + *got;
        p->z.avail_out = ask;
        int code = inflate(&p->z, Z_NO_FLUSH);
        *got += ask - p->z.avail_out;
        if (code == Z_STREAM_END) {
            /* Another member may follow (RFC 1952, 2.2). */
            if (!p->z.avail_in && p->left > 0) JEM__TRY(refill(p));
            p->ended = p->z.avail_in == 0;
            if (!p->ended && inflateReset(&p->z) == Z_OK) continue;
        }
        if (code == Z_MEM_ERROR) return jem__fail(JEM_ERROR_MEMORY, "%s: out of memory", p->path);
        if (code != Z_OK && code != Z_STREAM_END)
            return jem__fail(JEM_ERROR_FORMAT, "%s: gzip data is truncated or damaged: %s", p->path,
                             p->z.msg ? p->z.msg : "unexpected end");
    }
    return JEM_OK;
}

int32_t jem__gzip_ended(const jem__gzip *p)
{
    return p->ended;
}
