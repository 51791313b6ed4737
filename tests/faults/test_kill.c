/* Runs killed at random moments and inside writes: test_kill CHILD KILLS [SEED]

   After each kill the newest checkpoint must be whole and no older than the last save
   that was reported; resumed until it is done, a run must end in the very file that the
   run without kills ends in. Now and then the newest checkpoint is damaged after a kill:
   then the one before must outlive all kills up to the next save. */
#include "base/random.h"
#include "faults/inject.h"
#include "faults/recipes.h"
#include "format/safetensors.h"
#include "helpers.h"
#include <dirent.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

static const char *child;
static jem__random dice;
static int64_t inside, at_random, damaged, resumptions, finished, most;
static uint64_t seed = 1;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static pid_t start(const char *folder, int recipe, int kind, int64_t nth)
{
    char r[16], k[16], n[16];
    snprintf(r, sizeof r, "%d", recipe);
    snprintf(k, sizeof k, "%d", kind);
    snprintf(n, sizeof n, "%d", (int)nth);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        char log[4300];
        snprintf(log, sizeof log, "%s/log", folder);
        if (!freopen(log, "w", stdout)) _exit(126);
        if (kind < 0)
            execl(child, child, folder, r, NULL);
        else
            execl(child, child, folder, r, k, n, NULL);
        _exit(127);
    }
    ck_assert_int_gt(pid, 0);
    return pid;
}

/* 1 if the child was killed, 0 if it came to its end. */
static int wait_for(const char *folder, pid_t pid)
{
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : WEXITSTATUS(status) == 0,
                  "the run in %s ended with %#x: see its log", folder, status);
    return WIFSIGNALED(status);
}

static void path_in(char *path, size_t size, const char *folder, const char *name)
{
    snprintf(path, size, "%s/%s", folder, name);
}

static int64_t counter(const jem__safetensors *set, const char *name)
{
    int64_t value;
    const jem__tensor_info *info = jem__safetensors_find(set, name);
    ck_assert_ptr_nonnull(info);
    memcpy(&value, info->bytes, sizeof value);
    return value;
}

static void version_in(char *path, size_t size, const char *folder, int version)
{
    snprintf(path, size, version ? "%s/run.%d" : "%s/run", folder, version);
}

/* Progress of a checkpoint as the child counts it; -1 if it is not there or not whole. */
static int64_t progress_of(const char *folder, int version)
{
    char path[4300];
    jem__safetensors *set;
    int64_t progress = -1;
    version_in(path, sizeof path, folder, version);
    if (access(path, F_OK) || jem__safetensors_load(&set, path) != JEM_OK) return -1;
    if (jem__safetensors_verify(set, path) == JEM_OK)
        progress = 1000 * counter(set, "counter.rollbacks") + counter(set, "counter.step");
    jem__safetensors_destroy(set);
    return progress;
}

/* Of the best one. */
static int64_t progress_in(const char *folder)
{
    int64_t best = -1;
    for (int i = 0; i <= VERSIONS; i++) {
        int64_t progress = progress_of(folder, i);
        best = progress > best ? progress : best;
    }
    return best;
}

static ino_t inode_of(const char *folder)
{
    char path[4300];
    struct stat info;
    version_in(path, sizeof path, folder, 0);
    return stat(path, &info) ? 0 : info.st_ino;
}

static ino_t broken; /* the file that was damaged */

/* Flips a bit of the newest checkpoint where another one is whole: what is saved is then that. */
static void damage(const char *folder)
{
    char path[4300];
    int64_t best = -1, size;
    for (int i = 1; i <= VERSIONS; i++) {
        int64_t progress = progress_of(folder, i);
        if (progress < progress_of(folder, 0)) best = progress > best ? progress : best;
    }
    if (best < 0) return;
    version_in(path, sizeof path, folder, 0);
    uint8_t *bytes = test_get(path, &size);
    FILE *f = fopen(path, "r+");
    ck_assert(f && fseek(f, (long)(size / 2), SEEK_SET) == 0);
    ck_assert(fputc(bytes[size / 2] ^ 4, f) != EOF && fclose(f) == 0);
    free(bytes);
    broken = inode_of(folder);
    snprintf(path, sizeof path, "%s/saved", folder);
    f = fopen(path, "a");
    ck_assert(f && fprintf(f, "%d\n", (int)best) > 0 && fclose(f) == 0);
    damaged++;
}

/* The last number of a file of the child's; -1: there is none. */
static int64_t reported(const char *folder, const char *name)
{
    char path[4300];
    int64_t last = -1, value;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "r");
    if (!f) return -1;
    while (fscanf(f, "%" SCNd64, &value) == 1) last = value;
    fclose(f);
    return last;
}

static int entries(const char *folder, const char *part)
{
    DIR *d = opendir(folder);
    int n = 0;
    for (struct dirent *e; (e = readdir(d));) n += strstr(e->d_name, part) != NULL;
    closedir(d);
    return n;
}

