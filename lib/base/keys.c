/* Every setting: name, type, default, range, help. Grouped by noun. */
#include "base/config.h"

#define I(name, standard, low, high, help)                                                         \
    {                                                                                              \
        name, JEM_KEY_I64, standard, low, high, 0, help                                            \
    }
#define F(name, standard, low, high, help)                                                         \
    {                                                                                              \
        name, JEM_KEY_F64, standard, low, high, 0, help                                            \
    }
#define S(name, standard, choices, help)                                                           \
    {                                                                                              \
        name, JEM_KEY_STR, standard, 0, 0, choices, help                                           \
    }

const jem__key jem__keys[] = {
    I("context.threads", "0", 0, 1024, "worker threads; 0: one per CPU"),

    S("model.architecture", "wide_resnet", "wide_resnet|network", "network family"),
    S("model.network", "", 0, "operators of architecture network, as jem/network.h writes them"),
    I("model.depth", "10", 10, 1000, "layers of the Wide-ResNet: 6n+4"),
    I("model.widen_factor", "1", 1, 64, "width of the stages: 16w, 32w, 64w"),
    I("model.classes", "10", 1, 65536, "number of classes"),
    I("model.channels", "3", 1, 4096, "channels of an input image"),
    I("model.height", "32", 1, 65536, "height of an input image"),
    I("model.width", "32", 1, 65536, "width of an input image"),
    S("model.norm", "none", "none|batch|instance|layer|act",
      "normalisation before each activation"),
    F("model.norm_momentum", "0.9", 0, 1, "weight of the new batch in running statistics"),
    S("model.activation", "leaky_relu", "leaky_relu|relu|silu",
      "activation; leaky_relu has slope 0.2"),
    S("model.energy", "logsumexp", "logsumexp|head",
      "E(x): -logsumexp of the logits, or minus a linear output of its own"),
    F("model.dropout", "0", 0, 0.95, "dropout probability inside each block"),
    S("model.class_names", "", 0, "names of the classes, comma-separated"),
    I("model.seed", "0", 0, 9e18, "seed of initial weights and dropout"),
    I("model.slice", "8", 1, 4096, "images that a worker carries through the network at once"),
    S("model.precision", "f32", "f32|bf16|auto",
      "element type of activations; auto: bf16 where it is faster"),
    S("model.convolution", "exact", "exact|fast|direct",
      "float32 3x3: exact: rounds no more than direct sums; fast: about twice as much"),
    I("model.fuse", "1", 0, 1, "merge operators into fewer sweeps over memory; 0: to compare with"),
    I("model.check_input", "1", 0, 1, "refuse input far outside [-1,1]"),

    S("dataset.split", "train", "train|test", "which part of the data"),
    I("dataset.limit", "0", 0, 9e15, "use only the first images; 0: all, or 20000 generated ones"),
    I("dataset.seed", "0", 0, 9e18, "seed of generated sets"),
    I("dataset.size", "28", 8, 1024, "height and width of generated images"),
    I("dataset.channels", "1", 1, 3,
      "channels of generated images, 1 or 3; those that a png folder's images shall have"),
    I("dataset.resize", "0", 0, 4096,
      "scale the images of a png folder to this height and width; 0: all must have one size"),
    I("dataset.memory", "4096", 0, 1000000000,
      "MiB up to which a png folder is decoded into memory, else image by image"),
    I("dataset.map", "0", 0, 1,
      "read a packed file through a memory mapping: a file that shrinks ends the process"),

    I("loader.batch", "64", 1, 65536, "images in a batch"),
    I("loader.shuffle", "1", 0, 1, "a new random order in each epoch"),
    I("loader.repeat", "1", 0, 1, "go on with the next epoch"),
    I("loader.crop", "0", 0, 64, "reflect-pad by so many pixels, then crop at random"),
    I("loader.flip", "0", 0, 1, "flip images left to right at random"),
    F("loader.noise", "0", 0, 10, "sigma of Gaussian noise added to images"),
    I("loader.prefetch", "1", 0, 1, "prepare the next batch in a thread"),
    I("loader.seed", "0", 0, 9e18, "seed of order and augmentation"),
    I("loader.stream", "0", 0, 9e18, "keeps loaders of one seed apart"),

    I("sampler.steps", "20", 0, 1000000, "Langevin steps of a draw"),
    F("sampler.step_size", "1", 0, 1e6, "factor of dE/dx in a step"),
    F("sampler.noise", "0.01", 0, 1e3, "sigma of the noise of a step"),
    F("sampler.gradient_clamp", "0", 0, 1e9, "clamp of each gradient element; 0: none"),
    I("sampler.clamp", "0", 0, 1, "clamp chains to [-1,1] after each step"),
    I("sampler.noise_after_clamp", "0", 0, 1, "add the noise after the box clamp (JEM++)"),
    S("sampler.mode", "evaluation", "evaluation|training", "network mode while sampling"),
    I("sampler.buffer", "10000", 1, 100000000, "slots of the replay buffer"),
    F("sampler.restart", "0.05", 0, 1, "probability that a drawn slot starts afresh"),
    S("sampler.start", "uniform", "uniform|gaussian",
      "starts: U(-1,1), or class Gaussians of the data or of the model's file"),
    I("sampler.start_images", "512", 0, 1000000000,
      "images of a class that give the covariance of gaussian starts; 0: all"),
    I("sampler.start_rank", "32", 0, 512,
      "rank of the class covariances kept in the model; 0: pixel variances only"),
    I("sampler.conditional", "0", 0, 1, "chains follow E(x,y), one buffer block per class"),
    I("sampler.seed", "0", 0, 9e18, "seed of slots, starts and noise"),
    I("sampler.stream", "0", 0, 9e18, "keeps samplers of one seed apart"),

    S("optimizer.name", "adam", "adam|sgd", "update rule"),
    F("optimizer.rate", "1e-4", 0, 1e3, "learning rate"),
    F("optimizer.beta1", "0.9", 0, 0.999999, "Adam: decay of the mean gradient"),
    F("optimizer.beta2", "0.999", 0, 0.99999999, "Adam: decay of the mean square"),
    F("optimizer.epsilon", "1e-8", 1e-30, 1, "Adam: added to the root of the mean square"),
    F("optimizer.momentum", "0.9", 0, 0.999999, "SGD: momentum"),
    I("optimizer.nesterov", "0", 0, 1, "SGD: Nesterov's momentum"),
    F("optimizer.weight_decay", "0", 0, 1e3, "times the weight, added to the gradient"),
    F("optimizer.clip", "0", 0, 1e12, "largest global gradient norm; 0: none"),
    F("optimizer.sam_rho", "0", 0, 1e6, "SAM: length of the ascent before each gradient; 0: off"),
    I("optimizer.sam_adaptive", "0", 0, 1, "SAM: ascend in proportion to the weights"),
    I("optimizer.head_only", "0", 0, 1, "only the output layers learn, the rest is frozen"),

    I("trainer.iterations", "1000", 0, 1000000000, "training steps"),
    F("trainer.px", "1", 0, 1e6, "weight of log p(x)"),
    F("trainer.pyx", "1", 0, 1e6, "weight of log p(y|x)"),
    F("trainer.pxy", "0", 0, 1e6, "weight of log p(x,y)"),
    F("trainer.energy_penalty", "0", 0, 1e6, "weight of the mean squared energies"),
    I("trainer.px_batch", "0", 0, 65536, "images in a batch for p(x); 0: loader.batch"),
    I("trainer.px_augment", "1", 0, 1, "crop and flip the batch for p(x) too"),
    I("trainer.labels_per_class", "0", 0, 1000000000,
      "labelled images of each class, chosen by seed; 0: all"),
    F("trainer.ema", "0", 0, 0.9999999, "decay a step of an average of the weights; 0: none"),
    I("trainer.validation", "0", 0, 1000000000, "training images held out to validate with"),
    I("trainer.validate_every", "500", 1, 1000000000, "steps between validations"),
    S("trainer.best", "accuracy", "accuracy|nll", "what the best model in validation has best"),
    I("trainer.warmup", "0", 0, 1000000000, "steps over which the rate rises from 0"),
    S("trainer.decay_at", "", 0, "steps at which the rate decays, comma-separated"),
    F("trainer.decay", "0.3", 0, 1, "factor of each decay"),
    S("trainer.schedule", "step", "step|cosine",
      "after the warm-up the rate decays at trainer.decay_at, or by a cosine to the end"),
    F("trainer.rate_end", "0", 0, 1, "share of the rate that the cosine ends with"),
    F("trainer.gap_limit", "1e4", 0, 1e30, "largest |mean E(x_p) - mean E(x_q)|; beyond: diverged"),
    I("trainer.retries", "0", 0, 1000, "roll-backs of a run that diverges; 0: it ends"),
    I("trainer.snapshot_every", "50", 1, 1000000000, "steps between copies of the last good state"),
    F("trainer.guard_energy", "0", 0, 1e30, "largest |mean E| of data or samples; 0: any"),
    F("trainer.guard_gradient", "0", 0, 1e30, "largest gradient norm, before the clip; 0: any"),
    F("trainer.guard_clamped", "0", 0, 1, "largest share of sampled pixels at the box; 0: any"),
    F("trainer.guard_distance", "0", 0, 1e30, "largest mean distance of chains; 0: any"),
    I("trainer.guard_patience", "1", 1, 1000000, "steps in a row beyond a guard that count"),
    F("trainer.response_rate", "0.5", 0, 1, "factor of the rate for each roll-back"),
    F("trainer.response_penalty", "0.1", 0, 1e6, "energy penalty more for each roll-back"),
    I("trainer.response_steps", "0", 0, 1000000, "Langevin steps more for each roll-back"),
    I("trainer.keep", "1", 1, 1000, "checkpoints of a run: the last one and older ones"),
    I("trainer.seed", "0", 0, 9e18, "seed of everything in a run whose own seed is not set"),

    I("refine.copies", "1", 1, 100000, "noisy copies of an image whose logits are averaged"),
    F("refine.noise", "0", 0, 10, "sigma of the noise added to each copy before its chain"),

    S("attack.norm", "linf", "linf|l2", "what bounds the change: largest pixel, or Euclidean"),
    I("attack.steps", "20", 0, 1000000, "gradient steps of a run"),
    F("attack.step_size", "0", 0, 1e6, "length of a step; 0: 2.5 eps / steps"),
    I("attack.restarts", "1", 1, 100000, "runs from other random starts while an image holds"),
    I("attack.random_start", "1", 0, 1, "start anywhere within eps; 0: at the image"),
    I("attack.refined", "0", 0, 1, "attack refined logits (refine.*, sampler.*): EOT and BPDA"),
    I("attack.bisections", "8", 0, 60, "halvings of a search for the least distance"),
    I("attack.seed", "0", 0, 9e18, "seed of the starts"),

    S("calibration.score", "log_px",
      "log_px|max_softmax|max_logit|neg_entropy|mass|refine_log_px|refine_distance|refine_mass",
      "what decides whether an image is accepted"),
    F("calibration.accept", "0.95", 1e-9, 1, "share of the validation images to accept"),
    F("calibration.temperature", "1", 1e-30, 1e30, "of the softmax; found by calibrating"),
    F("calibration.threshold", "0", -3.5e38, 3.5e38, "least score accepted; found by calibrating"),
    I("calibration.images", "0", 0, 9e15, "validation images; counted by calibrating"),
};

