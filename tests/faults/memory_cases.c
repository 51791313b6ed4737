/* Calls on configs, models, data, scores and arrays. */
#include "faults/memory_cases.h"

static void ignore(void *user, jem_log_level level, const char *text)
{
    (void)user, (void)level, (void)text;
}

MAKES(jem_context_create, jem_context, context, jem_context_create(&context, w->t.config))

MAKES(jem_config_create, jem_config, config, jem_config_create(&config))

MAKES(jem_config_clone, jem_config, config, jem_config_clone(&config, w->t.config))

CALLS(jem_config_set_i64, jem_config_set_i64(w->t.config, "sampler.steps", 3))

CALLS(jem_config_set_f64, jem_config_set_f64(w->t.config, "sampler.noise", 0.25))

CALLS(jem_config_set_str, jem_config_set_str(w->t.config, "model.class_names", "one,two,three"))

CASE(jem_config_parse)
{
    jem_status status;
    char names[32] = "";
    TRIED_ONCE(status,
               jem_config_parse(w->t.config, "sampler.steps=9 model.class_names=\"a,b,c\""));
    ck_assert(jem_config_get_str(w->t.config, "model.class_names", names, sizeof names) >= 0);
    if (nth) ck_assert_str_eq(names, status ? "" : "a,b,c"); /* all of it or nothing */
    return status;
}

CALLS(jem_config_preset, jem_config_preset(w->t.config, "mnist"))

MAKES(jem_config_load, jem_config, config, jem_config_load(&config, in_folder("checkpoint")))

MAKES(jem_model_create, jem_model, model, jem_model_create(&model, w->t.context, w->t.config))

MAKES(jem_model_load, jem_model, model, jem_model_load(&model, w->t.context, in_folder("model")))

CASE(jem_model_load_memory)
{
    jem_model *model;
    jem_status status;
    int64_t size;
    uint8_t *bytes = test_get(in_folder("model"), &size);
    MADE(status, model, jem_model_load_memory(&model, w->t.context, bytes, size));
    free(bytes);
    jem_model_destroy(model);
    return status;
}

MAKES(jem_model_clone, jem_model, model, jem_model_clone(&model, w->t.model))

CALLS(jem_model_save, jem_model_save(w->t.model, in_folder("saved")))

CASE(jem_model_save_memory)
{
    jem_status status;
    int64_t size;
    TRIED(status, jem_model_save_memory(w->t.model, NULL, 0, &size));
    return status;
}

CALLS(jem_model_metadata_set, jem_model_metadata_set(w->t.model, "note", "some text"))

CALLS(jem_model_set_precision, jem_model_set_precision(w->t.model, "bf16"))

/* A pool of three: workers that cannot be started are done without, or it is an error. */
CASE(jem_context_create_with_workers)
{
    jem_context *context;
    jem_config *config;
    jem_status status;
    OK(jem_config_clone(&config, w->t.config));
    OK(jem_config_set_i64(config, "context.threads", 3));
    MADE(status, context, jem_context_create(&context, config));
    jem_context_destroy(context);
    jem_config_destroy(config);
    return status;
}

CASE(jem_context_create_hosted)
{
    const jem_log log = {.struct_size = sizeof log, .write = ignore};
    jem_context *context;
    jem_status status;
    MADE(status, context, jem_context_create_hosted(&context, w->t.config, NULL, &log));
    jem_context_destroy(context);
    return status;
}

/* The images of the world under labels that the model mostly agrees with. */
static jem_dataset *agreeable(world *w)
{
    jem_dataset *data;
    int32_t y[6];
    OK(jem_model_logits(w->t.model, w->x, 6, w->logits, 6 * K));
    for (int i = 0; i < 6; i++)
        for (int k = y[i] = 0; k < K; k++)
            if (w->logits[i * K + k] > w->logits[i * K + y[i]]) y[i] = k;
    y[0] = (y[0] + 1) % K;
    OK(jem_dataset_create(&data, w->t.context, w->x, JEM_TYPE_F32, y, 6, C, H, W));
    return data;
}

CASE(jem_model_calibrate)
{
    jem_status status;
    jem_dataset *data = agreeable(w);
    TRIED(status, jem_model_calibrate(w->t.model, data, w->t.config));
    jem_dataset_destroy(data);
    return status;
}

CASE(jem_model_predict)
{
    int32_t y[6];
    jem_status status;
    jem_dataset *data = agreeable(w);
    OK(jem_model_calibrate(w->t.model, data, w->t.config));
    jem_dataset_destroy(data);
    TRIED(status, jem_model_predict(w->t.model, w->x, 6, y, w->out, w->logits, y));
    return status;
}

