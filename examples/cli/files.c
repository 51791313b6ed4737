/* Names of files, and what is at them. */
#include "cli.h"
#include <string.h>
#include <sys/stat.h>

void join(char *path, size_t capacity, const char *folder, const char *name)
{
    size_t n = strlen(folder);
    snprintf(path, capacity, "%s%s%s", folder, n && folder[n - 1] == '/' ? "" : "/", name);
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

int beside_of(char *beside, size_t capacity, const char *path)
{
    struct stat info;
    int in_place = !stat(path, &info) && !S_ISREG(info.st_mode);
    snprintf(beside, capacity, "%s%s", path, in_place ? "" : ".tmp");
    return in_place;
}
