/* A plan: a graph compiled for a number of images and a set of derivatives.

   Compiling emits steps (oneDNN primitives, own kernels) on numbered buffers and
   then lays the buffers out in one arena, so that buffers whose lives do not
   overlap share memory. A slot is one worker's or one slice's run-time state of
   a plan: an arena and the primitives bound to it. Plans are immutable and
   shared; slots belong to one thread at a time.

   A step with `combine` couples the slices of a batch: every slice stops there,
   one thread combines what they left, then all go on (batch statistics). */
#ifndef JEM__MODEL_PLAN_H
#define JEM__MODEL_PLAN_H

#include "dnn/dnn.h"
#include "dnn/reorder.h"
#include "energy/energy.h"
#include "model/graph.h"
#include "tensor/kernels.h"
#include "tensor/winograd.h"

typedef struct jem__plan jem__plan;
typedef struct jem__slot jem__slot;
typedef struct jem__step jem__step;

/* What a plan computes. */
enum {
    JEM__WANT_INPUT = 1,      /* dx */
    JEM__WANT_PARAMETERS = 2, /* parameter gradients */
    JEM__TRAINING = 4,        /* batch statistics, dropout */
    JEM__UNFUSED = 8,         /* one step for each operator: to compare with */
    JEM__INITIALISE = 16,     /* layers that take initial values from data do so: coupled */
    JEM__OUTPUTS_ONLY = 32,   /* parameter gradients of the classifier and the energy head alone */
};

enum { JEM__STEP_BUFFERS = 8 };

struct jem__step {
    const jem__node *node;
    /* Own kernel on one slice (which may run the primitive), or a primitive, or a
       combination of all slices. */
    void (*kernel)(const jem__step *step, jem__slot *slot);
    const jem__primitive *primitive;
    void (*combine)(const jem__step *step, jem__slot *const *slots, int64_t count);
    int32_t buffer[JEM__STEP_BUFFERS]; /* in the order of the kernel or primitive; -1: none */
    int64_t block;                     /* channel block of the images it works on, or elements */
    const jem__activations *kernels;   /* for the type of those */
    const jem__tiling *tiling;         /* of a convolution by Winograd's method */
    const jem__reorder *reorder;       /* from the first buffer's layout to the second's */
};

typedef struct jem__buffer {
    enum { JEM__IN_ARENA, JEM__IN_X, JEM__IN_DX, JEM__IN_MEMORY } where;
    int64_t bytes, offset;
    int32_t first, last; /* steps that touch it */
    void *memory;        /* of parameters and packed weights */
    int32_t shared;      /* a gradient that several values have */
} jem__buffer;

typedef struct jem__gradient_out {
    int32_t parameter, buffer;
} jem__gradient_out;

struct jem__plan {
    jem_model *model;
    const jem__graph *graph;
    int64_t n; /* images */
    int32_t wants;
    int32_t type; /* of activations; the input, features, logits and dx are float32 */
    const jem__activations *kernels;

    jem__step *steps;
    int32_t step_count, step_room, forward_count; /* steps before the backward pass */
    int32_t parameter_count; /* steps after which all parameter gradients are there */
    jem__buffer *buffers;
    int32_t buffer_count, buffer_room;
    jem__primitive **primitives;
    int32_t primitive_count, primitive_room;
    jem__gradient_out *gradients;
    int32_t gradient_count, gradient_room;
    jem__layout **layouts; /* owned ones */
    int32_t layout_count, layout_room;
    jem__tiling **tilings;
    int32_t tiling_count, tiling_room;
    jem__reorder **reorders;
    int32_t reorder_count, reorder_room;
    int64_t arena;

    /* Per value: where it is, its layout, and its gradient (-1: none yet). */
    struct jem__value {
        int32_t buffer, gradient;
        int32_t extra; /* what its operator keeps for backward: a mask, statistics */
        int32_t rest;  /* what rounding took from it, in its layout; -1: not kept */
        const jem__layout *layout;
    } * values;
    int32_t logits, features, dlogits; /* buffers */
    int32_t head, dhead;               /* of the energy head; -1: none */
};

/* What a slot's run needs to know beside its memory. */
struct jem__slot {
    const jem__plan *plan;
    uint8_t *arena;
    jem__call **calls; /* one per step; NULL for kernels */
    jem__stream *stream;
    float *x, *dx;            /* the caller's images; where their gradient goes */
    float *own_dx;            /* room for it when the caller has none */
    int64_t n, first;         /* images of the slice, and the first one's number */
    int32_t at;               /* next step */
    int32_t moves_statistics; /* running statistics follow this forward */
    jem_status status;        /* of a kernel that can fail */
    int64_t dropout_stream, dropout_number;
};

