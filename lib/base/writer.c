/* Atomic writing: at any moment path is a whole file, the old one or the new. */
#define _GNU_SOURCE
#include "base/file.h"
#include "base/memory.h"
#include "base/status.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct jem__writer {
    int fd;
    int64_t keep, room; /* files kept; bytes of `temporary` and `older` */
    char *path, *temporary, *older;
};

static jem_status refused(const char *path, const char *act)
{
    char text[128];
    return jem__fail(errno == ENOMEM ? JEM_ERROR_MEMORY : JEM_ERROR_IO, "%s: cannot %s: %s", path,
                     act, strerror_r(errno, text, sizeof text));
}

static int sync_file(int fd)
{
    int result;
    do result = fsync(fd);
    while (result && errno == EINTR);
    return result;
}

/* ---- Temporary files ---- */

/* Linux has no process beyond 4194304. */
enum { PROCESS_DIGITS = 7, ATTEMPT_DIGITS = 3, ATTEMPTS = 1000 };

/* Opens the folder of path; name gets the rest of path. -1 on failure. */
static int open_folder(const char *path, const char **name)
{
    const char *slash = strrchr(path, '/');
    *name = slash ? slash + 1 : path;
    if (!slash) return jem__open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    char *folder = jem__strdup(path);
    if (!folder) {
        errno = ENOMEM;
        return -1;
    }
    folder[slash == path ? 1 : slash - path] = 0;
    int fd = jem__open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    jem__free(folder);
    return fd;
}

/* Digits of a number as printf writes it, at most so many; 0: of none. */
static size_t digits(const char *text, size_t most)
{
    size_t n = strspn(text, "0123456789");
    return n > most || (n > 1 && *text == '0') ? 0 : n;
}

/* Only what make_temporary makes: name.tmp.20240101 is somebody's own. */
static int32_t is_temporary(const char *entry, const char *name)
{
    size_t n = strlen(name), number;
    if (strncmp(entry, name, n) != 0 || strncmp(entry + n, ".tmp.", 5) != 0) return 0;
    entry += n + 5;
    number = digits(entry, PROCESS_DIGITS);
    if (!number || entry[number] != '.') return 0;
    entry += number + 1;
    number = digits(entry, ATTEMPT_DIGITS);
    return number && !entry[number];
}

/* A file that can be locked has lost its writer; or it has its name by now, and this one is
   another's. */
static void remove_if_left(int folder, const char *entry)
{
    struct stat locked, named;
    int fd = openat(folder, entry, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) return;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &locked) == 0 &&
        fstatat(folder, entry, &named, AT_SYMLINK_NOFOLLOW) == 0 && locked.st_dev == named.st_dev &&
        locked.st_ino == named.st_ino)
        unlinkat(folder, entry, 0);
    close(fd);
}

/* What cannot be listed or locked stays: it is in nobody's way. */
static void remove_left(const char *path)
{
    const char *name;
    int fd = open_folder(path, &name);
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    if (!folder) {
        if (fd >= 0) close(fd);
        return;
    }
    for (struct dirent *e; (e = readdir(folder));)
        if (is_temporary(e->d_name, name)) remove_if_left(fd, e->d_name);
    closedir(folder);
}

