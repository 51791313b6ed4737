/* What compiling and running need of a model. */
#ifndef JEM__MODEL_PARAMETERS_H
#define JEM__MODEL_PARAMETERS_H

#include "dnn/dnn.h"
#include "model/graph.h"

jem__engine *jem__model_engine(const jem_model *model);
/* The index of a name, or -1. */
int64_t jem__parameter_find(const jem_model *model, const char *name);
float *jem__model_master(const jem_model *model, int32_t parameter);
/* Of a convolution's weights: as they are; or with input and output channels exchanged
   and the kernel turned by half a circle, as the input gradient wants them. Either may
   be combined with the edge of Winograd's tiles (2 or 4), whose transform it then is. */
enum { JEM__PACK_PLAIN = 0, JEM__PACK_TURNED = 1 };
/* A copy of a parameter in a form and a layout, shared by all plans that want the same;
   jem__model_refresh fills it. norm: the batch norm to fold into a convolution's weights or
   bias; NULL: none. On a worker thread. */
jem_status jem__model_pack(jem_model *model, int32_t parameter, int32_t form, const jem__node *norm,
                           const jem__layout *layout, void **packed);
/* Brings all packed copies up to date. Before a run, on the calling thread. */
jem_status jem__model_refresh(jem_model *model);
/* JEM__F32 or JEM__BF16: what plans compute in. */
int32_t jem__model_type(const jem_model *model);
/* How float32 convolutions are computed: see model.convolution. */
typedef enum jem__method { JEM__EXACT, JEM__FAST, JEM__DIRECT } jem__method;
jem__method jem__model_method(const jem_model *model);
uint64_t jem__model_seed(const jem_model *model);
/* Counts every change of the weights. */
int64_t jem__model_version(const jem_model *model);

#endif
