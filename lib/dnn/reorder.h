/* Copies between layouts, and between float32 and bf16. Our own: oneDNN 3.7.2 (Debian 13), on CPUs
   whose first cache leads it to another order of loops, writes zeros over weights whose
   channels do not fill their block. */
#ifndef JEM__DNN_REORDER_H
#define JEM__DNN_REORDER_H

#include "dnn/dnn.h"

typedef struct jem__reorder jem__reorder;

/* For two layouts of one shape. */
jem_status jem__reorder_create(jem__reorder **reorder, const jem__layout *from,
                               const jem__layout *to);
/* Padding of the destination becomes zero. On any thread, many at once. */
void jem__reorder_run(const jem__reorder *reorder, const void *from, void *to);
void jem__reorder_destroy(jem__reorder *reorder);

#endif
