#include "train/guard.h"
#include "base/config.h"
#include "base/status.h"
#include "train/trainer.h"
#include <inttypes.h>
#include <math.h>

void jem__guard_read(jem__guard *g, const jem_config *config)
{
    g->energy = jem__config_f64(config, "trainer.guard_energy");
    g->gradient = jem__config_f64(config, "trainer.guard_gradient");
    g->clamped = jem__config_f64(config, "trainer.guard_clamped");
    g->distance = jem__config_f64(config, "trainer.guard_distance");
    g->patience = jem__config_i64(config, "trainer.guard_patience");
}

jem_status jem__guard_check(jem__guard *g, const double *m, int64_t step)
{
    const struct {
        double limit;
        jem__metric metric;
        const char *key, *what;
    } limits[] = {
        {g->energy, JEM__METRIC_ENERGY_DATA, "energy", "the mean energy of the data"},
        {g->energy, JEM__METRIC_ENERGY_SAMPLE, "energy", "the mean energy of the samples"},
        {g->energy, JEM__METRIC_ENERGY_DATA_PXY, "energy", "the mean energy E(x,y) of the data"},
        {g->energy, JEM__METRIC_ENERGY_SAMPLE_PXY, "energy",
         "the mean energy E(x,y) of the samples"},
        {g->gradient, JEM__METRIC_GRADIENT_NORM, "gradient", "the gradient norm"},
        {g->clamped, JEM__METRIC_CLAMPED, "clamped", "the share of sampled pixels at the box"},
        {g->distance, JEM__METRIC_DISTANCE, "distance", "the mean distance of the chains"}};
    g->alarmed = 0;
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        double value = m[limits[i].metric];
        if (limits[i].limit == 0 || isnan(value) || fabs(value) <= limits[i].limit) continue;
        g->alarmed = 1;
        if (g->alarms + 1 >= g->patience)
            return jem__fail(
                JEM_ERROR_DIVERGED,
                "step %" PRId64 ": %s is %g, trainer.guard_%s is %g (%" PRId64 " in a row)", step,
                limits[i].what, value, limits[i].key, limits[i].limit, g->alarms + 1);
    }
    return JEM_OK;
}

void jem__guard_commit(jem__guard *g)
{
    g->alarms = g->alarmed ? g->alarms + 1 : 0;
}
