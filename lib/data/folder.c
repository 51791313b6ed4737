/* "png:DIR": a folder of PNG files for each class. Images are decoded when they are wanted, or
   all at once when they fit dataset.memory. */
#define _GNU_SOURCE
#include "base/config.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/status.h"
#include "data/dataset.h"
#include "format/images.h"
#include "format/pixels.h"
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { PATH_ROOM = 8192, MOST_CLASSES = 65536 };

/* Names in one block, one after the other with their ends. */
typedef struct list {
    char *text;
    int64_t length, room;
    int64_t *at; /* [count] where each begins */
    int64_t count, at_room;
} list;

typedef struct folder {
    char *dir;       /* of the images */
    char *training;  /* whose folders are the classes, if another: DIR/train */
    list classes;    /* names of folders, sorted */
    list files;      /* of all classes, sorted in each */
    int64_t *order;  /* [n] files: the classes take turns */
    int32_t *labels; /* [files.count] */
    int64_t resize;
} folder;

/* ---- Lists of names ---- */

static jem_status add_name(list *l, const char *name)
{
    int64_t size = (int64_t)strlen(name) + 1;
    JEM__TRY(jem__grow(&l->text, l->length, &l->room, l->length + size, 1));
    JEM__TRY(jem__grow(&l->at, l->count, &l->at_room, l->count + 1, sizeof *l->at));
    memcpy(l->text + l->length, name, (size_t)size);
    l->at[l->count++] = l->length;
    l->length += size;
    return JEM_OK;
}

static const char *name_of(const list *l, int64_t i)
{
    return l->text + l->at[i];
}

static int by_name(const void *a, const void *b, void *text)
{
    const int64_t *one = a, *other = b;
    return strcmp((char *)text + *one, (char *)text + *other);
}

/* Bytes decide, not the locale. */
static void sort(list *l, int64_t first)
{
    if (l->count - first > 1)
        qsort_r(l->at + first, (size_t)(l->count - first), sizeof *l->at, by_name, l->text);
}

static void drop(list *l)
{
    jem__free(l->text);
    jem__free(l->at);
}

/* ---- Looking through folders ---- */

static int32_t is_png(const char *name)
{
    size_t n = strlen(name);
    return n > 4 && strcasecmp(name + n - 4, ".png") == 0;
}

static jem_status refused(const char *path, const char *what)
{
    char text[128];
    return jem__fail(JEM_ERROR_IO, "%s: cannot %s: %s", path, what,
                     strerror_r(errno, text, sizeof text));
}

/* What is not there, as behind a link that leads nowhere, is no folder. */
static jem_status is_folder(int32_t *answer, const char *path)
{
    struct stat info;
    *answer = 0;
    if (stat(path, &info) == 0)
        *answer = S_ISDIR(info.st_mode);
    else if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
        return refused(path, "look at it");
    return JEM_OK;
}

static jem_status add_entry(list *l, const char *dir, const char *name, int32_t folders)
{
    char path[PATH_ROOM];
    int32_t answer;
    if (*name == '.') return JEM_OK;
    if (!folders) return is_png(name) ? add_name(l, name) : JEM_OK;
    if (snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path)
        return jem__fail(JEM_ERROR_IO, "%s: the path is too long", dir);
    JEM__TRY(is_folder(&answer, path));
    if (!answer) return JEM_OK;
    if (l->count == MOST_CLASSES)
        return jem__fail(JEM_ERROR_FORMAT, "%s: more than %d folders", dir, MOST_CLASSES);
    if (strchr(name, '\n'))
        return jem__fail(JEM_ERROR_FORMAT, "%s: a folder's name has a line break", dir);
    return add_name(l, name);
}

/* Adds the folders in dir, or its PNG files, sorted; hidden ones are left out. */
static jem_status scan(list *l, const char *dir, int32_t folders)
{
    int64_t first = l->count;
    jem_status status = JEM_OK;
    const struct dirent *entry;
    DIR *stream = opendir(dir);
    if (!stream) return refused(dir, "open");
    for (errno = 0; !status && (entry = readdir(stream)); errno = 0)
        status = add_entry(l, dir, entry->d_name, folders);
    if (!status && errno) status = refused(dir, "list");
    closedir(stream);
    sort(l, first);
    return status;
}

static jem_status scan_class(folder *f, int64_t k, int64_t *count)
{
    char path[PATH_ROOM];
    int64_t first = f->files.count;
    snprintf(path, sizeof path, "%s/%s", f->dir, name_of(&f->classes, k));
    JEM__TRY(scan(&f->files, path, 0));
    *count = f->files.count - first;
    if (f->files.count > INT32_MAX)
        return jem__fail(JEM_ERROR_FORMAT, "%s: more than %d images", f->dir, INT32_MAX);
    return JEM_OK;
}

