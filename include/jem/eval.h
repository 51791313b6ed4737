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

JEM_API jem_status jem_eval_accuracy(const float *logits, const int32_t *y, int64_t n, int64_t k,
                                     double *accuracy);
/* Mean -log p(y|x), in nats. */
JEM_API jem_status jem_eval_nll(const float *logits, const int32_t *y, int64_t n, int64_t k,
                                double *nll);
/* Mean over images of sum_k (p_k - [k = y])^2: 0..2. */
JEM_API jem_status jem_eval_brier(const float *logits, const int32_t *y, int64_t n, int64_t k,
                                  double *brier);
/* Expected calibration error (Guo et al. 2017, equation 5) of the largest
   softmax with equal bins (lo, hi]. Per bin, if not NULL, [bins]: mean
   confidence, accuracy, number of images (0 and 0 for an empty bin). */
JEM_API jem_status jem_eval_ece(const float *logits, const int32_t *y, int64_t n, int64_t k,
                                int64_t bins, double *ece, double *confidence, double *accuracy,
                                int64_t *count);

/* Of a score that is higher for in-distribution images: area under the ROC
   curve (ties count one half), area under precision-recall with "in" and
   "out" as the positives (average precision), false positive rate at the
   threshold that keeps 95 % of "in". Outputs may be NULL. */
JEM_API jem_status jem_eval_ood(const float *in, int64_t n_in, const float *out, int64_t n_out,
                                double *auroc, double *aupr_in, double *aupr_out, double *fpr95);

/* ---- With a model. Errors: those of jem_model_energy_gradient. */

/* Logits and labels of a whole dataset; logits [count,classes] and labels
   [count] (may be NULL) are the caller's, capacity counts images. */
JEM_API jem_status jem_eval_logits(jem_model *model, const jem_dataset *data, float *logits,
                                   int32_t *labels, int64_t capacity);

/* A named score per image, higher = more in-distribution: scores [n].
     log_px        log p(x) up to a constant = logsumexp of the logits
     max_softmax   the largest class probability
     max_logit     the largest logit
     neg_entropy   minus the entropy of p(y|x)
     mass          approximate mass, -||d log p(x)/dx|| (Grathwohl et al. 2019, section 5.3.3)
   Errors: ARGUMENT (an unknown name: the text lists them). */
JEM_API jem_status jem_eval_score(jem_model *model, const char *score, const float *x, int64_t n,
                                  float *scores);
/* The same of every image of a dataset; capacity counts images. */
JEM_API jem_status jem_eval_score_data(jem_model *model, const char *score, const jem_dataset *data,
                                       float *scores, int64_t capacity);

#ifdef __cplusplus
}
#endif
#endif
