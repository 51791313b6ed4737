/* Files of every format version since the first are read, whole and unchanged. */
#include "base/file.h"
#include "base/memory.h"
#include "format/safetensors.h"
#include "train/formats.h"

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

TESTS("formats", checkpoints, model, later_versions_are_refused)
