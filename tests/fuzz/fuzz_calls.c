/* Sequences of calls: each byte is an act on a small set of handles, the bytes after it its
   arguments, many of them wrong. Whatever comes, a call returns a status, and handles can be
   destroyed in any order. */
#include "fuzz.h"

enum { SLOTS = 3, IMAGES = 4, SIDE = 8, IMAGE = SIDE * SIDE, CLASSES = 3, MOST = 8 };

typedef struct state {
    const uint8_t *at, *end;
    jem_config *config[SLOTS];
    jem_dataset *data[SLOTS];
    jem_loader *loader[SLOTS];
    jem_model *model[SLOTS];
    jem_sampler *sampler[SLOTS];
    jem_pass *pass[SLOTS];
    jem_trainer *trainer[SLOTS];
    jem_optimizer *optimizer[SLOTS];
    jem_network *network[SLOTS];
    float x[MOST * IMAGE], dx[MOST * IMAGE], out[MOST * IMAGE];
    int32_t y[MOST];
} state;

static uint8_t take(state *s)
{
    return s->at < s->end ? *s->at++ : 0;
}

static int slot(state *s)
{
    return take(s) % SLOTS;
}

/* Mostly small and right, at times absurd. */
static int64_t number(state *s)
{
    static const int64_t odd[] = {-1, INT64_MIN, INT64_MAX, 1 << 20, (int64_t)1 << 40, 255};
    uint8_t b = take(s);
    return b < 200 ? b % 6 : odd[b % 6];
}

/* At most as many images as the buffers hold: the caller's duty. */
static int64_t images(state *s)
{
    int64_t n = number(s);
    return n > MOST ? MOST : n;
}

static void check(jem_status status)
{
    MUST(status >= JEM_ERROR_UNSUPPORTED - 10 && status <= JEM_END);
    if (status < 0) MUST(jem_last_error(NULL, 0) > 0);
}

static jem_config *config_of(state *s)
{
    return take(s) % 4 ? s->config[slot(s)] : NULL;
}

/* A key that may be set to much without hours of work. */
static void set_key(state *s, jem_config *config)
{
    static const char *const texts[] = {
        "loader.batch=3 loader.crop=2 loader.flip=1",
        "loader.repeat=0 loader.prefetch=0 loader.batch=2",
        "loader.shuffle=0 loader.noise=0.5",
        "sampler.steps=1 sampler.buffer=6",
        "sampler.conditional=1 sampler.buffer=6 sampler.steps=2",
        "sampler.start=gaussian",
        "model.norm=batch",
        "model.dropout=0.5",
        "model.activation=silu",
        "model.classes=4",
        "model.channels=1 model.height=8 model.width=8 model.classes=3",
        "optimizer.name=sgd optimizer.rate=1e3",
        "trainer.pyx=0",
        "trainer.px_batch=1 trainer.iterations=2",
        "sampler.mode=training",
        "nonsense=1",
        "model.depth=11",
        "loader.batch=0",
    };
    enum { TEXTS = sizeof texts / sizeof *texts };
    const char *name;
    jem_key_type type;
    uint8_t which = take(s);
    if (which < 200) {
        check(jem_config_parse(config, texts[which % TEXTS]));
        return;
    }
    check(jem_config_key_info(take(s) % jem_config_key_count(), &name, &type, NULL, NULL, NULL));
    if (type == JEM_KEY_I64)
        check(jem_config_set_str(config, name, "x")); /* of the wrong type */
    else
        check(jem_config_set_i64(config, name, INT64_MIN));
}

static void config_acts(state *s)
{
    int i = slot(s), j = slot(s);
    switch (take(s) % 4) {
    case 0:
        jem_config_destroy(s->config[i]);
        check(jem_config_create(&s->config[i]));
        check(jem_config_parse(s->config[i],
                               "model.channels=1 model.height=8 model.width=8 model.classes=3 "
                               "loader.batch=2 sampler.buffer=6 sampler.steps=1"));
        break;
    case 1:
        jem_config_destroy(s->config[i]);
        s->config[i] = NULL;
        if (i != j) check(jem_config_clone(&s->config[i], s->config[j]));
        break;
    default:
        set_key(s, s->config[i]);
    }
}

