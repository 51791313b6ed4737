/* Settings: types, ranges, texts, presets; without the locale. */
#include "base/config.h"
#include "helpers.h"

START_TEST(every_default_is_valid)
{
    const char *name, *standard, *range, *help;
    jem_key_type type;
    jem_config *config;
    OK(jem_config_create(&config));
    ck_assert_int_gt(jem_config_key_count(), 40);
    for (int64_t i = 0; i < jem_config_key_count(); i++) {
        char pair[256];
        OK(jem_config_key_info(i, &name, &type, &standard, &range, &help));
        ck_assert(strchr(name, '.') && *help);
        snprintf(pair, sizeof pair, "%s=\"%s\"", name, standard);
        OK(jem_config_parse(config, pair));
    }
    FAILS(JEM_ERROR_ARGUMENT, jem_config_key_info(-1, 0, 0, 0, 0, 0), "expected 0..");
    jem_config_destroy(config);
}
END_TEST

START_TEST(values)
{
    jem_config *config, *copy;
    int64_t i;
    double d;
    int32_t set;
    char text[32];
    OK(jem_config_create(&config));
    OK(jem_config_get_i64(config, "model.depth", &i));
    ck_assert_int_eq(i, 10);
    OK(jem_config_is_set(config, "model.depth", &set));
    ck_assert_int_eq(set, 0);
    OK(jem_config_set_i64(config, "model.depth", 28));
    OK(jem_config_set_f64(config, "optimizer.rate", 0.1));
    OK(jem_config_set_i64(config, "sampler.noise", 2)); /* an integer is a number */
    OK(jem_config_set_str(config, "model.norm", "batch"));
    OK(jem_config_clone(&copy, config));
    jem_config_destroy(config);
    OK(jem_config_get_i64(copy, "model.depth", &i));
    OK(jem_config_get_f64(copy, "optimizer.rate", &d));
    ck_assert(i == 28 && d == 0.1);
    ck_assert_int_eq(jem_config_get_str(copy, "model.norm", text, 4), 5);
    ck_assert_str_eq(text, "bat");
    FAILS(JEM_ERROR_CONFIG, (jem_status)jem_config_get_str(copy, "model.nor", text, 4),
          "model.norm");
    ck_assert_str_eq(text, "");
    ck_assert(jem__config_f64(copy, "sampler.noise") == 2);
    OK(jem_config_is_set(copy, "model.depth", &set));
    ck_assert_int_eq(set, 1);
    jem_config_destroy(copy);
}
END_TEST

START_TEST(refusals)
{
    jem_config *config;
    double d;
    OK(jem_config_create(&config));
    FAILS(JEM_ERROR_CONFIG, jem_config_set_i64(config, "model.dept", 16), "'model.depth'");
    FAILS(JEM_ERROR_CONFIG, jem_config_set_i64(config, "depth", 16), "'model.depth'");
    FAILS(JEM_ERROR_CONFIG, jem_config_set_i64(config, "model.depth", 9), "10..1000");
    FAILS(JEM_ERROR_CONFIG, jem_config_set_f64(config, "model.depth", 16), "integer");
    FAILS(JEM_ERROR_CONFIG, jem_config_set_f64(config, "sampler.noise", -1), "0..1e3");
    FAILS(JEM_ERROR_CONFIG, jem_config_set_str(config, "model.norm", "bat"), "none|batch");
    FAILS(JEM_ERROR_CONFIG, jem_config_get_f64(config, "model.depth", &d), "integer");
    FAILS(JEM_ERROR_ARGUMENT, jem_config_set_i64(NULL, "model.depth", 16), "NULL");
    FAILS(JEM_ERROR_ARGUMENT, jem_config_set_i64(config, NULL, 16), "NULL");
    FAILS(JEM_ERROR_CONFIG, jem_config_preset(config, "gem"), "jem");
    static const char *const bad[] = {"model.depth",
                                      "model.depth=",
                                      "=4",
                                      "model.depth=1e2",
                                      "sampler.noise=nan",
                                      "sampler.noise=inf",
                                      "sampler.noise=0,01",
                                      "model.depth=\"16",
                                      "x=1",
                                      "model.depth=\"16\"x",
                                      "model.norm=none|batch",
                                      "model.norm=|",
                                      "model.class_names=\"a\nb\"",
                                      "model.class_names=\"a\rb\"",
                                      "model.class_names=\"a\x7F\""};
    FAILS(JEM_ERROR_CONFIG, jem_config_set_str(config, "model.class_names", "a\"b"), "quotes");
    FAILS(JEM_ERROR_CONFIG, jem_config_set_str(config, "model.class_names", "a\nb"), "line breaks");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char pair[80];
        int32_t set;
        /* All or nothing: the good pair before the bad one is not taken either. */
        snprintf(pair, sizeof pair, "model.classes=3 %s", bad[i]);
        ck_assert_int_eq(jem_config_parse(config, pair), JEM_ERROR_CONFIG);
        OK(jem_config_is_set(config, "model.classes", &set));
        ck_assert_int_eq(set, 0);
    }
    jem_config_destroy(config);
}
END_TEST

START_TEST(text_round_trip)
{
    jem_config *config, *copy;
    char text[512], again[512], cut[8];
    OK(jem_config_create(&config));
    OK(jem_config_create(&copy));
    OK(jem_config_parse(config, " model.depth=16\n\tsampler.noise=1.25e-3 "
                                "model.class_names=\"a b,c\" trainer.decay_at=\"\""));
    int64_t n = jem_config_text(config, text, sizeof text);
    ck_assert_int_eq(n, (int64_t)strlen(text));
    OK(jem_config_parse(copy, text));
    jem_config_text(copy, again, sizeof again);
    ck_assert_str_eq(text, again);
    ck_assert_int_eq(jem_config_text(config, cut, sizeof cut), n);
    ck_assert_str_eq(cut, "model.d");
    jem_config_destroy(config);
    jem_config_destroy(copy);
}
END_TEST

START_TEST(presets)
{
    jem_config *config;
    OK(jem_config_create(&config));
    for (const jem__preset *p = jem__presets; p->name; p++) OK(jem_config_preset(config, p->name));
    OK(jem_config_preset(config, "jem"));
    ck_assert_int_eq(jem__config_i64(config, "model.depth"), 28);
    jem_config_destroy(config);
}
END_TEST

START_TEST(comma_locale)
{
    jem_config *config;
    double d;
    char text[128];
    test_comma_locale();
    OK(jem_config_create(&config));
    OK(jem_config_parse(config, "sampler.noise=0.5"));
    OK(jem_config_get_f64(config, "sampler.noise", &d));
    ck_assert(d == 0.5);
    OK(jem_config_set_f64(config, "sampler.noise", 0.25));
    jem_config_text(config, text, sizeof text);
    ck_assert_str_eq(text, "sampler.noise=0.25");
    FAILS(JEM_ERROR_CONFIG, jem_config_set_f64(config, "model.dropout", 2), "0..0.95");
    jem_config_destroy(config);
    setlocale(LC_ALL, "C");
}
END_TEST

TESTS("config", every_default_is_valid, values, refusals, text_round_trip, presets, comma_locale)