MAKES(jem_dataset_balanced, jem_dataset, data, jem_dataset_balanced(&data, w->t.data, 5, 1))
MAKES(jem_dataset_derive, jem_dataset, data,
      jem_dataset_derive(&data, w->t.data, "interpolations", 1))

CALLS(jem_model_logits, jem_model_logits(w->t.model, w->x, 6, w->logits, 6 * K))

CASE(jem_model_features)
{
    jem_status status;
    static float features[6 * 64];
    TRIED(status, jem_model_features(w->t.model, w->x, 6, features, 6 * 64));
    return status;
}

CALLS(jem_model_energy, jem_model_energy(w->t.model, w->x, w->y, 6, w->logits))

CASE(jem_model_prepare)
{
    jem_status status;
    static uint8_t pixels[19 * 21 * 3];
    TRIED(status,
          jem_model_prepare(w->t.model, pixels, 19, 21, 0, JEM_PIXEL_RGB8, 1, w->out, INT64_MAX));
    return status;
}

CASE(jem_dataset_open)
{
    jem_dataset *data;
    jem_status status;
    jem_config *config;
    OK(jem_config_create(&config));
    OK(jem_config_parse(config, "dataset.limit=20 dataset.size=8"));
    MADE(status, data, jem_dataset_open(&data, w->t.context, "glyphs:", config));
    jem_dataset_destroy(data);
    jem_config_destroy(config);
    return status;
}

static jem_status open_files(world *w, const char *format, const char *name)
{
    jem_dataset *data;
    jem_status status;
    char source[4400];
    snprintf(source, sizeof source, "%s:%s", format, in_folder(name));
    MADE(status, data, jem_dataset_open(&data, w->t.context, source, NULL));
    jem_dataset_destroy(data);
    return status;
}

#define OPENS(name, format, folder)                                                                \
    CASE(name)                                                                                     \
    {                                                                                              \
        return open_files(w, format, folder);                                                      \
    }

OPENS(jem_dataset_open_idx, "idx", "")
OPENS(jem_dataset_open_idx_gzip, "idx", "gz")
OPENS(jem_dataset_open_cifar, "cifar", "")
OPENS(jem_dataset_open_cifar_gzip, "cifar", "gz")
OPENS(jem_dataset_open_cifar100, "cifar100", "")
OPENS(jem_dataset_open_svhn, "svhn", "")
OPENS(jem_dataset_open_png, "png", "png")

MAKES(jem_dataset_create, jem_dataset, data,
      jem_dataset_create(&data, w->t.context, w->x, JEM_TYPE_F32, w->y, 6, C, H, W))

/* The world's six images, whatever is asked. */
static int32_t hand_out(void *user, const int64_t *indices, int64_t n, void *pixels,
                        int32_t *labels)
{
    const world *w = user;
    for (int64_t i = 0; i < n; i++) {
        if (pixels)
            memcpy((float *)pixels + i * C * H * W, w->x + indices[i] * C * H * W,
                   C * H * W * sizeof(float));
        if (labels) labels[i] = w->y[indices[i]];
    }
    return 0;
}

CASE(jem_dataset_create_callbacks)
{
    jem_dataset *data;
    jem_status status;
    const jem_dataset_callbacks callbacks = {sizeof callbacks, w, hand_out, NULL};
    MADE(
        status, data,
        jem_dataset_create_callbacks(&data, w->t.context, &callbacks, JEM_TYPE_F32, 6, C, H, W, K));
    jem_dataset_destroy(data);
    return status;
}

CASE(jem_dataset_save)
{
    jem_status status;
    TRIED(status, jem_dataset_save(w->t.data, in_folder("packed")));
    return status;
}

CASE(jem_dataset_open_packed)
{
    jem_dataset *data;
    jem_status status;
    char source[4400];
    OK(jem_dataset_save(w->t.data, in_folder("packed")));
    snprintf(source, sizeof source, "packed:%s", in_folder("packed"));
    MADE(status, data, jem_dataset_open(&data, w->t.context, source, NULL));
    jem_dataset_destroy(data);
    return status;
}

/* Images that are fetched when they are wanted. */
CASE(jem_dataset_read)
{
    jem_dataset *data;
    jem_status status;
    char source[4400];
    OK(jem_dataset_save(w->t.data, in_folder("packed")));
    snprintf(source, sizeof source, "packed:%s", in_folder("packed"));
    OK(jem_dataset_open(&data, w->t.context, source, NULL));
    TRIED(status, jem_dataset_read(data, 3, 6, w->out, INT64_MAX, w->y));
    jem_dataset_destroy(data);
    return status;
}

