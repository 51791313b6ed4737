/* jem/optimizer.h: updates of a model's parameters from its gradients. */
#ifndef JEM_OPTIMIZER_H
#define JEM_OPTIMIZER_H

#include <jem/model.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One thread at a time. Holds a reference to its model. */
typedef struct jem_optimizer jem_optimizer;

/* Keys: optimizer.name (adam: Kingma and Ba 2014; sgd: with momentum, as
   PyTorch defines both, L2 weight decay added to the gradient), optimizer.rate,
   .beta1, .beta2, .epsilon, .momentum, .nesterov, .weight_decay, .clip (largest
   global gradient norm, 0: none), .head_only (only the classifier and the energy
   head move; JEM_PASS_HEAD has their gradients alone), .sam_rho and .sam_adaptive
   (jem_optimizer_ascend). Errors: ARGUMENT, CONFIG (Nesterov without SGD's momentum), MEMORY. */
JEM_API jem_status jem_optimizer_create(jem_optimizer **optimizer, jem_model *model,
                                        const jem_config *config);
/* Frees it; NULL is fine. Any thread. */
JEM_API void jem_optimizer_destroy(jem_optimizer *optimizer);

/* The learning rate of the next step. Errors: ARGUMENT (not finite or < 0). */
JEM_API jem_status jem_optimizer_set_rate(jem_optimizer *optimizer, double rate);

/* One update from the model's gradients, which stay as they are. norm (may be
   NULL) gets their global L2 norm before clipping. Errors: STATE (ascended
   weights, restore them first), DIVERGED (a non-finite gradient: the parameter is
   named, nothing changes). */
JEM_API jem_status jem_optimizer_step(jem_optimizer *optimizer, double *norm);

/* Sharpness-aware minimisation, around an update of either kind (Foret et al.
   2020; adaptive: Kwon et al. 2021). From the model's gradients g, ascend moves
   the weights w to w + e,

     e = rho g / (||g|| + 1e-12),  adaptive  e = rho w^2 g / (|| |w| g || + 1e-12),

   with one norm over all parameters; restore puts w back, bit for bit (the entry of
   jem_model_calibrate stays all the while: it is w's). A step is
   gradients at w, ascend, gradients at w + e of the same batches with
   jem_pass_hold_statistics on, restore, jem_optimizer_step. Errors: STATE
   (optimizer.sam_rho is 0; out of turn), DIVERGED (a non-finite gradient: the
   parameter is named, nothing changes). */
JEM_API jem_status jem_optimizer_ascend(jem_optimizer *optimizer);
JEM_API jem_status jem_optimizer_restore(jem_optimizer *optimizer);

#ifdef __cplusplus
}
#endif
#endif
