/* Disks that fail at every call: a save leaves the old file whole or the new one, and
   training goes on; a read says what is wrong. Clocks that jump. */
#include "faults/inject.h"
#include "train/tiny.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <zlib.h>

static int64_t points, reads_tried[INJECT_KINDS];

typedef struct bytes {
    uint8_t *data;
    int64_t size;
} bytes;

static bytes get(const char *path)
{
    bytes b;
    b.data = test_get(path, &b.size);
    return b;
}

static int same(bytes a, bytes b)
{
    return a.size == b.size && memcmp(a.data, b.data, (size_t)a.size) == 0;
}

static int temporaries(const char *folder)
{
    DIR *d = opendir(folder);
    int n = 0;
    for (struct dirent *e; (e = readdir(d));) n += strstr(e->d_name, ".tmp.") != NULL;
    closedir(d);
    return n;
}

/* One fault in one save. Returns whether the fault came about. */
static int save_with(const tiny *t, const char *folder, bytes before, bytes after, inject_kind kind,
                     int64_t nth, int error, int sticky)
{
    char path[4300], text[512] = "";
    snprintf(path, sizeof path, "%s/run", folder);
    test_put(path, before.data, before.size);
    inject_arm(kind, nth, error, sticky);
    jem_status status = jem_trainer_save(t->trainer, path);
    jem_last_error(text, sizeof text);
    inject_disarm();
    int fired = inject_fired() > 0;
    points += fired;
    bytes now = get(path);
    int old = same(now, before), fresh = same(now, after);
    free(now.data);
    ck_assert_msg(old || fresh, "%s %d: neither the old file nor the new", inject_names[kind],
                  (int)nth);
    if (status == JEM_OK) {
        ck_assert_msg(fresh, "%s %d", inject_names[kind], (int)nth);
    } else {
        ck_assert_int_eq(status, JEM_ERROR_IO);
        ck_assert_msg(strstr(text, "/run") && strstr(text, strerror(error)), "%s", text);
    }
    if (kind != INJECT_UNLINK) ck_assert_int_eq(temporaries(folder), 0);
    return fired;
}

START_TEST(saves)
{
    static const inject_kind kinds[] = {INJECT_OPEN, INJECT_WRITE,  INJECT_FSYNC,   INJECT_RENAME,
                                        INJECT_LINK, INJECT_UNLINK, INJECT_OPENDIR, INJECT_READDIR,
                                        INJECT_STAT, INJECT_LOCK};
    static const int errors[] = {ENOSPC, EIO, EROFS};
    char folder[4096], path[4300];
    snprintf(folder, sizeof folder, "%s", test_folder());
    snprintf(path, sizeof path, "%s/run", folder);
    tiny t = tiny_of(1, "trainer.keep=3"), plain = tiny_of(1, "trainer.keep=3");
    OK(jem_trainer_step(t.trainer));
    OK(jem_trainer_save(t.trainer, path));
    bytes before = get(path);
    OK(jem_trainer_step(t.trainer));
    OK(jem_trainer_save(t.trainer, path));
    bytes after = get(path);
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        for (int e = 0; e < 3; e++)
            for (int sticky = 0; sticky < 2; sticky++) {
                int64_t nth = 1, step = kinds[k] == INJECT_WRITE && e ? 17 : 1;
                while (save_with(&t, folder, before, after, kinds[k], nth, errors[e], sticky))
                    nth += step;
                ck_assert_int_gt(nth, 1);
            }
    /* Half written is not an error, nor is an interruption. */
    for (int sticky = 0; sticky < 2; sticky++) {
        save_with(&t, folder, before, after, INJECT_WRITE, 3, INJECT_SHORT, sticky);
        ck_assert_int_gt(inject_fired(), 0);
    }
    static const inject_kind interrupted[] = {INJECT_OPEN, INJECT_WRITE, INJECT_FSYNC, INJECT_LOCK};
    for (int k = 0; k < 4; k++)
        for (int64_t nth = 1; nth < 3; nth++) {
            inject_arm(interrupted[k], nth, EINTR, 0);
            OK(jem_trainer_save(t.trainer, path));
            ck_assert(inject_fired() == 1 || interrupted[k] == INJECT_LOCK);
            inject_disarm();
        }
    /* After all that the run goes on as if nothing had been. */
    OK(jem_trainer_run(t.trainer, NULL));
    OK(jem_trainer_run(plain.trainer, NULL));
    ck_assert(tiny_equal(&t, &plain));
    free(before.data);
    free(after.data);
    tiny_end(&t);
    tiny_end(&plain);
}
END_TEST

