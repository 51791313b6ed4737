/* oneDNN behind a narrow face: layouts, primitives, bound calls.

   Primitives are immutable and shared by threads; a call binds one to memory
   and belongs to one thread at a time. Create primitives on a worker thread
   (lib/base/threads.h): there they become single-thread primitives. */
#ifndef JEM__DNN_DNN_H
#define JEM__DNN_DNN_H

#include "tensor/kernels.h"
#include <jem/status.h>

typedef struct jem__engine jem__engine;
typedef struct jem__stream jem__stream;
typedef struct jem__layout jem__layout; /* a memory descriptor */
typedef struct jem__primitive jem__primitive;
typedef struct jem__call jem__call;

/* Refuses a run-time oneDNN of another major version than the header's. */
jem_status jem__engine_create(jem__engine **engine);
void jem__engine_destroy(jem__engine *engine);
jem_status jem__stream_create(jem__stream **stream, jem__engine *engine);
void jem__stream_destroy(jem__stream *stream);

/* Plain row-major layouts: [n,c,h,w] of images, OIHW of weights, [n] of vectors, [g,r,c]. */
jem_status jem__layout_create(jem__layout **layout, int32_t type, int32_t dimensions,
                              const int64_t *shape);
/* Images in blocks of b channels: 1, 4, 8, 16, or all of them. */
jem_status jem__layout_images(jem__layout **layout, int32_t type, const int64_t *shape, int64_t b);
jem_status jem__layout_clone(jem__layout **copy, const jem__layout *layout);
void jem__layout_destroy(jem__layout *layout);
int32_t jem__layout_type(const jem__layout *layout); /* JEM__F32 or JEM__BF16 */
int64_t jem__layout_bytes(const jem__layout *layout);
int32_t jem__layout_equal(const jem__layout *a, const jem__layout *b);
/* Images as [n][c/b][h][w][b]: b is 1 for NCHW, c for NHWC, 8 or 16 for oneDNN's
   blocked layouts (channels padded with zeros); 0: something else. */
int64_t jem__layout_block(const jem__layout *layout);

/* Arguments of each primitive, in this order. */
enum { JEM__FORWARD_SRC, JEM__FORWARD_WEIGHTS, JEM__FORWARD_BIAS, JEM__FORWARD_DST };
enum { JEM__DATA_DIFF_DST, JEM__DATA_WEIGHTS, JEM__DATA_DIFF_SRC };
enum { JEM__PRODUCTS_A, JEM__PRODUCTS_B, JEM__PRODUCTS_C };
enum { JEM__WEIGHTS_SRC, JEM__WEIGHTS_DIFF_DST, JEM__WEIGHTS_DIFF_WEIGHTS, JEM__WEIGHTS_DIFF_BIAS };

typedef struct jem__convolution {
    int64_t n, ic, ih, iw; /* source */
    int64_t oc, oh, ow;    /* destination */
    int64_t kernel, stride, pad;
    int32_t type;       /* of images and weights: JEM__F32 or JEM__BF16 */
    int32_t wide;       /* what it leaves is float32 whatever the type */
    int32_t activation; /* of the result, forward */
    float slope;        /* of LeakyReLU */
    int64_t block;      /* of the images' layouts, backward; 0: what oneDNN likes best */
} jem__convolution;

enum { JEM__NO_ACTIVATION, JEM__LEAKY_RELU, JEM__SILU };

/* The convolution that takes the gradient by the result of one of stride 1 to that by its
   source: channels and sizes exchanged. */
jem__convolution jem__convolution_turned(const jem__convolution *c);

/* 1 if convolutions of a type exist here; and if they are no slower than float32. */
int32_t jem__dnn_has(jem__engine *engine, int32_t type);
int32_t jem__dnn_fast(int32_t type);
/* 1 if bf16 products run at many times the rate of float32 ones. */
int32_t jem__dnn_amx(void);

/* Convolutions choose every layout themselves: ask _layout and bring the data. */
jem_status jem__primitive_forward(jem__primitive **p, jem__engine *e, const jem__convolution *c);
jem_status jem__primitive_data(jem__primitive **p, jem__engine *e, const jem__convolution *c);
/* The same arguments and result as _data, for stride 1, from weights with channels
   exchanged and kernels turned by half a circle. */
jem_status jem__primitive_turned(jem__primitive **p, jem__engine *e, const jem__convolution *c);
jem_status jem__primitive_weights(jem__primitive **p, jem__engine *e, const jem__convolution *c);
/* C[i] = A[i] B[i] for `count` float32 matrices: A rows x inner, C rows x columns, each row
   by row and a_step, c_step floats after the one before; B in a layout of its own. */
jem_status jem__primitive_products(jem__primitive **p, jem__engine *e, int64_t count, int64_t rows,
                                   int64_t inner, int64_t columns, int64_t a_step, int64_t c_step);
/* C[i] = A[i]^T B[i], or C[i] += with `adds`: A inner x rows, B inner x columns, their rows as
   above; C row by row without gaps. */
jem_status jem__primitive_transposed_products(jem__primitive **p, jem__engine *e, int64_t count,
                                              int64_t rows, int64_t inner, int64_t columns,
                                              int64_t a_step, int64_t b_step, int32_t adds);
void jem__primitive_destroy(jem__primitive *p);
int32_t jem__primitive_arguments(const jem__primitive *p);
const jem__layout *jem__primitive_layout(const jem__primitive *p, int32_t argument);
int64_t jem__primitive_scratch(const jem__primitive *p); /* bytes; may be 0 */

/* Binds memory: one pointer per argument, then the scratch if there is any.
   A pointer may be NULL until _set. */
jem_status jem__call_create(jem__call **call, const jem__primitive *p, jem__engine *engine,
                            void *const *memory);
jem_status jem__call_set(jem__call *call, int32_t argument, void *memory);
jem_status jem__call_run(const jem__call *call, jem__stream *stream);
void jem__call_destroy(jem__call *call);
int64_t jem__call_bytes(void); /* of one, oneDNN's own aside */

#endif
