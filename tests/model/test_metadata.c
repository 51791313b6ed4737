/* Metadata in numbers: found by key, told in their order. */
#include "format/safetensors.h"
#include "helpers.h"

enum { MANY = 16000 };

static jem_model *small_model(jem_context *context)
{
    jem_config *config;
    jem_model *model;
    OK(jem_config_create(&config));
    OK(jem_config_parse(config, "model.architecture=network model.network=\"convolution 0 a 2 3 1 "
                                "1; mean 1\" model.classes=2 model.channels=1 model.height=4 "
                                "model.width=4"));
    OK(jem_model_create(&model, context, config));
    jem_config_destroy(config);
    return model;
}

/* The i-th key: of one prefix, in no order. */
static const char *key_of(int i)
{
    static char key[200];
    snprintf(key, sizeof key, "%0150d.%d", 0, (i * 7919) % MANY);
    return key;
}

static void expect_all(const jem_model *model, int64_t own)
{
    char key[256], value[32], expected[32];
    ck_assert_int_eq(jem_model_metadata_count(model), own + MANY);
    for (int i = 0; i < MANY; i++) {
        ck_assert_int_gt(jem_model_metadata_key(model, own + i, key, sizeof key), 0);
        ck_assert_str_eq(key, key_of(i));
        snprintf(expected, sizeof expected, "value %d", i);
        ck_assert_int_gt(jem_model_metadata_get(model, key, value, sizeof value), 0);
        ck_assert_str_eq(value, expected);
    }
    ck_assert_int_gt(jem_model_metadata_get(model, "architecture", value, sizeof value), 0);
    ck_assert_str_eq(value, "network");
    FAILS(JEM_ERROR_ARGUMENT, (jem_status)jem_model_metadata_get(model, "0", value, sizeof value),
          "no entry '0'");
}

START_TEST(many_keys_come_back)
{
    jem_context *context = test_context(1);
    jem_model *model = small_model(context), *loaded, *copy;
    int64_t own = jem_model_metadata_count(model), size;
    char value[32];
    for (int i = 0; i < MANY; i++) {
        snprintf(value, sizeof value, "value %d", i);
        OK(jem_model_metadata_set(model, key_of(i), value));
    }
    expect_all(model, own);
    OK(jem_model_save_memory(model, NULL, 0, &size));
    uint8_t *bytes = malloc((size_t)size);
    ck_assert_ptr_nonnull(bytes);
    OK(jem_model_save_memory(model, bytes, size, &size));
    OK(jem_model_load_memory(&loaded, context, bytes, size));
    expect_all(loaded, own);
    OK(jem_model_clone(&copy, loaded));
    expect_all(copy, own);
    free(bytes);
    jem_model_destroy(copy);
    jem_model_destroy(loaded);
    jem_model_destroy(model);
    jem_context_destroy(context);
}
END_TEST

/* New weights drop the calibration: what stands before and behind it is found as before. */
START_TEST(a_dropped_key_leaves_the_others)
{
    static const char *const keys[] = {"b", "calibration", "a", "c"};
    jem_context *context = test_context(1);
    jem_model *model = small_model(context);
    int64_t own = jem_model_metadata_count(model);
    char text[32];
    float bias[2] = {0, 1};
    for (int i = 0; i < 4; i++) OK(jem_model_metadata_set(model, keys[i], keys[i]));
    OK(jem_model_metadata_set(model, "a", "again"));
    OK(jem_model_parameter_set(model, jem_model_parameter_find(model, "class_output.bias"), bias,
                               2));
    ck_assert_int_eq(jem_model_metadata_count(model), own + 3);
    ck_assert_int_lt(jem_model_metadata_get(model, "calibration", text, sizeof text), 0);
    for (int i = 0; i < 4; i++) {
        if (i == 1) continue;
        ck_assert_int_gt(jem_model_metadata_get(model, keys[i], text, sizeof text), 0);
        ck_assert_str_eq(text, i == 2 ? "again" : keys[i]);
        ck_assert_int_gt(jem_model_metadata_key(model, own + (i ? i - 1 : 0), text, sizeof text),
                         0);
        ck_assert_str_eq(text, keys[i]);
    }
    OK(jem_model_metadata_set(model, "calibration", "new"));
    ck_assert_int_gt(jem_model_metadata_key(model, own + 3, text, sizeof text), 0);
    ck_assert_str_eq(text, "calibration");
    jem_model_destroy(model);
    jem_context_destroy(context);
}
END_TEST

/* The tensors and texts of a model's file without what libjem writes of its own accord, and with
   two texts more in their place. */
static void save_foreign(const uint8_t *bytes, int64_t size, const char *path)
{
    jem__safetensors *set, *other;
    OK(jem__safetensors_load_memory(&set, bytes, size, "model"));
    OK(jem__safetensors_create(&other));
    for (int64_t i = 0; i < jem__safetensors_metadata_count(set); i++) {
        const char *key, *value;
        jem__safetensors_metadata_at(set, i, &key, &value);
        int own = !strcmp(key, "format_version") || !strcmp(key, "checksum");
        OK(jem__safetensors_append_metadata(other, own ? value : key, value));
    }
    for (int64_t i = 0; i < jem__safetensors_count(set); i++) {
        const jem__tensor_info *t = jem__safetensors_get(set, i);
        OK(jem__safetensors_add(other, t->name, t->dtype, t->dimensions, t->shape, t->bytes));
    }
    OK(jem__safetensors_save(other, path));
    jem__safetensors_destroy(other);
    jem__safetensors_destroy(set);
}

/* What can be loaded or set can be saved: a file has two entries of its own. */
START_TEST(as_many_as_a_file_holds)
{
    enum { MOST = 16382 };
    jem_context *context = test_context(1);
    jem_model *model = small_model(context), *loaded;
    int64_t size;
    char key[32];
    const char *path = test_path("foreign.safetensors");
    for (int64_t i = jem_model_metadata_count(model); i < MOST; i++) {
        snprintf(key, sizeof key, "key %d", (int)i);
        OK(jem_model_metadata_set(model, key, ""));
    }
    FAILS(JEM_ERROR_ARGUMENT, jem_model_metadata_set(model, "one more", ""), "16382 entries");
    OK(jem_model_metadata_set(model, key, "another value"));
    OK(jem_model_save_memory(model, NULL, 0, &size));
    uint8_t *bytes = malloc((size_t)size);
    OK(jem_model_save_memory(model, bytes, size, &size));
    OK(jem_model_load_memory(&loaded, context, bytes, size));
    ck_assert_int_eq(jem_model_metadata_count(loaded), MOST);
    jem_model_destroy(loaded);
    save_foreign(bytes, size, path);
    FAILS(JEM_ERROR_FORMAT, jem_model_load(&loaded, context, path),
          "16384 metadata entries with those that describe the network, expected at most 16382");
    ck_assert_ptr_null(loaded);
    free(bytes);
    jem_model_destroy(model);
    jem_context_destroy(context);
}
END_TEST

TESTS("metadata", as_many_as_a_file_holds, many_keys_come_back, a_dropped_key_leaves_the_others)
