/* A program of an earlier libjem: compiled with DECLARATIONS, the declarations of that
   release as table.py writes them, and run on the library of today. What it prints must
   not depend on which declarations those are: old_programs.sh compares.
   program MODEL.safetensors SCRATCH_FILE */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include DECLARATIONS

enum { N = 8, SIDE = 28, IMAGE = SIDE * SIDE, K = 10 };

static int64_t blocks, lines, steps, fetched, released;

static int64_t check(int64_t status, const char *call)
{
    char text[512];
    if (status >= 0) return status;
    jem_last_error(text, sizeof text);
    printf("%s: %s: %s\n", call, jem_status_name((jem_status)status), text);
    exit(1);
}
#define CHECK(call) check(call, #call)

/* ---- Callback tables, of the sizes and places that were compiled in ---- */

static void *give(void *user, int64_t size, int64_t alignment)
{
    void *block = NULL;
    (void)alignment, (void)user;
    __atomic_fetch_add(&blocks, 1, __ATOMIC_RELAXED);
    return posix_memalign(&block, 64, (size_t)size) ? NULL : block;
}

static void take(void *user, void *pointer, int64_t size)
{
    (void)user, (void)size;
    __atomic_fetch_sub(&blocks, 1, __ATOMIC_RELAXED);
    free(pointer);
}

static void note(void *user, jem_log_level level, const char *text)
{
    (void)user;
    lines += level <= JEM_LOG_DEBUG && *text;
}

static int32_t after_step(void *user, jem_trainer *trainer, int64_t step)
{
    (void)trainer;
    *(int64_t *)user += 1;
    return step == 3;
}

static int32_t fetch(void *user, const int64_t *indices, int64_t n, void *pixels, int32_t *labels)
{
    (void)user;
    for (int64_t i = 0; i < n; i++) {
        if (labels) labels[i] = (int32_t)(indices[i] % K);
        for (int64_t j = 0; pixels && j < IMAGE; j++)
            ((uint8_t *)pixels)[i * IMAGE + j] = (uint8_t)((indices[i] * 31 + j * 7) % 256);
    }
    fetched += n;
    return 0;
}

static void let_go(void *user)
{
    (void)user;
    released++;
}

/* ---- What programs do ---- */

static void scores(jem_model *model, const float *x, const int32_t *y)
{
    float logits[N * K], energy[N], gradient[N * IMAGE], probability[N], log_px[N], swapped[N];
    int32_t best[N], accepted[N];
    double accuracy, sum = 0;
    char name[32], score[32];
    CHECK(jem_model_logits(model, x, N, logits, N * K));
    CHECK(jem_model_energy_gradient(model, x, NULL, N, energy, gradient));
    CHECK(jem_model_energy(model, x, y, N, swapped));
    CHECK(jem_model_predict(model, x, N, best, probability, log_px, accepted));
    CHECK(jem_eval_accuracy(logits, y, N, K, &accuracy));
    CHECK(jem_model_class_name(model, best[0], name, sizeof name));
    CHECK(jem_model_metadata_get(model, "architecture", score, sizeof score));
    for (int i = 0; i < N * IMAGE; i++) sum += fabs((double)gradient[i]);
    printf("%s, class %s, accuracy %.2f\n", score, name, accuracy);
    for (int i = 0; i < N; i++)
        printf("E %.5f E(x,y) %.5f p %.5f accepted %d\n", (double)energy[i], (double)swapped[i],
               (double)probability[i], accepted[i]);
    printf("gradient %.4f\n", sum);
}

static void own_loop(jem_model *model, jem_dataset *data, const jem_config *config)
{
    static float x[N * IMAGE], sampled[N * IMAGE];
    float logits[N * K], d[N * K] = {0};
    int32_t y[N];
    int64_t n;
    double loss, norm;
    jem_loader *loader;
    jem_optimizer *optimizer;
    jem_pass *pass;
    jem_sampler *sampler;
    CHECK(jem_loader_create(&loader, data, config));
    CHECK(jem_optimizer_create(&optimizer, model, config));
    CHECK(jem_pass_create(&pass, model, JEM_PASS_TRAIN, N));
    CHECK(jem_sampler_create(&sampler, model, config));
    CHECK(jem_loader_next(loader, x, N * IMAGE, y, N, &n));
    CHECK(jem_sampler_draw(sampler, NULL, N, sampled, N * IMAGE));
    CHECK(jem_model_gradient_zero(model));
    CHECK(jem_pass_forward(pass, x, n, logits, N * K));
    CHECK(jem_loss_cross_entropy(logits, y, n, K, 1, &loss, d));
    CHECK(jem_pass_backward(pass, d, JEM_GRADIENT_PARAMETERS, NULL));
    CHECK(jem_optimizer_step(optimizer, &norm));
    printf("loop: %lld images, loss %.5f, gradient %.4f, sample %.5f\n", (long long)n, loss, norm,
           (double)sampled[IMAGE / 2]);
    jem_sampler_destroy(sampler);
    jem_pass_destroy(pass);
    jem_optimizer_destroy(optimizer);
    jem_loader_destroy(loader);
}

