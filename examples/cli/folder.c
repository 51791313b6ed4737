/* The folder of a run. */
#include "cli.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Makes the name of a new folder durable, as far as the file system can. */
static void sync_parent(const char *folder)
{
    char parent[4096 + 3];
    snprintf(parent, sizeof parent, "%s/..", folder);
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    fsync(fd);
    close(fd);
}

int folder_make(const char *path)
{
    char part[4096];
    struct stat info;
    if (strlen(path) >= sizeof part)
        return fail("--output: longer than %zu bytes", sizeof part - 1);
    for (const char *at = path; *at; at++) {
        size_t n = (size_t)(at - path) + 1;
        if ((at[1] && at[1] != '/') || *at == '/') continue;
        memcpy(part, path, n);
        part[n] = 0;
        if (!mkdir(part, 0777))
            sync_parent(part);
        else if (errno != EEXIST && errno != EISDIR && (!at[1] || errno != EROFS))
            return fail("--output: cannot make folder %s: %s", part, strerror(errno));
    }
    if (stat(path, &info) || !S_ISDIR(info.st_mode))
        return fail("--output: %s is not a folder", path);
    if (access(path, W_OK)) return fail("--output: cannot write to %s: %s", path, strerror(errno));
    return 0;
}

/* The lock goes with the process, however it ends. Not every file system has locks. */
int folder_take(const char *path)
{
    static int held = -1;
    held = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (held >= 0 && flock(held, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK)
        return fail("--output: another process is training in %s", path);
    return 0;
}

int folder_restore(const char *path)
{
    if (!access(path, F_OK) || errno != ENOENT) return 0;
    warn("%s was removed: made anew", path);
    TRY(folder_make(path));
    return folder_take(path);
}