static void check_folder(const char *folder)
{
    int64_t have = progress_in(folder), said = reported(folder, "saved");
    ck_assert(progress_of(folder, 0) >= 0 || inode_of(folder) == broken || !inode_of(folder));
    ck_assert_msg(have >= said, "the checkpoint is of %d, %d was saved", (int)have, (int)said);
    ck_assert_int_le(entries(folder, "run.tmp."), 1);
    ck_assert_int_le(entries(folder, "model.tmp."), 1);
}

/* The child went on from the best checkpoint there was, if it lived to tell; 0: from the start. */
static void check_resumed(const char *folder, int64_t best, int killed)
{
    char path[4300];
    int64_t resumed = reported(folder, "resumed");
    path_in(path, sizeof path, folder, "resumed");
    ck_assert(resumed >= 0 || killed);
    if (resumed < 0) return;
    ck_assert_msg(resumed == (best < 0 ? 0 : best), "it went on from %d, the checkpoint is of %d",
                  (int)resumed, (int)best);
    resumptions += best > 0;
    ck_assert_int_eq(unlink(path), 0);
}

/* Kills one attempt somewhere; 1 if it was still running. */
static int kill_once(const char *folder, int recipe, double length)
{
    static const int kinds[] = {INJECT_WRITE, INJECT_WRITE, INJECT_WRITE,  INJECT_FSYNC,
                                INJECT_LINK,  INJECT_OPEN,  INJECT_RENAME, INJECT_UNLINK};
    static const int calls[] = {500, 300, 60, 10, 4, 12, 6, 4};
    int killed, exposed = broken && inode_of(folder) == broken;
    int64_t best = progress_in(folder);
    if (exposed || jem__random_below(&dice, 2)) {
        /* The first save over a damaged checkpoint is killed between its names. */
        uint32_t k = exposed ? 4 + 2 * jem__random_below(&dice, 2) : jem__random_below(&dice, 8);
        int64_t nth = 1 + jem__random_below(&dice, exposed ? 2 : (uint32_t)calls[k]);
        killed = wait_for(folder, start(folder, recipe, kinds[k], nth));
        inside += killed;
    } else {
        double wait = (double)jem__random_uniform(&dice) * length;
        struct timespec t = {(time_t)wait, (long)(1e9 * (wait - (double)(time_t)wait))};
        pid_t pid = start(folder, recipe, -1, 0);
        nanosleep(&t, NULL);
        kill(pid, SIGKILL);
        killed = wait_for(folder, pid);
        at_random += killed;
    }
    check_resumed(folder, best, killed);
    check_folder(folder);
    if (killed && jem__random_below(&dice, 4) == 0) damage(folder);
    return killed;
}

/* A run with kills until it ends; the number of kills, at most `most`. */
static int64_t survive(int recipe, double length, const uint8_t *expected, int64_t size,
                       int64_t limit)
{
    char folder[4096], model[4300];
    int64_t kills = 0, n;
    int ended = 0;
    snprintf(folder, sizeof folder, "%s", test_folder());
    path_in(model, sizeof model, folder, "model");
    while (!ended && kills < limit) {
        ended = !kill_once(folder, recipe, length);
        kills += !ended;
    }
    if (!ended) ck_assert_int_eq(wait_for(folder, start(folder, recipe, -1, 0)), 0);
    uint8_t *bytes = test_get(model, &n);
    ck_assert_msg(n == size && memcmp(bytes, expected, (size_t)n) == 0,
                  "recipe %d: another model after %d kills", recipe, (int)kills);
    free(bytes);
    ck_assert_int_eq(entries(folder, ".tmp."), 0);
    finished++;
    return kills;
}

START_TEST(killed_runs_end_as_others_do)
{
    uint8_t *expected[RECIPES];
    int64_t size[RECIPES], kills = 0;
    double length[RECIPES];
    jem__random_at(&dice, seed, 99, 0, 0, 0);
    for (int r = 0; r < RECIPES; r++) {
        char folder[4096], model[4300];
        snprintf(folder, sizeof folder, "%s", test_folder());
        path_in(model, sizeof model, folder, "model");
        double from = now();
        ck_assert_int_eq(wait_for(folder, start(folder, r, -1, 0)), 0);
        length[r] = now() - from;
        expected[r] = test_get(model, &size[r]);
    }
    for (int r = 0; kills < most; r = (r + 1) % RECIPES)
        kills += survive(r, length[r], expected[r], size[r], most - kills);
    for (int r = 0; r < RECIPES; r++) free(expected[r]);
    printf(
        "kill: %d of %d kills survived (%d inside a call, %d at a random moment, %d of them with "
        "a damaged checkpoint after it), %d resumptions from the best checkpoint, %d runs ended "
        "with "
        "the same bytes\n",
        (int)kills, (int)kills, (int)inside, (int)at_random, (int)damaged, (int)resumptions,
        (int)finished);
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const tests[] = {killed_runs_end_as_others_do, NULL};
    if (argc < 3) return 2;
    child = argv[1];
    most = atoll(argv[2]);
    if (argc > 3) seed = (uint64_t)atoll(argv[3]);
    return test_run("kill", tests);
}