/* Names that cannot be given cost no version: a save takes up where the one before it failed. */
START_TEST(versions_outlast_failed_renames)
{
    enum { SAVES = 4 };
    char path[4300], older[2][4310];
    bytes saved[SAVES], now[3];
    snprintf(path, sizeof path, "%s/run", test_folder());
    for (int i = 0; i < 2; i++) snprintf(older[i], sizeof older[i], "%s.%d", path, i + 1);
    tiny t = tiny_of(1, "trainer.keep=3");
    for (int i = 0; i < SAVES; i++) {
        OK(jem_trainer_step(t.trainer));
        /* The first of the last save's failures comes after path.1 has become path.2. */
        for (int64_t failure = 0; i == SAVES - 1 && failure < 3; failure++) {
            inject_arm(INJECT_RENAME, failure ? 1 : 2, EIO, 0);
            FAILS(JEM_ERROR_IO, jem_trainer_save(t.trainer, path), "rename");
            inject_disarm();
        }
        OK(jem_trainer_save(t.trainer, path));
        saved[i] = get(path);
    }
    now[0] = get(path);
    for (int i = 0; i < 2; i++) now[1 + i] = get(older[i]);
    for (int i = 0; i < 3; i++) ck_assert(same(now[i], saved[SAVES - 1 - i]));
    for (int i = 0; i < 3; i++) free(now[i].data);
    for (int i = 0; i < SAVES; i++) free(saved[i].data);
    tiny_end(&t);
}
END_TEST

typedef jem_status writer(tiny *t, const char *path);

static const float pixels[IMAGE];

static jem_status write_model(tiny *t, const char *path)
{
    return jem_model_save(t->model, path);
}

static jem_status write_packed(tiny *t, const char *path)
{
    return jem_dataset_save(t->data, path);
}

static jem_status write_array(tiny *t, const char *path)
{
    const int64_t shape[] = {IMAGE};
    (void)t;
    return jem_array_save(path, pixels, JEM_TYPE_F32, 1, shape);
}

static jem_status write_png(tiny *t, const char *path)
{
    (void)t;
    return jem_array_save_png(path, pixels, 1, C, H, W, 1, 1, 0);
}

/* A full disk at every call of the other files' writers: the old file stays, or the new one
   is whole. */
START_TEST(full_disks)
{
    enum { WRITERS = 4, KINDS = 8 };
    static writer *const writers[WRITERS] = {write_model, write_packed, write_array, write_png};
    static const inject_kind kinds[KINDS] = {INJECT_OPEN,   INJECT_WRITE,   INJECT_FSYNC,
                                             INJECT_RENAME, INJECT_OPENDIR, INJECT_READDIR,
                                             INJECT_STAT,   INJECT_LOCK};
    static uint8_t old[] = "what was there";
    char path[4300], folder[4096];
    snprintf(folder, sizeof folder, "%s", test_folder());
    snprintf(path, sizeof path, "%s/file", folder);
    tiny t = tiny_of(1, "");
    for (int i = 0; i < WRITERS * KINDS * 2; i++) {
        inject_kind kind = kinds[i / 2 % KINDS];
        writer *save = writers[i / 2 / KINDS];
        OK(save(&t, path));
        bytes whole = get(path);
        for (int64_t nth = 1;; nth++) {
            test_put(path, old, sizeof old);
            inject_arm(kind, nth, ENOSPC, i % 2);
            jem_status status = save(&t, path);
            inject_disarm();
            bytes now = get(path);
            int kept = same(now, (bytes){old, sizeof old}), fresh = same(now, whole);
            free(now.data);
            ck_assert_int_eq(temporaries(folder), 0);
            ck_assert(kept || fresh);
            ck_assert(status == JEM_OK ? fresh : status == JEM_ERROR_IO);
            if (status) ck_assert(kept || kind == INJECT_FSYNC); /* of the folder */
            if (!inject_fired()) {
                OK(status);
                ck_assert_int_gt(nth, 1);
                break;
            }
            points++;
        }
        free(whole.data);
    }
    tiny_end(&t);
}
END_TEST

typedef jem_status reader(tiny *t, const char *path);

static jem_status read_checkpoint(tiny *t, const char *path)
{
    return jem_trainer_resume(t->trainer, path);
}

