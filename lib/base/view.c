#define _GNU_SOURCE
#include "base/view.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/status.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct jem__view {
    int fd;
    char *path;
    int64_t size;
    uint8_t *mapped; /* or NULL */
};

static jem_status refused(const char *path, const char *what)
{
    char text[128];
    return jem__fail(JEM_ERROR_IO, "%s: %s: %s", path, what, strerror_r(errno, text, sizeof text));
}

static jem_status open_file(jem__view *v, const char *path, int32_t map)
{
    v->path = jem__strdup(path);
    if (!v->path) return JEM_ERROR_MEMORY;
    JEM__TRY(jem__file_open(&v->fd, &v->size, path));
    if (!map || v->size == 0) return JEM_OK;
    void *at = mmap(NULL, (size_t)v->size, PROT_READ, MAP_SHARED, v->fd, 0);
    if (at == MAP_FAILED) return refused(path, "cannot map");
    v->mapped = at;
    return JEM_OK;
}

jem_status jem__view_open(jem__view **view, const char *path, int32_t map)
{
    jem__view *v;
    *view = NULL;
    JEM__TRY(jem__calloc(&v, 1, sizeof *v));
    v->fd = -1;
    jem_status status = open_file(v, path, map);
    if (status)
        jem__view_close(v);
    else
        *view = v;
    return status;
}

void jem__view_close(jem__view *v)
{
    if (!v) return;
    if (v->mapped) munmap(v->mapped, (size_t)v->size);
    if (v->fd >= 0) close(v->fd);
    jem__free(v->path);
    jem__free(v);
}

int64_t jem__view_size(const jem__view *v)
{
    return v->size;
}

const char *jem__view_path(const jem__view *v)
{
    return v->path;
}

jem_status jem__view_read(const jem__view *v, void *bytes, int64_t size, int64_t at)
{
    if (at < 0 || size < 0 || size > v->size || at > v->size - size)
        return jem__fail(JEM_ERROR_FORMAT,
                         "%s: %" PRId64 " bytes at %" PRId64 ", the file has %" PRId64, v->path,
                         size, at, v->size);
    if (v->mapped) {
        memcpy(bytes, v->mapped + at, (size_t)size);
        return JEM_OK;
    }
    for (int64_t done = 0; done < size;) {
        ssize_t n = pread(v->fd, (uint8_t *)bytes + done, (size_t)(size - done), at + done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return refused(v->path, "cannot read");
        if (n == 0)
            return jem__fail(JEM_ERROR_IO, "%s: shrank from %" PRId64 " bytes to %" PRId64, v->path,
                             v->size, at + done);
        done += n;
    }
    return JEM_OK;
}
