/* What compiling and running need of a model. */
#ifndef JEM__MODEL_PARAMETERS_H
#define JEM__MODEL_PARAMETERS_H

#include "dnn/dnn.h"
#include "model/graph.h"

jem__engine *jem__model_engine(const jem_model *model);
float *jem__model_master(const jem_model *model, int32_t parameter);
/* A copy of a parameter in a layout, shared by all plans that want the same;
   jem__model_refresh fills it. turned: of a convolution's weights, with input and
   output channels exchanged and the kernel turned by half a circle, as the input
   gradient wants them. On a worker thread. */
jem_status jem__model_pack(jem_model *model, int32_t parameter, int32_t turned,
                           const jem__layout *layout, void **packed);
/* Brings all packed copies up to date. Before a run, on the calling thread. */
jem_status jem__model_refresh(jem_model *model);
/* JEM__F32 or JEM__BF16: what plans compute in. */
int32_t jem__model_type(const jem_model *model);
uint64_t jem__model_seed(const jem_model *model);
/* Counts every change of the weights. */
int64_t jem__model_version(const jem_model *model);

#endif
