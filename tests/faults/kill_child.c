/* A training run that can be killed: kill_child DIR RECIPE [KIND NTH]

   Resumes DIR/run, or the newest of DIR/run.1 and on that is whole, says in DIR/resumed how far
   that was, saves after every second step and says so in DIR/saved, ends with DIR/model. With KIND
   and NTH it kills itself in the middle of call number NTH of that kind. */
#include "faults/inject.h"
#include "faults/recipes.h"
#include "train/tiny.h"

static const char *folder;
static int recipe;

/* A roll-back is progress too. */
static void say(const char *name, int64_t step, int64_t rollbacks)
{
    char path[4300];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "a");
    ck_assert_ptr_nonnull(f);
    fprintf(f, "%d\n", (int)(rollbacks * 1000 + step));
    fclose(f);
}

static void resume(jem_trainer *trainer, const char *file)
{
    for (int i = 0; i <= VERSIONS; i++) {
        char name[4310];
        snprintf(name, sizeof name, i ? "%s.%d" : "%s", file, i);
        if (access(name, F_OK) == 0 && jem_trainer_resume(trainer, name) == JEM_OK) return;
    }
}

START_TEST(run)
{
    char file[4300], model[4300];
    int64_t step = 0, count = 0, again;
    snprintf(file, sizeof file, "%s/run", folder);
    snprintf(model, sizeof model, "%s/model", folder);
    tiny t = tiny_of(1 + recipe % 2, recipes[recipe]);
    resume(t.trainer, file);
    OK(jem_trainer_progress(t.trainer, &step, NULL));
    OK(jem_trainer_rollbacks(t.trainer, &count, NULL, NULL));
    say("resumed", step, count);
    jem_status status = JEM_OK;
    while (status != JEM_END) {
        OK(jem_trainer_progress(t.trainer, &step, NULL));
        OK(jem_trainer_rollbacks(t.trainer, &again, NULL, NULL));
        if (step % 2 == 0 || again > count) {
            OK(jem_trainer_save(t.trainer, file));
            say("saved", step, again);
        }
        count = again;
        status = jem_trainer_step(t.trainer);
        ck_assert_int_ge(status, 0);
    }
    OK(jem_model_save(t.model, model));
    tiny_end(&t);
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const tests[] = {run, NULL};
    if (argc != 3 && argc != 5) return 2;
    folder = argv[1];
    recipe = atoi(argv[2]);
    if (argc == 5) inject_arm((inject_kind)atoi(argv[3]), atoll(argv[4]), INJECT_KILL, 0);
    return test_run("kill_child", tests);
}