static void run(jem_model *model, jem_dataset *data, const jem_config *config, const char *path)
{
    jem_trainer *trainer;
    int64_t step, most;
    double values[256];
    const jem_trainer_callbacks callbacks = {
        .struct_size = sizeof callbacks, .user = &steps, .step = after_step};
    CHECK(jem_trainer_create(&trainer, model, data, config));
    printf("stopped: %lld\n", (long long)CHECK(jem_trainer_run(trainer, &callbacks)));
    CHECK(jem_trainer_progress(trainer, &step, &most));
    CHECK(jem_trainer_metrics(trainer, values, 256));
    CHECK(jem_trainer_save(trainer, path));
    CHECK(jem_trainer_step(trainer));
    CHECK(jem_trainer_resume(trainer, path));
    printf("step %lld of %lld, callbacks %lld, loss %.5f\n", (long long)step, (long long)most,
           (long long)steps, values[2]);
    jem_trainer_destroy(trainer);
}

static void own_network(jem_context *context, const jem_config *config)
{
    jem_network *network;
    jem_model *model;
    char text[256];
    int64_t shape[3], features;
    CHECK(jem_network_create(&network, 1, SIDE, SIDE));
    int32_t x = jem_network_convolution(network, 0, "first", 4, 3, 2, 1);
    x = jem_network_activation(network, jem_network_norm(network, x, "norm", "group:2"), "relu");
    x = jem_network_mean(network, jem_network_pool(network, x, "max", 2, 2, 0));
    CHECK(jem_network_shape(network, x, shape, shape + 1, shape + 2));
    CHECK(jem_network_text(network, text, sizeof text));
    CHECK(jem_model_create_network(&model, context, network, config));
    CHECK(jem_model_info(model, NULL, NULL, NULL, NULL, &features));
    printf("%s: %lld channels, %lld features, value after an error %d\n", text, (long long)shape[0],
           (long long)features, jem_network_mean(network, 77));
    jem_network_destroy(network);
    jem_model_destroy(model);
}

int main(int argc, char **argv)
{
    static float x[N * IMAGE];
    int32_t y[N];
    char text[128];
    int64_t count;
    jem_config *config;
    jem_context *context;
    jem_dataset *data, *mine;
    jem_model *model;
    const jem_allocator allocator = {
        .struct_size = sizeof allocator, .allocate = give, .release = take};
    const jem_log log = {.struct_size = sizeof log, .level = JEM_LOG_DEBUG, .write = note};
    const jem_dataset_callbacks source = {
        .struct_size = sizeof source, .read = fetch, .release = let_go};
    if (argc != 3 || jem_abi_version() != JEM_ABI_VERSION) return 2;

    CHECK(jem_config_create(&config));
    CHECK(jem_config_parse(config, "context.threads=2 loader.batch=8 sampler.buffer=16 "
                                   "sampler.steps=2 trainer.iterations=9 optimizer.rate=1e-4"));
    CHECK(jem_config_get_str(config, "optimizer.name", text, sizeof text));
    CHECK(jem_context_create_hosted(&context, config, &allocator, &log));
    CHECK(jem_model_load(&model, context, argv[1]));
    CHECK(jem_dataset_open(&data, context, "glyphs:limit=64", config));
    CHECK(jem_dataset_create_callbacks(&mine, context, &source, JEM_TYPE_U8, 64, 1, SIDE, SIDE, K));
    CHECK(jem_dataset_read(data, 0, N, x, N * IMAGE, y));
    CHECK(jem_dataset_info(mine, &count, NULL, NULL, NULL, NULL));
    scores(model, x, y);
    own_loop(model, mine, config);
    run(model, data, config, argv[2]);
    own_network(context, config);
    printf("a failure: %d\n", jem_model_logits(model, x, N, x, 1));
    jem_context_destroy(context);
    jem_dataset_destroy(mine);
    jem_dataset_destroy(data);
    jem_model_destroy(model);
    jem_config_destroy(config);
    printf("%s, %lld images, fetched %d, released %lld, lines %d, blocks %lld\n", text,
           (long long)count, fetched > 0, (long long)released, lines > 0, (long long)blocks);
    return 0;
}
