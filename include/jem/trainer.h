/* jem/trainer.h: trains a joint energy model.

   One step (Grathwohl et al. 2019, algorithm 1): a batch x_p for p(x), samples
   x_q from the replay buffer, a labelled batch (x, y); the loss is

     px * (mean E(x_p) - mean E(x_q) + penalty * mean(E(x_p)^2 + E(x_q)^2))
     + pyx * cross-entropy(x, y)
     + pxy * (mean E(x,y) - mean E(x_j,y) + penalty * mean(E(x,y)^2 + E(x_j,y)^2))

   with samples x_j of chains that follow E(x,y) with the labels y of the batch.
   Passes go through the network in the order x_p, x_q, x_j, labelled. The trainer
   uses nothing that an own loop could not.

   trainer.validation images, chosen by loader.seed, are held out of training. Every
   trainer.validate_every steps, and after the last, they judge the model (its average
   where trainer.ema has one), and the best model so far is kept. Test data
   takes no part in a run. trainer.labels_per_class images of each class, chosen by
   loader.seed, make up the labelled batches; p(x) sees all. */
#ifndef JEM_TRAINER_H
#define JEM_TRAINER_H

#include <jem/loader.h>
#include <jem/optimizer.h>
#include <jem/sampler.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One thread at a time, except _cancel. Holds references to model and data. */
typedef struct jem_trainer jem_trainer;

/* Called after every complete step, also one whose validation fails or is cut short, on the
   thread inside jem_trainer_run. Non-zero stops the run (JEM_CANCELLED, but an error that
   ends it anyway is what the run returns). May call everything but _run, _step,
   _resume and _destroy of the same trainer. */
typedef struct jem_trainer_callbacks {
    int64_t struct_size; /* sizeof(jem_trainer_callbacks) */
    void *user;
    int32_t (*step)(void *user, jem_trainer *trainer, int64_t step);
    /* After a roll-back from step `from` to step `to`; see jem_trainer_rollbacks. May be
       NULL, or missing where struct_size says so. */
    int32_t (*rollback)(void *user, jem_trainer *trainer, int64_t from, int64_t to,
                        const char *reason);
} jem_trainer_callbacks;

/* Keys: trainer.* loader.* sampler.* optimizer.*. data is used for p(x) and
   p(y|x), through two loaders. Errors: ARGUMENT (a class without images or with
   fewer than trainer.labels_per_class), CONFIG, SHAPE (images or labels that do not
   fit the model), MEMORY, BACKEND, those of reading the data. */
JEM_API jem_status jem_trainer_create(jem_trainer **trainer, jem_model *model, jem_dataset *data,
                                      const jem_config *config);
/* Lets go of it; NULL is fine. Any thread. */
JEM_API void jem_trainer_destroy(jem_trainer *trainer);

/* Divergence. With trainer.retries > 0 the trainer keeps copies of its whole state,
   trainer.snapshot_every steps apart (they take twice the memory of weights,
   optimizer and buffer). A state counts as good if its gap was
   within half of trainer.gap_limit, once as many more steps went well. A step that diverges then
   leads back to the last good state, and the run goes on with another noise seed and, for each
   roll-back so far, a rate times trainer.response_rate, trainer.response_penalty more energy
   penalty and trainer.response_steps more Langevin steps. A healthy run is not changed by any of
   this, bit for bit, and a resumed run rolls back as the unbroken one does.

   What diverges: numbers that are not finite, a gap beyond trainer.gap_limit, and what
   trainer.guard_energy, _gradient, _clamped and _distance forbid in
   trainer.guard_patience steps in a row. */

/* One training step. JEM_ROLLED_BACK: it diverged, and the trainer is that of an
   earlier step; go on. JEM_END once trainer.iterations are done. JEM_ERROR_DIVERGED
   if energies, losses, gradients or chains are not finite, or the energy gap
   exceeds trainer.gap_limit: the text names what, where and how large; weights,
   optimizer and buffer are those of the step before, and no roll-back is left
   (trainer.retries of them, 0 by default). JEM_CANCELLED likewise; but a validation
   that is cut short or fails leaves its step complete, and the next call takes it up. */
JEM_API jem_status jem_trainer_step(jem_trainer *trainer);
/* Steps until JEM_END (returned as JEM_OK), an error or a cancel (JEM_CANCELLED). callbacks
   may be NULL; their table is not kept. Errors: those of jem_trainer_step; ARGUMENT also
   for a struct_size that is too small. */
JEM_API jem_status jem_trainer_run(jem_trainer *trainer, const jem_trainer_callbacks *callbacks);
/* Stops run or step at the next Langevin step or batch, or else the next such call. An
   atomic store: any thread, and signal handlers. NULL is fine. */
