/* Reporting failures: sets the calling thread's error text, returns the status. */
#ifndef JEM__BASE_STATUS_H
#define JEM__BASE_STATUS_H

#include <jem/status.h>
#include <stdarg.h>

#if defined(__GNUC__)
#define JEM__PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define JEM__PRINTF(f, a)
#endif

/* status = jem__fail(JEM_ERROR_SHAPE, "jem_model_logits: capacity is %d, expected %d", ...)
   Numbers are printed with a point in every locale. */
jem_status jem__fail(jem_status status, const char *format, ...) JEM__PRINTF(2, 3);
/* Puts "context: " before the current text (for "while reading FILE"). Returns status. */
jem_status jem__fail_in(jem_status status, const char *format, ...) JEM__PRINTF(2, 3);
/* snprintf in the C locale, on the wire and in files; the length written. */
int jem__format(char *text, size_t size, const char *format, ...) JEM__PRINTF(3, 4);
void jem__print(char *text, size_t size, const char *format, va_list arguments);
/* Whether text is UTF-8. */
int32_t jem__is_utf8(const char *text);
/* Makes text one line of UTF-8: '?' for what is none, blanks for control characters. */
void jem__tidy_text(char *text);
/* Copies text, cut between characters, with the contract of jem_last_error; returns its length. */
int64_t jem__copy_text(const char *text, char *buffer, int64_t capacity);
/* The same of the first length bytes. */
int64_t jem__copy_part(const char *text, int64_t length, char *buffer, int64_t capacity);

/* The analyzers see one file at a time: they must know that these return the status. */
#ifdef __clang_analyzer__
#define jem__fail(status, ...) (jem__fail(status, __VA_ARGS__), (status))
#define jem__fail_in(status, ...) (jem__fail_in(status, __VA_ARGS__), (status))
#endif

#define JEM__TRY(expression)                                                                       \
    do {                                                                                           \
        jem_status status_ = (expression);                                                         \
        if (status_ < 0) return status_;                                                           \
    } while (0)

/* NULL-argument check: JEM__REQUIRE(model, "jem_model_logits") */
#define JEM__REQUIRE(pointer, function)                                                            \
    do {                                                                                           \
        if (!(pointer))                                                                            \
            return jem__fail(JEM_ERROR_ARGUMENT, "%s: %s is NULL", function, #pointer);            \
    } while (0)

#endif
