/* JSON text as a tree, for reports on files that others wrote. */
#ifndef TREE_H
#define TREE_H

#include "cli.h"

typedef enum tree_kind {
    TREE_NULL,
    TREE_FLAG,
    TREE_NUMBER,
    TREE_TEXT,
    TREE_ARRAY,
    TREE_OBJECT
} tree_kind;

typedef struct tree {
    tree_kind kind;
    double number;      /* NUMBER, FLAG */
    char *text;         /* TEXT; the digits of a NUMBER */
    char *key;          /* inside an object */
    struct tree *items; /* ARRAY, OBJECT */
    int64_t count, room;
} tree;

/* Parses a whole text; 0 on text that is no JSON, or is nested deeper than 64. */
int tree_parse(tree *t, const char *text);
/* The file's tree; 0, in silence, when it cannot be read. */
int tree_read(tree *t, const char *path);
void tree_clear(tree *t);
/* The value under a key of an object, or NULL. */
const tree *tree_find(const tree *t, const char *key);
/* NaN, NULL where there is none. */
double tree_number(const tree *t, const char *key);
const char *tree_text(const tree *t, const char *key);

#endif
