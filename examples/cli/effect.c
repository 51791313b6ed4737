/* Settings that another setting makes void. Who gives one wants something that will not happen;
   a preset's own may be void, since what is given beside it changes it. */
#include "cli.h"
#include <stdlib.h>
#include <string.h>

/* A key that ends with a dot or an underscore stands for all that begin with it. */
typedef struct rule {
    const char *key, *when; /* KEY=VALUE, several with " and " */
    int of;                 /* where it holds */
    int off;                /* the key's own 0 agrees: no mistake */
} rule;

enum { TRAIN = EFFECT_FRESH | EFFECT_RESUMED };

/* The report's chains, and those of --as-trained, still read the settings of a chain's steps. */
#define NO_SAMPLES "trainer.px=0 and trainer.pxy=0"
#define NO_GUARDS                                                                                  \
    "trainer.guard_energy=0 and trainer.guard_gradient=0 and trainer.guard_clamped=0 and "         \
    "trainer.guard_distance=0"

static const rule rules[] = {
    {"model.depth", "model.architecture=network", TRAIN, 0},
    {"model.widen_factor", "model.architecture=network", TRAIN, 0},
    {"model.norm", "model.architecture=network", TRAIN, 0}, /* norm_momentum is read */
    {"model.activation", "model.architecture=network", TRAIN, 0},
    {"model.dropout", "model.architecture=network", TRAIN, 0},
    {"model.network", "model.architecture=wide_resnet", TRAIN, 0},
    {"optimizer.momentum", "optimizer.name=adam", TRAIN, 0},
    {"optimizer.nesterov", "optimizer.name=adam", TRAIN, 0},
    {"optimizer.beta1", "optimizer.name=sgd", TRAIN, 0},
    {"optimizer.beta2", "optimizer.name=sgd", TRAIN, 0},
    {"optimizer.epsilon", "optimizer.name=sgd", TRAIN, 0},
    {"optimizer.sam_adaptive", "optimizer.sam_rho=0", TRAIN, 0},
    {"trainer.decay_at", "trainer.schedule=cosine", TRAIN, 0},
    {"trainer.decay", "trainer.schedule=cosine", TRAIN, 0},
    {"trainer.rate_end", "trainer.schedule=step", TRAIN, 0},
    {"trainer.decay", "trainer.decay_at=", TRAIN, 0},
    {"trainer.validate_every", "trainer.validation=0", TRAIN, 0},
    {"trainer.best", "trainer.validation=0", TRAIN, 0},
    {"trainer.guard_patience", NO_GUARDS, TRAIN, 0},
    {"trainer.energy_penalty", NO_SAMPLES, TRAIN, 1},
    {"trainer.gap_limit", NO_SAMPLES, TRAIN, 0},
    {"trainer.px_batch", "trainer.px=0", TRAIN, 1},
    {"trainer.px_augment", "trainer.px=0", TRAIN, 1},
    {"sampler.buffer", NO_SAMPLES, TRAIN, 0},
    {"sampler.restart", NO_SAMPLES, TRAIN, 0},
    {"sampler.start_", NO_SAMPLES, TRAIN, 0},
    {"trainer.snapshot_every", "trainer.retries=0", TRAIN, 0},
    /* A checkpoint may hold roll-backs, whose response goes on. */
    {"trainer.response_", "trainer.retries=0", EFFECT_FRESH, 0},
    {"sampler.start_", "sampler.start=uniform", TRAIN, 0},
    {"refine.", "attack.refined=0", EFFECT_ATTACK, 0},
    {"sampler.", "attack.refined=0", EFFECT_ATTACK, 0},
    {"sampler.noise_after_clamp", "sampler.clamp=0", TRAIN | EFFECT_CHAIN, 1},
};

static int is_of(const char *key, const char *pair)
{
    size_t n = strlen(key), length = strcspn(pair, "=");
    int many = key[n - 1] == '.' || key[n - 1] == '_';
    return (many ? length >= n : length == n) && !strncmp(key, pair, n);
}

/* Of a key of any type. */
static int has_value(const jem_config *config, const char *key, const char *value)
{
    char text[64];
    int64_t whole;
    double number;
    if (jem_config_get_str(config, key, text, sizeof text) >= 0) return !strcmp(text, value);
    if (!jem_config_get_i64(config, key, &whole)) return whole == strtoll(value, NULL, 10);
    return !jem_config_get_f64(config, key, &number) && number == strtod(value, NULL);
}

static int holds(const jem_config *config, const char *when)
{
    static const char and[] = " and ";
    for (const char *next; when; when = next) {
        char key[64], value[64];
        next = strstr(when, and);
        size_t length = next ? (size_t)(next - when) : strlen(when), n = strcspn(when, "=");
        snprintf(key, sizeof key, "%.*s", (int)n, when);
        snprintf(value, sizeof value, "%.*s", (int)(length - n - 1), when + n + 1);
        if (!has_value(config, key, value)) return 0;
        if (next) next += strlen(and);
    }
    return 1;
}

int effect_check(const settings *given, const jem_config *config, int of)
{
    for (int64_t i = 0; i < given->count; i++) {
        const char *pair = given->pairs[i];
        for (const rule *r = rules; r < rules + COUNT(rules); r++) {
            if (!(r->of & of) || !is_of(r->key, pair) || !holds(config, r->when)) continue;
            if (r->off && has_value(config, r->key, "0")) continue;
            fail("%.*s has no effect with %s", (int)strcspn(pair, "="), pair, r->when);
            return CODE_USAGE;
        }
    }
    return 0;
}

int effect_none(const settings *given, const char *key, const char *why)
{
    for (int64_t i = 0; i < given->count; i++) {
        const char *pair = given->pairs[i];
        if (!is_of(key, pair)) continue;
        fail("%.*s has no effect %s", (int)strcspn(pair, "="), pair, why);
        return CODE_USAGE;
    }
    return 0;
}

int effect_chain(const settings *given, const jem_config *config, int as_trained,
                 const char *scores)
{
    char why[256];
    if (strstr(scores, "refine_")) return effect_check(given, config, EFFECT_CHAIN);
    snprintf(why, sizeof why,
             "with the score %.80s: refine_log_px, refine_distance and refine_mass take a chain",
             scores);
    if (!as_trained) return effect_none(given, "sampler.", why);
    fail("--as-trained has no effect %s", why);
    return CODE_USAGE;
}
