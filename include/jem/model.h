/* jem/model.h: a classifier that is an energy model.

   E(x) = -logsumexp_y f(x)[y],  E(x,y) = -f(x)[y],  log p(x) = -E(x) - log Z
   (Grathwohl et al. 2019, arXiv 1912.03263, equations 5 and 6). With the setting
   model.energy=head E(x) is minus the output of a second linear layer on the same
   features, `energy_output`; E(x,y) stays -f(x)[y].

   Images are contiguous float32 NCHW in [-1,1]; see jem_model_prepare.
   Scoring, information, saving, cloning and prepare read: they may come from many
   threads at once on one model; memory stays bounded because they share a pool of passes.
   Calls that change the model need it alone: parameter_set, parameter_map and unmap,
   gradient_map and gradient_zero, metadata_set, set_precision, calibrate, starts_fit and
   starts_remove, forwards of a JEM_PASS_TRAIN, backwards to the parameters, optimizer and
   trainer steps. */
#ifndef JEM_MODEL_H
#define JEM_MODEL_H

#include <jem/context.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A network with its parameters; threads as said above. */
typedef struct jem_model jem_model;

/* Makes a model with PyTorch's default initial weights,
   U(-1/sqrt(fan_in), 1/sqrt(fan_in)), drawn from model.seed. Keys: model.*.
   Errors: ARGUMENT, CONFIG, SHAPE (an instance norm of a single value), MEMORY. */
JEM_API jem_status jem_model_create(jem_model **model, jem_context *context,
                                    const jem_config *config);

/* Loads a safetensors file (or size bytes of one). Architecture and
   class names come from its string metadata; a missing entry has the default
   of the key model.<entry>, except that widths and classes are read off the
   tensors. F32, F16 and BF16 tensors are accepted; tensors that the network
   does not use are kept and saved again. Errors: ARGUMENT, IO, FORMAT (a
   missing or misshapen tensor is named with what was expected), MEMORY, BACKEND
   (oneDNN at run time is of another major version than at build time). */
JEM_API jem_status jem_model_load(jem_model **model, jem_context *context, const char *path);
JEM_API jem_status jem_model_load_memory(jem_model **model, jem_context *context, const void *bytes,
                                         int64_t size);

/* Writes the model as safetensors, float32, atomically: the old file stays
   whole until the new one is complete. Errors: ARGUMENT, IO, MEMORY. */
JEM_API jem_status jem_model_save(const jem_model *model, const char *path);
/* The same into memory. With bytes NULL only *size is set. Errors: ARGUMENT,
   SHAPE (capacity too small: *size says what is needed), MEMORY. */
JEM_API jem_status jem_model_save_memory(const jem_model *model, void *bytes, int64_t capacity,
                                         int64_t *size);

/* An independent copy: weights, statistics, metadata, settings. A reading call. Errors:
   ARGUMENT, MEMORY. */
JEM_API jem_status jem_model_clone(jem_model **copy, const jem_model *model);

/* Lets go of it; NULL is fine; passes, samplers and trainers that use the
   model keep it alive. Any thread. */
JEM_API void jem_model_destroy(jem_model *model);

/* Input shape (channels, height, width), number of classes, width of the
   penultimate layer. Any output may be NULL. Errors: ARGUMENT. */
JEM_API jem_status jem_model_info(const jem_model *model, int64_t *channels, int64_t *height,
                                  int64_t *width, int64_t *classes, int64_t *features);
/* The element type of activations and of the weights that kernels read: "f32",
   "bf16", or "auto" (bf16 where it is faster than f32). Weights,
   sums, energies, gradients of parameters and Langevin states stay float32. bf16 where
   oneDNN has none falls back to f32: _precision tells which one runs (a static
   string). A call that writes; the next call of each pass follows.
   Errors: ARGUMENT, CONFIG, MEMORY. */
JEM_API jem_status jem_model_set_precision(jem_model *model, const char *precision);
JEM_API jem_status jem_model_precision(const jem_model *model, const char **precision);
/* The name of class k, with the contract of jem_last_error; its number in digits where
   the file names none. Set with the metadata entry "class_names", comma-separated.
   Errors: ARGUMENT (k is no class). */
JEM_API int64_t jem_model_class_name(const jem_model *model, int64_t k, char *buffer,
                                     int64_t capacity);

/* String metadata, saved in the file. _get has the contract of jem_last_error; _set
   writes. Errors: ARGUMENT (_get: no such entry; _set: no UTF-8, a key of more than 251
   bytes, or more than 16382 entries), STATE (_set: the entry describes the
   architecture or the file, and can only be read), MEMORY. */
JEM_API int64_t jem_model_metadata_get(const jem_model *model, const char *key, char *buffer,
                                       int64_t capacity);
JEM_API jem_status jem_model_metadata_set(jem_model *model, const char *key, const char *value);
/* The number of entries, and the key of entry 0 <= index < count, with the contract of
   jem_last_error. Errors: ARGUMENT. */
JEM_API int64_t jem_model_metadata_count(const jem_model *model);
JEM_API int64_t jem_model_metadata_key(const jem_model *model, int64_t index, char *buffer,
                                       int64_t capacity);

/* ---- Scoring: evaluation mode, any n >= 0 -------------------------------

   x [n,C,H,W] in [-1,1]; y [n] class numbers or NULL. x may leave its range by a
   margin, as Langevin chains do; data that looks like 0..255 is refused unless
   the model was made with model.check_input=0 (a loaded model always refuses). Errors: ARGUMENT
   (NULL; a label outside 0..classes-1; a non-finite or far out-of-range input, named by image and
   index), SHAPE (capacity), MEMORY, BACKEND. */

