/* jem/eval.h: accuracy, calibration, out-of-distribution detection. */
#ifndef JEM_EVAL_H
#define JEM_EVAL_H

#include <jem/dataset.h>
#include <jem/model.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- On arrays: any thread. Errors: ARGUMENT (NULL, counts < 1, bad labels,
   non-finite values), MEMORY. logits [n,k], y [n]. */

/* Share of images whose largest logit is that of their label: 0..1. */
JEM_API jem_status jem_eval_accuracy(const float *logits, const int32_t *y, int64_t n, int64_t k,
                                     double *accuracy);
/* Mean -log p(y|x), in nats. */
JEM_API jem_status jem_eval_nll(const float *logits, const int32_t *y, int64_t n, int64_t k,
                                double *nll);
/* Mean over images of sum_k (p_k - [k = y])^2: 0..2. */
JEM_API jem_status jem_eval_brier(const float *logits, const int32_t *y, int64_t n, int64_t k,
                                  double *brier);
/* Expected calibration error (Guo et al. 2017, equation 5) of the largest
   softmax with equal bins (lo, hi], 2^20 at most. Per bin, if not NULL, [bins]: mean
   confidence, accuracy, number of images (0 and 0 for an empty bin). */
JEM_API jem_status jem_eval_ece(const float *logits, const int32_t *y, int64_t n, int64_t k,
                                int64_t bins, double *ece, double *confidence, double *accuracy,
                                int64_t *count);

/* The temperature T of least NLL of logits / T (Guo et al. 2017, section 4.2).
   Errors: also STATE: there is none when all images are classified rightly (the
   NLL falls with T to 0), or labels do no better than chance. */
JEM_API jem_status jem_eval_temperature(const float *logits, const int32_t *y, int64_t n, int64_t k,
                                        double *temperature);

/* ---- On scores that are higher for in-distribution images: any thread.
   Errors: ARGUMENT (NULL, counts < 1, non-finite scores), MEMORY. */

/* Area under the ROC curve (ties count one half), area under precision-recall
   with "in" and "out" as the positives (average precision), false positive rate
   at the threshold that keeps 95 % of "in". Outputs may be NULL. */
JEM_API jem_status jem_eval_ood(const float *in, int64_t n_in, const float *out, int64_t n_out,
                                double *auroc, double *aupr_in, double *aupr_out, double *fpr95);
/* The ROC curve: at each threshold the share of "out" (fpr) and of "in" (tpr)
   that scores no less; from (0,0) at infinity to (1,1). Points between two others of
   one height or one width are left out, so straight lines between the rest are
   the whole curve. capacity is that of each array; n_in + n_out + 1 is always enough.
   Errors: also SHAPE (*points says how many there are). */
JEM_API jem_status jem_eval_roc(const float *in, int64_t n_in, const float *out, int64_t n_out,
                                double *fpr, double *tpr, float *threshold, int64_t capacity,
                                int64_t *points);
/* The highest threshold that a share `accept` (0..1], or more, of the scores reach. */
JEM_API jem_status jem_eval_threshold(const float *scores, int64_t n, double accept,
                                      float *threshold);
/* count [bins]: scores in equal bins [lo,hi), the last one with its end; bin b begins at
   low + (high - low) * b / bins. Those outside low..high are in none. */
JEM_API jem_status jem_eval_histogram(const float *scores, int64_t n, double low, double high,
                                      int64_t bins, int64_t *count);

/* ---- On samples as a whole, by features [n,d] or class probabilities [n,k] of any
   network: the model's own (jem_model_features, softmax of its logits), or the
   Inception network's where numbers are to be compared with published ones. Any
   thread. Errors: ARGUMENT (NULL, counts, non-finite features, rows that are no
   probabilities), MEMORY, BACKEND (LAPACK). */

/* Frechet distance between the Gaussians with the sets' means and covariances
   (over n - 1), n_a, n_b >= 2 (Heusel et al. 2017, equation 6). Fewer images than
   features are fine, but the distance depends on their number: use as many as
   what it is compared with. On one thread: 2 s for 640 features of 10000 images.
   A build with -Dlapack=enabled leaves the singular values to LAPACK, and is
   equal within 1e-9. */
JEM_API jem_status jem_eval_frechet(const float *a, int64_t n_a, const float *b, int64_t n_b,
                                    int64_t d, double *distance);
/* Inception score, exp of the mean of KL(p(y|x) || p(y)) (Salimans et al. 2016,
   section 4): mean and deviation over `parts` (10 in papers) consecutive parts,
   each with its own p(y). Outputs may be NULL. */
JEM_API jem_status jem_eval_inception(const float *probabilities, int64_t n, int64_t k,
                                      int64_t parts, double *score, double *deviation);

/* ---- With a model. Errors: those of jem_model_energy_gradient. */

/* Logits [count,classes] and labels [count] (may be NULL) of a whole dataset, read piece
   by piece. Errors: also SHAPE (capacities; images of another shape), those of reading. */
JEM_API jem_status jem_eval_logits(jem_model *model, const jem_dataset *data, float *logits,
                                   int64_t logits_capacity, int32_t *labels,
                                   int64_t labels_capacity);

