/* What a step learns from: the batches of p(x), p(y|x) and p(x,y), and their losses. */
#ifndef JEM__TRAIN_OBJECTIVE_H
#define JEM__TRAIN_OBJECTIVE_H

#include "train/trainer.h"

/* Which batches the weights ask for: samples from chains; labelled images. */
int32_t jem__objective_samples(const jem_trainer *trainer);
int32_t jem__objective_labels(const jem_trainer *trainer);

/* Chains may have left the range of images (DIVERGED); loaders' images are what they are. */
jem_status jem__objective_check(const jem_trainer *trainer);
/* Gradients of the whole loss. The labelled batch comes last: running statistics are
   mostly its own. */
jem_status jem__objective_learn(jem_trainer *trainer);
/* Losses, energies and accuracy of what was learnt from. DIVERGED if one is not finite,
   or the gap beyond its limit. */
jem_status jem__objective_measure(const jem_trainer *trainer, double *metrics);

#endif
