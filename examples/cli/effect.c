/* Settings that another setting makes void. Who gives one wants something that will not happen;
   a preset's own may be void, since what is given beside it changes it. */
#include "cli.h"
#include <stdlib.h>
#include <string.h>

/* A key that ends with a dot or an underscore stands for all that begin with it. */
typedef struct rule {
    const char *key, *with, *value;
    int of; /* where it holds */
} rule;

enum { TRAIN = EFFECT_FRESH | EFFECT_RESUMED };

static const rule rules[] = {
    {"model.depth", "model.architecture", "network", TRAIN},
    {"model.widen_factor", "model.architecture", "network", TRAIN},
    {"model.norm", "model.architecture", "network", TRAIN}, /* norm_momentum is read */
    {"model.activation", "model.architecture", "network", TRAIN},
    {"model.dropout", "model.architecture", "network", TRAIN},
    {"model.network", "model.architecture", "wide_resnet", TRAIN},
    {"optimizer.momentum", "optimizer.name", "adam", TRAIN},
    {"optimizer.nesterov", "optimizer.name", "adam", TRAIN},
    {"optimizer.beta1", "optimizer.name", "sgd", TRAIN},
    {"optimizer.beta2", "optimizer.name", "sgd", TRAIN},
    {"optimizer.epsilon", "optimizer.name", "sgd", TRAIN},
    {"optimizer.sam_adaptive", "optimizer.sam_rho", "0", TRAIN},
    {"trainer.decay_at", "trainer.schedule", "cosine", TRAIN},
    {"trainer.decay", "trainer.schedule", "cosine", TRAIN},
    {"trainer.rate_end", "trainer.schedule", "step", TRAIN},
    {"trainer.snapshot_every", "trainer.retries", "0", TRAIN},
    /* A checkpoint may hold roll-backs, whose response goes on. */
    {"trainer.response_", "trainer.retries", "0", EFFECT_FRESH},
    {"sampler.start_", "sampler.start", "uniform", TRAIN},
    {"refine.", "attack.refined", "0", EFFECT_ATTACK},
    {"sampler.", "attack.refined", "0", EFFECT_ATTACK},
};

static int is_of(const rule *r, const char *pair)
{
    size_t n = strlen(r->key), length = strcspn(pair, "=");
    int many = r->key[n - 1] == '.' || r->key[n - 1] == '_';
    return (many ? length >= n : length == n) && !strncmp(r->key, pair, n);
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

int effect_check(const settings *given, const jem_config *config, int of)
{
    for (int64_t i = 0; i < given->count; i++) {
        const char *pair = given->pairs[i];
        for (const rule *r = rules; r < rules + COUNT(rules); r++) {
            if (!(r->of & of) || !is_of(r, pair) || !has_value(config, r->with, r->value)) continue;
            fail("%.*s has no effect with %s=%s", (int)strcspn(pair, "="), pair, r->with, r->value);
            return CODE_USAGE;
        }
    }
    return 0;
}
