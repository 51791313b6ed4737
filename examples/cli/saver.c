/* When and how a run is saved: models and checkpoint, at a bounded cost. */
#include "cli.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SHARE = 50 };       /* saving takes at most one second in so many */
enum { MOST_KEPT = 1000 }; /* the limit of trainer.keep, the age of one on its way out */

void saver_begin(saver *s, const char *folder, jem_trainer *trainer, const jem_config *config)
{
    s->trainer = trainer;
    s->config = config;
    s->folder = folder;
    s->began = now();
    join(s->model, sizeof s->model, folder, "model.safetensors");
    join(s->checkpoint, sizeof s->checkpoint, folder, "checkpoint.safetensors");
}

/* A run's checkpoint by age: PATH, PATH.1, ... 0: there is none so old. */
static int name_of(char *path, size_t size, const char *checkpoint, int age)
{
    snprintf(path, size, age ? "%s.%d" : "%s", checkpoint, age);
    return !access(path, F_OK);
}

int saver_exists(const char *checkpoint)
{
    char path[4300];
    for (int age = 0; age <= MOST_KEPT; age++)
        if (name_of(path, sizeof path, checkpoint, age)) return 1;
    return 0;
}

/* Over gaps: a kill may have come between two renames, a user may have removed one. Only damage is
   passed over: what cannot be read now may be good, and the next saves would push it out. */
int saver_find(const char *checkpoint, char *path, size_t size, jem_config **config)
{
    char reason[ERROR_TEXT] = "";
    for (int age = 0; age <= MOST_KEPT; age++) {
        if (!name_of(path, size, checkpoint, age)) continue;
        jem_status status = jem_config_load(config, path);
        if (!status && age) warn("%s%sgoing on from %s", reason, *reason ? "; " : "", path);
        if (status != JEM_ERROR_FORMAT) return check(status);
        if (!*reason) jem_last_error(reason, sizeof reason);
    }
    return fail("%s", *reason ? reason : "there is no checkpoint");
}

/* ---- Is what the settings ask for in the file? ---- */

typedef struct budget {
    int64_t left;
    int exceeded;
} budget;

static void *take(void *user, int64_t size, int64_t alignment)
{
    budget *b = user;
    int64_t whole = (size + alignment - 1) / alignment * alignment;
    if (size > b->left) {
        b->exceeded = 1;
        return NULL;
    }
    b->left -= size;
    return aligned_alloc((size_t)alignment, (size_t)whole);
}

static void give(void *user, void *pointer, int64_t size)
{
    ((budget *)user)->left += size;
    free(pointer);
}

/* The public API makes a network, or tells that it cannot: one that has twice the file, for values
   and gradients, and something for the rest. One thread takes from it. */
static int weights_fit(const char *checkpoint, const jem_config *config, int64_t bytes)
{
    budget b = {.left = 2 * bytes + (16 << 20)};
    const jem_allocator bounded = {sizeof bounded, &b, take, give};
    jem_config *single;
    jem_context *context = NULL;
    jem_model *model = NULL;
    TRY(check(jem_config_clone(&single, config)));
    jem_status status = jem_config_set_i64(single, "context.threads", 1);
    if (!status) status = jem_context_create_hosted(&context, single, &bounded, NULL);
    if (!status) status = jem_model_create(&model, context, single);
    jem_model_destroy(model);
    jem_context_destroy(context);
    jem_config_destroy(single);
    if (!b.exceeded) return check(status);
    return fail("%s: has %" PRId64 " bytes, but settings model.* of a network of more weights",
                checkpoint, bytes);
}

