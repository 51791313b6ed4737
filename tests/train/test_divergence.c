/* Runs that a recipe loses and the policy saves: JEM's settings (Adam, noise .01, no
   clamps) on digits of 16x16, at ten times JEM's rate and with 5 Langevin steps in place
   of 20. Slow: test_divergence [SEEDS]. */
#include "helpers.h"
#include <math.h>

static const char recipe[] =
    "model.channels=1 model.height=16 model.width=16 dataset.size=16 dataset.limit=5000 "
    "loader.batch=32 sampler.steps=5 optimizer.rate=1e-3 trainer.iterations=200";
static const char policy[] = "trainer.retries=6 trainer.snapshot_every=20 trainer.guard_energy=20 "
                             "trainer.response_rate=0.7 trainer.response_penalty=0.1";

static int64_t seeds = 1;

typedef struct outcome {
    jem_status status;
    int64_t step, rollbacks;
    double energy, accuracy; /* |E| of data after the last step; over 500 test images */
} outcome;

static double test_accuracy(jem_model *model, jem_context *context, jem_config *config)
{
    enum { N = 500 };
    static float logits[N * 10];
    static int32_t y[N];
    double accuracy;
    jem_dataset *test;
    OK(jem_config_parse(config, "dataset.split=test dataset.limit=500"));
    OK(jem_dataset_open(&test, context, "glyphs:", config));
    OK(jem_eval_logits(model, test, logits, INT64_MAX, y, N));
    OK(jem_eval_accuracy(logits, y, N, 10, &accuracy));
    jem_dataset_destroy(test);
    return accuracy;
}

static outcome run(int64_t seed, const char *more)
{
    jem_config *config;
    jem_context *context;
    jem_model *model;
    jem_dataset *data;
    jem_trainer *trainer;
    double metrics[64];
    outcome o = {0};
    OK(jem_config_create(&config));
    OK(jem_config_parse(config, recipe));
    OK(jem_config_parse(config, more));
    OK(jem_config_set_i64(config, "trainer.seed", seed));
    OK(jem_config_set_i64(config, "model.seed", seed));
    OK(jem_context_create(&context, config));
    OK(jem_model_create(&model, context, config));
    OK(jem_dataset_open(&data, context, "glyphs:", config));
    OK(jem_trainer_create(&trainer, model, data, config));
    o.status = jem_trainer_run(trainer, NULL);
    OK(jem_trainer_progress(trainer, &o.step, NULL));
    OK(jem_trainer_rollbacks(trainer, &o.rollbacks, NULL, NULL));
    OK(jem_trainer_metrics(trainer, metrics, 64));
    for (int64_t i = 0; i < jem_trainer_metric_count(); i++)
        if (strcmp(jem_trainer_metric_name(i), "energy_data") == 0) o.energy = fabs(metrics[i]);
    o.accuracy = test_accuracy(model, context, config);
    jem_trainer_destroy(trainer);
    jem_dataset_destroy(data);
    jem_model_destroy(model);
    jem_context_destroy(context);
    jem_config_destroy(config);
    return o;
}

START_TEST(saved_by_the_policy)
{
    for (int64_t seed = 1; seed <= seeds; seed++) {
        outcome without = run(seed, ""), with = run(seed, policy);
        printf("seed %d: without the policy %s after step %d, accuracy %.3f; with it %s at step "
               "%d, %d roll-backs, accuracy %.3f, |E| %.1f\n",
               (int)seed, jem_status_name(without.status), (int)without.step, without.accuracy,
               jem_status_name(with.status), (int)with.step, (int)with.rollbacks, with.accuracy,
               with.energy);
        ck_assert_int_eq(without.status, JEM_ERROR_DIVERGED);
        ck_assert_int_lt(without.step, 200);
        ck_assert_int_eq(with.status, JEM_OK);
        ck_assert_int_eq(with.step, 200);
        ck_assert_int_ge(with.rollbacks, 1);
        ck_assert(with.energy < 20 && with.accuracy > 0.2);
    }
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const tests[] = {saved_by_the_policy, NULL};
    if (argc > 1) seeds = atoll(argv[1]);
    return test_run("divergence", tests);
}