/* A named score per image, higher = more in-distribution: scores [n].
     log_px            log p(x) up to a constant, -E(x)
     max_softmax       the largest class probability
     max_logit         the largest logit
     neg_entropy       minus the entropy of p(y|x)
     mass              approximate mass, -||d log p(x)/dx|| (Grathwohl et al. 2019, section 5.3.3)
   and of a short Langevin chain that begins at the image, with the keys sampler.*:
     refine_log_px     log p(x) before minus after
     refine_distance   minus the Euclidean distance moved
     refine_mass       the mass before minus after
   first is the number of image 0, and with it of its chain: a batch that is
   scored in parts gets the same random numbers. Chains run in evaluation mode, whatever
   sampler.mode says: an image's score is its own. config may be NULL.
   Errors: also ARGUMENT (an unknown name: the text lists them), DIVERGED (a chain). */
JEM_API jem_status jem_eval_score(jem_model *model, const char *score, const float *x, int64_t n,
                                  int64_t first, const jem_config *config, float *scores);
/* The same of every image of a dataset: scores [count]. Errors: also SHAPE (capacity;
   images of another shape), those of reading. */
JEM_API jem_status jem_eval_score_data(jem_model *model, const char *score, const jem_dataset *data,
                                       const jem_config *config, float *scores, int64_t capacity);

/* ---- Refinement: chains that begin at the images ----

   Keys sampler.*: the chain, as in jem_sampler_step but always in evaluation mode; first
   is the number of image 0, config may be NULL. */

/* logits [n,classes]: the mean over refine.copies copies of an image, each with
   noise refine.noise added and refined by a chain of its own (Grathwohl et al.
   2019, section 5.4 and appendix). Errors: also SHAPE (capacity), DIVERGED (a chain). */
JEM_API jem_status jem_eval_refined_logits(jem_model *model, const float *x, int64_t n,
                                           int64_t first, const jem_config *config, float *logits,
                                           int64_t capacity);

/* ---- Attacks: projected gradient descent (Madry et al. 2018, section 2.1) ----

   Images x [n,C,H,W] inside [-1,1] are moved up the cross-entropy of their label
   y [n], at most eps far from where they were (attack.norm: each pixel, or the
   Euclidean distance; in input units, of which [-1,1] has 2: 8/255 of [0,1]
   is 16/255 here) and never out of the box. A step is attack.step_size long: the
   gradient's sign (linf) or direction (l2) times it. The gradient is
   taken of the cross-entropy without the factor 1 - p(y|x), which both forget,
   so that a sure network does not hide it by rounding to 0. Keys: attack.*.

   An image is robust if neither it nor any point that the attack visits is
   misclassified. With attack.refined the attack is on jem_eval_refined_logits:
   each step averages the gradient over freshly refined copies (EOT, Athalye et al.
   2018) and passes it straight through their chains (BPDA); what counts then is
   the end of each run, judged with fresh random numbers.

   first is the number of image 0, for the random numbers; config may be NULL.
   Errors: those of jem_model_energy_gradient; ARGUMENT (eps < 0; an image
   outside the box), DIVERGED (non-finite logits or gradient). */

/* robust [n]: 1 or 0. adversarial [n,C,H,W], or NULL: the misclassified image
   found, else the last one tried. */
JEM_API jem_status jem_eval_attack(jem_model *model, const float *x, const int32_t *y, int64_t n,
                                   int64_t first, double eps, const jem_config *config,
                                   int32_t *robust, float *adversarial);
/* distance [n]: how far the nearest misclassified image is that attacks at
   smaller and smaller eps find (attack.bisections times halving what is
   between a success and a failure, per image): an upper bound of the least
   distance; 0 for an image that is misclassified itself, INFINITY where an
   attack at eps finds none. adversarial [n,C,H,W], or NULL: those images. */
JEM_API jem_status jem_eval_attack_distance(jem_model *model, const float *x, const int32_t *y,
                                            int64_t n, int64_t first, double eps,
                                            const jem_config *config, float *distance,
                                            float *adversarial);

/* ---- Decisions ---- */

/* Fits, on validation images that the model was not trained on (and that are no
   test images), what jem_model_predict decides by: the temperature, as
   jem_eval_temperature (1 where all images are classified rightly); and the
   threshold that a share calibration.accept of the images reach with the score
   calibration.score. Kept in the model's metadata entry "calibration", as
   settings, and saved with it; a refine_* score keeps its sampler.* settings
   there, and all its chains have number 0, so that a decision does not depend on an image's
   place in a call. Whatever changes the weights afterwards, a training step say, removes the
   entry; a step that fails leaves it.
   A call that writes. Errors: those of jem_eval_score_data; CONFIG also for a refine_* score
   of more than 1000 sampler.steps; STATE: the labels do no better than chance, or the
   temperature of least NLL lies outside 1e-30..1e30. */
JEM_API jem_status jem_model_calibrate(jem_model *model, const jem_dataset *validation,
                                       const jem_config *config);

#ifdef __cplusplus
}
#endif
#endif
