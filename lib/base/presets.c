/* Recipes by name: the papers', and small ones for a CPU. */
#include "base/config.h"

/* A network for images of digits: strides early, where a Wide-ResNet spends most of its time at
   full size, and a last layer that sees the whole image. */
#define SMALL_NETWORK                                                                              \
    "convolution 0 stem 32 5 2 2; silu 1; "                                                        \
    "convolution 2 block1.conv1 32 3 1 1; silu 3; convolution 4 block1.conv2 32 3 1 1; add 1 5; "  \
    "silu 6; convolution 7 down 64 3 2 1; silu 8; "                                                \
    "convolution 9 block2.conv1 64 3 1 1; silu 10; convolution 11 block2.conv2 64 3 1 1; "         \
    "add 8 12; silu 13; linear 14 hidden 128; silu 15"

const jem__preset jem__presets[] = {
    /* An epoch is 781 batches of 64 of CIFAR-10's 50000 images. */
    {"jem", "model.depth=28 model.widen_factor=10 model.norm=none model.activation=leaky_relu "
            "optimizer.name=adam optimizer.rate=1e-4 optimizer.beta1=0.9 optimizer.beta2=0.999 "
            "optimizer.weight_decay=0 trainer.iterations=156200 trainer.warmup=1000 "
            "trainer.decay=0.3 trainer.decay_at=124960,140580 trainer.px=1 trainer.pyx=1 "
            "trainer.px_batch=64 loader.batch=64 trainer.px_augment=1 loader.crop=4 loader.flip=1 "
            "loader.noise=0.03 sampler.steps=20 sampler.step_size=1 sampler.noise=0.01 "
            "sampler.gradient_clamp=0 sampler.clamp=0 sampler.mode=evaluation "
            "sampler.buffer=10000 sampler.start=uniform sampler.restart=0.05"},
    {"jempp", "model.depth=28 model.widen_factor=10 model.norm=batch model.activation=leaky_relu "
              "optimizer.name=sgd optimizer.rate=0.1 optimizer.momentum=0.9 "
              "optimizer.weight_decay=4e-4 trainer.iterations=117150 trainer.warmup=1000 "
              "trainer.decay=0.2 trainer.decay_at=39050,78100,97625 trainer.px=1 trainer.pyx=1 "
              "trainer.px_batch=64 loader.batch=64 trainer.px_augment=1 loader.crop=4 "
              "loader.flip=1 loader.noise=0.03 sampler.steps=10 sampler.step_size=1 "
              "sampler.noise=0 sampler.noise_after_clamp=1 sampler.gradient_clamp=1 "
              "sampler.clamp=1 sampler.mode=training sampler.buffer=10000 sampler.start=gaussian "
              "sampler.start_images=0 "
              "sampler.restart=0.05"},
    {"sadajem",
     "model.depth=28 model.widen_factor=10 model.norm=batch model.activation=leaky_relu "
     "optimizer.name=sgd optimizer.rate=0.1 optimizer.momentum=0.9 "
     "optimizer.weight_decay=5e-4 optimizer.sam_rho=2 optimizer.sam_adaptive=1 "
     "trainer.iterations=156200 trainer.warmup=1000 trainer.decay=0.2 "
     "trainer.decay_at=46860,93720,140580 trainer.px=1 trainer.pyx=1 "
     "trainer.px_batch=64 loader.batch=128 trainer.px_augment=0 loader.crop=4 "
     "loader.flip=1 loader.noise=0 sampler.steps=5 sampler.step_size=1 sampler.noise=0 "
     "sampler.noise_after_clamp=0 sampler.gradient_clamp=1 sampler.clamp=1 "
     "sampler.mode=training sampler.buffer=10000 sampler.start=gaussian sampler.start_images=0 "
     "sampler.restart=0.05"},
    {"cifar-small",
     "model.depth=16 model.widen_factor=2 model.activation=silu "
     "model.precision=auto model.convolution=fast loader.batch=64 trainer.px_batch=32 "
     "loader.crop=4 loader.flip=1 loader.noise=0.03 trainer.iterations=8000 trainer.px=0.2 "
     "trainer.pyx=1 trainer.energy_penalty=0.1 trainer.warmup=100 "
     "trainer.schedule=cosine trainer.ema=0.999 trainer.gap_limit=10 trainer.retries=10 "
     "trainer.response_rate=0.7 trainer.response_penalty=0 optimizer.rate=5e-4 "
     "optimizer.beta1=0 optimizer.clip=1 sampler.conditional=1 sampler.steps=10 "
     "sampler.step_size=10 sampler.gradient_clamp=0.003 sampler.noise=0.005 "
     "sampler.clamp=1 sampler.buffer=2000"},
    {"glyphs", "model.depth=16 model.activation=silu model.convolution=fast loader.batch=64 "
               "trainer.px_batch=32 "
               "trainer.iterations=480 trainer.px=1 trainer.pyx=5 trainer.energy_penalty=0.1 "
               "trainer.warmup=30 trainer.decay_at=180,300,400 optimizer.rate=2e-3 "
               "optimizer.beta1=0 optimizer.clip=1 sampler.conditional=1 sampler.steps=15 "
               "sampler.step_size=5 sampler.gradient_clamp=0.03 sampler.noise=0.005 "
               "sampler.clamp=1 sampler.buffer=320"},
    {"mnist",
     "model.architecture=network model.network=\"" SMALL_NETWORK "\" model.convolution=fast "
     "loader.batch=128 loader.crop=2 loader.noise=0.03 trainer.px_batch=32 trainer.iterations=1400 "
     "trainer.px=1 trainer.pyx=3 trainer.energy_penalty=0.1 trainer.warmup=100 "
     "trainer.schedule=cosine trainer.rate_end=0.05 trainer.ema=0.995 trainer.gap_limit=5 "
     "trainer.retries=10 trainer.response_rate=0.7 trainer.response_penalty=0 "
     "optimizer.rate=1.5e-3 optimizer.beta1=0 optimizer.clip=1 sampler.conditional=1 "
     "sampler.steps=15 sampler.step_size=10 sampler.gradient_clamp=0.01 sampler.noise=0.005 "
     "sampler.clamp=1 sampler.buffer=1000"},
    {0, 0},
};
