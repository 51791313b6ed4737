/* jem/loss.h: losses on logits and their derivatives. Any thread. */
#ifndef JEM_LOSS_H
#define JEM_LOSS_H

#include <jem/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* All: logits [n,k] in; *loss (may be NULL) is the mean over n, times weight;
   dlogits [n,k] is ADDED to (may be NULL), so that losses combine: zero it
   first. Errors: ARGUMENT (NULL, n or k < 1, a label outside 0..k-1). */

/* Cross-entropy -log p(y|x). */
JEM_API jem_status jem_loss_cross_entropy(const float *logits, const int32_t *y, int64_t n,
                                          int64_t k, double weight, double *loss, float *dlogits);

/* Mean energy: E(x) = -logsumexp (a model with an energy head: jem_pass_energy in
   jem/pass.h), or E(x,y) when y is given. The contrastive loss of
   p(x) is this with weight +1 on data plus this with weight -1 on samples. */
JEM_API jem_status jem_loss_energy(const float *logits, const int32_t *y, int64_t n, int64_t k,
                                   double weight, double *loss, float *dlogits);

/* Mean squared energy, the L2 penalty that keeps energies near zero. */
JEM_API jem_status jem_loss_energy_penalty(const float *logits, const int32_t *y, int64_t n,
                                           int64_t k, double weight, double *loss, float *dlogits);

#ifdef __cplusplus
}
#endif
#endif
