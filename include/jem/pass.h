/* jem/pass.h: forward and backward through a model, with its activations.

   A pass is the model's graph compiled for one mode, with the memory it needs.
   Several live at once; one thread at a time each; the model is shared. Different passes
   of one model may run at once, but a forward of JEM_PASS_TRAIN, which moves running
   statistics, and a backward to the parameters need the model alone. */
#ifndef JEM_PASS_H
#define JEM_PASS_H

#include <jem/model.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One thread at a time. Holds a reference to its model. */
typedef struct jem_pass jem_pass;

/* Train or evaluation is a property of the pass, not a state of the model. */
typedef int32_t jem_pass_mode;
enum {
    JEM_PASS_INFER = 1,          /* evaluation; forward only */
    JEM_PASS_INPUT_GRADIENT = 2, /* evaluation; backward to the input */
    JEM_PASS_GRADIENT = 3,       /* evaluation; backward to input and parameters */
    JEM_PASS_TRAIN = 4,       /* batch statistics (running ones move at each forward) and dropout;
                                 backward to input and parameters */
    JEM_PASS_TRAIN_INPUT = 5, /* as TRAIN, but statistics stay; backward to the input: sampling in
                                 training mode */
    JEM_PASS_HEAD = 6         /* evaluation; backward to the parameters of the classifier and the
                                 energy head alone: head-only training */
};

/* What backward computes; combine with |. */
typedef int32_t jem_gradient;
enum { JEM_GRADIENT_PARAMETERS = 1, JEM_GRADIENT_INPUT = 2 };

/* Compiles a pass for batches of 1..max_batch images. Errors: ARGUMENT, MEMORY,
   BACKEND. */
JEM_API jem_status jem_pass_create(jem_pass **pass, jem_model *model, jem_pass_mode mode,
                                   int64_t max_batch);
/* Frees it; NULL is fine. Any thread. */
JEM_API void jem_pass_destroy(jem_pass *pass);

/* Dropout of the next forward is drawn for (model.seed, stream, this number);
   it counts up by one after each forward. Trainers set it so that a resumed
   run draws the same masks. Errors: ARGUMENT. */
JEM_API jem_status jem_pass_set_stream(jem_pass *pass, int64_t stream, int64_t number);

/* With hold non-zero the next forwards of a JEM_PASS_TRAIN leave running statistics
   as they are (the second gradient of SAM); with 0 they move again. Errors: ARGUMENT. */
JEM_API jem_status jem_pass_hold_statistics(jem_pass *pass, int32_t hold);

/* x [n,C,H,W] -> logits [n,classes]. x must stay in place, unchanged, until backward is
   done. With model.norm=act the model's first JEM_PASS_TRAIN forward
   also sets loc = -mean and scale = 1/(std + 1e-6) of each channel of this batch
   (the identity until then). Errors: ARGUMENT, SHAPE (n > max_batch; capacity; a first
   batch of one value per channel), MEMORY, BACKEND, DIVERGED (a first batch that gives
   non-finite activations; the model is as it was). */
JEM_API jem_status jem_pass_forward(jem_pass *pass, const float *x, int64_t n, float *logits,
                                    int64_t capacity);

/* dlogits [n,classes] of the last forward -> gradients: parameter gradients are
   ADDED to the model's (jem_model_gradient_zero clears them), dx [n,C,H,W] is
   overwritten (NULL unless JEM_GRADIENT_INPUT is asked). Once per forward: one
   that fails for MEMORY or BACKEND has used it up, too. Errors: ARGUMENT, STATE (no
   forward, weights changed since, or the mode cannot), MEMORY, BACKEND. */
JEM_API jem_status jem_pass_backward(jem_pass *pass, const float *dlogits, jem_gradient what,
                                     float *dx);

/* E(x) of the images of the last forward, before backward: energy [n]. It is
   -logsumexp of the logits, or with model.energy=head minus the output of the
   network's energy head (Grathwohl et al. 2019, "unconditional"), which the logits
   do not tell. Errors: ARGUMENT, STATE (no forward). */
JEM_API jem_status jem_pass_energy(const jem_pass *pass, float *energy);

/* jem_pass_backward for a loss of E(x), whichever it is: denergy [n] are the
   loss's derivatives by E(x), and dlogits [n,classes] (NULL: none) those by the
   logits beside that. The contrastive loss of p(x) has denergy = 1/n on data and
   -1/n on samples. Errors: those of jem_pass_backward. */
JEM_API jem_status jem_pass_backward_energy(jem_pass *pass, const float *dlogits,
                                            const float *denergy, jem_gradient what, float *dx);

#ifdef __cplusplus
}
#endif
#endif