JEM_API void jem_trainer_cancel(jem_trainer *trainer);

/* Complete steps so far, and the number to do. Outputs may be NULL. Errors: ARGUMENT. */
JEM_API jem_status jem_trainer_progress(const jem_trainer *trainer, int64_t *step,
                                        int64_t *iterations);

/* Roll-backs so far, over the whole run, and of the last one the step that failed and the
   step returned to. Outputs may be NULL. Errors: ARGUMENT. */
JEM_API jem_status jem_trainer_rollbacks(const jem_trainer *trainer, int64_t *count, int64_t *from,
                                         int64_t *to);
/* Why the last one was, with the contract of jem_last_error; empty without one and after a
   resume. Errors: ARGUMENT. */
JEM_API int64_t jem_trainer_rollback_reason(const jem_trainer *trainer, char *buffer,
                                            int64_t capacity);

/* Metrics of the last step, values [count], by index; names are static, NULL for an index
   outside: step, images_per_second,
   loss, loss_px, loss_pyx, accuracy, energy_data, energy_sample, gap,
   gradient_norm, distance, clamped, buffer_age, rate, seconds_load,
   seconds_sample, seconds_pass, seconds_update, rollbacks, loss_pxy, gap_pxy; of the
   last validation and of the best one: valid_step, valid_accuracy, valid_nll,
   best_step, best_accuracy, best_nll; energy_data_pxy, energy_sample_pxy; what roll-backs
   have come to, rate_factor, penalty, sampler_steps; and alarms, the steps in a row up to
   this one beyond a guard. Energies are means of E(x), or of E(x,y) where trainer.px is 0;
   those of _pxy of E(x,y). NaN where one does not apply. docs/training.md explains each.
   Errors: ARGUMENT, SHAPE (capacity). */
JEM_API int64_t jem_trainer_metric_count(void);
JEM_API const char *jem_trainer_metric_name(int64_t index);
JEM_API jem_status jem_trainer_metrics(const jem_trainer *trainer, double *values,
                                       int64_t capacity);

/* Bytes that the trainer's context holds now, and the most that it will hold during the
   run, the trainer, its model and its data included; without oneDNN's own (some 10 MB), what
   a dataset that is not in memory takes to read a batch, and what the caller does besides
   (saving, copies of the model).
   Compiles what a step needs, which the first step would do otherwise, and allocates no
   activations: ask before the run whether it fits. Either output may be NULL. Errors:
   ARGUMENT, SHAPE (act norm cannot start from a batch of one value), MEMORY, BACKEND. */
JEM_API jem_status jem_trainer_memory(jem_trainer *trainer, int64_t *bytes, int64_t *peak);

/* The trainer's own sampler and model, not copies: what the trainer does shows in them, and
   they are for its thread. The caller destroys them, before or after the trainer. Errors:
   ARGUMENT. */
JEM_API jem_status jem_trainer_sampler(jem_sampler **sampler, jem_trainer *trainer);
JEM_API jem_status jem_trainer_model(jem_model **model, jem_trainer *trainer);

/* A copy of the model with averaged weights and running statistics (trainer.ema): after
   step t the mean of the models after steps 1..t, with weights that fall by the decay
   a step and sum to 1. The caller destroys it. Errors: ARGUMENT, STATE (no average),
   MEMORY. */
JEM_API jem_status jem_trainer_ema_model(jem_model **model, const jem_trainer *trainer);
/* A copy of the best model in validation so far (by trainer.best: the highest
   accuracy, among equals the lowest NLL; or the lowest NLL), and its step (may be
   NULL). The caller destroys it. Errors: ARGUMENT, STATE (none yet), MEMORY. */
JEM_API jem_status jem_trainer_best_model(jem_model **model, const jem_trainer *trainer,
                                          int64_t *step);

/* Writes everything that the rest of the run depends on (weights, optimizer,
   buffer, counters, copies for a roll-back, settings) to one file with a checksum:
   docs/formats.md lists every entry. path is the old file or the new one at any
   moment, also when the process is killed; a failed save leaves the old one. With
   trainer.keep=N the N - 1 files before it stay as path.1, path.2, ... Resume reads
   one into a trainer made for the same model, data and settings; the run then
   continues bit for bit (trainer.iterations, .retries, .guard_*, .response_* and a
   few others may differ). On error resume changes nothing. Errors: ARGUMENT, IO,
   FORMAT (what differs is named), MEMORY. */
JEM_API jem_status jem_trainer_save(const jem_trainer *trainer, const char *path);
JEM_API jem_status jem_trainer_resume(jem_trainer *trainer, const char *path);

#ifdef __cplusplus
}
#endif
#endif
