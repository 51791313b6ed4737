/* A pass's own state: shared by the files that run one. */
#ifndef JEM__MODEL_PASS_H
#define JEM__MODEL_PASS_H

#include "model/internal.h"

struct jem_pass {
    jem_model *model;
    jem_pass_mode mode;
    int32_t wants, coupled;
    int64_t max_batch, image, classes;
    jem__slot **slots;
    int64_t slot_count;
    /* The batch at hand. */
    int64_t slice, slices, tail; /* images per slice; slices; images of the last one */
    int32_t per_slice;
    int64_t version; /* of the weights at forward; -1: no forward to go back from */
    int64_t dropout_stream, dropout_number;
    int32_t hold;  /* running statistics stay */
    uint8_t *room; /* learning's work space, kept for the next time */
    int64_t room_bytes;
    struct jem_pass *next; /* among the idle ones of a model */
};

/* Where a run of a slot's steps may end. */
typedef enum jem__phase { JEM__FORWARD, JEM__PARAMETERS, JEM__WHOLE } jem__phase;

/* Without a reference to the model. wants: of its plans. */
jem_status jem__pass_new(jem_pass **pass, jem_model *model, int32_t wants, int64_t max_batch);
/* Layers of a training pass that still wait for their first batch take it; on a failure the
   model is as it was. (initialise.c) */
jem_status jem__pass_initialise(const jem_pass *pass, const float *x, int64_t n);
/* The pass in which they will do so, to be freed; NULL if none waits. */
jem_status jem__pass_initialiser(jem_pass **own, const jem_pass *pass, int64_t n);
/* Elements of all that a forward in training may move. */
int64_t jem__model_moved_elements(const jem_model *model);
/* Bytes of learning's work space for so many slices. */
int64_t jem__pass_learn_room(const jem_pass *pass, int64_t slices);
/* Images of a slice of a batch of n. */
int64_t jem__pass_slice(const jem_pass *pass, int64_t n);
/* Cuts n images into slices and sees that every slot is there: one for each slice
   if activations are kept from forward to backward, or slices are coupled. */
jem_status jem__pass_arrange(jem_pass *pass, int64_t n, int32_t keep);
jem__slot *jem__pass_slot(const jem_pass *pass, int64_t slice, int64_t worker);
/* Points a slot at its slice of the caller's images. */
void jem__pass_aim(const jem_pass *pass, jem__slot *slot, int64_t slice, const float *x, float *dx);
int32_t jem__pass_end(const jem__slot *slot, jem__phase phase);
/* Runs all slices to the end of a phase, meeting at each coupling step. */
jem_status jem__pass_phase(jem_pass *pass, jem__phase phase);
/* Adds the parameter gradients of all slices to the model's, in slice order. */
jem_status jem__pass_reduce(jem_pass *pass);

#endif