/* ---- Compiling (on a worker thread) ---- */

jem_status jem__plan_create(jem__plan **plan, jem_model *model, const jem__graph *graph, int64_t n,
                            int32_t wants);
void jem__plan_destroy(jem__plan *plan);

/* For operators. Buffers are numbers; a failed call returns its status. */
jem_status jem__plan_buffer(jem__plan *plan, int64_t bytes, int32_t *buffer);
/* A buffer for images of value's shape in this layout, as the value itself. */
jem_status jem__plan_define(jem__plan *plan, int32_t value, const jem__layout *layout);
/* A plain row-major layout, the plan's own: of any shape, of a batch of images. */
jem_status jem__plan_layout(jem__plan *plan, int32_t type, int32_t dimensions, const int64_t *shape,
                            const jem__layout **layout);
jem_status jem__plan_plain(jem__plan *plan, int32_t type, jem__image shape,
                           const jem__layout **layout);
/* Images in blocks of b channels (see jem__layout_images). */
jem_status jem__plan_images(jem__plan *plan, int32_t type, jem__image shape, int64_t b,
                            const jem__layout **layout);
/* Elements of activations in a layout, padding included. */
int64_t jem__plan_elements(const jem__plan *plan, const jem__layout *layout);
/* buffer in layout `to`, reordered from `from` if they differ. */
jem_status jem__plan_as(jem__plan *plan, int32_t buffer, const jem__layout *from,
                        const jem__layout *to, int32_t *out);
/* value's data in the plan's element type, and in a layout whose block is known;
   both may change the value. */
jem_status jem__plan_typed(jem__plan *plan, int32_t value);
jem_status jem__plan_blocked(jem__plan *plan, int32_t value, int64_t *block);
/* The master of a parameter of node, or its packed copy (jem__model_pack). */
jem_status jem__plan_parameter(jem__plan *plan, int32_t parameter, int32_t *buffer);
jem_status jem__plan_packed(jem__plan *plan, int32_t parameter, int32_t form, const jem__node *norm,
                            const jem__layout *layout, int32_t *buffer);
/* Takes ownership of primitive, also on failure; then it can be called. */
jem_status jem__plan_keep(jem__plan *plan, jem__primitive *primitive);
jem_status jem__plan_call(jem__plan *plan, const jem__node *node, const jem__primitive *primitive,
                          const int32_t *buffers);
jem_status jem__plan_kernel(jem__plan *plan, const jem__node *node,
                            void (*kernel)(const jem__step *, jem__slot *), int64_t block,
                            const int32_t *buffers, int32_t count);
jem_status jem__plan_combine(jem__plan *plan, const jem__node *node,
                             void (*combine)(const jem__step *, jem__slot *const *, int64_t),
                             const int32_t *buffers, int32_t count);
/* A step whose kernel runs the primitive on its first buffers. */
jem_status jem__plan_tiled(jem__plan *plan, const jem__node *node,
                           void (*kernel)(const jem__step *, jem__slot *),
                           const jem__primitive *primitive, const jem__tiling *tiling,
                           const int32_t *buffers, int32_t count);
/* buffer holds a gradient of value (in value's layout): becomes or joins it. */
jem_status jem__plan_gradient(jem__plan *plan, int32_t value, int32_t buffer);
/* buffer (kept to the end) holds the plain gradient of a parameter. */
jem_status jem__plan_gradient_out(jem__plan *plan, int32_t parameter, int32_t buffer);
/* The value of an activation node: its buffer, and `extra` for the derivative that
   SiLU keeps (-1: none). */
jem_status jem__activation_define(jem__plan *plan, int32_t node, const jem__layout *layout);
/* y of x; d: room for that derivative, or NULL. */
void jem__activation_run(const jem__activations *k, const jem__node *node, const void *x, void *y,
                         void *d, int64_t n);
int32_t jem__plan_wants_gradient(const jem__plan *plan, int32_t value);

/* ---- Running ---- */

jem_status jem__slot_create(jem__slot **slot, const jem__plan *plan);
void jem__slot_destroy(jem__slot *slot);
void *jem__slot_data(const jem__slot *slot, int32_t buffer); /* NULL of -1 */
/* What the forward steps leave, and what the backward steps start from. */
jem__outputs jem__slot_outputs(const jem__slot *slot);
jem__derivatives jem__slot_derivatives(const jem__slot *slot);
/* Runs steps from slot->at up to `end` or the next combine step, whichever is first. */
jem_status jem__slot_run(jem__slot *slot, int32_t end);

#endif
