/* jem/network.h: other networks than the Wide-ResNet, put together from operators.

     jem_network_create(&network, 3, 32, 32);
     x = jem_network_convolution(network, 0, "conv1", 32, 3, 1, 1);
     x = jem_network_norm(network, x, "norm1", "batch");
     x = jem_network_activation(network, x, "relu");
     x = jem_network_mean(network, x);
     jem_model_create_network(&model, context, network, config);

   Value 0 is the image; each call makes the next value, 1, 2, ..., and returns it.
   The last value made are the features; the model adds the classifier
   (class_output, to model.classes logits) and, with model.energy=head, the energy
   head. Every other value must be read by something. A model made so trains,
   samples, saves, loads, clones and resumes as any other: its file holds the
   network as text (jem_network_text), which is the setting model.network of
   model.architecture=network.

   A builder that fails returns a negative jem_status, and so do all after it, so that
   only the end needs a check: jem_model_create_network and jem_network_status tell the
   first error: ARGUMENT, CONFIG (as in a config's text), SHAPE, MEMORY. A network belongs to one
   thread at a time. Convolutions and linear layers have biases; initial weights are PyTorch's
   default. name (letters, digits, '_' and inner '.', at most 63, each once) begins the names of a
   layer's parameters: name.weight, name.bias, ... */
#ifndef JEM_NETWORK_H
#define JEM_NETWORK_H

#include <jem/model.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A graph of operators under construction. */
typedef struct jem_network jem_network;

/* An empty network on images [channels,height,width]. Errors: ARGUMENT, MEMORY. */
JEM_API jem_status jem_network_create(jem_network **network, int64_t channels, int64_t height,
                                      int64_t width);
/* Frees it; NULL is fine. Models made from it stay. */
JEM_API void jem_network_destroy(jem_network *network);

/* kernel x kernel weights (1..64), a stride 1..64, pad 0..kernel-1 zeros around:
   [C,H,W] -> [channels, (H + 2 pad - kernel) / stride + 1, likewise]. */
JEM_API int32_t jem_network_convolution(jem_network *network, int32_t in, const char *name,
                                        int64_t channels, int64_t kernel, int64_t stride,
                                        int64_t pad);
/* "batch" (momentum: model.norm_momentum), "instance", "layer" (all of an image) or "act", as of
   model.norm, or "group:N", N groups of channels each by itself. The shape stays. */
JEM_API int32_t jem_network_norm(jem_network *network, int32_t in, const char *name,
                                 const char *norm);
/* "relu", "leaky_relu" (slope 0.2) or "silu". */
JEM_API int32_t jem_network_activation(jem_network *network, int32_t in, const char *activation);
/* In training each element is zero with this probability, 0..0.95, else scaled up. */
JEM_API int32_t jem_network_dropout(jem_network *network, int32_t in, double probability);
/* "max" or "average" of each window x window pixels (1..16), stride 1..64 apart, pad
   0..window/2: no window's maximum, and zeros to the average, as in PyTorch. */
JEM_API int32_t jem_network_pool(jem_network *network, int32_t in, const char *pool, int64_t window,
                                 int64_t stride, int64_t pad);
/* The average of all pixels: [C,H,W] -> [C,1,1]. */
JEM_API int32_t jem_network_mean(jem_network *network, int32_t in);
/* All of [C,H,W], in this order, to [outputs,1,1]. */
JEM_API int32_t jem_network_linear(jem_network *network, int32_t in, const char *name,
                                   int64_t outputs);
/* a + b, of equal shapes: a shortcut. */
JEM_API int32_t jem_network_add(jem_network *network, int32_t a, int32_t b);

/* The first error of the calls above, again with its text, or OK. */
JEM_API jem_status jem_network_status(const jem_network *network);
/* Shape of a value; outputs may be NULL. Errors: ARGUMENT. */
JEM_API jem_status jem_network_shape(const jem_network *network, int32_t value, int64_t *channels,
                                     int64_t *height, int64_t *width);
/* The network as text, with the contract of jem_last_error: statements in the order
   of the calls, separated by ';', value numbers in place of variables:

     convolution IN NAME CHANNELS KERNEL STRIDE PAD
     norm IN NAME batch|instance|layer|act|group:N
     relu IN    leaky_relu IN    silu IN
     dropout IN PROBABILITY
     max_pool IN WINDOW STRIDE PAD    average_pool IN WINDOW STRIDE PAD
     mean IN
     linear IN NAME OUTPUTS
     add IN IN

   At most 1024 operators and 2^30 weights. Of one image a value has at most 2^22 elements, or
   128 times the image's own if that is more, up to 2^26; all values together 2^26, or 1024 times,
   up to 2^30. So much, times the images of a slice (model.slice), may a worker hold. */
JEM_API int64_t jem_network_text(const jem_network *network, char *buffer, int64_t capacity);

/* A model of the network with initial weights; config (NULL: defaults) says the rest:
   model.classes, .seed, .energy, .precision, ... Errors: ARGUMENT, CONFIG (also the
   network's own), SHAPE, MEMORY. */
JEM_API jem_status jem_model_create_network(jem_model **model, jem_context *context,
                                            const jem_network *network, const jem_config *config);

#ifdef __cplusplus
}
#endif
#endif
