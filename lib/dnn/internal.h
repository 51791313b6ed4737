#ifndef JEM__DNN_INTERNAL_H
#define JEM__DNN_INTERNAL_H

#include "dnn/compat.h"
#include "dnn/dnn.h"

/* Maps a failure of oneDNN to a status; what names operator and shape. */
jem_status jem__dnn_fail(dnnl_status_t status, const char *what);

/* JEM__F32 or JEM__BF16 in oneDNN's words. */
dnnl_data_type_t jem__dnn_type(int32_t type);

#endif
