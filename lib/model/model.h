/* The model as the rest of the library sees it. */
#ifndef JEM__MODEL_MODEL_H
#define JEM__MODEL_MODEL_H

#include "base/context.h"
#include "energy/energy.h"
#include "format/safetensors.h"
#include <jem/model.h>
#include <jem/pass.h>

typedef struct jem__parameter {
    const char *name;
    int64_t dimensions, shape[4], elements;
    jem_parameter_kind kind;
    int32_t output;  /* of the classifier or the energy head */
    int32_t moved;   /* by a forward in training, too: what a failed step must restore */
    float *value;    /* float32 master, OIHW */
    float *gradient; /* NULL for statistics */
} jem__parameter;

/* The list lives as long as the model; returns its length. */
int64_t jem__model_parameters(jem_model *model, const jem__parameter **list);
/* Call after writing values: what was packed from them is refreshed before use. */
void jem__model_touch(jem_model *model);
/* The same of values that come back, or have: what was measured on the model stays. */
void jem__model_touch_briefly(jem_model *model);
jem_model *jem__model_take(jem_model *model); /* one more reference */
jem_context *jem__model_context(const jem_model *model);
/* Writes the settings that make this network, and the names of its classes, into config. */
jem_status jem__model_settings_of(const jem_model *model, jem_config *config);
/* The text of a metadata entry until it is set again, or NULL. */
const char *jem__model_metadata(const jem_model *model, const char *key);
int32_t jem__model_has_head(const jem_model *model); /* E(x) is an energy head's */
int32_t jem__model_has_dropout(const jem_model *model);
/* Refuses non-finite or far out-of-range x, and labels outside the classes (y may be NULL). */
jem_status jem__model_check(const jem_model *model, const char *function, const float *x,
                            const int32_t *y, int64_t n);
/* The same of images on their way: they may be anywhere. */
jem_status jem__model_check_chain(const jem_model *model, const char *function, const float *x,
                                  const int32_t *y, int64_t n);

/* Logits [n,classes] and energies E(x) [n] of good images, by one forward pass. */
jem_status jem__model_outputs(jem_model *model, const float *x, int64_t n, float *logits,
                              float *energy);

/* Tensors of the model's file that the network itself does not use, saved with it and
   cloned. get: 0 if there is none; the bytes stay the model's. set copies, and
   replaces one of the same name. set and remove need the model alone. */
int32_t jem__model_extra_get(const jem_model *model, const char *name, jem__tensor_info *tensor);
jem_status jem__model_extra_set(jem_model *model, const jem__tensor_info *tensor);
void jem__model_extra_remove(jem_model *model, const char *name);

/* A walk moves images along the gradient of their energy, slice by slice: each
   worker carries its images through all steps (unless the batch is coupled).
   Per step and slice: forward, E and dE/dlogits (E(x,y) with labels), backward
   to dx, then move. */
typedef struct jem__walk {
    void *user;
    const int32_t *y; /* [n] or NULL */
    int64_t steps;
    const jem__flag *cancel; /* polled before each step; may be NULL */
    /* Images first..first+n-1 at step 0..steps-1: x [n,C,H,W] may be changed,
       dx = dE/dx, energy [n]. Runs on worker threads, one slice at a time.
       A negative status stops the walk. */
    jem_status (*move)(void *user, int64_t step, int64_t first, int64_t n, float *x,
                       const float *dx, const float *energy);
    /* NULL, or in place of the energy another function of the logits [n,k]: fills
       dlogits [n,k]; move then gets no energy (NULL). A positive status ends the
       walk of this slice before its next move (of no coupled batch). */
    jem_status (*derive)(void *user, int64_t step, int64_t first, int64_t n, const float *logits,
                         float *dlogits);
} jem__walk;

/* mode of the pass: INPUT_GRADIENT or TRAIN_INPUT (or one that includes it).
   JEM_CANCELLED leaves x between steps. */
jem_status jem__pass_walk(jem_pass *pass, float *x, int64_t n, const jem__walk *walk);

/* A batch to learn from, with its loss as the derivative by the outputs. */
typedef struct jem__batch {
    const float *x; /* [n,C,H,W] */
    int64_t n;
    int64_t stream, number; /* of dropout */
    float *logits, *head;   /* [n,k], [n]: filled in; head NULL if the network has none */
    void *user;
    /* Images first..first+n-1: outputs to derivatives, which are zero. On worker threads. */
    jem_status (*derive)(void *user, int64_t first, int64_t n, jem__outputs f, jem__derivatives d);
} jem__batch;

/* Forward and backward of all batches: adds their parameter gradients to the
   model's, in the order of batches and images. Unless the batches are coupled, a worker
   takes a slice forward and at once back, so that activations of a few slices
   exist at a time. mode of the pass: GRADIENT or TRAIN. JEM_CANCELLED if *cancel is set. */
jem_status jem__pass_learn(jem_pass *pass, const jem__batch *batches, int64_t count,
                           const jem__flag *cancel);

#endif
