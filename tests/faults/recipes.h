/* The runs that are killed: 24 steps each, with all the state there is. */
#ifndef JEM_TESTS_FAULTS_RECIPES_H
#define JEM_TESTS_FAULTS_RECIPES_H

enum { RECIPES = 3, VERSIONS = 3 }; /* run.1 to run.VERSIONS may be there */

static const char *const recipes[RECIPES] = {
    "trainer.iterations=24 trainer.keep=2",
    "trainer.iterations=24 trainer.keep=3 model.norm=batch model.dropout=0.2 optimizer.name=sgd "
    "sampler.mode=training sampler.conditional=1 sampler.start=gaussian loader.crop=1 "
    "loader.flip=1 trainer.decay_at=5,9 trainer.warmup=3",
    /* This one diverges twice. */
    "trainer.iterations=24 optimizer.name=sgd optimizer.rate=3 trainer.snapshot_every=3 "
    "trainer.retries=4 trainer.response_rate=0.05 trainer.response_steps=1"};

#endif