static void data_acts(state *s)
{
    int i = slot(s), j = slot(s);
    int64_t indices[MOST], n = images(s);
    jem_dataset *fresh = NULL, *rest = NULL;
    uint8_t pixels[MOST * IMAGE] = {7};
    for (int k = 0; k < MOST; k++) indices[k] = number(s);
    switch (take(s) % 5) {
    case 0:
        check(jem_dataset_create(&fresh, fuzz_context(), take(s) % 8 ? s->x : NULL, JEM_TYPE_F32,
                                 s->y, n, 1, SIDE, SIDE));
        break;
    case 1:
        check(jem_dataset_create(&fresh, fuzz_context(), pixels,
                                 take(s) % 8 ? JEM_TYPE_U8 : JEM_TYPE_I64, NULL, n, 1, SIDE,
                                 take(s) % 8 ? SIDE : 0));
        break;
    case 2:
        check(jem_dataset_subset(&fresh, s->data[j], indices, n));
        break;
    case 3:
        check(jem_dataset_split(&fresh, &rest, s->data[j], n, take(s)));
        jem_dataset_destroy(rest);
        break;
    default:
        check(jem_dataset_read(s->data[j], number(s), n, take(s) % 4 ? s->out : NULL, MOST * IMAGE,
                               s->y));
        for (int k = 0; k < MOST; k++) s->y[k] %= CLASSES;
        return;
    }
    jem_dataset_destroy(s->data[i]);
    s->data[i] = fresh;
}

static void loader_acts(state *s)
{
    int i = slot(s);
    int64_t n, batch = 64;
    switch (take(s) % 4) {
    case 0:
        jem_loader_destroy(s->loader[i]);
        {
            const jem_config *config = config_of(s);
            if (config) jem_config_get_i64(config, "loader.batch", &batch);
            s->loader[i] = NULL;
            if (batch <= MOST) check(jem_loader_create(&s->loader[i], s->data[slot(s)], config));
        }
        break;
    case 1:
        check(jem_loader_seek(s->loader[i], number(s)));
        break;
    default:
        check(jem_loader_next(s->loader[i], take(s) % 4 ? s->out : NULL, MOST * IMAGE,
                              take(s) % 4 ? s->y : NULL, MOST, &n));
        MUST(n >= 0 && n <= MOST);
    }
}

static void model_acts(state *s)
{
    int i = slot(s), j = slot(s);
    int64_t n = images(s);
    char text[64];
    switch (take(s) % 8) {
    case 0: {
        jem_config *config = config_of(s);
        int64_t c = 0;
        jem_model_destroy(s->model[i]);
        s->model[i] = NULL;
        if (config && !jem_config_get_i64(config, "model.channels", &c) && c == 1)
            check(jem_model_create(&s->model[i], fuzz_context(), config));
        break;
    }
    case 1:
        jem_model_destroy(s->model[i]);
        s->model[i] = NULL;
        if (i != j) check(jem_model_clone(&s->model[i], s->model[j]));
        break;
    case 2:
        check(jem_model_energy(s->model[i], s->x, take(s) % 2 ? s->y : NULL, n, s->out));
        break;
    case 3:
        check(jem_model_energy_gradient(s->model[i], s->x, s->y, n, NULL, s->dx));
        break;
    case 4:
        check(jem_model_logits(s->model[i], s->x, n, s->out, number(s)));
        break;
    case 5:
        jem_model_class_name(s->model[i], number(s), text, take(s) % sizeof text);
        jem_model_metadata_get(s->model[i], take(s) % 2 ? "depth" : "none", text, sizeof text);
        break;
    case 6:
        check(jem_model_parameter_get(s->model[i], number(s), s->out, number(s)));
        break;
    default:
        s->x[take(s) * 2] = (float)take(s) / 128 - 1;
        s->y[take(s) % MOST] = (int32_t)number(s) % (CLASSES + 1);
    }
}

static void sampler_acts(state *s)
{
    int i = slot(s);
    int64_t n = images(s);
    const int32_t *y = take(s) % 2 ? s->y : NULL;
    switch (take(s) % 7) {
    case 0:
        jem_sampler_destroy(s->sampler[i]);
        s->sampler[i] = NULL;
        {
            jem_config *config = config_of(s);
            if (config) check(jem_sampler_create(&s->sampler[i], s->model[slot(s)], config));
        }
        break;
    case 1:
        check(jem_sampler_set_data(s->sampler[i], s->data[slot(s)]));
        break;
    case 2:
        check(jem_sampler_draw(s->sampler[i], y, n, s->out, MOST * IMAGE));
        break;
    case 3:
        check(jem_sampler_draw_starts(s->sampler[i], y, n, number(s), s->out, MOST * IMAGE));
        break;
    case 4:
        memcpy(s->out, s->x, sizeof s->x);
        check(jem_sampler_step(s->sampler[i], s->out, y, n, number(s), number(s), take(s) % 3));
        break;
    case 5:
        check(jem_sampler_buffer_set(s->sampler[i], number(s), n, s->x));
        break;
    default:
        check(jem_sampler_buffer_get(s->sampler[i], number(s), n, s->out, MOST * IMAGE));
    }
}

