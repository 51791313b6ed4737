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
    int32_t turned, from, bias, to; /* buffers; bias -1: none */
} jem__filter;
jem_status jem__winograd_step(jem__plan *plan, const jem__filter *f);

#endif
