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
   .beta1, .beta2, .epsilon, .momentum, .weight_decay, .clip (largest global
   gradient norm, 0: none). Errors: ARGUMENT, CONFIG, MEMORY. */
JEM_API jem_status jem_optimizer_create(jem_optimizer **optimizer, jem_model *model,
                                        const jem_config *config);
JEM_API void jem_optimizer_destroy(jem_optimizer *optimizer);

/* The learning rate of the next step. Errors: ARGUMENT (not finite or < 0). */
JEM_API jem_status jem_optimizer_set_rate(jem_optimizer *optimizer, double rate);

/* One update from the model's gradients, which stay as they are. norm (may be
   NULL) gets their global L2 norm before clipping. Errors: DIVERGED (a
   non-finite gradient: the parameter is named, nothing changes). */
JEM_API jem_status jem_optimizer_step(jem_optimizer *optimizer, double *norm);

#ifdef __cplusplus
}
#endif
#endif
