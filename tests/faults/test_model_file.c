/* Damaged model files and disks that refuse, through the public API. */
#include "format/safetensors.h"
#include "helpers.h"
#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

static jem_context *context;

static jem_model *small_model(void)
{
    jem_config *config;
    jem_model *model;
    OK(jem_config_create(&config));
    OK(jem_config_parse(config, "context.threads=1 model.channels=1 model.height=8 model.width=8"));
    OK(jem_context_create(&context, config));
    OK(jem_model_create(&model, context, config));
    jem_config_destroy(config);
    return model;
}

/* The file of a small model, as bytes; free them. */
static uint8_t *small_file(int64_t *size)
{
    jem_model *model = small_model();
    OK(jem_model_save_memory(model, NULL, 0, size));
    uint8_t *bytes = malloc((size_t)*size);
    OK(jem_model_save_memory(model, bytes, *size, size));
    jem_model_destroy(model);
    return bytes;
}

START_TEST(truncated)
{
    int64_t size;
    uint8_t *bytes = small_file(&size);
    for (int64_t cut = 0; cut < size; cut += cut < 9000 ? 37 : 9973) {
        jem_model *model;
        uint8_t *exact = malloc((size_t)cut + 1);
        memcpy(exact, bytes, (size_t)cut);
        test_put(test_path("cut.safetensors"), bytes, cut);
        FAILS(JEM_ERROR_FORMAT, jem_model_load_memory(&model, context, exact, cut), "in memory");
        ck_assert_ptr_null(model);
        FAILS(JEM_ERROR_FORMAT, jem_model_load(&model, context, test_path("cut.safetensors")),
              "cut.safetensors");
        free(exact);
    }
    free(bytes);
    jem_context_destroy(context);
}
END_TEST

/* Flipped bits of weights are found by the checksum, those of the header by it or
   by the reader; a bit in the checksum's own key makes a file without one. */
START_TEST(flipped_bits)
{
    int64_t size, header = 0, accepted = 0;
    uint8_t *bytes = small_file(&size);
    for (int i = 7; i >= 0; i--) header = header << 8 | bytes[i];
    for (int64_t bit = 0; bit < size * 8; bit += bit < (8 + header) * 8 ? 5 : 80021) {
        jem_model *model;
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        jem_status status = jem_model_load_memory(&model, context, bytes, size);
        ck_assert_msg(status == JEM_OK || status == JEM_ERROR_FORMAT, "bit %d: %s", (int)bit,
                      jem_status_name(status));
        if (status == JEM_OK) {
            ck_assert_int_lt(bit / 8, 8 + header);
            accepted++;
        }
        jem_model_destroy(model);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    ck_assert_int_le(accepted, 40);
    free(bytes);
    jem_context_destroy(context);
}
END_TEST

/* A model whose metadata hold what no text of one setting may: no checksum stops it. */
static jem_status load_with(const char *key, const char *value)
{
    int64_t size;
    uint8_t *bytes = small_file(&size);
    jem_context_destroy(context);
    jem__safetensors *set;
    jem_model *model;
    for (int64_t i = 0; i + 8 < size; i++)
        if (!memcmp(bytes + i, "checksum", 8)) bytes[i] = 'C'; /* not the checksum any more */
    OK(jem__safetensors_load_memory(&set, bytes, size, "file"));
    OK(jem__safetensors_set_metadata(set, key, value));
    OK(jem__safetensors_save(set, test_path("settings.safetensors")));
    jem__safetensors_destroy(set);
    OK(jem_context_create(&context, NULL));
    jem_status status = jem_model_load(&model, context, test_path("settings.safetensors"));
    jem_model_destroy(model);
    jem_context_destroy(context);
    free(bytes);
    return status;
}

START_TEST(hostile_settings)
{
    ck_assert_int_eq(load_with("note", "a\" b"), JEM_OK);
    ck_assert_int_eq(load_with("norm_momentum", "0.8"), JEM_OK);
    ck_assert_int_eq(load_with("activation", "relu|silu"), JEM_ERROR_FORMAT);
    ck_assert_int_eq(load_with("norm_momentum", "0.9\" model.check_input=0 model.norm=\"batch"),
                     JEM_ERROR_FORMAT);
    ck_assert_int_eq(load_with("norm_momentum", "0.9\""), JEM_ERROR_FORMAT);
}
END_TEST

/* Nothing is written that could not be read. */
START_TEST(long_keys)
{
    char key[300];
    int64_t size;
    jem_model *model = small_model(), *again;
    memset(key, 'k', sizeof key);
    key[252] = 0;
    FAILS(JEM_ERROR_ARGUMENT, jem_model_metadata_set(model, key, "v"), "251 bytes");
    key[251] = 0;
    OK(jem_model_metadata_set(model, key, "v"));
    OK(jem_model_save_memory(model, NULL, 0, &size));
    uint8_t *bytes = malloc((size_t)size);
    OK(jem_model_save_memory(model, bytes, size, &size));
    OK(jem_model_load_memory(&again, context, bytes, size));
    ck_assert_int_eq(jem_model_metadata_get(again, key, NULL, 0), 1);
    jem_model_destroy(again);
    jem_model_destroy(model);
    jem_context_destroy(context);
    free(bytes);
}
END_TEST

/* A limit on file sizes stands for a full disk. */
START_TEST(full_disk)
{
    jem_model *model = small_model(), *again;
    const char *path = test_path("kept.safetensors");
    char left[4400];
    struct rlimit before, small;
    int64_t size, size_after;
    OK(jem_model_save(model, path));
    uint8_t *old = test_get(path, &size);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    small = before;
    for (rlim_t limit = 0; limit < (rlim_t)size; limit += 100000) {
        small.rlim_cur = limit;
        ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
        jem_status status = jem_model_save(model, path);
        setrlimit(RLIMIT_FSIZE, &before);
        ck_assert_int_eq(status, JEM_ERROR_IO);
        uint8_t *now = test_get(path, &size_after);
        ck_assert_int_eq(size, size_after);
        ck_assert_mem_eq(old, now, (size_t)size);
        free(now);
        snprintf(left, sizeof left, "%s.tmp.%ld.0", path, (long)getpid());
        ck_assert_int_ne(access(left, F_OK), 0);
    }
    free(old);
    OK(jem_model_save(model, path));
    OK(jem_model_load(&again, context, path));
    jem_model_destroy(again);
    jem_model_destroy(model);
    jem_context_destroy(context);
}
END_TEST

START_TEST(folders_that_refuse)
{
    jem_model *model = small_model();
    FAILS(JEM_ERROR_IO, jem_model_save(model, "/proc/none/model.safetensors"), "/proc/none");
    FAILS(JEM_ERROR_IO, jem_model_save(model, test_path("")), "");
    jem_model_destroy(model);
    FAILS(JEM_ERROR_IO, jem_model_load(&model, context, test_path("")), "");
    FAILS(JEM_ERROR_IO, jem_model_load(&model, context, test_path("absent")), "absent");
    ck_assert_ptr_null(model);
    if (geteuid() != 0) { /* root may write anywhere */
        const char *folder = test_path("locked");
        char path[4400];
        mkdir(folder, 0555);
        snprintf(path, sizeof path, "%s/model.safetensors", folder);
        jem_context_destroy(context);
        model = small_model();
        FAILS(JEM_ERROR_IO, jem_model_save(model, path), "locked");
        jem_model_destroy(model);
    }
    jem_context_destroy(context);
}
END_TEST

TESTS("model_file", truncated, flipped_bits, hostile_settings, long_keys, full_disk,
      folders_that_refuse)
