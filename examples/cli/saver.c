/* When and how a run is saved: models and checkpoint, at a bounded cost. */
#include "cli.h"
#include <string.h>
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

/* Over gaps: a kill may have come between two renames, a user may have removed one. */
int saver_find(const char *checkpoint, char *path, size_t size, jem_config **config)
{
    char reason[1024] = "";
    for (int age = 0; age <= MOST_KEPT; age++) {
        if (!name_of(path, size, checkpoint, age)) continue;
        if (jem_config_load(config, path) == JEM_OK) {
            if (age) warn("%s%sgoing on from %s", reason, *reason ? "; " : "", path);
            return 0;
        }
        if (!*reason) jem_last_error(reason, sizeof reason);
    }
    return fail("%s", *reason ? reason : "there is no checkpoint");
}

static jem_status write_all(saver *s)
{
    double from = now();
    jem_model *model;
    folder_restore(s->folder);
    jem_status status = jem_trainer_model(&model, s->trainer);
    if (!status) status = jem_model_save(model, s->model);
    jem_model_destroy(model);
    if (!status) status = variants_save(s->trainer, s->config, s->folder);
    if (!status) status = jem_trainer_save(s->trainer, s->checkpoint);
    s->at = now();
    s->cost = s->at - from;
    s->total += s->cost;
    s->count++;
    return status;
}

int saver_save(saver *s)
{
    return check(write_all(s));
}

static int32_t due(const saver *s, int64_t step)
{
    double seconds = s->seconds > SHARE * s->cost ? s->seconds : SHARE * s->cost;
    if (s->steps > 0 && step % s->steps == 0) return 1;
    return s->seconds > 0 && now() - s->at >= seconds;
}

void saver_step(saver *s, int64_t step)
{
    char reason[1024];
    if (!due(s, step) || write_all(s) == JEM_OK) return;
    jem_last_error(reason, sizeof reason);
    warn("step %" PRId64 " is not saved: %s; training goes on", step, reason);
}

void saver_tell(const saver *s)
{
    double seconds = now() - s->began;
    fprintf(stderr, "%d checkpoints: %.2f s of %.1f s (%.2f %%)\n", (int)s->count, s->total,
            seconds, 100 * s->total / seconds);
}
