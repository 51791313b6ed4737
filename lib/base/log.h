/* Log lines: written anywhere, delivered where no lock is held. */
#ifndef JEM__BASE_LOG_H
#define JEM__BASE_LOG_H

#include "base/status.h"
#include <jem/context.h>

/* One line for the sink of the context that this thread works for. Costs nothing where
   nobody listens. */
void jem__log(jem_log_level level, const char *format, ...) JEM__PRINTF(2, 3);

/* Lines that wait. */
typedef struct jem__line jem__line;
typedef struct jem__lines {
    jem__line *first, *last;
    int64_t count;
} jem__lines;

/* This thread's lines, taken off it; and put behind those of another list. */
jem__lines jem__log_take(void);
void jem__log_append(jem__lines *to, jem__lines lines);
/* Puts lines behind this thread's. */
void jem__log_give(jem__lines lines);
/* Calls the sinks with this thread's lines. No lock may be held. The error text stays. */
void jem__log_deliver(void);

#endif
