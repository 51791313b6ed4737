/* How far a long job is: a bar on a terminal, now and then a line elsewhere. */
#include "cli.h"
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static void format_time(char *text, size_t capacity, double seconds)
{
    int64_t s = seconds < 0 ? 0 : seconds > 3.6e8 ? 360000000 : (int64_t)(seconds + 0.5);
    if (s >= 3600)
        snprintf(text, capacity, "%" PRId64 "h%02d", s / 3600, (int)(s / 60 % 60));
    else if (s >= 60)
        snprintf(text, capacity, "%dm%02d", (int)(s / 60), (int)(s % 60));
    else
        snprintf(text, capacity, "%ds", (int)s);
}

static int width(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || size.ws_col < 40) return 80;
    return size.ws_col;
}

void progress_begin(progress *bar, const char *what, int64_t first, int64_t total)
{
    const char *term = getenv("TERM");
    double start = now();
    *bar = (progress){.what = what, .first = first, .total = total, .began = start, .shown = start};
    bar->terminal = isatty(STDERR_FILENO) && !(term && !strcmp(term, "dumb"));
    if (bar->terminal) bar->shown = 0; /* at once */
}

static void draw_bar(progress *bar, double share, const char *text)
{
    enum { CELLS = 20, CELL = 3 }; /* a cell takes three bytes */
    char line[512], cells[CELLS * CELL + 1] = "";
    size_t full = (size_t)(share * CELLS);
    for (size_t i = 0; i < CELLS; i++) memcpy(cells + i * CELL, i < full ? "━" : "─", CELL);
    int n = snprintf(line, sizeof line, "%s %s", cells, text);
    int spare = width() - 1 + (int)strlen(cells) - CELLS;
    if (n > spare) n = spare;
    if (n > (int)sizeof line - 1) n = (int)sizeof line - 1;
    fprintf(stderr, "\r%.*s\033[K", n, line);
    fflush(stderr);
    bar->drawn = 1;
}

void progress_update(progress *bar, int64_t done, const char *note)
{
    double time = now(), passed = time - bar->began;
    int last = done >= bar->total;
    if (time - bar->shown < (bar->terminal ? 0.1 : 30) && !(last && bar->drawn)) return;
    bar->shown = time;
    int64_t here = done - bar->first;
    double rate = passed > 0 ? (double)here / passed : 0;
    char left[32] = "?", text[384];
    if (rate > 0) format_time(left, sizeof left, (double)(bar->total - done) / rate);
    snprintf(text, sizeof text, "%s %" PRId64 "/%" PRId64 "  %.*f/s  %s left%s%s", bar->what, done,
             bar->total, rate < 10 ? 2 : 0, rate, left, note && *note ? "  " : "",
             note ? note : "");
    if (bar->terminal) {
        draw_bar(bar, bar->total ? (double)done / (double)bar->total : 1, text);
    } else {
        fprintf(stderr, "%s\n", text);
        bar->drawn = 1;
    }
}

void progress_end(progress *bar)
{
    if (bar->terminal && bar->drawn) fputs("\r\033[K", stderr);
    fflush(stderr);
    bar->drawn = 0;
}