static jem_status read_settings(tiny *t, const char *path)
{
    jem_config *config;
    (void)t;
    jem_status status = jem_config_load(&config, path);
    ck_assert(!status == !!config);
    jem_config_destroy(config);
    return status;
}

static jem_status read_model(tiny *t, const char *path)
{
    jem_model *model;
    jem_status status = jem_model_load(&model, t->context, path);
    ck_assert(!status == !!model);
    jem_model_destroy(model);
    return status;
}

static jem_status read_array(tiny *t, const char *path)
{
    jem_array *array;
    (void)t;
    jem_status status = jem_array_load(&array, path);
    ck_assert(!status == !!array);
    jem_array_destroy(array);
    return status;
}

static jem_status read_buffer(tiny *t, const char *path)
{
    jem_sampler *sampler;
    OK(jem_sampler_create(&sampler, t->model, t->config));
    jem_status status = jem_sampler_buffer_load(sampler, path, NULL);
    jem_sampler_destroy(sampler);
    return status;
}

/* "KIND:WHERE", and its first image. */
static jem_status read_images(tiny *t, const char *source, const jem_config *config)
{
    jem_dataset *data;
    float x[3 * 32 * 32];
    jem_status status = jem_dataset_open(&data, t->context, source, config);
    ck_assert(!status == !!data);
    if (!status) status = jem_dataset_read(data, 0, 1, x, INT64_MAX, NULL);
    jem_dataset_destroy(data);
    return status;
}

static jem_status read_dataset(tiny *t, const char *source)
{
    return read_images(t, source, NULL);
}

static jem_status read_mapped(tiny *t, const char *source)
{
    jem_config *config;
    OK(jem_config_create(&config));
    OK(jem_config_set_i64(config, "dataset.map", 1));
    jem_status status = read_images(t, source, config);
    jem_config_destroy(config);
    return status;
}

/* Every call of a kind fails in turn; how many there are. */
static int64_t fail_each(tiny *t, reader *read, const char *path, inject_kind kind, int error)
{
    for (int64_t nth = 1;; nth++) {
        inject_arm(kind, nth, error, 0);
        jem_status status = read(t, path);
        inject_disarm();
        if (!inject_fired()) {
            ck_assert_int_eq(status, JEM_OK);
            return nth - 1;
        }
        points++;
        ck_assert_msg(status == JEM_ERROR_IO, "%s: %s %d: %s", path, inject_names[kind], (int)nth,
                      jem_status_name(status));
    }
}

static void read_with(tiny *t, reader *read, const char *path)
{
    static const inject_kind kinds[] = {INJECT_OPEN,    INJECT_STAT,   INJECT_READ, INJECT_OPENDIR,
                                        INJECT_READDIR, INJECT_ACCESS, INJECT_SEEK, INJECT_MAP};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        int64_t calls = fail_each(t, read, path, kinds[k], EIO);
        ck_assert_int_eq(fail_each(t, read, path, kinds[k], ENOMEM), calls);
        reads_tried[kinds[k]] += calls;
        if (kinds[k] == INJECT_OPEN || kinds[k] == INJECT_STAT) ck_assert_int_gt(calls, 0);
    }
    if (read == read_mapped) return; /* nothing is read but through the map */
    ck_assert_int_gt(fail_each(t, read, path, INJECT_READ, INJECT_END), 0);
    inject_arm(INJECT_READ, 1, INJECT_SHORT, 1);
    OK(read(t, path));
    ck_assert_int_gt(inject_fired(), 3);
    for (int k = 0; k < 2; k++) {
        inject_arm(k ? INJECT_OPEN : INJECT_READ, 1, EINTR, 0);
        OK(read(t, path));
        ck_assert_int_eq(inject_fired(), 1);
        inject_disarm();
    }
}