CASE(jem_dataset_subset)
{
    static const int64_t chosen[3] = {1, 4, 2};
    jem_dataset *data;
    jem_status status;
    MADE(status, data, jem_dataset_subset(&data, w->t.data, chosen, 3));
    jem_dataset_destroy(data);
    return status;
}

CASE(jem_dataset_split)
{
    jem_dataset *first, *second;
    jem_status status;
    MADE(status, first, jem_dataset_split(&first, &second, w->t.data, 20, 1));
    ck_assert(!first == !second);
    jem_dataset_destroy(first);
    jem_dataset_destroy(second);
    return status;
}

CASE(jem_eval_logits)
{
    static float logits[DATA * K];
    jem_status status;
    TRIED(status, jem_eval_logits(w->t.model, w->t.data, logits, DATA * K, NULL, 0));
    return status;
}

static jem_status score(world *w, const char *name)
{
    jem_status status;
    TRIED(status, jem_eval_score(w->t.model, name, w->x, 6, 0, w->t.config, w->logits));
    return status;
}

CASE(jem_eval_score)
{
    return score(w, "max_softmax");
}

CASE(jem_eval_score_data)
{
    static float scores[DATA];
    jem_status status;
    TRIED(status, jem_eval_score_data(w->t.model, "mass", w->t.data, NULL, scores, DATA));
    return status;
}

/* Networks keep their first error to the end. */
static jem_status build_network(jem_network **network)
{
    jem_status made = jem_network_create(network, C, H, W);
    if (made) return made;
    jem_network *n = *network;
    int32_t x = jem_network_convolution(n, 0, "conv", 4, 3, 1, 1);
    int32_t y = jem_network_norm(n, x, "norm", "batch");
    y = jem_network_dropout(n, jem_network_activation(n, y, "relu"), 0.1);
    y = jem_network_pool(n, jem_network_add(n, x, y), "max", 2, 2, 0);
    jem_network_linear(n, jem_network_mean(n, y), "linear", 5);
    jem_status status = jem_network_status(n);
    if (status) {
        jem_network_destroy(n);
        *network = NULL;
    }
    return status;
}

MAKES(jem_network_create, jem_network, network, build_network(&network))

CASE(jem_model_create_network)
{
    jem_network *network;
    jem_model *model;
    jem_status status;
    OK(build_network(&network));
    MADE(status, model, jem_model_create_network(&model, w->t.context, network, w->t.config));
    jem_network_destroy(network);
    jem_model_destroy(model);
    return status;
}

CASE(jem_network_shape)
{
    jem_network *network;
    jem_status status;
    int64_t h;
    OK(build_network(&network));
    TRIED(status, jem_network_shape(network, 1, NULL, &h, NULL));
    jem_network_destroy(network);
    return status;
}

/* The text is made with the network: reading it needs no memory. */
CASE(jem_network_text)
{
    jem_network *network;
    char text[512];
    int64_t length;
    (void)w;
    OK(build_network(&network));
    TRIED_ONCE(length, jem_network_text(network, text, sizeof text));
    ck_assert(length > 0 && length == (int64_t)strlen(text));
    jem_network_destroy(network);
    return JEM_OK;
}

CASE(jem_eval_attack)
{
    jem_status status;
    int32_t robust[6];
    TRIED(status, jem_eval_attack(w->t.model, w->x, w->y, 6, 0, 0.1, w->t.config, robust, w->out));
    return status;
}

CASE(jem_eval_attack_distance)
{
    jem_status status;
    TRIED(status, jem_eval_attack_distance(w->t.model, w->x, w->y, 6, 0, 0.1, w->t.config,
                                           w->logits, w->out));
    return status;
}

CALLS(jem_eval_refined_logits,
      jem_eval_refined_logits(w->t.model, w->x, 6, 0, w->t.config, w->logits, 6 * K))

CASE(jem_eval_temperature)
{
    jem_status status;
    double temperature;
    static const float logits[] = {1, 0, 0, 0, 2, 0, 3, 0, 0};
    static const int32_t y[] = {0, 1, 2};
    TRIED(status, jem_eval_temperature(logits, y, 3, K, &temperature));
    return status;
}

CASE(jem_eval_roc)
{
    jem_status status;
    double fpr[13], tpr[13];
    float threshold[13];
    int64_t n;
    TRIED(status, jem_eval_roc(w->x, 6, w->x + 6, 6, fpr, tpr, threshold, 13, &n));
    return status;
}

CASE(jem_eval_threshold)
{
    jem_status status;
    float threshold;
    TRIED(status, jem_eval_threshold(w->x, 6, 0.9, &threshold));
    return status;
}