/* Makes and locks a temporary file of a name that nobody has. */
static jem_status make_temporary(jem__writer *w, mode_t mode)
{
    for (int i = 0; i < ATTEMPTS; i++) {
        struct stat info;
        snprintf(w->temporary, (size_t)w->room, "%s.tmp.%ld.%d", w->path, (long)getpid(), i);
        w->fd = jem__open(w->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        if (w->fd < 0 && errno == EEXIST) continue;
        if (w->fd < 0) break;
        while (flock(w->fd, LOCK_EX) && errno == EINTR) {
        }
        /* Between the two calls it may have been taken for one that was left. */
        if (fstat(w->fd, &info) || info.st_nlink > 0) return JEM_OK;
        close(w->fd);
        w->fd = -1;
    }
    jem_status status = refused(w->path, "create");
    jem__free(w->temporary);
    w->temporary = NULL;
    return status;
}

jem_status jem__writer_open(jem__writer **out, const char *path)
{
    jem__writer *w = NULL;
    struct stat info;
    *out = NULL;
    int32_t replaces = stat(path, &info) == 0;
    if (!replaces && errno != ENOENT) return refused(path, "look at");
    mode_t mode = replaces ? info.st_mode & 0777 : 0666;
    /* A rename would put a file in the place of a device or a pipe, or of a link to one, as
       /dev/stdout is. */
    if (replaces && !S_ISREG(info.st_mode))
        return jem__fail(JEM_ERROR_IO, "%s: cannot replace: not a regular file", path);
    JEM__TRY(jem__calloc(&w, 1, sizeof *w));
    w->fd = -1;
    w->keep = 1;
    w->room = (int64_t)strlen(path) + 48;
    w->path = jem__strdup(path);
    jem_status status = w->path ? JEM_OK : JEM_ERROR_MEMORY;
    if (!status) status = jem__alloc(&w->temporary, w->room, 1);
    if (!status) status = jem__alloc(&w->older, 2 * w->room, 1);
    if (!status) {
        remove_left(path);
        status = make_temporary(w, mode);
        /* Gives what the umask took; where that fails the file is open to fewer, never to more. */
        if (!status && replaces) fchmod(w->fd, mode);
    } else {
        jem__free(w->temporary);
        w->temporary = NULL;
    }
    if (status)
        jem__writer_abandon(w);
    else
        *out = w;
    return status;
}

void jem__writer_keep(jem__writer *writer, int64_t count)
{
    writer->keep = count;
}

jem_status jem__writer_write(jem__writer *w, const void *bytes, int64_t size)
{
    const uint8_t *at = bytes;
    while (size > 0) {
        ssize_t n = write(w->fd, at, (size_t)size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return refused(w->path, "write");
        at += n;
        size -= n;
    }
    return JEM_OK;
}

/* ---- The commit ---- */

static int32_t same_file(const char *a, const char *b)
{
    struct stat x, y;
    return !stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static const char *numbered(const jem__writer *w, char *name, int64_t i)
{
    snprintf(name, (size_t)w->room, "%s.%lld", w->path, (long long)i);
    return name;
}

/* The first of path.1, path.2, ... that is free, at most path.keep: that one is nobody's, or what
   an earlier commit could not remove. */
static jem_status find_free(const jem__writer *w, int64_t *free)
{
    struct stat info;
    for (*free = 1; *free < w->keep; ++*free) {
        if (lstat(numbered(w, w->older, *free), &info)) {
            if (errno == ENOENT) return JEM_OK;
            return refused(w->older, "look at");
        }
        if (!S_ISREG(info.st_mode) && !S_ISLNK(info.st_mode))
            return jem__fail(JEM_ERROR_IO, "%s: cannot replace: not a regular file", w->older);
    }
    return JEM_OK;
}

/* Before the new file is in place nothing is removed: any of the older ones may be the only good
   one. path.1 becomes path.2 and so on, up to the first free name; then path is path.1 as well: it
   is already where a commit got so far and no further. */
static jem_status shift(const jem__writer *w)
{
    char *from = w->older, *to = w->older + w->room;
    int64_t free;
    struct stat info;
    if (w->keep < 2 || lstat(w->path, &info) || S_ISDIR(info.st_mode)) return JEM_OK;
    if (same_file(w->path, numbered(w, to, 1))) return JEM_OK;
    JEM__TRY(find_free(w, &free));
    for (int64_t i = free; i > 1; i--)
        if (rename(numbered(w, from, i - 1), numbered(w, to, i))) return refused(to, "rename");
    if (link(w->path, numbered(w, to, 1)) == 0) return JEM_OK;
    /* A file system without hard links: for a moment there is path.1 and no path. */
    return rename(w->path, to) ? refused(to, "rename") : JEM_OK;
}

/* The one that is too many. If it stays, the next commit has it for a free name. */
static void drop(const jem__writer *w)
{
    if (w->keep > 1) unlink(numbered(w, w->older, w->keep));
}

/* Makes the rename itself durable. Not every file system can sync a folder. */
static jem_status sync_folder(int fd, const char *path)
{
    if (fd < 0 || !sync_file(fd) || errno == EINVAL || errno == EROFS || errno == ENOTSUP)
        return JEM_OK;
    return refused(path, "flush the folder of the new file");
}

/* The lock is held until the file has its name. The folder is opened while the old file is
   untouched; one that may be written but not read cannot be flushed. */
jem_status jem__writer_commit(jem__writer *w)
{
    const char *name;
    jem_status status = sync_file(w->fd) ? refused(w->path, "flush") : JEM_OK;
    int folder = status ? -1 : open_folder(w->path, &name);
    if (!status && folder < 0 && errno != EACCES) status = refused(w->path, "open the folder of");
    if (!status) status = shift(w);
    if (!status && rename(w->temporary, w->path)) status = refused(w->path, "rename");
    if (!status) {
        jem__free(w->temporary);
        w->temporary = NULL;
        status = sync_folder(folder, w->path);
        if (!status) drop(w);
    }
    if (folder >= 0) close(folder);
    jem__writer_abandon(w);
    return status;
}

void jem__writer_abandon(jem__writer *w)
{
    if (!w) return;
    if (w->temporary) unlink(w->temporary);
    if (w->fd >= 0) close(w->fd);
    jem__free(w->temporary);
    jem__free(w->older);
    jem__free(w->path);
    jem__free(w);
}
