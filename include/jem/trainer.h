/* jem/trainer.h: trains a joint energy model.

   One step (Grathwohl et al. 2019, algorithm 1): a batch x_p for p(x), samples
   x_q from the replay buffer, a labelled batch (x, y); the loss is

     px * (mean E(x_p) - mean E(x_q) + penalty * mean(E(x_p)^2 + E(x_q)^2))
     + pyx * cross-entropy(x, y)

   Passes go through the network in the order x_p, x_q, labelled. The trainer
   uses nothing that an own loop could not. */
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

/* Called after every complete step on the thread inside jem_trainer_run.
   Non-zero stops the run (JEM_CANCELLED). May call everything but _run, _step,
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
   p(y|x), through two loaders. Errors: ARGUMENT, CONFIG, SHAPE (images or
   labels that do not fit the model), MEMORY, BACKEND. */
JEM_API jem_status jem_trainer_create(jem_trainer **trainer, jem_model *model, jem_dataset *data,
                                      const jem_config *config);
JEM_API void jem_trainer_destroy(jem_trainer *trainer);

/* Divergence. With trainer.retries > 0 the trainer keeps copies of its whole state,
   trainer.snapshot_every steps apart (they take twice the memory of weights,
   optimizer and buffer). A state counts as good once as many more steps went well. A
   step that diverges then leads back to the last good state, and the run goes on
   with another noise seed and, for each roll-back so far, a rate times
   trainer.response_rate, trainer.response_penalty more energy penalty and
   trainer.response_steps more Langevin steps. A healthy run is not changed by any of
   this, bit for bit, and a resumed run rolls back as the unbroken one does.

   What diverges: numbers that are not finite, a gap beyond trainer.gap_limit, and what
   trainer.guard_energy, _gradient, _clamped and _distance forbid in
   trainer.guard_patience steps in a row. */

/* One training step. JEM_ROLLED_BACK: it diverged, and the trainer is that of an
   earlier step; go on. JEM_END once trainer.iterations are done. JEM_ERROR_DIVERGED
   if energies, losses, gradients or chains are not finite, or the energy gap
   exceeds trainer.gap_limit: the text names what, where and how large; weights,
   optimizer and buffer are those of the step before, and no roll-back is left
   (trainer.retries of them, 0 by default). JEM_CANCELLED likewise. */
JEM_API jem_status jem_trainer_step(jem_trainer *trainer);
/* Steps until JEM_END (returned as JEM_OK), an error or a cancel. callbacks may be NULL. */
JEM_API jem_status jem_trainer_run(jem_trainer *trainer, const jem_trainer_callbacks *callbacks);
/* Stops run or step soon. An atomic store: any thread, and signal handlers. */
JEM_API void jem_trainer_cancel(jem_trainer *trainer);

/* Complete steps so far, and the number to do. */
JEM_API jem_status jem_trainer_progress(const jem_trainer *trainer, int64_t *step,
                                        int64_t *iterations);

/* Roll-backs so far, over the whole run, and the last one: the step that failed, the
   step returned to, and why (contract of jem_last_error; empty after a resume).
   Outputs may be NULL. Errors: ARGUMENT. */
JEM_API jem_status jem_trainer_rollbacks(const jem_trainer *trainer, int64_t *count, int64_t *from,
                                         int64_t *to, char *reason, int64_t capacity);

/* Metrics of the last step, by index; names are static: step, images_per_second,
   loss, loss_px, loss_pyx, accuracy, energy_data, energy_sample, gap,
   gradient_norm, distance, clamped, buffer_age, rate, seconds_load,
   seconds_sample, seconds_pass, seconds_update, rollbacks. NaN where one does not apply. */
JEM_API int64_t jem_trainer_metric_count(void);
JEM_API const char *jem_trainer_metric_name(int64_t index);
JEM_API jem_status jem_trainer_metrics(const jem_trainer *trainer, double *values,
                                       int64_t capacity);

/* The trainer's parts, borrowed: valid as long as the trainer. */
JEM_API jem_sampler *jem_trainer_sampler(jem_trainer *trainer);
JEM_API jem_model *jem_trainer_model(jem_trainer *trainer);

/* Writes everything that the rest of the run depends on (weights, optimizer,
   buffer, counters, settings) to one file, atomically, with a checksum. Resume
   reads it into a trainer made for the same model, data and settings; the run
   then continues bit for bit. On error resume changes nothing. Errors:
   ARGUMENT, IO, FORMAT (what differs is named), MEMORY. */
JEM_API jem_status jem_trainer_save(const jem_trainer *trainer, const char *path);
JEM_API jem_status jem_trainer_resume(jem_trainer *trainer, const char *path);

#ifdef __cplusplus
}
#endif
#endif
