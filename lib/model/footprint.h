/* How much more memory a pass will hold once it has run. Compiles the plans, which the
   run then finds. Negative: it holds more than that already. */
#ifndef JEM__MODEL_FOOTPRINT_H
#define JEM__MODEL_FOOTPRINT_H

#include <jem/pass.h>

/* Of a walk, or of inference, over n images. */
jem_status jem__pass_run_bytes(jem_pass *pass, int64_t n, int64_t *bytes);
/* Of jem__pass_learn with batches of these sizes; 0: none. */
jem_status jem__pass_learn_bytes(jem_pass *pass, const int64_t *sizes, int64_t count,
                                 int64_t *bytes);
/* Of plain scoring of n images. */
jem_status jem__model_score_bytes(jem_model *model, int64_t n, int64_t *bytes);

#endif
