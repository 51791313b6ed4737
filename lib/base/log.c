#include "base/log.h"
#include "base/context.h"
#include <stdarg.h>

enum { MOST_LINES = 256 }; /* that wait at once: later ones are dropped */

struct jem__line {
    jem__line *next;
    jem_context *context; /* a reference */
    jem_log_level level;
    char text[512];
};

static _Thread_local jem__lines waiting;

void jem__log(jem_log_level level, const char *format, ...)
{
    jem_context *context = jem__context_here();
    jem__line *line;
    if (!context || !context->log.write || level > context->log.level) return;
    if (waiting.count >= MOST_LINES || jem__alloc(&line, 1, sizeof *line)) return;
    va_list arguments;
    va_start(arguments, format);
    jem__print(line->text, sizeof line->text, format, arguments);
    va_end(arguments);
    jem__tidy_text(line->text);
    line->next = NULL;
    line->level = level;
    line->context = jem__context_take(context);
    jem__log_append(&waiting, (jem__lines){line, line, 1});
}

jem__lines jem__log_take(void)
{
    jem__lines lines = waiting;
    waiting = (jem__lines){0};
    return lines;
}

void jem__log_append(jem__lines *to, jem__lines lines)
{
    if (!lines.first) return;
    if (to->first)
        to->last->next = lines.first;
    else
        to->first = lines.first;
    to->last = lines.last;
    to->count += lines.count;
}

void jem__log_give(jem__lines lines)
{
    jem__log_append(&waiting, lines);
}

void jem__log_deliver(void)
{
    char error[1024];
    if (!waiting.first) return;
    jem_last_error(error, sizeof error);
    jem__lines lines = jem__log_take();
    jem__scope outside = jem__enter(NULL);
    for (jem__line *line = lines.first, *next; line; line = next) {
        const jem_log *log = &line->context->log;
        next = line->next;
        log->write(log->user, line->level, line->text);
        jem_context *context = line->context;
        jem__free(line);
        jem_context_destroy(context);
    }
    jem__restore(outside);
    jem__fail(JEM_OK, "%s", error);
}
