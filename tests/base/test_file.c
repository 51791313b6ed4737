/* Reading and atomic writing. */
#include "base/file.h"
#include "base/memory.h"
#include "helpers.h"
#include <sys/stat.h>
#include <zlib.h>

static const char *path;

static void in_folder(const char *name)
{
    path = test_path(name);
}

static void put(const void *bytes, int64_t size)
{
    test_put(path, bytes, size);
}

START_TEST(reading)
{
    uint8_t *bytes;
    int64_t size;
    in_folder("plain");
    put("hello", 5);
    OK(jem__file_read(&bytes, &size, path, 5, 1));
    ck_assert_int_eq(size, 5);
    ck_assert_str_eq((char *)bytes, "hello");
    jem__free(bytes);
    FAILS(JEM_ERROR_FORMAT, jem__file_read(&bytes, &size, path, 4, 0), "at most 4");
    ck_assert_ptr_null(bytes);
    FAILS(JEM_ERROR_IO, jem__file_read(&bytes, &size, test_path("."), 100, 0), "regular");
    in_folder("missing");
    FAILS(JEM_ERROR_IO, jem__file_read(&bytes, &size, path, 100, 0), "missing");
    in_folder("empty");
    put("", 0);
    OK(jem__file_read(&bytes, &size, path, 100, 1));
    ck_assert_int_eq(size, 0);
    jem__free(bytes);
}
END_TEST

START_TEST(gzip)
{
    enum { N = 300000 };
    static uint8_t data[N], packed[N];
    uint8_t *bytes;
    int64_t size;
    for (int i = 0; i < N; i++) data[i] = (uint8_t)((int64_t)i * i >> 7);
    in_folder("a.gz");
    gzFile gz = gzopen(path, "wb");
    gzwrite(gz, data, N);
    gzclose(gz);
    OK(jem__file_read(&bytes, &size, path, N, 1));
    ck_assert_int_eq(size, N);
    ck_assert_mem_eq(bytes, data, N);
    jem__free(bytes);
    FAILS(JEM_ERROR_FORMAT, jem__file_read(&bytes, &size, path, N - 1, 1), "more than");
    OK(jem__file_read(&bytes, &size, path, N, 0)); /* as it is, when not asked to inflate */
    int64_t n = size;
    memcpy(packed, bytes, (size_t)n);
    jem__free(bytes);
    /* Truncated at many places, and damaged: an error each time. */
    for (int64_t cut = 2; cut < n; cut += 997) {
        put(packed, cut);
        ck_assert_int_eq(jem__file_read(&bytes, &size, path, N, 1), JEM_ERROR_FORMAT);
        ck_assert_ptr_null(bytes);
    }
    packed[n / 2] ^= 4;
    put(packed, n);
    ck_assert_int_eq(jem__file_read(&bytes, &size, path, N, 1), JEM_ERROR_FORMAT);
}
END_TEST

START_TEST(writing_is_atomic)
{
    jem__writer *writer;
    uint8_t *bytes;
    int64_t size;
    in_folder("target");
    put("old", 3);
    OK(jem__writer_open(&writer, path));
    OK(jem__writer_write(writer, "new!", 4));
    OK(jem__file_read(&bytes, &size, path, 9, 0));
    ck_assert_str_eq((char *)bytes, "old");
    jem__free(bytes);
    OK(jem__writer_commit(writer));
    OK(jem__file_read(&bytes, &size, path, 9, 0));
    ck_assert_str_eq((char *)bytes, "new!");
    jem__free(bytes);
    OK(jem__writer_open(&writer, path));
    OK(jem__writer_write(writer, "x", 1));
    jem__writer_abandon(writer);
    OK(jem__file_read(&bytes, &size, path, 9, 0));
    ck_assert_str_eq((char *)bytes, "new!");
    jem__free(bytes);
    FAILS(JEM_ERROR_IO, jem__writer_open(&writer, "/nonexistent/x"), "/nonexistent/x");
    /* Over a folder: the rename fails, and nothing is left behind. */
    in_folder("taken");
    OK(jem__writer_open(&writer, path));
    ck_assert_int_eq(mkdir(path, 0777), 0);
    FAILS(JEM_ERROR_IO, jem__writer_commit(writer), "taken");
    char left[4300];
    snprintf(left, sizeof left, "%s.tmp.%ld.0", path, (long)getpid());
    ck_assert_int_eq(access(left, F_OK), -1);
}
END_TEST

