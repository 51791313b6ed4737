/* Error texts: one line, per thread, with points in every locale. */
#include "base/status.h"
#include "helpers.h"
#include <pthread.h>

START_TEST(texts)
{
    char text[64], small[6];
    ck_assert_int_eq(jem__fail(JEM_ERROR_SHAPE, "got %d,\nexpected %s", 3, "\tfour"),
                     JEM_ERROR_SHAPE);
    ck_assert_int_eq(jem_last_error(text, sizeof text), (int64_t)strlen(text));
    ck_assert_str_eq(text, "got 3, expected  four");
    ck_assert_int_eq(jem_last_error(small, sizeof small), (int64_t)strlen(text));
    ck_assert_str_eq(small, "got 3");
    ck_assert_int_eq(jem_last_error(NULL, 0), (int64_t)strlen(text));
    jem__fail_in(JEM_ERROR_SHAPE, "%s", "FILE");
    jem_last_error(text, sizeof text);
    ck_assert_str_eq(text, "FILE: got 3, expected  four");
    ck_assert_str_eq(jem_status_name(JEM_ERROR_DIVERGED), "JEM_ERROR_DIVERGED");
    ck_assert_str_eq(jem_status_name(-99), "unknown status");
}
END_TEST

/* A text longer than there is room for is cut, never overrun. */
START_TEST(long_texts)
{
    char path[9000], text[9000];
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = 0;
    jem__fail(JEM_ERROR_IO, "%s: gone", path);
    jem__fail_in(JEM_ERROR_IO, "%s", path);
    int64_t length = jem_last_error(text, sizeof text);
    ck_assert_int_eq(length, (int64_t)strlen(text));
    ck_assert_int_lt(length, 5120);
    /* The longest path leaves the reason whole, however often it is put before. */
    path[4095] = 0;
    jem__fail(JEM_ERROR_IO, "%s: cannot open: there is no such file", path);
    jem_last_error(text, sizeof text);
    ck_assert_ptr_nonnull(strstr(text, "no such file"));
    jem__fail(JEM_ERROR_IO, "byte 7: expected 8");
    jem__fail_in(JEM_ERROR_IO, "%s: header", path);
    jem_last_error(text, sizeof text);
    ck_assert_ptr_nonnull(strstr(text, "x: header: byte 7: expected 8"));
}
END_TEST

static void *other_thread(void *unused)
{
    char text[64];
    ck_assert_int_eq(jem_last_error(text, sizeof text), 0);
    ck_assert_str_eq(text, "");
    jem__fail(JEM_ERROR_IO, "theirs");
    return unused;
}

START_TEST(per_thread)
{
    char text[64];
    pthread_t thread;
    jem__fail(JEM_ERROR_IO, "ours");
    ck_assert_int_eq(pthread_create(&thread, NULL, other_thread, NULL), 0);
    pthread_join(thread, NULL);
    jem_last_error(text, sizeof text);
    ck_assert_str_eq(text, "ours");
}
END_TEST

START_TEST(comma_locale)
{
    char text[64];
    test_comma_locale();
    snprintf(text, sizeof text, "%g", 1.5);
    ck_assert_str_eq(text, "1,5");
    jem__fail(JEM_ERROR_ARGUMENT, "%g", 1.5);
    jem_last_error(text, sizeof text);
    ck_assert_str_eq(text, "1.5");
    ck_assert_int_eq(jem__format(text, sizeof text, "%.2f", 0.25), 4);
    ck_assert_str_eq(text, "0.25");
    setlocale(LC_ALL, "C");
}
END_TEST

START_TEST(versions)
{
    char text[200];
    ck_assert_str_eq(jem_version(), "0.1.0");
    ck_assert_int_eq(jem_abi_version(), JEM_ABI_VERSION);
    ck_assert_int_gt(jem_build_info(text, sizeof text), 10);
    ck_assert_msg(strstr(text, jem_version()) && strstr(text, "oneDNN"), "%s", text);
}
END_TEST

/* Wrappers decode every text: it is UTF-8, whatever was put into it and however it is cut. */
START_TEST(texts_are_utf8)
{
    static const char *const good[] = {"",
                                       "a",
                                       "\xc3\xa9",
                                       "\xe2\x82\xac",
                                       "\xf0\x9f\x98\x80",
                                       "\xed\x9f\xbf",
                                       "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {
        "\x80",         "\xc3",         "\xc0\xaf",         "\xe2\x82",
        "\xed\xa0\x80", "\xe0\x9f\xbf", "\xf4\x90\x80\x80", "a\xff"};
    char text[64];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) ck_assert(jem__is_utf8(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert(!jem__is_utf8(bad[i]));
        jem__fail(JEM_ERROR_IO, "%s: cannot open\n", bad[i]);
        jem_last_error(text, sizeof text);
        ck_assert(jem__is_utf8(text) && strchr(text, '?') && !strchr(text, '\n'));
    }
    /* One line, and nothing that a terminal obeys: C0, DEL, C1. */
    jem__fail(JEM_ERROR_IO, "a\x1b[2Jb\x7f"
                            "c\xc2\x9b"
                            "2J\xc2\xa0\xc3\x9b");
    jem_last_error(text, sizeof text);
    ck_assert_str_eq(text, "a [2Jb c  2J\xc2\xa0\xc3\x9b");
    for (int64_t capacity = 1; capacity < 12; capacity++) {
        const char *whole = "\xe2\x82\xac\xc3\xa9\xf0\x9f\x98\x80";
        ck_assert_int_eq(jem__copy_text(whole, text, capacity), 9);
        ck_assert(jem__is_utf8(text) && (int64_t)strlen(text) < capacity);
        ck_assert(capacity < 10 || !strcmp(text, whole));
    }
}
END_TEST

TESTS("status", texts_are_utf8, texts, long_texts, per_thread, comma_locale, versions)
