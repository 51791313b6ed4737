/* Error text per thread, status names, versions. */
#include "base/status.h"
#include "base/version.h" /* of meson.build */
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#undef jem__fail
#undef jem__fail_in

static _Thread_local char last_error[1024];

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

static void one_line(char *text)
{
    for (; *text; text++)
        if (*text == '\n' || *text == '\r' || *text == '\t') *text = ' ';
}

jem_status jem__fail(jem_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    jem__print(last_error, sizeof last_error, format, arguments);
    va_end(arguments);
    one_line(last_error);
    return status;
}

jem_status jem__fail_in(jem_status status, const char *format, ...)
{
    char before[512], inner[sizeof last_error];
    va_list arguments;
    va_start(arguments, format);
    jem__print(before, sizeof before, format, arguments);
    va_end(arguments);
    memcpy(inner, last_error, sizeof inner);
    snprintf(last_error, sizeof last_error, "%.500s: %.500s", before, inner);
    one_line(last_error);
    return status;
}

int64_t jem__copy_text(const char *text, char *buffer, int64_t capacity)
{
    int64_t length = (int64_t)strlen(text);
    if (buffer && capacity > 0) {
        int64_t n = length < capacity - 1 ? length : capacity - 1;
        memcpy(buffer, text, (size_t)n);
        buffer[n] = 0;
    }
    return length;
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