/* Devices, pipes and folders are not files to be replaced, also behind a link. */
START_TEST(only_files_are_replaced)
{
    jem__writer *writer;
    struct stat info;
    char link[4300];
    in_folder("pipe");
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    FAILS(JEM_ERROR_IO, jem__writer_open(&writer, path), "not a regular file");
    ck_assert_ptr_null(writer);
    snprintf(link, sizeof link, "%s.link", path);
    ck_assert_int_eq(symlink(path, link), 0);
    FAILS(JEM_ERROR_IO, jem__writer_open(&writer, link), "not a regular file");
    ck_assert(stat(path, &info) == 0 && S_ISFIFO(info.st_mode));
    FAILS(JEM_ERROR_IO, jem__writer_open(&writer, test_path("")), "not a regular file");
}
END_TEST

static void write_text(const char *text, int64_t keep)
{
    jem__writer *writer;
    OK(jem__writer_open(&writer, path));
    jem__writer_keep(writer, keep);
    OK(jem__writer_write(writer, text, (int64_t)strlen(text)));
    OK(jem__writer_commit(writer));
}

static int mode_of(const char *suffix)
{
    char name[4300];
    struct stat info;
    snprintf(name, sizeof name, "%s%s", path, suffix);
    ck_assert_int_eq(stat(name, &info), 0);
    return (int)(info.st_mode & 07777);
}

static int holds(const char *suffix, const char *text)
{
    char name[4300];
    uint8_t *bytes;
    int64_t size;
    snprintf(name, sizeof name, "%s%s", path, suffix);
    if (!text) return access(name, F_OK) != 0;
    OK(jem__file_read(&bytes, &size, name, 99, 0));
    int same = strcmp((char *)bytes, text) == 0;
    jem__free(bytes);
    return same;
}

START_TEST(older_files_are_kept)
{
    in_folder("kept");
    write_text("one", 1);
    write_text("two", 1);
    ck_assert(holds("", "two") && holds(".1", NULL));
    write_text("three", 3);
    ck_assert(holds("", "three") && holds(".1", "two") && holds(".2", NULL));
    write_text("four", 3);
    write_text("five", 3);
    ck_assert(holds("", "five") && holds(".1", "four") && holds(".2", "three"));
    ck_assert(holds(".3", NULL));
    /* An older file that cannot give way stops the commit, and path stays. */
    char taken[4300];
    snprintf(taken, sizeof taken, "%s.1", path);
    unlink(taken);
    ck_assert_int_eq(mkdir(taken, 0777), 0);
    jem__writer *writer;
    OK(jem__writer_open(&writer, path));
    jem__writer_keep(writer, 2);
    FAILS(JEM_ERROR_IO, jem__writer_commit(writer), "kept.1");
    ck_assert(holds("", "five"));
}
END_TEST

/* Whoever has closed a file to others finds its successor closed; the umask is for new ones. */
START_TEST(permissions_stay)
{
    static const mode_t modes[] = {0600, 0640, 0444, 0666};
    mode_t before = umask(022);
    in_folder("private");
    write_text("one", 1);
    ck_assert_int_eq(mode_of(""), 0644);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(chmod(path, modes[i]), 0);
        write_text("two", 2);
        ck_assert_int_eq(mode_of(""), modes[i]);
        ck_assert_int_eq(mode_of(".1"), modes[i]);
    }
    umask(before);
}
END_TEST

