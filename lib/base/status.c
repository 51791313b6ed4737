/* Error text per thread, status names, versions. */
#include "base/status.h"
#include "base/version.h" /* of meson.build */
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#undef jem__fail
#undef jem__fail_in

static _Thread_local char last_error[5120]; /* a path of 4096 bytes, and the reason */

/* printf in the C locale, whatever the thread's is. */
void jem__print(char *text, size_t size, const char *format, va_list arguments)
{
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    locale_t before = c ? uselocale(c) : (locale_t)0;
    vsnprintf(text, size, format, arguments); /* NOLINT(clang-analyzer-valist.Uninitialized): is the
                                                 caller's, who began it */
    if (c) {
        uselocale(before);
        freelocale(c);
    }
}

int jem__format(char *text, size_t size, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    jem__print(text, size, format, arguments);
    va_end(arguments);
    return (int)strlen(text);
}

/* Bytes of the UTF-8 character that text begins with; 0: of none (RFC 3629). */
static int character(const char *text)
{
    const unsigned char *t = (const unsigned char *)text;
    int n = t[0] < 0x80   ? 1
            : t[0] < 0xC2 ? 0
            : t[0] < 0xE0 ? 2
            : t[0] < 0xF0 ? 3
            : t[0] < 0xF5 ? 4
                          : 0;
    for (int i = 1; i < n; i++)
        if ((t[i] & 0xC0) != 0x80) return 0;
    if ((t[0] == 0xE0 && t[1] < 0xA0) || (t[0] == 0xED && t[1] > 0x9F) ||
        (t[0] == 0xF0 && t[1] < 0x90) || (t[0] == 0xF4 && t[1] > 0x8F))
        return 0; /* too long a form, a surrogate, beyond U+10FFFF */
    return n;
}

int32_t jem__is_utf8(const char *text)
{
    int n = 1;
    for (; *text && n; text += n) n = character(text);
    return n != 0;
}

void jem__tidy_text(char *text)
{
    for (int n; *text; text += n ? n : 1) {
        n = character(text);
        if (!n)
            *text = '?';
        else if ((unsigned char)*text < ' ' || *text == 127)
            *text = ' ';
        else if ((unsigned char)*text == 0xC2 && (unsigned char)text[1] < 0xA0)
            text[0] = text[1] = ' '; /* C1, which terminals obey */
    }
}

jem_status jem__fail(jem_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    jem__print(last_error, sizeof last_error, format, arguments);
    va_end(arguments);
    jem__tidy_text(last_error);
    return status;
}

jem_status jem__fail_in(jem_status status, const char *format, ...)
{
    char before[4352], inner[sizeof last_error];
    va_list arguments;
    va_start(arguments, format);
    jem__print(before, sizeof before, format, arguments);
    va_end(arguments);
    memcpy(inner, last_error, sizeof inner);
    snprintf(last_error, sizeof last_error, "%.4300s: %.800s", before, inner);
    jem__tidy_text(last_error);
    return status;
}

int64_t jem__copy_part(const char *text, int64_t length, char *buffer, int64_t capacity)
{
    if (buffer && capacity > 0) {
        int64_t n = length < capacity - 1 ? length : capacity - 1;
        while (n > 0 && n < length && (text[n] & 0xC0) == 0x80) n--;
        memcpy(buffer, text, (size_t)n);
        buffer[n] = 0;
    }
    return length;
}

int64_t jem__copy_text(const char *text, char *buffer, int64_t capacity)
{
    return jem__copy_part(text, (int64_t)strlen(text), buffer, capacity);
}

int64_t jem_last_error(char *buffer, int64_t capacity)
{
    return jem__copy_text(last_error, buffer, capacity);
}

const char *jem_status_name(jem_status status)
{
    switch (status) {
    case JEM_OK:
        return "JEM_OK";
    case JEM_CANCELLED:
        return "JEM_CANCELLED";
    case JEM_END:
        return "JEM_END";
    case JEM_ROLLED_BACK:
        return "JEM_ROLLED_BACK";
    case JEM_ERROR_ARGUMENT:
        return "JEM_ERROR_ARGUMENT";
    case JEM_ERROR_SHAPE:
        return "JEM_ERROR_SHAPE";
    case JEM_ERROR_CONFIG:
        return "JEM_ERROR_CONFIG";
    case JEM_ERROR_MEMORY:
        return "JEM_ERROR_MEMORY";
    case JEM_ERROR_IO:
        return "JEM_ERROR_IO";
    case JEM_ERROR_FORMAT:
        return "JEM_ERROR_FORMAT";
    case JEM_ERROR_STATE:
        return "JEM_ERROR_STATE";
    case JEM_ERROR_BACKEND:
        return "JEM_ERROR_BACKEND";
    case JEM_ERROR_DIVERGED:
        return "JEM_ERROR_DIVERGED";
    case JEM_ERROR_UNSUPPORTED:
        return "JEM_ERROR_UNSUPPORTED";
    case JEM_ERROR_FORK:
        return "JEM_ERROR_FORK";
    default:
        return "unknown status";
    }
}

const char *jem_version(void)
{
    return JEM__RELEASE;
}
int32_t jem_abi_version(void)
{
    _Static_assert(JEM_ABI_VERSION == JEM__ABI, "jem/status.h and meson.build differ");
    return JEM_ABI_VERSION;
}
