/* One HTML page that needs nothing beside itself: text, tables, embedded pictures. */
#ifndef HTML_H
#define HTML_H

#include "tree.h"

/* ---- html.c ---- */

typedef struct html {
    FILE *file;
    char beside[4300]; /* what it is written to, before it is renamed */
    char folder[4200]; /* for pictures that are drawn for the page: removed at its end */
    int64_t drawn;
} html;

int html_begin(html *page, const char *path, const char *title);
int html_end(html *page, const char *path);
void html_text(const html *page, const char *text); /* escaped */
void html_section(const html *page, const char *title);
/* A file embedded by its suffix; in silence nothing when it cannot be read. wide: over
   the whole page. */
void html_picture(const html *page, const char *path, const char *caption, int wide);
/* A name for a picture to draw for the page. */
void html_drawing(html *page, char *path, size_t capacity);
void html_row(const html *page, const char *name, const char *value);
/* "Expected calibration error" for "ece": what readers call the keys of our files. */
const char *html_label(const char *key, char *room, size_t capacity);

/* ---- show.c: what a JSON file says, as tables and charts ---- */

void show_tree(html *page, const tree *t);

/* ---- report_model.c: sections on DIR/model.safetensors and DIR/checkpoint.safetensors ---- */

void show_model(const html *page, const char *folder);
void show_settings(const html *page, const char *folder);

#endif