const int64_t jem__key_total = sizeof jem__keys / sizeof jem__keys[0];

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
    {"cifar-small", "model.depth=16 model.widen_factor=2 model.activation=silu "
                    "model.precision=auto loader.batch=64 trainer.px_batch=32 loader.crop=4 "
                    "loader.flip=1 loader.noise=0.03 trainer.iterations=8000 trainer.px=0.2 "
                    "trainer.pyx=1 trainer.energy_penalty=0.1 trainer.warmup=100 "
                    "trainer.schedule=cosine trainer.ema=0.999 optimizer.rate=2e-3 "
                    "optimizer.beta1=0 optimizer.clip=1 sampler.conditional=1 sampler.steps=10 "
                    "sampler.step_size=10 sampler.gradient_clamp=0.01 sampler.noise=0.005 "
                    "sampler.clamp=1 sampler.buffer=2000"},
    {"glyphs", "model.depth=16 model.activation=silu model.convolution=fast loader.batch=64 "
               "trainer.px_batch=32 "
               "trainer.iterations=480 trainer.px=1 trainer.pyx=5 trainer.energy_penalty=0.1 "
               "trainer.warmup=30 trainer.decay_at=180,300,400 optimizer.rate=2e-3 "
               "optimizer.beta1=0 optimizer.clip=1 sampler.conditional=1 sampler.steps=15 "
               "sampler.step_size=5 sampler.gradient_clamp=0.03 sampler.noise=0.005 "
               "sampler.clamp=1 sampler.buffer=320"},
    {"mnist", "model.depth=16 model.activation=silu loader.batch=128 trainer.px_batch=32 "
              "trainer.iterations=3500 trainer.px=1 trainer.pyx=3 trainer.energy_penalty=0.1 "
              "trainer.warmup=100 trainer.decay_at=1000,2000,3000 optimizer.rate=1e-3 "
              "optimizer.beta1=0 optimizer.clip=1 sampler.conditional=1 sampler.steps=15 "
              "sampler.step_size=10 sampler.gradient_clamp=0.03 sampler.noise=0.005 "
              "sampler.clamp=1 sampler.buffer=1000"},
    {0, 0},
};
