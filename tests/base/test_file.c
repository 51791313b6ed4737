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
    for (int i = 0; i < N; i++) data[i] = (uint8_t)(i * i >> 7);
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
    ck_assert_int_eq(mkdir(path, 0777), 0);
    OK(jem__writer_open(&writer, path));
    FAILS(JEM_ERROR_IO, jem__writer_commit(writer), "taken");
    char left[4300];
    snprintf(left, sizeof left, "%s.tmp.%ld", path, (long)getpid());
    ck_assert(!jem__file_exists(left));
}
END_TEST

TESTS("file", reading, gzip, writing_is_atomic)