/* logits [n,classes] */
JEM_API jem_status jem_model_logits(jem_model *model, const float *x, int64_t n, float *logits,
                                    int64_t capacity);
/* features [n,features]: what the classifier reads; of a Wide-ResNet the average-pooled
   penultimate activations. */
JEM_API jem_status jem_model_features(jem_model *model, const float *x, int64_t n, float *features,
                                      int64_t capacity);
/* energy [n]: E(x) when y is NULL, else E(x,y). log p(x) up to a constant is -E(x). */
JEM_API jem_status jem_model_energy(jem_model *model, const float *x, const int32_t *y, int64_t n,
                                    float *energy);
/* gradient [n,C,H,W]: dE/dx per image; energy [n] or NULL. */
JEM_API jem_status jem_model_energy_gradient(jem_model *model, const float *x, const int32_t *y,
                                             int64_t n, float *energy, float *gradient);

/* What an application asks of n images, in one call: the class y [n], its
   probability [n] (at the temperature that jem_model_calibrate found), log p(x)
   [n] up to a constant (-E(x)), and accepted [n]: 1, or 0 for an image whose
   score is below the threshold that jem_model_calibrate set (unlike what the
   model knows: its class means nothing). A model that was not calibrated has
   temperature 1 and accepted -1. What an image gets does not depend on those beside it, but
   for rounding. Outputs may be NULL. Errors: those above; DIVERGED (a refine_* score's chain);
   FORMAT (the metadata entry "calibration" is not what was written: also a chain of more
   than 1000 steps). */
JEM_API jem_status jem_model_predict(jem_model *model, const float *x, int64_t n, int32_t *y,
                                     float *probability, float *log_px, int32_t *accepted);

/* ---- Application pixels -> model input ---------------------------------- */

/* How an application's pixels lie in memory. */
typedef int32_t jem_pixel_format;
enum {
    JEM_PIXEL_GREY8 = 1, /* 1 byte a pixel */
    JEM_PIXEL_RGB8 = 2,  /* 3 bytes: R G B */
    JEM_PIXEL_BGR8 = 3,  /* 3 bytes: B G R */
    JEM_PIXEL_RGBA8 = 4  /* 4 bytes, alpha over black */
};

/* Converts one image to x [C,H,W], scaled to [-1,1] (v/127.5 - 1). width and
   height in pixels, stride in bytes from row to row (0: tightly packed). Grey
   is repeated over channels; colour becomes luma (ITU-R BT.601) for a
   one-channel model. An image of another size is refused (SHAPE) unless resize
   is non-zero: then it is scaled with area averaging / bilinear interpolation. A reading
   call. Errors: ARGUMENT, SHAPE (also capacity), UNSUPPORTED (a model of neither one nor
   three channels), MEMORY. */
JEM_API jem_status jem_model_prepare(const jem_model *model, const uint8_t *pixels, int64_t width,
                                     int64_t height, int64_t stride, jem_pixel_format format,
                                     int32_t resize, float *x, int64_t capacity);

/* ---- Parameters ----------------------------------------------------------

   Enumerated in network order under the original state_dict names
   ("f.conv1.weight"), shapes OIHW. _count, _info, _find and _get read; _set, _map,
   _unmap and gradients need the model alone. Errors: ARGUMENT (also an index outside),
   and those named. */

/* Whether training by gradients moves it. */
typedef int32_t jem_parameter_kind;
enum {
    JEM_PARAMETER_TRAINABLE = 1,
    /* Running mean and variance, act norm's `initialized`: no gradient. */
    JEM_PARAMETER_STATISTIC = 2
};

/* The number of parameters, statistics included. */
JEM_API int64_t jem_model_parameter_count(const jem_model *model);
/* name is valid as long as the model; shape has room for 4 dimensions.
   Outputs may be NULL. */
JEM_API jem_status jem_model_parameter_info(const jem_model *model, int64_t index,
                                            const char **name, int64_t *dimensions, int64_t *shape,
                                            int64_t *elements, jem_parameter_kind *kind);
/* The index of a name. Errors: ARGUMENT (no such parameter). */
JEM_API int64_t jem_model_parameter_find(const jem_model *model, const char *name);
/* Copy float32 values out and in; elements must be the parameter's own (SHAPE). */
JEM_API jem_status jem_model_parameter_get(const jem_model *model, int64_t index, float *values,
                                           int64_t elements);
JEM_API jem_status jem_model_parameter_set(jem_model *model, int64_t index, const float *values,
                                           int64_t elements);
/* A pointer to the float32 master, for reading and writing, until unmap,
   which refreshes everything derived from it. */
JEM_API jem_status jem_model_parameter_map(jem_model *model, int64_t index, float **values);
JEM_API jem_status jem_model_parameter_unmap(jem_model *model, int64_t index);

/* Gradients that jem_pass_backward accumulates, zero before the first: copied; as a
   pointer, valid as long as the model, for reading and writing; and set to zero, all of
   them. Errors: STATE (a statistic), SHAPE (elements), MEMORY. */
JEM_API jem_status jem_model_gradient_get(const jem_model *model, int64_t index, float *values,
                                          int64_t elements);
JEM_API jem_status jem_model_gradient_map(jem_model *model, int64_t index, float **values);
JEM_API jem_status jem_model_gradient_zero(jem_model *model);

#ifdef __cplusplus
}
#endif
#endif
