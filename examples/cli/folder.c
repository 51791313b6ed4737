/* The folder of a run. */
#include "cli.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
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

static int held = -1; /* -1 also where the folder may not be listed */

/* The lock goes with the process, however it ends. Not every file system has locks. */
static int lock(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK) {
        close(fd);
        return 0;
    }
    if (held >= 0) close(held);
    held = fd;
    return 1;
}

int folder_take(const char *path)
{
    return lock(path) ? 0 : fail("--output: another process is training in %s", path);
}

int folder_is_own(const char *path)
{
    struct stat own, there;
    if (stat(path, &there)) return 0;
    if (held < 0 || fstat(held, &own)) return 1;
    return own.st_dev == there.st_dev && own.st_ino == there.st_ino;
}

static int is_empty(const char *path)
{
    DIR *dir = opendir(path);
    int64_t entries = 0;
    while (dir && readdir(dir)) entries++;
    if (dir) closedir(dir);
    return dir && entries <= 2; /* . and .. */
}

int folder_restore(const char *path)
{
    struct stat info;
    if (folder_is_own(path)) return 1;
    if (stat(path, &info)) {
        if (errno != ENOENT) return 1; /* writing will tell */
        warn("%s was removed: made anew", path);
        if (folder_make(path)) return 1;
    }
    /* Somebody may have come first. */
    return is_empty(path) && lock(path);
}

/* ---- What an earlier run left ---- */

int64_t folder_buffer_step(const char *name)
{
    size_t digits = strncmp(name, "samples-", 8) ? 0 : strspn(name + 8, "0123456789");
    return digits >= 6 && !strcmp(name + 8 + digits, ".png") ? strtoll(name + 8, NULL, 10) : -1;
}

void folder_clear(const char *folder)
{
    static const char *const names[] = {"summary.json",    "report.html", "curves.png",
                                        "reliability.png", "scores.png",  "roc.png",
                                        "samples.png",     "strip.png"};
    char path[4300];
    struct dirent *entry;
    for (int i = 0; i < COUNT(names); i++) {
        join(path, sizeof path, folder, names[i]);
        unlink(path);
    }
    DIR *dir = opendir(folder);
    while (dir && (entry = readdir(dir))) {
        if (folder_buffer_step(entry->d_name) < 0) continue;
        join(path, sizeof path, folder, entry->d_name);
        unlink(path);
    }
    if (dir) closedir(dir);
}
