/* Files of every format version since the first are read, whole and unchanged. */
#include "base/file.h"
#include "base/memory.h"
#include "format/safetensors.h"
#include "train/formats.h"
#include <zlib.h>

static const char *unpack(const char *name)
{
    char source[256];
    uint8_t *bytes;
    int64_t size;
    const char *path = test_path("unpacked");
    snprintf(source, sizeof source, "tests/golden/%s", name);
    OK(jem__file_read(&bytes, &size, test_source(source), 1 << 26, 1));
    test_put(path, bytes, size);
    jem__free(bytes);
    return path;
}

/* Every tensor of the one file is in the other, bit for bit. */
static void holds(const char *old, const char *fresh)
{
    jem__safetensors *a, *b;
    OK(jem__safetensors_load(&a, old));
    OK(jem__safetensors_load(&b, fresh));
    ck_assert_int_gt(jem__safetensors_count(a), 20);
    for (int64_t i = 0; i < jem__safetensors_count(a); i++) {
        const jem__tensor_info *x = jem__safetensors_get(a, i);
        const jem__tensor_info *y = jem__safetensors_find(b, x->name);
        ck_assert_msg(y && x->size == y->size && !memcmp(x->bytes, y->bytes, (size_t)x->size), "%s",
                      x->name);
    }
    jem__safetensors_destroy(a);
    jem__safetensors_destroy(b);
}

START_TEST(checkpoints)
{
    for (int i = 0; i < GOLDEN; i++) {
        const char *path = unpack(golden_names[i]), *again = test_path("again");
        tiny t = {0};
        int64_t step;
        OK(jem_config_load(&t.config, path));
        OK(jem_context_create(&t.context, t.config));
        OK(jem_model_create(&t.model, t.context, t.config));
        t.data = tiny_data(t.context, DATA);
        OK(jem_trainer_create(&t.trainer, t.model, t.data, t.config));
        OK(jem_trainer_resume(t.trainer, path));
        OK(jem_trainer_progress(t.trainer, &step, NULL));
        ck_assert_int_eq(step, 3);
        OK(jem_trainer_save(t.trainer, again));
        holds(path, again);
        OK(jem_trainer_run(t.trainer, NULL));
        OK(jem_trainer_progress(t.trainer, &step, NULL));
        ck_assert_int_eq(step, 9);
        tiny_end(&t);
    }
}
END_TEST

START_TEST(model)
{
    static const float expected[K] = {-0.0501076579f, 0.0585701019f, 0.0368684977f};
    const char *path = unpack(golden_model);
    jem_context *context = test_context(1);
    jem_model *m;
    float x[IMAGE], logits[K];
    char text[64];
    golden_image(x);
    OK(jem_model_load(&m, context, path));
    OK(jem_model_logits(m, x, 1, logits, K));
    for (int k = 0; k < K; k++) ck_assert_float_eq_tol(logits[k], expected[k], 1e-4);
    jem_model_metadata_get(m, "note", text, sizeof text);
    ck_assert_str_eq(text, "kept as it is");
    jem_model_class_name(m, 2, text, sizeof text);
    ck_assert_str_eq(text, "c");
    OK(jem_model_save(m, test_path("again")));
    jem_model_destroy(m);
    jem_context_destroy(context);
}
END_TEST

/* All that a model may carry: network, energy head, class Gaussians, calibration. */
START_TEST(whole_model)
{
    static const float expected[K] = {-3.79893088f, 2.70116901f, 3.77030087f};
    jem_context *context = test_context(1);
    jem_model *m;
    float x[IMAGE], logits[K], energy, probability;
    int64_t rank;
    int32_t accepted;
    char text[256];
    golden_image(x);
    OK(jem_model_load(&m, context, unpack(golden_whole)));
    for (int again = 0; again < 2; again++) {
        OK(jem_model_logits(m, x, 1, logits, K));
        for (int k = 0; k < K; k++) ck_assert_float_eq_tol(logits[k], expected[k], 1e-4);
        OK(jem_model_energy(m, x, NULL, 1, &energy));
        ck_assert_float_eq_tol(energy, -1.57813883f, 1e-4);
        OK(jem_model_predict(m, x, 1, NULL, &probability, NULL, &accepted));
        ck_assert(accepted == 1 && probability > 0.5F);
        OK(jem_model_starts_info(m, &rank, NULL, NULL));
        ck_assert_int_eq(rank, 2);
        ck_assert(jem_model_metadata_get(m, "network", text, sizeof text) > 0);
        ck_assert_str_eq(text, "convolution 0 stem 4 3 1 1; norm 1 norm batch; silu 2; "
                               "max_pool 3 2 2 0; dropout 4 0.1; linear 5 wide 6");
        /* What this libjem writes of it is the same model. */
        OK(jem_model_save(m, test_path("again")));
        jem_model_destroy(m);
        OK(jem_model_load(&m, context, test_path("again")));
    }
    jem_model_destroy(m);
    jem_context_destroy(context);
}
END_TEST

START_TEST(packed)
{
    jem_context *context = test_context(1);
    jem_dataset *d;
    char source[4400], name[8];
    float x[20 * IMAGE];
    uint8_t pixels[20 * IMAGE];
    int32_t y[20];
    int64_t n, c, h, w, classes;
    snprintf(source, sizeof source, "packed:%s", unpack(golden_packed));
    OK(jem_dataset_open(&d, context, source, NULL));
    OK(jem_dataset_info(d, &n, &c, &h, &w, &classes));
    ck_assert(n == 20 && c == 1 && h == 8 && w == 8 && classes == 27);
    OK(jem_dataset_read(d, 0, n, x, 20 * IMAGE, y));
    for (int i = 0; i < 20 * IMAGE; i++) pixels[i] = (uint8_t)lrintf((x[i] + 1) * 127.5f);
    ck_assert_int_eq(crc32(0, pixels, sizeof pixels), 0xd79b8cf8);
    ck_assert(y[0] == 21 && y[7] == 24);
    jem_dataset_class_name(d, 3, name, sizeof name);
    ck_assert_str_eq(name, "E");
    jem_dataset_destroy(d);
    jem_context_destroy(context);
}
END_TEST

/* The same file under another format_version. */
static void with_version(const char *path, const char *to, const char *version)
{
    jem__safetensors *set;
    OK(jem__safetensors_load(&set, path));
    OK(jem__safetensors_set_metadata(set, "format_version", version));
    OK(jem__safetensors_seal(set));
    OK(jem__safetensors_save(set, to));
    jem__safetensors_destroy(set);
}

START_TEST(later_versions_are_refused)
{
    static const char *const versions[] = {"2", "0", "", "1.0", "-1", "01"};
    const char *to = test_path("later");
    jem_context *context = test_context(1);
    jem_config *config;
    jem_model *m;
    for (int i = 0; i < 6; i++) {
        with_version(unpack(golden_names[0]), to, versions[i]);
        FAILS(JEM_ERROR_FORMAT, jem_config_load(&config, to), "format_version is '");
        with_version(unpack(golden_model), to, versions[i]);
        FAILS(JEM_ERROR_FORMAT, jem_model_load(&m, context, to), "format_version is '");
    }
    with_version(unpack(golden_model), to, "1");
    OK(jem_model_load(&m, context, to));
    jem_model_destroy(m);
    jem_context_destroy(context);
}
END_TEST

TESTS("formats", checkpoints, model, whole_model, packed, later_versions_are_refused)
