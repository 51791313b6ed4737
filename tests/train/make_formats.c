/* Writes golden files of the formats that this libjem writes: make_formats DIR. To be run
   once for each new format version, never again for an old one. */
#include "train/formats.h"
#include <zlib.h>

static const char *folder;

static void coarsen(jem_model *model)
{
    int64_t count = jem_model_parameter_count(model), elements;
    for (int64_t i = 0; i < count; i++) {
        float *values;
        OK(jem_model_parameter_info(model, i, NULL, NULL, NULL, &elements, NULL));
        OK(jem_model_parameter_map(model, i, &values));
        for (int64_t j = 0; j < elements; j++) values[j] = rintf(values[j] * 32) / 32;
        OK(jem_model_parameter_unmap(model, i));
    }
}

static void pack(const char *from, const char *name)
{
    char path[4300];
    int64_t size;
    uint8_t *bytes = test_get(from, &size);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    gzFile gz = gzopen(path, "wb9");
    gzwrite(gz, bytes, (unsigned)size);
    gzclose(gz);
    free(bytes);
}

START_TEST(files)
{
    for (int i = 0; i < GOLDEN; i++) {
        float x[IMAGE], logits[K];
        tiny t = tiny_untrained(1, golden_settings[i]);
        coarsen(t.model);
        OK(jem_trainer_create(&t.trainer, t.model, t.data, t.config));
        for (int j = 0; j < 3; j++) OK(jem_trainer_step(t.trainer));
        OK(jem_trainer_save(t.trainer, test_path("state")));
        pack(test_path("state"), golden_names[i]);
        if (i == 0) {
            golden_image(x);
            OK(jem_model_metadata_set(t.model, "note", "kept as it is"));
            OK(jem_model_logits(t.model, x, 1, logits, K));
            printf("logits {%.9g, %.9g, %.9g}\n", (double)logits[0], (double)logits[1],
                   (double)logits[2]);
            OK(jem_model_save(t.model, test_path("model")));
            pack(test_path("model"), golden_model);
        }
        tiny_end(&t);
    }
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const tests[] = {files, NULL};
    if (argc != 2) return 2;
    folder = argv[1];
    return test_run("make_formats", tests);
}