static void pass_acts(state *s)
{
    int i = slot(s);
    int64_t n = images(s);
    switch (take(s) % 4) {
    case 0:
        jem_pass_destroy(s->pass[i]);
        s->pass[i] = NULL;
        {
            int64_t most = number(s);
            if (most <= MOST)
                check(jem_pass_create(&s->pass[i], s->model[slot(s)], (int32_t)number(s), most));
        }
        break;
    case 1:
        check(jem_pass_forward(s->pass[i], s->x, n, s->out, MOST * IMAGE));
        break;
    case 2:
        check(jem_pass_backward(s->pass[i], s->out, (int32_t)number(s), s->dx));
        break;
    default:
        check(jem_model_gradient_zero(s->model[i]));
    }
}

static void trainer_acts(state *s)
{
    int i = slot(s);
    double metrics[64];
    switch (take(s) % 6) {
    case 0: {
        jem_config *config = config_of(s);
        jem_trainer_destroy(s->trainer[i]);
        s->trainer[i] = NULL;
        if (config)
            check(jem_trainer_create(&s->trainer[i], s->model[slot(s)], s->data[slot(s)], config));
        break;
    }
    case 1:
        if (s->trainer[i]) jem_trainer_cancel(s->trainer[i]);
        break;
    case 2:
        check(jem_trainer_save(s->trainer[i], fuzz_path("calls.checkpoint")));
        break;
    case 3:
        check(jem_trainer_resume(s->trainer[i], fuzz_path("calls.checkpoint")));
        break;
    case 4:
        check(jem_trainer_metrics(s->trainer[i], metrics, take(s) % 64));
        break;
    default:
        check(jem_trainer_step(s->trainer[i]));
    }
}

static void eval_acts(state *s)
{
    static const char *const scores[] = {"log_px", "max_softmax", "mass", "refine_log_px", "none"};
    jem_model *model = s->model[slot(s)];
    const jem_config *config = config_of(s);
    float logits[MOST * IMAGE], of[MOST], probability[MOST];
    int32_t flags[MOST];
    int64_t n = images(s), steps = 0, classes;
    double value;
    if (config) jem_config_get_i64(config, "sampler.steps", &steps);
    if (!config || steps > 2) return; /* the default is 20 */
    switch (take(s) % 8) {
    case 0:
        check(jem_eval_score(model, scores[take(s) % 5], s->x, n, number(s), config, of));
        break;
    case 1:
        check(jem_eval_refined_logits(model, s->x, n, number(s), config, logits,
                                      take(s) % 4 ? MOST * CLASSES : number(s)));
        break;
    case 2:
        check(jem_eval_attack(model, s->x, s->y, n, number(s), (double)take(s) / 64 - 1, config,
                              flags, s->out));
        break;
    case 3:
        check(jem_model_calibrate(model, s->data[slot(s)], config));
        break;
    case 4:
        check(
            jem_model_predict(model, s->x, n, flags, probability, of, take(s) % 2 ? flags : NULL));
        break;
    case 5:
        classes = number(s);
        if (classes > IMAGE && n > 0) classes = IMAGE; /* what the buffer holds */
        check(jem_eval_ece(s->out, s->y, n, classes, number(s), &value, NULL, NULL, NULL));
        break;
    case 6:
        check(jem_model_starts_fit(model, s->data[slot(s)], config));
        break;
    default:
        check(jem_model_set_precision(model, take(s) % 2 ? "auto" : "f64"));
    }
}

static void optimizer_acts(state *s)
{
    int i = slot(s);
    double norm;
    switch (take(s) % 5) {
    case 0:
        jem_optimizer_destroy(s->optimizer[i]);
        s->optimizer[i] = NULL;
        check(jem_optimizer_create(&s->optimizer[i], s->model[slot(s)], config_of(s)));
        break;
    case 1:
        check(jem_optimizer_set_rate(s->optimizer[i], (double)number(s) / 100));
        break;
    case 2:
        check(jem_optimizer_ascend(s->optimizer[i]));
        break;
    case 3:
        check(jem_optimizer_restore(s->optimizer[i]));
        break;
    default:
        check(jem_optimizer_step(s->optimizer[i], &norm));
    }
}

