/* Stands in for libFuzzer: runs a target on seeds, and on damaged copies of them.

     target [--damage N] [--seed S] FILE-OR-FOLDER...

   With --damage N each seed is cut, overwritten, shortened, lengthened and spliced N times, by
   numbers that depend on S alone. The last line tells how many inputs were tried. */
#include "fuzz.h"
#include <dirent.h>

enum { MOST = 1 << 20 };

static uint8_t *seeds[4096];
static size_t sizes[4096];
static int count;
static uint64_t state;

static uint64_t next(void) /* splitmix64 */
{
    uint64_t z = state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static size_t below(size_t n)
{
    return n ? (size_t)(next() % n) : 0;
}

static void add_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *bytes = malloc(MOST);
    if (!f || !bytes || count == 4096) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(2);
    }
    sizes[count] = fread(bytes, 1, MOST, f);
    seeds[count] = realloc(bytes, sizes[count] + 1);
    count++;
    fclose(f);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add_folder(const char *folder)
{
    char *names[4096], path[4600];
    int n = 0;
    const struct dirent *entry;
    DIR *stream = opendir(folder);
    if (!stream) {
        add_file(folder);
        return;
    }
    while ((entry = readdir(stream)) && n < 4096)
        if (*entry->d_name != '.') names[n++] = strdup(entry->d_name);
    closedir(stream);
    qsort(names, (size_t)n, sizeof *names, by_name);
    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        add_file(path);
        free(names[i]);
    }
}

/* One act of damage on bytes of *size, with room for MOST. */
static void damage(uint8_t *bytes, size_t *size)
{
    static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff, '"', '{', '0', '9', ' '};
    size_t at = below(*size), n = 1 + below(1 + below(16)), left = *size - at;
    int other = (int)below((size_t)count);
    if (n > left) n = left;
    switch (below(7)) {
    case 0:
        *size = at;
        break;
    case 1:
    case 2:
        if (left) bytes[at] ^= (uint8_t)(1 << below(8));
        break;
    case 3:
        for (size_t i = 0; i < n; i++) bytes[at + i] = values[below(sizeof values)];
        break;
    case 4: /* out */
        memmove(bytes + at, bytes + at + n, left - n);
        *size -= n;
        break;
    case 5: /* twice */
        if (*size + n > MOST) break;
        memmove(bytes + at + n, bytes + at, left);
        *size += n;
        break;
    default: /* the end of another seed */
        if (at >= sizes[other]) break;
        memcpy(bytes + at, seeds[other] + at, sizes[other] - at);
        *size = sizes[other];
    }
}

/* In a block of exactly its size, so that a byte too far is seen. */
static void run(const uint8_t *bytes, size_t size)
{
    uint8_t *exact = malloc(size ? size : 1);
    MUST(exact != NULL);
    memcpy(exact, bytes, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

int main(int argc, char **argv)
{
    static uint8_t bytes[2 * MOST];
    long damages = 0, tried = 0;
    uint64_t seed = 1;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--damage") && i + 1 < argc)
            damages = strtol(argv[++i], NULL, 10);
        else if (!strcmp(argv[i], "--seed") && i + 1 < argc)
            seed = strtoull(argv[++i], NULL, 10);
        else
            add_folder(argv[i]);
    }
    for (int i = 0; i < count; i++) run(seeds[i], sizes[i]);
    for (int i = 0; i < count; i++)
        for (long j = 0; j < damages; j++, tried++) {
            size_t size = sizes[i];
            state = seed * 1000003 + (uint64_t)i * 7919 + (uint64_t)j * 104729;
            memcpy(bytes, seeds[i], size);
            for (size_t acts = 1 + below(4); acts > 0; acts--) damage(bytes, &size);
            run(bytes, size);
        }
    printf("%d seeds and %ld damaged files: no crash\n", count, tried);
    return count ? 0 : 2;
}