int saver_fits(const char *checkpoint, const jem_config *config)
{
    static const char *const sizes[] = {"model.channels", "model.height", "model.width"};
    struct stat info;
    int64_t slots, value, size = 4;
    double px, pxy;
    if (stat(checkpoint, &info)) return fail("%s: cannot look at it", checkpoint);
    TRY(check(jem_config_get_i64(config, "sampler.buffer", &slots)));
    TRY(check(jem_config_get_f64(config, "trainer.px", &px)));
    TRY(check(jem_config_get_f64(config, "trainer.pxy", &pxy)));
    for (int i = 0; i < COUNT(sizes); i++) {
        TRY(check(jem_config_get_i64(config, sizes[i], &value)));
        size *= value;
    }
    if ((px > 0 || pxy > 0) && slots > (int64_t)info.st_size / size)
        return fail("%s: has %" PRId64 " bytes, expected more for sampler.buffer=%" PRId64
                    " images",
                    checkpoint, (int64_t)info.st_size, slots);
    return weights_fit(checkpoint, config, (int64_t)info.st_size);
}

/* ---- Saving ---- */

static jem_status write_files(const saver *s)
{
    jem_model *model;
    jem_status status = jem_trainer_model(&model, s->trainer);
    if (!status) status = jem_model_save(model, s->model);
    jem_model_destroy(model);
    if (!status) status = variants_save(s->trainer, s->config, s->folder);
    return status ? status : jem_trainer_save(s->trainer, s->checkpoint);
}

/* The run ends, and what it came to is kept beside the folder that was its own. */
static int leave(const saver *s)
{
    char beside[4096];
    saver other = *s;
    int length = (int)strnlen(s->folder, 4000);
    while (length > 1 && s->folder[length - 1] == '/') length--;
    snprintf(beside, sizeof beside, "%.*s.%ld", length, s->folder, (long)getpid());
    TRY(folder_make(beside));
    saver_begin(&other, beside, s->trainer, s->config);
    TRY(check(write_files(&other)));
    return fail("--output: %s is by now another folder, which is not empty or in use; this run is "
                "saved in %s: go on with --resume --output %s",
                s->folder, beside, beside);
}

static jem_status write_all(saver *s)
{
    double from = now();
    jem_status status = write_files(s);
    s->at = now();
    s->before = s->cost;
    s->cost = s->at - from;
    s->total += s->cost;
    s->count++;
    return status;
}

int saver_save(saver *s)
{
    return folder_restore(s->folder) ? check(write_all(s)) : leave(s);
}

/* One save that met a busy disk, or was stopped on its way, must not keep the next ones away: only
   what two in a row took counts. */
static double interval_of(saver *s)
{
    double cost = s->cost < s->before ? s->cost : s->before;
    if (SHARE * cost <= s->seconds) return s->seconds;
    if (!s->told++)
        warn(
            "a checkpoint takes %.2g s: there is one every %.0f s, not every %g, so that they cost "
            "2 %%",
            cost, SHARE * cost, s->seconds);
    return SHARE * cost;
}

static int32_t due(saver *s, int64_t step)
{
    if (s->steps > 0 && step % s->steps == 0) return 1;
    return s->seconds > 0 && now() - s->at >= s->seconds && now() - s->at >= interval_of(s);
}

int saver_step(saver *s, int64_t step)
{
    char reason[ERROR_TEXT];
    if (!due(s, step)) return 0;
    if (!folder_restore(s->folder)) return leave(s);
    if (write_all(s) == JEM_OK) return 0;
    jem_last_error(reason, sizeof reason);
    warn("step %" PRId64 " is not saved: %s; training goes on", step, reason);
    return 0;
}

/* ---- What an earlier run left ---- */

void saver_clear(const saver *s, int all)
{
    char path[4300];
    int64_t keep = 1;
    if (!all) jem_config_get_i64(s->config, "trainer.keep", &keep);
    for (int age = (int)keep; age <= MOST_KEPT; age++)
        if (name_of(path, sizeof path, s->checkpoint, age)) unlink(path);
    if (!all) return;
    folder_clear(s->folder);
    variants_clear(s->trainer, s->config, s->folder);
}

void saver_tell(const saver *s)
{
    double seconds = now() - s->began;
    fprintf(stderr, "%d checkpoints: %.2f s of %.1f s (%.2f %%)\n", (int)s->count, s->total,
            seconds, 100 * s->total / seconds);
}
