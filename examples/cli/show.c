/* What a JSON file says: tables for its values, charts for what people look at. */
#include "html.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int is_scalar(const tree *t)
{
    return t->kind != TREE_ARRAY && t->kind != TREE_OBJECT;
}

/* Rows that share their columns: objects of scalars only. */
static int is_matrix(const tree *t)
{
    for (int64_t i = 0; i < t->count; i++) {
        if (t->items[i].kind != TREE_OBJECT) return 0;
        for (int64_t j = 0; j < t->items[i].count; j++)
            if (!is_scalar(&t->items[i].items[j])) return 0;
    }
    return t->count > 0;
}

static void show_scalar(const html *page, const tree *t)
{
    char text[64];
    if (t->kind == TREE_TEXT) {
        html_text(page, t->text);
        return;
    }
    if (t->kind == TREE_NUMBER && strlen(t->text) > 7)
        snprintf(text, sizeof text,
                 fabs(t->number) >= 1e5 && t->number == floor(t->number) ? "%.0f" : "%.4g",
                 t->number);
    else
        snprintf(text, sizeof text, "%s",
                 t->kind == TREE_NUMBER ? t->text
                 : t->kind == TREE_NULL ? "\u2013"
                 : t->number != 0       ? "yes"
                                        : "no");
    html_text(page, text);
}

static void cell(const html *page, const tree *t)
{
    fputs(t && t->kind == TREE_TEXT ? "<td>" : "<td class=\"n\">", page->file);
    if (t) show_scalar(page, t);
    fputs("</td>", page->file);
}

/* Each cell is looked for among all keys of its row: with few columns that is linear in what the
   file holds. */
static void show_matrix(const html *page, const tree *t)
{
    enum { COLUMNS = 100 };
    const tree *first = &t->items[0];
    int64_t columns = first->count < COLUMNS ? first->count : COLUMNS;
    char room[128];
    if (first->count > columns)
        fprintf(page->file, "<p class=\"soft\">The first %" PRId64 " of %" PRId64 " columns.</p>\n",
                columns, first->count);
    fputs("<table><tr>", page->file);
    if (t->kind == TREE_OBJECT) fputs("<th></th>", page->file);
    for (int64_t j = 0; j < columns; j++) {
        fputs(first->items[j].kind == TREE_TEXT ? "<th>" : "<th class=\"n\">", page->file);
        html_text(page, html_label(first->items[j].key, room, sizeof room));
        fputs("</th>", page->file);
    }
    fputs("</tr>\n", page->file);
    for (int64_t i = 0; i < t->count; i++) {
        fputs("<tr>", page->file);
        if (t->kind == TREE_OBJECT) {
            fputs("<th>", page->file);
            html_text(page, t->items[i].key);
            fputs("</th>", page->file);
        }
        for (int64_t j = 0; j < columns; j++)
            cell(page, tree_find(&t->items[i], first->items[j].key));
        fputs("</tr>\n", page->file);
    }
    fputs("</table>\n", page->file);
}

/* ---- Charts of what jem eval writes ---- */

static double at(const tree *array, int64_t i)
{
    return i < array->count && array->items[i].kind == TREE_NUMBER ? array->items[i].number : NAN;
}

static void draw_reliability(html *page, const tree *t, const tree *bins)
{
    enum { MOST = 200 };
    double confidence[MOST], accuracy[MOST];
    int64_t count[MOST], n = bins->count;
    char path[4400];
    if (n < 1 || n > MOST) return;
    for (int64_t b = 0; b < n; b++) {
        double total = tree_number(&bins->items[b], "images");
        confidence[b] = tree_number(&bins->items[b], "confidence");
        accuracy[b] = tree_number(&bins->items[b], "accuracy");
        if (!(total >= 0 && total < 1e15)) return;
        count[b] = isfinite(confidence[b]) && isfinite(accuracy[b]) ? (int64_t)total : 0;
    }
    html_drawing(page, path, sizeof path);
    if (!plot_reliability(path, "Reliability", n, confidence, accuracy, count,
                          tree_number(t, "ece")))
        html_picture(page, path, "Accuracy against confidence, in equal bins of confidence.", 0);
}

static void draw_roc(html *page, const tree *t, const tree *points)
{
    double *x = allocate(points->count, sizeof *x), *y = allocate(points->count, sizeof *y);
    const char *score = tree_text(t, "score");
    char path[4400], name[256];
    for (int64_t i = 0; x && y && i < points->count; i++) {
        x[i] = at(&points->items[i], 0);
        y[i] = at(&points->items[i], 1);
    }
    snprintf(name, sizeof name, "%.100s (AUROC %.3f)", score ? score : "score",
             tree_number(t, "auroc"));
    const plot_series curve = {name, x, y, points->count};
    html_drawing(page, path, sizeof path);
    if (x && y && !plot_roc(path, "Receiver operating characteristic", &curve, 1))
        html_picture(page, path, "Share of known and of unknown images above each threshold.", 0);
    free(x);
    free(y);
}