/* Lets the classes take turns, so that the first n images are a fair choice. first
   [classes + 1]: where each begins in files. A class without images left takes no more turns. */
static jem_status put_in_order(folder *f, const int64_t *first)
{
    int64_t n = 0, total = f->files.count, left = f->classes.count, *takes;
    JEM__TRY(jem__alloc(&f->order, total, sizeof *f->order));
    JEM__TRY(jem__alloc(&f->labels, total, sizeof *f->labels));
    JEM__TRY(jem__alloc(&takes, left, sizeof *takes));
    for (int64_t k = 0; k < left; k++) {
        takes[k] = k;
        for (int64_t i = first[k]; i < first[k + 1]; i++) f->labels[i] = (int32_t)k;
    }
    for (int64_t turn = 0; n < total; turn++) {
        int64_t stay = 0;
        for (int64_t i = 0; i < left; i++) {
            int64_t k = takes[i];
            if (turn == first[k + 1] - first[k]) continue;
            f->order[n++] = first[k] + turn;
            takes[stay++] = k;
        }
        left = stay;
    }
    jem__free(takes);
    return JEM_OK;
}

/* Of the folders in f->dir, sorted as the classes are: each must be one, and a class need not have
   one. first [classes + 1]. */
static jem_status scan_classes(folder *f, const list *folders, int64_t *first)
{
    int64_t at = 0, count;
    for (int64_t k = 0; k < f->classes.count; k++) {
        int32_t there =
            at < folders->count && !strcmp(name_of(folders, at), name_of(&f->classes, k));
        count = 0;
        if (there) JEM__TRY(scan_class(f, k, &count));
        first[k + 1] = first[k] + count;
        at += there;
    }
    if (at == folders->count) return JEM_OK;
    return jem__fail(JEM_ERROR_FORMAT, "%s/%s: is no class: no folder of that name in %s", f->dir,
                     name_of(folders, at), f->training);
}

static jem_status list_files(folder *f)
{
    int64_t *first;
    list folders = {0};
    JEM__TRY(scan(&f->classes, f->training ? f->training : f->dir, 1));
    JEM__TRY(jem__calloc(&first, f->classes.count + 1, sizeof *first));
    jem_status status = f->training ? scan(&folders, f->dir, 1) : JEM_OK;
    if (!status) status = scan_classes(f, f->training ? &folders : &f->classes, first);
    drop(&folders);
    if (!status && f->files.count == 0)
        status = jem__fail(JEM_ERROR_IO, "%s: no PNG files there, expected a folder for each class",
                           f->dir);
    if (!status) status = put_in_order(f, first);
    jem__free(first);
    return status;
}

/* ---- Images ---- */

static void path_of(const folder *f, int64_t i, char *path)
{
    int64_t file = f->order[i];
    snprintf(path, PATH_ROOM, "%s/%s/%s", f->dir, name_of(&f->classes, f->labels[file]),
             name_of(&f->files, file));
}

static jem_status refuse_size(const char *path, int64_t w, int64_t h, const jem__store *s)
{
    return jem__fail(JEM_ERROR_SHAPE,
                     "%s: %" PRId64 "x%" PRId64 " pixels (width, height), expected %" PRId64
                     "x%" PRId64 " as the first image has, or dataset.resize",
                     path, w, h, s->w, s->h);
}

static jem_status decode(const jem__store *s, const char *path, float *x, uint8_t *out)
{
    const folder *f = s->opened;
    uint8_t *pixels;
    int64_t w, h;
    JEM__TRY(jem__png_read(&pixels, &w, &h, path));
    jem_status status =
        f->resize || (w == s->w && h == s->h)
            ? jem__pixels_convert(pixels, w, h, 4 * w, JEM_PIXEL_RGBA8, s->c, s->h, s->w, x)
            : refuse_size(path, w, h, s);
    for (int64_t i = 0; !status && i < s->c * s->h * s->w; i++)
        out[i] = (uint8_t)((x[i] + 1.0f) * 127.5f + 0.5f);
    jem__free(pixels);
    return status;
}

static jem_status fetch(const jem__store *s, const int64_t *indices, int64_t n, void *pixels,
                        int32_t *labels)
{
    const folder *f = s->opened;
    char path[PATH_ROOM];
    float *x;
    for (int64_t i = 0; labels && i < n; i++) labels[i] = f->labels[f->order[indices[i]]];
    if (!pixels) return JEM_OK;
    JEM__TRY(jem__alloc(&x, s->c * s->h * s->w, sizeof *x));
    jem_status status = JEM_OK;
    for (int64_t i = 0; !status && i < n; i++) {
        path_of(f, indices[i], path);
        status = decode(s, path, x, (uint8_t *)pixels + i * s->c * s->h * s->w);
    }
    jem__free(x);
    return status;
}

