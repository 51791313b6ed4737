/* Every call without memory: the n-th allocation fails, the n-th call of oneDNN is out
   of memory, threads cannot be started. A call then fails cleanly, works the next time on
   the same handles, and nothing is lost. */
#include "faults/memory_cases.h"
#include <sys/stat.h>
#include <zlib.h>

inject_kind kind;
int64_t nth;
char failure[512];

static int64_t points, tolerated, stride = 1;
static const char *only; /* case; NULL: all */
static char folder[4096];

const char *in_folder(const char *name)
{
    static char path[4300];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

world world_of(void)
{
    world w = {0};
    w.t = tiny_untrained(
        1, "trainer.retries=1 trainer.iterations=3 trainer.ema=0.9 trainer.validation=6 "
           "trainer.validate_every=1 attack.steps=2 attack.bisections=1 sampler.clamp=1 "
           "model.norm=batch "
           "sampler.conditional=1 sampler.start=gaussian optimizer.sam_rho=0.01");
    OK(jem_dataset_read(w.t.data, 0, 6, w.x, INT64_MAX, w.y));
    return w;
}

void world_end(world *w)
{
    tiny_end(&w->t);
}

static void put_gzip(const char *path, const uint8_t *bytes, int64_t size)
{
    gzFile gz = gzopen(path, "wb");
    ck_assert_int_eq(gzwrite(gz, bytes, (unsigned)size), size);
    ck_assert_int_eq(gzclose(gz), Z_OK);
}

void put_files(void)
{
    static const uint8_t images[16 + 8 * 8] = {0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0, 8};
    static const uint8_t labels[9] = {0, 0, 8, 1, 0, 0, 0, 1, 2};
    const int64_t shape[1] = {6};
    static const uint8_t record[2 + 3 * 32 * 32] = {7, 7};
    int64_t size;
    world w = world_of();
    snprintf(folder, sizeof folder, "%s", test_folder());
    OK(jem_trainer_create(&w.t.trainer, w.t.model, w.t.data, w.t.config));
    OK(jem_trainer_step(w.t.trainer));
    OK(jem_trainer_save(w.t.trainer, in_folder("checkpoint")));
    OK(jem_model_save(w.t.model, in_folder("model")));
    OK(jem_array_save(in_folder("array.npy"), w.x, JEM_TYPE_F32, 1, shape));
    test_put(in_folder("train-images-idx3-ubyte"), images, sizeof images);
    test_put(in_folder("train-labels-idx1-ubyte"), labels, sizeof labels);
    test_put(in_folder("data_batch_1.bin"), record, sizeof record - 1);
    test_put(in_folder("train.bin"), record, sizeof record);
    test_put(in_folder("fine_label_names.txt"), "one\ntwo\n", 8);
    ck_assert(!mkdir(in_folder("gz"), 0777));
    put_gzip(in_folder("gz/train-images-idx3-ubyte.gz"), images, sizeof images);
    put_gzip(in_folder("gz/train-labels-idx1-ubyte.gz"), labels, sizeof labels);
    put_gzip(in_folder("gz/data_batch_1.bin"), record, sizeof record - 1);
    uint8_t *matlab = test_get(test_source("tests/fuzz/seeds/svhn/train"), &size);
    test_put(in_folder("train_32x32.mat"), matlab, size);
    free(matlab);
    ck_assert(!mkdir(in_folder("png"), 0777) && !mkdir(in_folder("png/class"), 0777));
    OK(jem_array_save_png(in_folder("png/class/a.png"), w.x, 1, 1, 8, 8, 1, 1, 0));
    world_end(&w);
}

/* One case with one fault; 0 when there is no such call any more. */
static int try_once(const case_of *c, inject_kind k, int64_t n)
{
    char text[512] = "";
    int64_t blocks = inject_blocks();
    world w = world_of();
    kind = k;
    nth = n;
    jem_status status = c->run(&w);
    int fired = inject_fired() > 0;
    if (status == JEM_OK) {
        tolerated += fired;
    } else {
        ck_assert_msg(fired && status == JEM_ERROR_MEMORY, "%s, %s %d: %s (%s)", c->name,
                      inject_names[k], (int)n, jem_status_name(status), failure);
        ck_assert_msg(strstr(failure, "memory") || strstr(failure, "thread"),
                      "%s, %s %d: text '%s'", c->name, inject_names[k], (int)n, failure);
    }
    points += fired;
    nth = 0;
    status = c->run(&w);
    jem_last_error(text, sizeof text);
    ck_assert_msg(status == JEM_OK, "%s after %s %d: %s", c->name, inject_names[k], (int)n, text);
    world_end(&w);
    ck_assert_msg(inject_blocks() == blocks, "%s, %s %d: %d blocks leaked", c->name,
                  inject_names[k], (int)n, (int)(inject_blocks() - blocks));
    return fired;
}

/* The first faults of a kind one by one, later ones with gaps of `stride`. */
static void try_all(const case_of *c, inject_kind k)
{
    int64_t n = 1, tried = 0;
    for (; try_once(c, k, n); n += n < 6 ? 1 : stride) tried++;
    if (getenv("JEM_TEST_VERBOSE"))
        printf("%s: %d of %d of %s\n", c->name, (int)tried, (int)n - 1, inject_names[k]);
}

static int64_t try_cases(const case_of *c)
{
    static const inject_kind kinds[] = {INJECT_ALLOC, INJECT_DNN, INJECT_THREAD};
    int64_t calls = 0;
    for (; c->name; c++) {
        if (only && strcmp(only, c->name) != 0) continue;
        for (int k = 0; k < 3; k++) try_all(c, kinds[k]);
        calls++;
    }
    return calls;
}

START_TEST(every_call)
{
    put_files();
    int64_t calls = try_cases(scoring_cases) + try_cases(training_cases);
    printf("memory: %d fault points in %d calls, all survived; %d of them changed nothing\n",
           (int)points, (int)calls, (int)tolerated);
}
END_TEST

/* Calls that need no memory work when there is none. (memory_list.py: no call is forgotten.) */
START_TEST(calls_without_allocation)
{
    world w = world_of();
    jem_sampler *sampler, *theirs;
    jem_model *model;
    jem_optimizer *optimizer;
    jem_loader *loader;
    jem_array *array;
    jem_pass *pass;
    int64_t i, n;
    int32_t set;
    double d, metrics[METRICS];
    float *map, weight[16 * 9];
    char text[256];
    const char *name;
    OK(jem_trainer_create(&w.t.trainer, w.t.model, w.t.data, w.t.config));
    OK(jem_trainer_step(w.t.trainer));
    OK(jem_sampler_create(&sampler, w.t.model, w.t.config));
    OK(jem_optimizer_create(&optimizer, w.t.model, w.t.config));
    OK(jem_loader_create(&loader, w.t.data, w.t.config));
    OK(jem_array_load(&array, in_folder("array.npy")));
    OK(jem_pass_create(&pass, w.t.model, JEM_PASS_TRAIN, 6));
    inject_arm(INJECT_ALLOC, 1, 1, 1);
    ck_assert(jem_version() && jem_status_name(JEM_OK) && jem_abi_version() >= 0);
    ck_assert(jem_build_info(text, sizeof text) > 0 && jem_last_error(NULL, 0) >= 0);
    OK(jem_context_threads(w.t.context, &n));
    OK(jem_context_memory(w.t.context, &n, &n));
    OK(jem_config_get_i64(w.t.config, "sampler.steps", &n));
    OK(jem_config_get_f64(w.t.config, "sampler.noise", &d));
    ck_assert(jem_config_get_str(w.t.config, "sampler.start", text, sizeof text) > 0);
    OK(jem_config_is_set(w.t.config, "sampler.start", &set));
    ck_assert(jem_config_key_count() > 0 && jem_config_text(w.t.config, NULL, 0) > 0);
    OK(jem_config_key_info(0, &name, NULL, NULL, NULL, NULL));
    OK(jem_model_info(w.t.model, &n, &n, &n, &n, &n));
    OK(jem_model_precision(w.t.model, &name));
    ck_assert(jem_model_class_name(w.t.model, 1, text, sizeof text) > 0);
    ck_assert(jem_model_metadata_count(w.t.model) > 0);
    ck_assert(jem_model_metadata_key(w.t.model, 0, text, sizeof text) > 0);
    ck_assert(jem_model_metadata_get(w.t.model, "depth", text, sizeof text) > 0);
    ck_assert(jem_model_parameter_count(w.t.model) > 0);
    OK(jem_model_parameter_info(w.t.model, 0, &name, NULL, NULL, NULL, NULL));
    ck_assert_int_eq(jem_model_parameter_find(w.t.model, name), 0);
    OK(jem_model_parameter_get(w.t.model, 0, weight, 16 * 9));
    OK(jem_model_parameter_set(w.t.model, 0, weight, 16 * 9));
    OK(jem_model_parameter_map(w.t.model, 0, &map));
    OK(jem_model_parameter_unmap(w.t.model, 0));
    OK(jem_pass_set_stream(pass, 1, 2));
    OK(jem_pass_hold_statistics(pass, 0));
    OK(jem_dataset_info(w.t.data, &n, NULL, NULL, NULL, NULL));
    OK(jem_dataset_read(w.t.data, 0, 6, w.x, INT64_MAX, w.y));
    ck_assert(jem_dataset_class_name(w.t.data, 0, text, sizeof text) > 0);
    OK(jem_loader_tell(loader, &i));
    OK(jem_loader_seek(loader, i));
    OK(jem_sampler_buffer_info(sampler, &n));
    OK(jem_sampler_stats(sampler, &d, NULL, NULL));
    jem_sampler_cancel(sampler);
    OK(jem_optimizer_set_rate(optimizer, 0.5));
    OK(jem_loss_cross_entropy(w.logits, w.y, 6, K, 1, &d, w.out));
    OK(jem_loss_energy(w.logits, w.y, 6, K, 1, &d, w.out));
    OK(jem_loss_energy_penalty(w.logits, NULL, 6, K, 1, &d, w.out));
    OK(jem_trainer_progress(w.t.trainer, &n, &n));
    OK(jem_trainer_rollbacks(w.t.trainer, &n, NULL, NULL));
    ck_assert(jem_trainer_rollback_reason(w.t.trainer, text, sizeof text) == 0);
    ck_assert(jem_trainer_metric_count() == METRICS && jem_trainer_metric_name(0));
    OK(jem_trainer_metrics(w.t.trainer, metrics, METRICS));
    OK(jem_trainer_sampler(&theirs, w.t.trainer));
    jem_sampler_destroy(theirs);
    OK(jem_trainer_model(&model, w.t.trainer));
    jem_model_destroy(model);
    jem_trainer_cancel(w.t.trainer);
    OK(jem_eval_accuracy(w.logits, w.y, 6, K, &d));
    OK(jem_eval_nll(w.logits, w.y, 6, K, &d));
    OK(jem_eval_brier(w.logits, w.y, 6, K, &d));
    OK(jem_array_info(array, NULL, &n, NULL, NULL));
    jem_sampler_destroy(sampler);
    jem_optimizer_destroy(optimizer);
    jem_loader_destroy(loader);
    jem_array_destroy(array);
    jem_pass_destroy(pass);
    world_end(&w);
    ck_assert_int_eq(inject_fired(), 0);
    inject_disarm();
}
END_TEST

/* test_memory [STRIDE [CASE]] */
int main(int argc, char **argv)
{
    const TTest *const tests[] = {every_call, calls_without_allocation, NULL};
    if (argc > 1) stride = atoll(argv[1]);
    if (argc > 2) only = argv[2];
    return test_run("memory", tests);
}
