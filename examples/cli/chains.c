/* Chains that walk, and the strip of some of them. */
#include "chains.h"
#include <stdlib.h>
#include <string.h>

/* ---- The strip ---- */

/* Denser at the beginning, where most happens. */
static void choose_moments(strip *s, int64_t steps)
{
    s->moments = 0;
    for (int64_t i = 0; i < STRIP_MOMENTS; i++) {
        double share = (double)i / (STRIP_MOMENTS - 1);
        int64_t step = (int64_t)(share * share * (double)steps + 0.5);
        if (step <= s->moments - 1 && i) step = s->moments; /* none twice */
        if (i == 0 || (step <= steps && step > s->at[s->moments - 1])) s->at[s->moments++] = step;
    }
}

static int is_shown(const strip *s, const chains *k, int32_t label)
{
    for (int64_t r = 0; r < s->rows; r++)
        if (k->y[s->chain[r]] == label) return 1;
    return 0;
}

int strip_begin(strip *s, const chains *k, int64_t rows)
{
    choose_moments(s, k->steps);
    s->rows = 0;
    if (rows > STRIP_ROWS) rows = STRIP_ROWS;
    for (int64_t i = 0; i < k->n && s->rows < rows; i++) {
        if (k->y && is_shown(s, k, k->y[i])) continue;
        s->chain[s->rows++] = i;
    }
    s->x = allocate(s->rows * s->moments * k->c * k->h * k->w, sizeof *s->x);
    return s->x ? 0 : CODE_FAILED;
}

/* What the chains look like after `step` steps, if that is one of the moments. */
static void look(strip *s, const chains *k, int64_t step)
{
    size_t size = (size_t)(k->c * k->h * k->w);
    for (int64_t m = 0; m < s->moments; m++)
        for (int64_t r = 0; s->at[m] == step && r < s->rows; r++)
            memcpy(s->x + (size_t)(r * s->moments + m) * size, k->x + (size_t)s->chain[r] * size,
                   size * sizeof *s->x);
}

static int with_page(const strip *s, const chains *k, const jem_model *model, const char *path,
                     const char *caption, int (*use)(const char *, const sheet *))
{
    char rows[STRIP_ROWS][64], columns[STRIP_MOMENTS][64];
    sheet page = {.title = "Chains from start to end",
                  .caption = caption,
                  .x = s->x,
                  .n = s->rows * s->moments,
                  .c = k->c,
                  .h = k->h,
                  .w = k->w,
                  .columns = s->moments,
                  .row_names = k->y ? rows : NULL,
                  .column_names = columns};
    for (int64_t m = 0; m < s->moments; m++)
        snprintf(columns[m], sizeof columns[m], "%s%" PRId64, m ? "" : "step ", s->at[m]);
    for (int64_t r = 0; k->y && r < s->rows; r++)
        jem_model_class_name(model, k->y[s->chain[r]], rows[r], sizeof rows[r]);
    return use(path, &page);
}

int strip_draw(const strip *s, const chains *k, const jem_model *model, const char *path,
               const char *caption)
{
    return with_page(s, k, model, path, caption, sheet_draw);
}

int strip_check(const strip *s, const chains *k, const jem_model *model, const char *path,
                const char *caption)
{
    return with_page(s, k, model, path, caption, sheet_check);
}

void strip_end(strip *s)
{
    free(s->x);
    s->x = NULL;
}

/* ---- The walk ---- */

/* The step where the next call ends: for the bar and for the strip. */
static int64_t next_stop(const strip *s, int64_t at, int64_t part, int64_t steps)
{
    int64_t stop = steps - at < part ? steps : at + part;
    for (int64_t m = 0; s && m < s->moments; m++)
        if (s->at[m] > at && s->at[m] < stop) stop = s->at[m];
    return stop;
}

/* What a step does depends on its number alone, not on the call that holds it. */
int chains_walk(const chains *k, strip *s)
{
    progress bar;
    int code = 0;
    if (s) look(s, k, 0);
    progress_begin(&bar, "steps", 0, k->steps);
    for (int64_t at = 0; !code && at < k->steps;) {
        int64_t stop = next_stop(s, at, k->steps / 100 + 1, k->steps);
        code = check(jem_sampler_step(k->sampler, k->x, k->y, k->n, 0, at, stop - at));
        at = stop;
        if (s && !code) look(s, k, at);
        progress_update(&bar, at, NULL);
    }
    progress_end(&bar);
    return code;
}
