/* The files that tests/golden keeps of each format version: checkpoints of two runs, models, a
   packed dataset. */
#ifndef JEM_TESTS_TRAIN_FORMATS_H
#define JEM_TESTS_TRAIN_FORMATS_H

#include "train/tiny.h"

enum { GOLDEN = 2 };

/* Only the head learns and the rest has few bits, so that the files pack well. */
static const char *const golden_settings[GOLDEN] = {
    "trainer.iterations=9 optimizer.head_only=1 trainer.retries=2 trainer.snapshot_every=1 "
    "model.class_names=\"a,b,c\" sampler.conditional=1",
    "trainer.iterations=9 optimizer.head_only=1 optimizer.name=sgd trainer.ema=0.5 "
    "trainer.validation=6 trainer.validate_every=2 model.norm=batch trainer.decay_at=2,4"};
static const char *const golden_names[GOLDEN] = {"checkpoint_1_rollback.safetensors.gz",
                                                 "checkpoint_1_averages.safetensors.gz"};
static const char golden_model[] = "model_1.safetensors.gz";
/* With all that a model may carry: a network of its own, an energy head, class Gaussians, a
   calibration by a refined score. */
static const char golden_whole[] = "model_1_whole.safetensors.gz";
static const char golden_packed[] = "packed_1.safetensors.gz";

/* One image that every test can make. */
static inline void golden_image(float *x)
{
    for (int i = 0; i < IMAGE; i++) x[i] = (float)(i % 7) / 3.5f - 1;
}

#endif