/* A data set of every kind that is read from files, below the folder. */
static void put_datasets(const tiny *t, const char *folder)
{
    static const uint8_t images[16 + IMAGE] = {0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0, 8};
    static const uint8_t labels[9] = {0, 0, 8, 1, 0, 0, 0, 1, 2};
    static const float x[IMAGE];
    enum { PATHS = 14 };
    static const uint8_t record[2 + 3 * 32 * 32] = {7, 7};
    int64_t size;
    char path[PATHS][4400];
    static const char *const names[PATHS] = {"train-images-idx3-ubyte",
                                             "train-labels-idx1-ubyte",
                                             "packed",
                                             "png",
                                             "png/class",
                                             "png/class/0.png",
                                             "gz",
                                             "gz/train-images-idx3-ubyte.gz",
                                             "gz/train-labels-idx1-ubyte",
                                             "data_batch_1.bin",
                                             "train_32x32.mat",
                                             "hundred",
                                             "hundred/train.bin",
                                             "hundred/fine_label_names.txt"};
    for (int i = 0; i < PATHS; i++) snprintf(path[i], sizeof path[i], "%s/%s", folder, names[i]);
    test_put(path[0], images, sizeof images);
    test_put(path[1], labels, sizeof labels);
    OK(jem_dataset_save(t->data, path[2]));
    for (int i = 3; i < 7; i++)
        if (i != 5) ck_assert_int_eq(mkdir(path[i], 0777), 0);
    OK(jem_array_save_png(path[5], x, 1, C, H, W, 1, 1, 0));
    gzFile gz = gzopen(path[7], "wb");
    ck_assert_int_eq(gzwrite(gz, images, sizeof images), sizeof images);
    ck_assert_int_eq(gzclose(gz), Z_OK);
    test_put(path[8], labels, sizeof labels);
    test_put(path[9], record, sizeof record - 1);
    uint8_t *matlab = test_get(test_source("tests/fuzz/seeds/svhn/train"), &size);
    test_put(path[10], matlab, size);
    free(matlab);
    ck_assert_int_eq(mkdir(path[11], 0777), 0);
    test_put(path[12], record, sizeof record);
    test_put(path[13], "one\ntwo\n", 8);
}

START_TEST(reads)
{
    const float values[6] = {1, 2, 3, 4, 5, 6};
    const int64_t shape[2] = {2, 3};
    tiny t = tiny_of(1, ""), plain = tiny_of(1, "");
    enum { READERS = 13 };
    reader *const readers[READERS] = {read_checkpoint, read_settings, read_model,   read_array,
                                      read_dataset,    read_dataset,  read_dataset, read_dataset,
                                      read_dataset,    read_dataset,  read_dataset, read_mapped,
                                      read_buffer};
    static const char *const kinds[READERS] = {
        "",     "",       "",      "",          "idx:",    "packed:", "png:",
        "idx:", "cifar:", "svhn:", "cifar100:", "packed:", ""};
    static const char *const names[READERS] = {
        "/checkpoint", "/checkpoint", "/model",     "/array.npy", "",
        "/packed",     "/png",        "/gz",        "",           "",
        "/hundred",    "/packed",     "/checkpoint"};
    char folder[4096], path[READERS][4300];
    snprintf(folder, sizeof folder, "%s", test_folder());
    for (int i = 0; i < READERS; i++)
        snprintf(path[i], sizeof path[i], "%s%s%s", kinds[i], folder, names[i]);
    OK(jem_trainer_step(t.trainer));
    OK(jem_trainer_save(t.trainer, path[0]));
    OK(jem_model_save(t.model, path[2]));
    OK(jem_array_save(path[3], values, JEM_TYPE_F32, 2, shape));
    put_datasets(&t, folder);
    for (int i = 0; i < READERS; i++) read_with(&t, readers[i], path[i]);
    for (int k = INJECT_OPENDIR; k <= INJECT_MAP; k++)
        ck_assert(k == INJECT_LOCK || reads_tried[k] > 0);
    OK(jem_trainer_run(t.trainer, NULL));
    OK(jem_trainer_run(plain.trainer, NULL));
    ck_assert(tiny_equal(&t, &plain));
    tiny_end(&t);
    tiny_end(&plain);
}
END_TEST

/* The clock decides nothing. */
START_TEST(clocks_that_jump)
{
    tiny t = tiny_of(2, "trainer.retries=1"), plain = tiny_of(2, "trainer.retries=1");
    OK(jem_trainer_run(plain.trainer, NULL));
    int64_t before = inject_clock_reads();
    inject_clock(1);
    OK(jem_trainer_run(t.trainer, NULL));
    inject_clock(0);
    ck_assert_int_gt(inject_clock_reads(), before);
    ck_assert(tiny_equal(&t, &plain));
    tiny_end(&t);
    tiny_end(&plain);
}
END_TEST

START_TEST(count)
{
    printf("disk: %d fault points, all survived\n", (int)points);
    ck_assert_int_gt(points, 100);
}
END_TEST

TESTS("disk", saves, versions_outlast_failed_renames, full_disks, reads, clocks_that_jump, count)
