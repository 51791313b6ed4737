#include "helpers.h"
#include "train/schedule.h"
#include <math.h>

static jem_status read_schedule(jem__schedule *schedule, const char *settings)
{
    jem_config *config;
    OK(jem_config_create(&config));
    OK(jem_config_parse(config, settings));
    *schedule = (jem__schedule){0};
    jem_status status = jem__schedule_read(schedule, config);
    jem_config_destroy(config);
    return status;
}

START_TEST(rates)
{
    jem__schedule s;
    OK(read_schedule(&s, "optimizer.rate=2"));
    ck_assert(jem__schedule_rate(&s, 0) == 2 && jem__schedule_rate(&s, 1000000) == 2);
    jem__schedule_clear(&s);
    OK(read_schedule(
        &s, "optimizer.rate=8 trainer.warmup=4 trainer.decay=0.5 trainer.decay_at=3,10,12"));
    const double expected[] = {2, 4, 6, 4, 4, 4, 4, 4, 4, 4, 2, 2, 1, 1};
    for (int i = 0; i < 14; i++) ck_assert_double_eq(jem__schedule_rate(&s, i), expected[i]);
    jem__schedule_clear(&s);
    /* Order is of no concern; a step named twice counts twice. */
    OK(read_schedule(&s, "optimizer.rate=8 trainer.decay=0.5 trainer.decay_at=9,2,2"));
    ck_assert(jem__schedule_rate(&s, 1) == 8 && jem__schedule_rate(&s, 2) == 2 &&
              jem__schedule_rate(&s, 9) == 1);
    jem__schedule_clear(&s);
    OK(read_schedule(&s, "optimizer.rate=8 trainer.decay=0.5 trainer.decay_at=999999999999999999"));
    ck_assert(jem__schedule_rate(&s, 999999999999999998) == 8);
    ck_assert(jem__schedule_rate(&s, 999999999999999999) == 4);
    jem__schedule_clear(&s);
}
END_TEST

/* The closed form of PyTorch's CosineAnnealingLR, from the end of the warm-up on. */
START_TEST(cosine)
{
    jem__schedule s;
    OK(read_schedule(&s, "trainer.schedule=cosine optimizer.rate=2 trainer.iterations=8 "
                         "trainer.decay_at=1,2,3 trainer.decay=0.5"));
    const double pi = acos(-1);
    for (int i = 0; i < 8; i++)
        ck_assert_double_eq_tol(jem__schedule_rate(&s, i), 1 + cos(pi * i / 8), 1e-15);
    jem__schedule_clear(&s);
    OK(read_schedule(&s, "trainer.schedule=cosine optimizer.rate=2 trainer.iterations=12 "
                         "trainer.warmup=4 trainer.rate_end=0.1"));
    for (int i = 0; i < 4; i++) ck_assert_double_eq(jem__schedule_rate(&s, i), 0.5 * (i + 1));
    for (int i = 4; i < 12; i++)
        ck_assert_double_eq_tol(jem__schedule_rate(&s, i),
                                0.2 + 1.8 * (1 + cos(pi * (i - 4) / 8)) / 2, 1e-15);
    jem__schedule_clear(&s);
    /* A run that is all warm-up. */
    OK(read_schedule(&s, "trainer.schedule=cosine optimizer.rate=2 trainer.iterations=4 "
                         "trainer.warmup=8"));
    for (int i = 0; i < 4; i++) ck_assert_double_eq(jem__schedule_rate(&s, i), 0.25 * (i + 1));
    jem__schedule_clear(&s);
}
END_TEST

START_TEST(lists_that_are_none)
{
    static const char *const texts[] = {
        "trainer.decay_at=a",        "trainer.decay_at=1,,2",
        "trainer.decay_at=1,",       "trainer.decay_at=,1",
        "trainer.decay_at=-1",       "trainer.decay_at=1.5",
        "trainer.decay_at=1;",       "trainer.decay_at=9999999999999999999999",
        "trainer.decay_at=\"1, 2\"", "trainer.decay_at=1,9999999999999999999"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        jem__schedule s;
        FAILS(JEM_ERROR_CONFIG, read_schedule(&s, texts[i]), "trainer.decay_at");
        jem__schedule_clear(&s);
    }
}
END_TEST

TESTS("schedule", rates, cosine, lists_that_are_none)
