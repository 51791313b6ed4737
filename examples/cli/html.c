/* Writing the page. */
#include "html.h"
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char style[] =
    "body{font:15px/1.5 system-ui,sans-serif;color:#26262d;background:#fff;margin:0 auto;"
    "max-width:1040px;padding:24px 28px 60px}"
    "h1{font-size:27px;margin:6px 0 2px}h2{font-size:20px;margin:38px 0 10px;padding-bottom:4px;"
    "border-bottom:2px solid #0073b3}h3{font-size:16px;margin:22px 0 6px}"
    ".soft{color:#6b6b73}.cards{display:flex;flex-wrap:wrap;gap:12px;margin:18px 0}"
    ".card{border:1px solid #dcdce2;border-radius:8px;padding:10px 18px;min-width:110px}"
    ".card b{display:block;font-size:23px}.card span{color:#6b6b73;font-size:13px}"
    "table{border-collapse:collapse;margin:8px 0 14px;font-size:14px;display:block;"
    "max-width:100%;overflow-x:auto}"
    "td,th{padding:4px 14px 4px 0;text-align:left;border-bottom:1px solid #ececf0;"
    "vertical-align:top}th{color:#6b6b73;font-weight:600}"
    "td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}"
    "td.w{overflow-wrap:anywhere;max-width:620px}"
    ".figures{display:flex;flex-wrap:wrap;gap:22px;align-items:flex-start}"
    "figure{margin:6px 0;flex:0 1 480px;min-width:200px}figure.wide{flex-basis:100%}"
    "figure.wide img{max-width:min(100%,860px)}"
    "figure.small{flex:0 1 190px;min-width:120px}"
    "figure img{max-width:100%;border:1px solid #ececf0;border-radius:4px}"
    "figcaption{color:#6b6b73;font-size:13px;margin-top:4px}"
    ".alarm{background:#fdf0e6;border-left:4px solid #d65e00;padding:8px 14px;margin:10px 0}"
    "summary{cursor:pointer;color:#0073b3;margin:6px 0}"
    "@media print{body{max-width:none}figure{break-inside:avoid}}";

void html_text(const html *page, const char *text)
{
    for (const char *at = text; *at; at++) switch (*at) {
        case '&':
            fputs("&amp;", page->file);
            break;
        case '<':
            fputs("&lt;", page->file);
            break;
        case '>':
            fputs("&gt;", page->file);
            break;
        case '"':
            fputs("&quot;", page->file);
            break;
        default:
            fputc(*at, page->file);
        }
}

int html_begin(html *page, const char *path, const char *title)
{
    const char *tmp = getenv("TMPDIR");
    *page = (html){.file = NULL};
    snprintf(page->folder, sizeof page->folder, "%s/jem-report-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(page->folder))
        return fail("%s: cannot make a folder: %s", page->folder, strerror(errno));
    page->file = beside_of(page->beside, sizeof page->beside, path) ? fopen(path, "w")
                                                                    : file_create(page->beside);
    if (!page->file) {
        rmdir(page->folder);
        return fail("%s: cannot open: %s", path, strerror(errno));
    }
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta "
          "name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>",
          page->file);
    html_text(page, title);
    fprintf(page->file, "</title>\n<style>%s</style>\n</head>\n<body>\n", style);
    return 0;
}

int html_end(html *page, const char *path)
{
    char drawing[4400];
    fputs("</body>\n</html>\n", page->file);
    int bad = ferror(page->file);
    int in_place = !strcmp(page->beside, path);
    if (fclose(page->file) || bad || (!in_place && rename(page->beside, path))) {
        bad = fail("%s: cannot write: %s", path, strerror(errno));
        if (!in_place) unlink(page->beside);
    }
    for (int64_t i = 0; i < page->drawn; i++) {
        snprintf(drawing, sizeof drawing, "%s/%" PRId64 ".png", page->folder, i);
        unlink(drawing);
    }
    rmdir(page->folder);
    return bad;
}

void html_section(const html *page, const char *title)
{
    fputs("<h2>", page->file);
    html_text(page, title);
    fputs("</h2>\n", page->file);
}

void html_row(const html *page, const char *name, const char *value)
{
    fputs("<tr><th>", page->file);
    html_text(page, name);
    fputs("</th><td class=\"w\">", page->file);
    html_text(page, value);
    fputs("</td></tr>\n", page->file);
}

/* ---- Pictures ---- */

static void base64(FILE *out, FILE *in)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned char b[3];
    size_t n;
    while ((n = fread(b, 1, 3, in)) > 0) {
        if (n < 3) memset(b + n, 0, 3 - n);
        fputc(digits[b[0] >> 2], out);
        fputc(digits[(b[0] & 3) << 4 | b[1] >> 4], out);
        fputc(n > 1 ? digits[(b[1] & 15) << 2 | b[2] >> 6] : '=', out);
        fputc(n > 2 ? digits[b[2] & 63] : '=', out);
    }
}

void html_picture(const html *page, const char *path, const char *caption, int wide)
{
    FILE *in = is_file(path) ? fopen(path, "rb") : NULL;
    if (!in) return;
    fprintf(page->file, "<figure%s><img alt=\"",
            wide > 0   ? " class=\"wide\""
            : wide < 0 ? " class=\"small\""
                       : "");
    html_text(page, caption);
    fprintf(page->file, "\" src=\"data:image/%s;base64,",
            has_suffix(path, ".svg") ? "svg+xml" : "png");
    base64(page->file, in);
    fputs("\"><figcaption>", page->file);
    html_text(page, caption);
    fputs("</figcaption></figure>\n", page->file);
    fclose(in);
}

void html_drawing(html *page, char *path, size_t capacity)
{
    snprintf(path, capacity, "%s/%" PRId64 ".png", page->folder, page->drawn++);
}

/* ---- Names ---- */

const char *html_label(const char *key, char *room, size_t capacity)
{
    static const char *const names[][2] = {{"accuracy", "Accuracy"},
                                           {"nll", "Negative log-likelihood (nats)"},
                                           {"brier", "Brier score"},
                                           {"ece", "Expected calibration error"},
                                           {"auroc", "AUROC"},
                                           {"aupr_in", "AUPR, known images positive"},
                                           {"aupr_out", "AUPR, unknown images positive"},
                                           {"fpr95", "False positives at 95 % true positives"},
                                           {"test_images", "Test images"},
                                           {"ood_log_px", "Unknown images told by log p(x)"},
                                           {"ood_mass", "Unknown images told by approximate mass"},
                                           {"frechet", "Fr\u00e9chet distance"},
                                           {"inception", "Inception score"},
                                           {"log_px", "log p(x)"},
                                           {"ood", "Unknown images"},
                                           {"ood_images", "Number of unknown images"},
                                           {"eps", "eps"}};
    for (int i = 0; i < COUNT(names); i++)
        if (!strcmp(names[i][0], key)) return names[i][1];
    snprintf(room, capacity, "%s", key);
    for (char *at = room; *at; at++)
        if (*at == '_') *at = ' ';
    *room = (char)toupper((unsigned char)*room);
    return room;
}
