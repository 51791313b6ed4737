/* What plans are made for: the precision that runs, and layouts that stay. */
#include "base/random.h"
#include "helpers.h"
#include "model/distance.h"
#include "model/internal.h"

static void count_warnings(void *user, jem_log_level level, const char *text)
{
    if (level == JEM_LOG_WARNING && strstr(text, "bf16")) ++*(int *)user;
}

/* What runs is what the CPU has, and a fall-back is told. */
START_TEST(precision_that_runs)
{
    int told = 0;
    const jem_log log = {.struct_size = sizeof log,
                         .user = &told,
                         .level = JEM_LOG_WARNING,
                         .write = count_warnings};
    jem_context *context;
    jem_config *config;
    jem_model *model;
    const char *runs;
    OK(jem_config_create(&config));
    OK(jem_config_parse(config, "context.threads=1 model.depth=10 model.precision=bf16"));
    OK(jem_context_create_hosted(&context, config, NULL, &log));
    OK(jem_model_create(&model, context, config));
    int has = jem__dnn_has(model->engine, JEM__BF16);
    OK(jem_model_precision(model, &runs));
    ck_assert_str_eq(runs, has ? "bf16" : "f32");
    ck_assert_int_eq(told, !has);
    OK(jem_model_set_precision(model, "auto"));
    OK(jem_model_precision(model, &runs));
    ck_assert_str_eq(runs, has && jem__dnn_fast(JEM__BF16) ? "bf16" : "f32");
    OK(jem_model_set_precision(model, "f32"));
    OK(jem_model_precision(model, &runs));
    ck_assert_str_eq(runs, "f32");
    ck_assert_int_eq(told, !has); /* auto and f32 are no fall-backs */
    FAILS(JEM_ERROR_CONFIG, jem_model_set_precision(model, "f64"), "model.precision");
    jem_model_destroy(model);
    jem_context_destroy(context);
    jem_config_destroy(config);
}
END_TEST

/* dE/dx in bf16 has float32's direction, although each LeakyReLU near its kink may fall on the
   other side: an error of 0.0447 is a cosine of at least .999. */
START_TEST(bf16_gradients)
{
    enum { IMAGES = 8, IMAGE = 3 * 32 * 32 };
    static const char *const norms[] = {"model.norm=none", "model.norm=batch"};
    for (int k = 0; k < 2; k++) {
        jem_context *context = test_context(2);
        jem_config *config;
        jem_model *model;
        jem__random r;
        static float x[IMAGES * IMAGE], wide[IMAGES * IMAGE], narrow[IMAGES * IMAGE];
        OK(jem_config_create(&config));
        OK(jem_config_parse(config, "model.depth=16 model.widen_factor=2 model.seed=5"));
        OK(jem_config_parse(config, norms[k]));
        OK(jem_model_create(&model, context, config));
        jem__random_at(&r, 3, 99, 0, 0, 0);
        for (int i = 0; i < IMAGES * IMAGE; i++) x[i] = 2 * jem__random_uniform(&r) - 1;
        OK(jem_model_energy_gradient(model, x, NULL, IMAGES, NULL, wide));
        if (jem__dnn_has(model->engine, JEM__BF16)) {
            OK(jem_model_set_precision(model, "bf16"));
            OK(jem_model_energy_gradient(model, x, NULL, IMAGES, NULL, narrow));
            double got = distance(narrow, wide, IMAGES * IMAGE);
            ck_assert_msg(got > 0 && got < 0.0447, "%s: off by %g", norms[k], got);
        } else {
            printf("bf16: this CPU has none, nothing is compared\n");
        }
        jem_model_destroy(model);
        jem_config_destroy(config);
        jem_context_destroy(context);
    }
}
END_TEST

/* Layouts change where images come in and their gradient goes out, not between layers; but for
   SSE4.1 oneDNN has blocks of eight for some convolutions only. */
START_TEST(layouts_stay)
{
    jem_context *context = test_context(1);
    jem_config *config;
    jem_model *model;
    const jem__plan *plan;
    int reorders = 0;
    OK(jem_config_create(&config));
    OK(jem_config_parse(config, "model.depth=16 model.widen_factor=2"));
    OK(jem_model_create(&model, context, config));
    OK(jem__model_plan(model, 8, JEM__WANT_INPUT, &plan));
    for (int32_t i = 0; i < plan->step_count; i++) reorders += plan->steps[i].reorder != NULL;
    /* In, the features of the linear layer, out. */
    ck_assert_int_le(reorders, jem__isa() >= JEM__ISA_AVX2 ? 3 : 10);
    jem_model_destroy(model);
    jem_context_destroy(context);
    jem_config_destroy(config);
}
END_TEST

TESTS("plan", precision_that_runs, bf16_gradients, layouts_stay)