static void close_folder(jem__store *s)
{
    folder *f = s->opened;
    drop(&f->classes);
    drop(&f->files);
    jem__free(f->order);
    jem__free(f->labels);
    jem__free(f->dir);
    jem__free(f->training);
    jem__free(f);
    s->opened = NULL;
}

static const jem__source source = {fetch, close_folder, 0};

/* ---- Opening ---- */

/* Size and colour of every file, before the first is decoded. */
static jem_status survey(jem__store *s, const folder *f, int32_t *colour)
{
    char path[PATH_ROOM];
    *colour = 0;
    for (int64_t i = 0; i < s->n; i++) {
        int64_t w, h;
        int32_t has;
        path_of(f, i, path);
        JEM__TRY(jem__png_info(path, &w, &h, &has));
        *colour |= has;
        if (i == 0) {
            s->w = f->resize ? f->resize : w;
            s->h = f->resize ? f->resize : h;
        } else if (!f->resize && (w != s->w || h != s->h)) {
            return refuse_size(path, w, h, s);
        }
    }
    return JEM_OK;
}

static jem_status channels(jem__store *s, const jem_config *config, int32_t colour)
{
    int32_t chosen = 0;
    if (config) JEM__TRY(jem_config_is_set(config, "dataset.channels", &chosen));
    s->c = chosen ? jem__config_i64(config, "dataset.channels") : colour ? 3 : 1;
    if (s->c == 2) return jem__fail(JEM_ERROR_CONFIG, "dataset.channels is 2, expected 1 or 3");
    return JEM_OK;
}

/* Lines of class names. */
static jem_status name_classes(jem__store *s, const list *classes)
{
    int64_t lines;
    s->classes = classes->count;
    JEM__TRY(jem__alloc(&s->names, classes->length + 1, 1));
    char *to = s->names;
    for (int64_t k = 0; k < classes->count; k++) {
        size_t n = strlen(name_of(classes, k));
        memcpy(to, name_of(classes, k), n + 1);
        jem__tidy_text(to); /* a file system takes any bytes */
        to += n;
        *to++ = '\n';
    }
    *to = 0;
    return jem__store_find_names(s, &lines);
}

/* *found is a copy of DIR/split where that is a folder, else NULL. */
static jem_status find_split(char **found, const char *dir, const char *split)
{
    char path[PATH_ROOM];
    int32_t answer;
    *found = NULL;
    if (snprintf(path, sizeof path, "%s/%s", dir, split) >= (int)sizeof path - 1024)
        return jem__fail(JEM_ERROR_IO, "%.100s...: the path is too long", dir);
    JEM__TRY(is_folder(&answer, path));
    if (!answer) return JEM_OK;
    *found = jem__strdup(path);
    return *found ? JEM_OK : JEM_ERROR_MEMORY;
}

/* DIR/train or DIR/test where there is such a folder. A class has one number in all splits: its
   place among the folders of DIR/train. */
static jem_status choose_folder(folder *f, const char *dir, const jem_config *config)
{
    const char *split = jem__config_str(config, "dataset.split");
    JEM__TRY(find_split(&f->dir, dir, split));
    if (f->dir) return strcmp(split, "train") ? find_split(&f->training, dir, "train") : JEM_OK;
    f->dir = jem__strdup(dir);
    return f->dir ? JEM_OK : JEM_ERROR_MEMORY;
}

jem_status jem__folder_open(jem__store *store, const char *dir, const jem_config *config)
{
    folder *f;
    int32_t colour;
    int64_t image, limit = jem__config_i64(config, "dataset.limit");
    JEM__TRY(jem__calloc(&f, 1, sizeof *f));
    store->source = &source;
    store->opened = f;
    store->type = JEM_TYPE_U8;
    f->resize = jem__config_i64(config, "dataset.resize");
    JEM__TRY(choose_folder(f, dir, config));
    JEM__TRY(list_files(f));
    store->n = limit > 0 && limit < f->files.count ? limit : f->files.count;
    JEM__TRY(name_classes(store, &f->classes));
    JEM__TRY(survey(store, f, &colour));
    JEM__TRY(channels(store, config, colour));
    JEM__TRY(jem__store_check("jem_dataset_open", store->type, store->n, store->c, store->h,
                              store->w, &image));
    int64_t most = jem__config_i64(config, "dataset.memory");
    return image * store->n >> 20 < most ? jem__store_hold(store) : JEM_OK;
}
