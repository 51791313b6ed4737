/* Names of files, and what is at them. */
#include "cli.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void join(char *path, size_t capacity, const char *folder, const char *name)
{
    size_t n = strlen(folder);
    snprintf(path, capacity, "%s%s%s", folder, n && folder[n - 1] == '/' ? "" : "/", name);
}

void join_new(char *path, size_t capacity, const char *folder, const char *name)
{
    struct stat info;
    join(path, capacity, folder, name);
    if (lstat(path, &info) || !S_ISLNK(info.st_mode)) return;
    if (!stat(path, &info) && !S_ISREG(info.st_mode)) unlink(path);
}

FILE *file_create(const char *path)
{
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    int fd = open(path, flags, 0666);
    if (fd < 0 && errno == EEXIST && !unlink(path)) fd = open(path, flags, 0666);
    return fd < 0 ? NULL : fdopen(fd, "w");
}

int has_suffix(const char *path, const char *suffix)
{
    size_t n = strlen(path), m = strlen(suffix);
    return n > m && !strcmp(path + n - m, suffix);
}

int is_file(const char *path)
{
    struct stat info;
    return !stat(path, &info) && S_ISREG(info.st_mode);
}

/* The process that wrote entry beside the file of that name; 0: it is no such file. */
static long writer_of(const char *entry, const char *name)
{
    char again[600];
    size_t n = strlen(name);
    if (strncmp(entry, name, n) != 0 || entry[n] != '.') return 0;
    char *end = NULL;
    long process = strtol(entry + n + 1, &end, 10),
         number = *end == '.' ? strtol(end + 1, &end, 10) : 0;
    snprintf(again, sizeof again, "%s.%ld.%ld.tmp", name, process, number);
    return process > 0 && !strcmp(entry, again) ? process : 0;
}

/* Removes what killed processes left beside path. */
static void remove_left(const char *path)
{
    char folder[4200];
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    snprintf(folder, sizeof folder, "%.*s", (int)(name - path), path);
    DIR *all = opendir(*folder ? folder : ".");
    for (struct dirent *entry; all && (entry = readdir(all));) {
        long process = writer_of(entry->d_name, name);
        if (process && kill((pid_t)process, 0) && errno == ESRCH)
            unlinkat(dirfd(all), entry->d_name, 0);
    }
    if (all) closedir(all);
}

int beside_of(char *beside, size_t capacity, const char *path)
{
    struct stat info;
    int in_place = !stat(path, &info) && !S_ISREG(info.st_mode);
    snprintf(beside, capacity, "%s", path);
    if (!in_place) remove_left(path);
    for (int i = 0; !in_place && i < 1000; i++) {
        snprintf(beside, capacity, "%s.%ld.%d.tmp", path, (long)getpid(), i);
        if (lstat(beside, &info) && errno == ENOENT) break;
    }
    return in_place;
}
