/* The Langevin step: Grathwohl et al. 2019, equation 6, with the clamps of JEM++. */
#include "sample/langevin.h"
#include "base/config.h"
#include "base/random.h"
#include "base/status.h"
#include <inttypes.h>
#include <math.h>

void jem__mover_read(jem__mover *m, const jem_config *config)
{
    m->rule.step = (float)jem__config_f64(config, "sampler.step_size");
    m->rule.noise = (float)jem__config_f64(config, "sampler.noise");
    m->rule.gradient_clamp = (float)jem__config_f64(config, "sampler.gradient_clamp");
    m->rule.box = jem__config_i64(config, "sampler.clamp") != 0;
    m->rule.noise_after = jem__config_i64(config, "sampler.noise_after_clamp") != 0;
    m->seed = (uint64_t)jem__config_i64(config, "sampler.seed");
    m->stream = (uint64_t)jem__config_i64(config, "sampler.stream");
}

/* Chain numbers are shown without the bit that keeps the buffer's apart. */
static jem_status diverged(uint64_t chain, int64_t step, const char *what)
{
    return jem__fail(JEM_ERROR_DIVERGED,
                     "sampler: chain %" PRIu64 ", step %" PRId64 ": %s is not finite",
                     chain & (UINT64_MAX >> 1), step, what);
}

jem_status jem__mover_step(const jem__mover *m, uint64_t chain, int64_t step, int64_t size,
                           float *x, const float *dx, float energy)
{
    enum { PIECE = 1024 };
    float normal[PIECE], bad = 0;
    const jem__kernels *k = jem__kernels_here();
    jem__random random;
    if (!isfinite(energy)) return diverged(chain, step, "the energy");
    jem__random_at(&random, m->seed, JEM__RANDOM_NOISE, m->stream, chain, (uint32_t)step);
    for (int64_t i = 0; i < size; i += PIECE) {
        int64_t n = size - i < PIECE ? size - i : PIECE;
        if (m->rule.noise > 0) k->fill_normal(&random, normal, n);
        bad += k->langevin(&m->rule, x + i, dx + i, normal, n);
    }
    return bad == 0 ? JEM_OK : diverged(chain, step, "the gradient or the image");
}
