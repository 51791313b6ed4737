/* Convolutions by Winograd's method: what it can do, and the step that does it. */
#ifndef JEM__MODEL_WINOGRAD_H
#define JEM__MODEL_WINOGRAD_H

#include "model/plan.h"

/* The edge of the tiles for a convolution of images in a layout, 0: not by this
   method. Follows from shapes alone. */
int64_t jem__winograd_edge(const jem__plan *plan, const jem__convolution *c,
                           const jem__layout *from);

/* c of buffer `from` (whose layout has blocks of b channels) into buffer `to` (the
   same), with an optional bias and LeakyReLU. turned: by the turned weights. */
typedef struct jem__filter {
    const jem__node *node;
    const jem__convolution *c; /* as it is computed: of a turned one, turned */
    int64_t edge, b;
    const jem__node *norm;          /* folded in; NULL: none */
    int32_t turned, from, bias, to; /* buffers; bias -1: none */
} jem__filter;
jem_status jem__winograd_step(jem__plan *plan, const jem__filter *f);

/* Gradients of c by its weights [oc][ic][3][3] and its bias [oc], from source x and
   derivatives dy, buffers in blocks of b channels, into new buffers dw and db. */
jem_status jem__winograd_weights_step(jem__plan *plan, const jem__node *node,
                                      const jem__convolution *c, int64_t edge, int64_t b, int32_t x,
                                      int32_t dy, int32_t *dw, int32_t *db);

#endif