/* Whatever of the older files is the good one stays until the new one is in place. */
START_TEST(nothing_goes_before_the_new_file)
{
    jem__writer *writer;
    char name[4300];
    in_folder("older");
    write_text("one", 3);
    write_text("two", 3);
    write_text("three", 3);
    /* A temporary file that is gone stops the last rename, after all others. */
    for (int i = 0; i < 3; i++) {
        OK(jem__writer_open(&writer, path));
        jem__writer_keep(writer, 3);
        snprintf(name, sizeof name, "%s.tmp.%ld.0", path, (long)getpid());
        ck_assert_int_eq(unlink(name), 0);
        FAILS(JEM_ERROR_IO, jem__writer_commit(writer), "rename");
        ck_assert(holds("", "three") && holds(".1", "three"));
        ck_assert(holds(".2", "two") && holds(".3", "one"));
    }
    write_text("four", 3);
    ck_assert(holds("", "four") && holds(".1", "three") && holds(".2", "two") && holds(".3", NULL));
    /* Without path nothing has to move. */
    ck_assert_int_eq(unlink(path), 0);
    write_text("five", 3);
    ck_assert(holds("", "five") && holds(".1", "three") && holds(".2", "two"));
    /* Names up to a gap move, and what is too many goes last. */
    in_folder("gap");
    write_text("one", 4);
    write_text("two", 4);
    write_text("three", 4);
    snprintf(name, sizeof name, "%s.1", path);
    ck_assert_int_eq(unlink(name), 0);
    write_text("four", 4);
    ck_assert(holds("", "four") && holds(".1", "three") && holds(".2", "one"));
    write_text("five", 4);
    write_text("six", 4);
    ck_assert(holds(".1", "five") && holds(".2", "four") && holds(".3", "three"));
    ck_assert(holds(".4", NULL));
}
END_TEST

/* Writers of one path do not see each other's bytes: the last commit wins whole. */
START_TEST(two_writers)
{
    jem__writer *a, *b;
    in_folder("shared");
    OK(jem__writer_open(&a, path));
    OK(jem__writer_write(a, "aaaa", 4));
    OK(jem__writer_open(&b, path));
    OK(jem__writer_write(b, "bb", 2));
    OK(jem__writer_commit(a));
    ck_assert(holds("", "aaaa"));
    OK(jem__writer_write(b, "bb", 2));
    OK(jem__writer_commit(b));
    ck_assert(holds("", "bbbb"));
}
END_TEST

START_TEST(what_killed_writers_left_is_removed)
{
    static const char *const left[] = {".tmp.1.0", ".tmp.4194304.999", ".tmp.4.12"};
    static const char *const other[] = {
        ".tmp.x",  ".tmp",    "-other.tmp.1.0",  ".tmp.",      ".tmp.1",    ".tmp.20240101",
        ".tmp.1.", ".tmp..1", ".tmp.2024.01.31", ".tmp.1.000", ".tmp.1.0x", ".tmp.20240101.1"};
    enum { LEFT = sizeof left / sizeof *left, OTHER = sizeof other / sizeof *other };
    char name[4300];
    in_folder("left");
    for (int i = 0; i < LEFT + OTHER; i++) {
        snprintf(name, sizeof name, "%s%s", path, i < LEFT ? left[i] : other[i - LEFT]);
        test_put(name, "mine", 4);
    }
    write_text("whole", 1);
    for (int i = 0; i < LEFT; i++) ck_assert(holds(left[i], NULL));
    for (int i = 0; i < OTHER; i++) ck_assert(holds(other[i], "mine"));
}
END_TEST

TESTS("file", reading, gzip, writing_is_atomic, only_files_are_replaced, older_files_are_kept,
      permissions_stay, nothing_goes_before_the_new_file, two_writers,
      what_killed_writers_left_is_removed)
