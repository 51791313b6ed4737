/* How much more memory a pass will hold once it has run. Compiles the plans, which the
   run then finds. Batches have `sizes` images; 0: none. */
#ifndef JEM__MODEL_FOOTPRINT_H
#define JEM__MODEL_FOOTPRINT_H

#include <jem/pass.h>

/* Of walks, or of inference, over these batches one after the other. */
jem_status jem__pass_run_bytes(jem_pass *pass, const int64_t *sizes, int64_t count, int64_t *bytes);
/* Of jem__pass_learn with these batches, initial values from the first of them included. */
jem_status jem__pass_learn_bytes(jem_pass *pass, const int64_t *sizes, int64_t count,
                                 int64_t *bytes);
/* Of plain scoring of these batches. */
jem_status jem__model_score_bytes(jem_model *model, const int64_t *sizes, int64_t count,
                                  int64_t *bytes);

#endif
