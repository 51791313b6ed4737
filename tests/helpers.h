/* Shared by all tests: a Check runner, data lookup, scratch folders. */
#ifndef JEM_TESTS_HELPERS_H
#define JEM_TESTS_HELPERS_H

#include <check.h>
#include <jem.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The address sanitizer has an allocator of its own, which takes more memory and keeps its locks
   over a fork. */
#if defined(__SANITIZE_ADDRESS__)
#define TEST_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TEST_ASAN 1
#endif
#endif
#ifndef TEST_ASAN
#define TEST_ASAN 0
#endif

/* valgrind holds memory of its own in the process. */
static inline int test_valgrind(void)
{
    const char *preloaded = getenv("LD_PRELOAD");
    return preloaded && strstr(preloaded, "vgpreload");
}

/* Fails the test with the library's error text. */
#define OK(expression)                                                                             \
    do {                                                                                           \
        jem_status status_ = (expression);                                                         \
        if (status_ != JEM_OK) {                                                                   \
            char text_[512];                                                                       \
            jem_last_error(text_, sizeof text_);                                                   \
            ck_abort_msg("%s: %s (%s)", #expression, jem_status_name(status_), text_);             \
        }                                                                                          \
    } while (0)

/* Expects a status, and an error text that contains a word. */
#define FAILS(expected, expression, word)                                                          \
    do {                                                                                           \
        jem_status status_ = (expression);                                                         \
        char text_[512] = "";                                                                      \
        jem_last_error(text_, sizeof text_);                                                       \
        ck_assert_msg(status_ == (expected), "%s: got %s (%s)", #expression,                       \
                      jem_status_name(status_), text_);                                            \
        ck_assert_msg(strstr(text_, word), "error text '%s' lacks '%s'", text_, word);             \
    } while (0)

/* Path of a file under the real test data, or NULL (a line says what is skipped).
   Static buffer. */
static inline const char *test_data(const char *name)
{
    static char path[4096];
    const char *root = getenv("JEM_TEST_DATA");
    snprintf(path, sizeof path, "%s/%s", root ? root : "$JEM_TEST_DATA", name);
    if (access(path, R_OK) == 0) return path;
    printf("SKIP: no %s\n", path);
    return NULL;
}

/* Path of a file in the source tree. Static buffer. */
static inline const char *test_source(const char *name)
{
    static char path[4096];
    const char *source = getenv("JEM_SOURCE");
    snprintf(path, sizeof path, "%s/%s", source ? source : ".", name);
    return path;
}

/* A fresh folder under TMPDIR; the caller may leave it. Static buffer. */
static inline const char *test_folder(void)
{
    static char path[4096];
    const char *tmp = getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/jem-test-XXXXXX", tmp ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(path));
    return path;
}

/* A name in one scratch folder of this process. Four static buffers in turn. */
static inline const char *test_path(const char *name)
{
    static char folder[4096], paths[4][4200];
    static int turn;
    if (!*folder) snprintf(folder, sizeof folder, "%s", test_folder());
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

/* A file's bytes, over what it held. */
static inline void test_put(const char *path, const void *bytes, int64_t size)
{
    FILE *f = fopen(path, "wb");
    ck_assert_msg(f != NULL, "cannot write %s", path);
    ck_assert_int_eq((int64_t)fwrite(bytes, 1, (size_t)size, f), size);
    fclose(f);
}

/* A new file of that name: some file systems flush one that is cut and written again, which a
   test of thousands of files cannot wait for. */
static inline void test_put_new(const char *path, const void *bytes, int64_t size)
{
    unlink(path);
    test_put(path, bytes, size);
}

/* The bytes of a file; free them. */
static inline uint8_t *test_get(const char *path, int64_t *size)
{
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "cannot read %s", path);
    fseek(f, 0, SEEK_END);
    *size = ftell(f);
    rewind(f);
    uint8_t *bytes = malloc((size_t)*size + 1);
    ck_assert_int_eq((int64_t)fread(bytes, 1, (size_t)*size, f), *size);
    fclose(f);
    return bytes;
}

static inline jem_context *test_context(int64_t threads)
{
    jem_context *context;
    jem_config *config;
    OK(jem_config_create(&config));
    OK(jem_config_set_i64(config, "context.threads", threads));
    OK(jem_context_create(&context, config));
    jem_config_destroy(config);
    return context;
}

/* A locale with a decimal comma, made where the system has none; C's again with
   setlocale(LC_ALL, "C"). */
static inline void test_comma_locale(void)
{
    char command[4400];
    if (setlocale(LC_ALL, "de_DE.UTF-8")) return;
    snprintf(command, sizeof command, "localedef -i de_DE -f UTF-8 '%s'", test_path("de_DE.UTF-8"));
    if (system(command) == 0) setenv("LOCPATH", test_path(""), 1);
    ck_assert_msg(setlocale(LC_ALL, "de_DE.UTF-8") != NULL, "no locale (package locales)");
}

/* Runs a suite made of one test case; the process's exit status. Tests run in
   this process (no fork), because worker threads do not survive a fork. */
static inline int test_run(const char *name, const TTest *const *tests)
{
    Suite *suite = suite_create(name);
    TCase *tc = tcase_create(name);
    tcase_set_timeout(tc, 0);
    for (; *tests; tests++) tcase_add_test(tc, *tests);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}

#define TESTS(suite, ...)                                                                          \
    int main(void)                                                                                 \
    {                                                                                              \
        const TTest *const tests[] = {__VA_ARGS__, NULL};                                          \
        return test_run(suite, tests);                                                             \
    }

#endif
