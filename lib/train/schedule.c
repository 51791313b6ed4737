#include "train/schedule.h"
#include "base/config.h"
#include "base/memory.h"
#include "base/status.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

static int32_t digit(char c)
{
    return c >= '0' && c <= '9';
}

/* A whole number of 1 to 18 digits off *text, which then fit; 0 if there is none. */
static int32_t number(const char **text, int64_t *out)
{
    int32_t digits = 0;
    for (*out = 0; digit(**text) && digits < 18; digits++) *out = *out * 10 + (*(*text)++ - '0');
    return digits > 0 && !digit(**text);
}

jem_status jem__schedule_read(jem__schedule *s, const jem_config *config)
{
    const char *text = jem__config_str(config, "trainer.decay_at"), *at = text;
    int64_t most = 1;
    s->rate = jem__config_f64(config, "optimizer.rate");
    s->decay = jem__config_f64(config, "trainer.decay");
    s->warmup = jem__config_i64(config, "trainer.warmup");
    s->cosine = strcmp(jem__config_str(config, "trainer.schedule"), "cosine") == 0;
    s->end = jem__config_f64(config, "trainer.rate_end");
    s->iterations = jem__config_i64(config, "trainer.iterations");
    s->count = 0;
    for (const char *c = text; *c; c++) most += *c == ',';
    JEM__TRY(jem__alloc(&s->at, most, sizeof *s->at));
    while (*at) {
        int32_t good = number(&at, &s->at[s->count++]);
        if (*at == ',' && at[1])
            at++;
        else if (*at)
            good = 0;
        if (!good)
            return jem__fail(JEM_ERROR_CONFIG,
                             "trainer.decay_at: got '%.64s', expected steps like 1000,2000", text);
    }
    return JEM_OK;
}

void jem__schedule_clear(jem__schedule *s)
{
    jem__free(s->at);
    s->at = NULL;
}

/* The cosine's share of the rate: 1 until the warm-up is over, s->end at the end. */
static double cosine(const jem__schedule *s, int64_t step)
{
    const double pi = 3.14159265358979323846;
    int64_t whole = s->iterations - s->warmup, at = step - s->warmup;
    if (at <= 0) return 1;
    return s->end + (1 - s->end) * (1 + cos(pi * (double)at / (double)whole)) / 2;
}

double jem__schedule_rate(const jem__schedule *s, int64_t step)
{
    double rate = s->rate;
    if (step + 1 < s->warmup) rate *= (double)(step + 1) / (double)s->warmup;
    if (s->cosine) return rate * cosine(s, step);
    for (int64_t i = 0; i < s->count; i++)
        if (s->at[i] <= step) rate *= s->decay;
    return rate;
}
