/* Writes golden files of the formats that this libjem writes: make_formats DIR. To be run
   once for each new format version; files that are there already stay as they are. */
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
    gzFile gz = gzopen(path, "wbx9");
    if (gz) {
        gzwrite(gz, bytes, (unsigned)size);
        gzclose(gz);
        printf("written: %s\n", name);
    }
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

START_TEST(whole_model)
{
    float x[IMAGE], logits[K], energy, log_px;
    int32_t accepted;
    tiny t = tiny_untrained(1, "model.energy=head sampler.start_rank=2 sampler.steps=2 "
                               "calibration.score=refine_log_px trainer.px=0 trainer.iterations=40 "
                               "optimizer.rate=1e-2 model.class_names=\"a,b,c\"");
    jem_network *network;
    jem_model *m;
    OK(jem_network_create(&network, C, H, W));
    int32_t at = jem_network_convolution(network, 0, "stem", 4, 3, 1, 1);
    at = jem_network_norm(network, at, "norm", "batch");
    at = jem_network_pool(network, jem_network_activation(network, at, "silu"), "max", 2, 2, 0);
    jem_network_linear(network, jem_network_dropout(network, at, 0.1), "wide", 6);
    OK(jem_model_create_network(&m, t.context, network, t.config));
    OK(jem_trainer_create(&t.trainer, m, t.data, t.config));
    OK(jem_trainer_run(t.trainer, NULL)); /* better than chance, so that it can be calibrated */
    coarsen(m);
    OK(jem_model_starts_fit(m, t.data, t.config));
    OK(jem_model_calibrate(m, t.data, t.config));
    golden_image(x);
    OK(jem_model_logits(m, x, 1, logits, K));
    OK(jem_model_energy(m, x, NULL, 1, &energy));
    OK(jem_model_predict(m, x, 1, NULL, NULL, &log_px, &accepted));
    printf("whole {%.9g, %.9g, %.9g}, energy %.9g, accepted %d\n", (double)logits[0],
           (double)logits[1], (double)logits[2], (double)energy, accepted);
    OK(jem_model_save(m, test_path("whole")));
    pack(test_path("whole"), golden_whole);
    jem_network_destroy(network);
    jem_model_destroy(m);
    tiny_end(&t);
}
END_TEST

START_TEST(packed)
{
    jem_context *context = test_context(1);
    jem_dataset *d;
    OK(jem_dataset_open(&d, context, "letters:limit=20,size=8", NULL));
    OK(jem_dataset_save(d, test_path("packed")));
    pack(test_path("packed"), golden_packed);
    jem_dataset_destroy(d);
    jem_context_destroy(context);
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const tests[] = {files, whole_model, packed, NULL};
    if (argc != 2) return 2;
    folder = argv[1];
    return test_run("make_formats", tests);
}