static void draw_counts(html *page, const tree *t, const tree *in, const tree *out)
{
    double low = tree_number(t, "low"), high = tree_number(t, "high");
    const char *score = tree_text(t, "score"), *data = tree_text(t, "data"),
               *ood = tree_text(t, "ood");
    const tree *sides[] = {in, out};
    double *counts[2] = {NULL, NULL};
    char path[4400];
    int good = in->count > 0 && in->count == out->count && low < high;
    for (int s = 0; good && s < 2; s++) {
        counts[s] = allocate(in->count, sizeof **counts);
        good = counts[s] != NULL;
        for (int64_t b = 0; good && b < in->count; b++) counts[s][b] = at(sides[s], b);
    }
    const plot_cells sets[] = {{data ? data : "data", counts[0]},
                               {ood ? ood : "other images", counts[1]}};
    html_drawing(page, path, sizeof path);
    if (good && !plot_counts(path, "Scores of known and unknown images", score ? score : "score",
                             low, high, in->count, sets, 2))
        html_picture(page, path, "How many images have which score; the peak of each set is 1.", 1);
    free(counts[0]);
    free(counts[1]);
}

static void draw_robust(html *page, const tree *t, const tree *robust)
{
    enum { MOST = 256 };
    double eps[MOST + 1], accuracy[MOST + 1];
    int64_t n = 0;
    const char *norm = tree_text(t, "norm");
    char path[4400], label[64];
    for (int64_t i = 0; i < robust->count && n < MOST; i++, n++) {
        eps[n] = tree_number(&robust->items[i], "eps");
        accuracy[n] = tree_number(&robust->items[i], "accuracy");
    }
    snprintf(label, sizeof label, "eps, %.20s (pixels in [-1,1])", norm ? norm : "");
    const plot_panel panel = {
        "Accuracy under attack", label, "accuracy", {{NULL, eps, accuracy, n}}, 1, 0, 1.02};
    html_drawing(page, path, sizeof path);
    if (n > 1 && !plot_lines(path, "Robustness", &panel, 1))
        html_picture(page, path, "Accuracy when each image may be changed by eps.", 0);
}

static void show_charts(html *page, const tree *t)
{
    const tree *bins = tree_find(t, "bins"), *points = tree_find(t, "points"),
               *robust = tree_find(t, "robust");
    const tree *in = tree_find(t, "in_counts"), *out = tree_find(t, "ood_counts");
    fputs("<div class=\"figures\">\n", page->file);
    if (bins && bins->kind == TREE_ARRAY) draw_reliability(page, t, bins);
    if (points && points->kind == TREE_ARRAY) draw_roc(page, t, points);
    if (in && out) draw_counts(page, t, in, out);
    if (robust && robust->kind == TREE_ARRAY) draw_robust(page, t, robust);
    fputs("</div>\n", page->file);
}

/* ---- A value of any kind ---- */

static void show_nested(html *page, const tree *t)
{
    char room[128];
    const char *name = html_label(t->key ? t->key : "", room, sizeof room);
    /* Long lists are what the charts are of. */
    int folded = (t->kind == TREE_ARRAY && (t->count > 12 || !is_matrix(t)));
    fputs(folded ? "<details><summary>" : "<h3>", page->file);
    html_text(page, name);
    if (folded) fprintf(page->file, " (%" PRId64 ")", t->count);
    fputs(folded ? "</summary>" : "</h3>\n", page->file);
    if (is_matrix(t)) {
        show_matrix(page, t);
    } else if (t->kind == TREE_OBJECT) {
        show_tree(page, t);
    } else {
        fputs("<p class=\"w soft\">", page->file);
        for (int64_t i = 0; i < t->count && i < 2000; i++) {
            const tree *item = &t->items[i];
            if (i) fputs(", ", page->file);
            if (is_scalar(item))
                show_scalar(page, item);
            else
                for (int64_t j = 0; j < item->count; j++) {
                    fputs(j ? " " : "", page->file);
                    if (is_scalar(&item->items[j])) show_scalar(page, &item->items[j]);
                }
        }
        fputs("</p>\n", page->file);
    }
    if (folded) fputs("</details>\n", page->file);
}

void show_tree(html *page, const tree *t)
{
    char room[128];
    int rows = 0;
    if (t->kind == TREE_ARRAY && is_matrix(t)) {
        show_matrix(page, t);
        return;
    }
    if (t->kind == TREE_ARRAY) { /* one evaluation after the other */
        for (int64_t i = 0; i < t->count; i++)
            if (t->items[i].kind == TREE_OBJECT) show_tree(page, &t->items[i]);
        return;
    }
    for (int64_t i = 0; i < t->count; i++) {
        if (!is_scalar(&t->items[i])) continue;
        if (!rows++) fputs("<table>\n", page->file);
        fputs("<tr><th>", page->file);
        html_text(page, html_label(t->items[i].key, room, sizeof room));
        fputs("</th>", page->file);
        cell(page, &t->items[i]);
        fputs("</tr>\n", page->file);
    }
    if (rows) fputs("</table>\n", page->file);
    show_charts(page, t);
    for (int64_t i = 0; i < t->count; i++)
        if (!is_scalar(&t->items[i])) show_nested(page, &t->items[i]);
}