/* A network is never more than a few layers of a few channels. */
static void network_acts(state *s)
{
    static const char *const names[] = {"a", "b.c", "d", "", "a b"};
    static const char *const kinds[] = {"batch", "group:2", "silu", "relu", "max", "average"};
    int i = slot(s);
    jem_network *network = s->network[i];
    int32_t in = (int32_t)number(s);
    const char *name = names[take(s) % 5], *kind = kinds[take(s) % 6];
    int64_t small = number(s) % 5, channels;
    switch (take(s) % 8) {
    case 0:
        jem_network_destroy(network);
        channels = take(s) % 8 ? 1 : number(s);
        if (channels > 1) channels = INT64_MAX; /* images of more would not fit the buffers */
        check(jem_network_create(&s->network[i], channels, SIDE, SIDE));
        break;
    case 1:
        jem_network_convolution(network, in, name, small, number(s), number(s), number(s));
        break;
    case 2:
        jem_network_norm(network, in, name, kind);
        break;
    case 3:
        jem_network_activation(network, in, kind);
        break;
    case 4:
        jem_network_pool(network, in, kind, number(s), number(s), number(s));
        break;
    case 5:
        jem_network_linear(network, in, name, small);
        break;
    case 6:
        jem_network_add(network, in, (int32_t)number(s));
        break;
    default:
        jem_model_destroy(s->model[i]);
        check(jem_model_create_network(&s->model[i], fuzz_context(), network, config_of(s)));
    }
    if (s->network[i]) check(jem_network_status(s->network[i]));
}

/* Some of the caller's images, or none: a reader that fails at times. */
static int32_t hand_out(void *user, const int64_t *indices, int64_t n, void *pixels,
                        int32_t *labels)
{
    const state *s = user;
    for (int64_t i = 0; i < n; i++) {
        MUST(indices[i] >= 0 && indices[i] < MOST);
        if (pixels)
            memcpy((float *)pixels + i * IMAGE, s->x + indices[i] * IMAGE, IMAGE * sizeof(float));
        if (labels) labels[i] = s->y[indices[i]];
    }
    return s->y[0] == CLASSES;
}

static void file_acts(state *s)
{
    static uint8_t pixels[16 * 64] = {1, 2, 3};
    int i = slot(s);
    int64_t n = images(s);
    switch (take(s) % 6) {
    case 0:
        check(jem_model_save(s->model[i], take(s) % 8 ? fuzz_path("calls.model") : NULL));
        break;
    case 1:
        jem_model_destroy(s->model[i]);
        check(jem_model_load(&s->model[i], fuzz_context(), fuzz_path("calls.model")));
        break;
    case 2: {
        int64_t size = take(s) % 8 ? (int64_t)sizeof(jem_dataset_callbacks) : 1;
        int reads = take(s) % 8, side = take(s) % 8 ? SIDE : 0;
        const jem_dataset_callbacks callbacks = {size, s, reads ? hand_out : NULL, NULL};
        jem_dataset_destroy(s->data[i]);
        check(jem_dataset_create_callbacks(&s->data[i], fuzz_context(), &callbacks, JEM_TYPE_F32, n,
                                           1, SIDE, side, number(s)));
        break;
    }
    case 3: { /* an image within the array, or none */
        int64_t width = number(s), height = number(s), stride = number(s);
        int32_t format = (int32_t)number(s), resize = take(s) % 2;
        if (width > 16 || height > 16 || stride > 64) width = -1;
        check(jem_model_prepare(s->model[i], pixels, width, height, stride, format, resize, s->out,
                                take(s) % 4 ? MOST * IMAGE : number(s)));
        break;
    }
    case 4:
        check(jem_sampler_buffer_load(s->sampler[i], fuzz_path("calls.checkpoint"), &n));
        break;
    default:
        check(jem_dataset_save(s->data[i], fuzz_path("calls.packed")));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static void (*const acts[])(state *) = {config_acts,    data_acts,    loader_acts,  model_acts,
                                            sampler_acts,   pass_acts,    trainer_acts, eval_acts,
                                            optimizer_acts, network_acts, file_acts};
    static state s;
    if (size > 400) return 0;
    memset(&s, 0, sizeof s);
    s.at = bytes;
    s.end = bytes + size;
    unlink(fuzz_path("calls.model")); /* what an input finds is its own */
    unlink(fuzz_path("calls.checkpoint"));
    fuzz_accepted++;
    while (s.at < s.end) acts[take(&s) % (sizeof acts / sizeof *acts)](&s);
    for (int i = 0; i < SLOTS; i++) { /* parents before children */
        jem_config_destroy(s.config[i]);
        jem_dataset_destroy(s.data[i]);
        jem_model_destroy(s.model[i]);
        jem_loader_destroy(s.loader[i]);
        jem_sampler_destroy(s.sampler[i]);
        jem_pass_destroy(s.pass[i]);
        jem_trainer_destroy(s.trainer[i]);
        jem_optimizer_destroy(s.optimizer[i]);
        jem_network_destroy(s.network[i]);
    }
    return 0;
}
