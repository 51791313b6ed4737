/* Stands in for libFuzzer: runs a target on seeds, and on damaged copies of them.

     target [--damage N] [--every] [--seed S] FILE-OR-FOLDER...

   With --damage N each seed is cut, overwritten, shortened, lengthened and spliced N times, by
   numbers that depend on S alone. With --every each seed is cut at every byte, has every bit
   flipped, and has what a size could be written over every place. After each input the library
   must hold as much memory as before it, and an input may take LIMIT seconds. The last lines tell
   how many inputs of each kind were tried, and how many of them found good. */
#include "base/memory.h"
#include "fuzz.h"
#include <dirent.h>
#include <sys/time.h>

enum { MOST = 1 << 20, LIMIT = 10 };

typedef struct tally {
    int64_t tried, accepted;
} tally;

static uint8_t *seeds[4096];
static size_t sizes[4096];
static int count;
static uint64_t state;
static uint8_t bytes[2 * MOST];

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

/* ---- Seeds ---- */

static void add_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *file = malloc(MOST);
    if (!f || !file || count == 4096) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(2);
    }
    sizes[count] = fread(file, 1, MOST, f);
    seeds[count] = realloc(file, sizes[count] + 1);
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

/* ---- One input ---- */

static int64_t held(void)
{
    int64_t standard, context;
    jem__heap_count(NULL, &standard, NULL);
    MUST(jem_context_memory(fuzz_context(), &context, NULL) == JEM_OK);
    return standard + context;
}

/* In a block of exactly its size, so that a byte too far is seen. The first input of all may
   leave what the target keeps. */
static void run(tally *t, size_t size)
{
    static int64_t inputs;
    const struct itimerval limit = {{0, 0}, {LIMIT, 0}}, none = {{0, 0}, {0, 0}};
    int64_t before = held(), accepted = fuzz_accepted;
    uint8_t *exact = malloc(size ? size : 1);
    MUST(exact != NULL);
    memcpy(exact, bytes, size);
    setitimer(ITIMER_PROF, &limit, NULL); /* its signal ends the process */
    LLVMFuzzerTestOneInput(exact, size);
    setitimer(ITIMER_PROF, &none, NULL);
    free(exact);
    if (inputs++) MUST(held() == before);
    t->tried++;
    t->accepted += fuzz_accepted > accepted;
}

static void run_seed(tally *t, int i)
{
    memcpy(bytes, seeds[i], sizes[i]);
    run(t, sizes[i]);
}

/* ---- Damage at random ---- */

/* One act of damage on bytes of *size, with room for MOST. */
static void damage(size_t *size)
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

static void run_damaged(tally *t, int i, uint64_t seed, int64_t times)
{
    for (int64_t j = 0; j < times; j++) {
        size_t size = sizes[i];
        state = seed * 1000003 + (uint64_t)i * 7919 + (uint64_t)j * 104729;
        memcpy(bytes, seeds[i], size);
        for (size_t acts = 1 + below(4); acts > 0; acts--) damage(&size);
        run(t, size);
    }
}

/* ---- Every damage of a kind ---- */

static void run_cut(tally *t, int i)
{
    memcpy(bytes, seeds[i], sizes[i]);
    for (size_t size = 0; size < sizes[i]; size++) run(t, size);
}

static void run_flipped(tally *t, int i)
{
    memcpy(bytes, seeds[i], sizes[i]);
    for (size_t bit = 0; bit < 8 * sizes[i]; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        run(t, sizes[i]);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

/* What a hostile size of so many bytes may be. */
static uint64_t hostile(int which, size_t wide)
{
    uint64_t most = wide < 8 ? ((uint64_t)1 << 8 * wide) - 1 : UINT64_MAX;
    const uint64_t values[] = {0, 1, (uint64_t)1 << 5 * wide, most / 2, most / 2 + 1, most};
    return values[which];
}

/* Binary sizes of 2, 4 and 8 bytes, both ways round, and decimal ones in place of a digit. */
static void run_sized(tally *t, int i)
{
    static const char *const numbers[] = {"-1", "65536", "4294967296", "9223372036854775807",
                                          "18446744073709551616"};
    for (size_t at = 0; at < sizes[i]; at++) {
        for (size_t wide = 2; wide <= 8 && at + wide <= sizes[i]; wide *= 2)
            for (int v = 0; v < 12; v++) {
                memcpy(bytes, seeds[i], sizes[i]);
                for (size_t k = 0; k < wide; k++)
                    bytes[at + (v % 2 ? wide - 1 - k : k)] =
                        (uint8_t)(hostile(v / 2, wide) >> 8 * k);
                run(t, sizes[i]);
            }
        if (seeds[i][at] < '0' || seeds[i][at] > '9') continue;
        for (size_t v = 0; v < sizeof numbers / sizeof *numbers; v++) {
            size_t length = strlen(numbers[v]);
            memcpy(bytes, seeds[i], at);
            memcpy(bytes + at, numbers[v], length);
            memcpy(bytes + at + length, seeds[i] + at + 1, sizes[i] - at - 1);
            run(t, sizes[i] - 1 + length);
        }
    }
}

static void tell(const char *kind, const tally *t)
{
    if (t->tried)
        printf("%-8s %8lld tried, %7lld found good\n", kind, (long long)t->tried,
               (long long)t->accepted);
}

int main(int argc, char **argv)
{
    tally whole = {0}, damaged = {0}, cut = {0}, flipped = {0}, sized = {0};
    int64_t damages = 0;
    int every = 0;
    uint64_t seed = 1;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--damage") && i + 1 < argc)
            damages = strtol(argv[++i], NULL, 10);
        else if (!strcmp(argv[i], "--seed") && i + 1 < argc)
            seed = strtoull(argv[++i], NULL, 10);
        else if (!strcmp(argv[i], "--every"))
            every = 1;
        else
            add_folder(argv[i]);
    }
    for (int i = 0; i < count; i++) run_seed(&whole, i);
    MUST(whole.accepted > 0); /* else nothing behind the first check is reached */
    for (int i = 0; i < count; i++) {
        run_damaged(&damaged, i, seed, damages);
        if (!every) continue;
        run_cut(&cut, i);
        run_flipped(&flipped, i);
        run_sized(&sized, i);
    }
    tell("seeds", &whole);
    tell("damaged", &damaged);
    tell("cut", &cut);
    tell("flipped", &flipped);
    tell("sized", &sized);
    puts("no crash, no hang, no leak");
    return 0;
}