CASE(jem_eval_histogram)
{
    jem_status status;
    int64_t count[4];
    TRIED(status, jem_eval_histogram(w->x, 6, -1, 1, 4, count));
    return status;
}

CASE(jem_eval_frechet)
{
    jem_status status;
    double distance;
    TRIED(status, jem_eval_frechet(w->x, 6, w->x + 24, 6, 4, &distance));
    return status;
}

CASE(jem_eval_inception)
{
    static const float probabilities[] = {0.5F, 0.5F, 0.25F, 0.75F, 0.9F, 0.1F, 0.5F, 0.5F};
    jem_status status;
    double score;
    TRIED(status, jem_eval_inception(probabilities, 4, 2, 2, &score, NULL));
    return status;
}

CASE(jem_eval_ece)
{
    jem_status status;
    double ece;
    static const float logits[6 * K];
    TRIED(status, jem_eval_ece(logits, w->y, 6, K, 20, &ece, NULL, NULL, NULL));
    return status;
}

CASE(jem_eval_ood)
{
    jem_status status;
    double a, b, c, d;
    TRIED(status, jem_eval_ood(w->x, 6, w->x + 6, 6, &a, &b, &c, &d));
    return status;
}

MAKES(jem_array_load, jem_array, array, jem_array_load(&array, in_folder("array.npy")))

CASE(jem_array_save)
{
    const int64_t shape[] = {6, IMAGE};
    jem_status status;
    TRIED(status, jem_array_save(in_folder("saved.npy"), w->x, JEM_TYPE_F32, 2, shape));
    return status;
}

CALLS(jem_array_save_png, jem_array_save_png(in_folder("saved.png"), w->x, 6, C, H, W, 3, 2, 1))

const case_of scoring_cases[] = {NAMED(jem_context_create),
                                 NAMED(jem_config_create),
                                 NAMED(jem_config_clone),
                                 NAMED(jem_config_set_i64),
                                 NAMED(jem_config_set_f64),
                                 NAMED(jem_config_set_str),
                                 NAMED(jem_config_parse),
                                 NAMED(jem_config_preset),
                                 NAMED(jem_config_load),
                                 NAMED(jem_model_create),
                                 NAMED(jem_model_load),
                                 NAMED(jem_model_load_memory),
                                 NAMED(jem_model_clone),
                                 NAMED(jem_model_save),
                                 NAMED(jem_model_save_memory),
                                 NAMED(jem_model_metadata_set),
                                 NAMED(jem_model_set_precision),
                                 NAMED(jem_context_create_with_workers),
                                 NAMED(jem_context_create_hosted),
                                 NAMED(jem_model_calibrate),
                                 NAMED(jem_model_predict),
                                 NAMED(jem_dataset_balanced),
                                 NAMED(jem_dataset_derive),
                                 NAMED(jem_model_logits),
                                 NAMED(jem_model_features),
                                 NAMED(jem_model_energy),
                                 NAMED(jem_model_prepare),
                                 NAMED(jem_dataset_open),
                                 NAMED(jem_dataset_open_idx),
                                 NAMED(jem_dataset_open_idx_gzip),
                                 NAMED(jem_dataset_open_cifar),
                                 NAMED(jem_dataset_open_cifar_gzip),
                                 NAMED(jem_dataset_open_cifar100),
                                 NAMED(jem_dataset_open_svhn),
                                 NAMED(jem_dataset_open_png),
                                 NAMED(jem_dataset_create),
                                 NAMED(jem_dataset_create_callbacks),
                                 NAMED(jem_dataset_save),
                                 NAMED(jem_dataset_open_packed),
                                 NAMED(jem_dataset_read),
                                 NAMED(jem_dataset_subset),
                                 NAMED(jem_dataset_split),
                                 NAMED(jem_eval_logits),
                                 NAMED(jem_eval_score),
                                 NAMED(jem_eval_score_data),
                                 NAMED(jem_network_create),
                                 NAMED(jem_model_create_network),
                                 NAMED(jem_network_shape),
                                 NAMED(jem_network_text),
                                 NAMED(jem_eval_attack),
                                 NAMED(jem_eval_attack_distance),
                                 NAMED(jem_eval_refined_logits),
                                 NAMED(jem_eval_temperature),
                                 NAMED(jem_eval_roc),
                                 NAMED(jem_eval_threshold),
                                 NAMED(jem_eval_histogram),
                                 NAMED(jem_eval_frechet),
                                 NAMED(jem_eval_inception),
                                 NAMED(jem_eval_ece),
                                 NAMED(jem_eval_ood),
                                 NAMED(jem_array_load),
                                 NAMED(jem_array_save),
                                 NAMED(jem_array_save_png),
                                 {NULL, NULL}};
