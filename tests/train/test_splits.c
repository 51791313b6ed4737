/* A run in any pieces, on any threads, ends in the checkpoint of the unbroken one: weights,
   averages, optimizer, buffer, counters, copies for a roll-back. */
#include "format/safetensors.h"
#include "train/tiny.h"

enum { STEPS = 8, MOST_THREADS = 3 };

static const char *const recipes[] = {
    "trainer.iterations=8 trainer.ema=0.9 trainer.validation=9 trainer.validate_every=3 "
    "trainer.retries=2 trainer.snapshot_every=2 model.norm=batch model.dropout=0.2 "
    "sampler.mode=training sampler.start=gaussian sampler.conditional=1 loader.crop=1 "
    "loader.flip=1 optimizer.name=sgd optimizer.rate=0.01 optimizer.sam_rho=0.05 trainer.pxy=0.5",
    /* Diverges and goes back on its way. */
    "trainer.iterations=8 optimizer.name=sgd optimizer.rate=3 trainer.snapshot_every=1 "
    "trainer.retries=6 trainer.response_rate=0.05 trainer.response_steps=1 trainer.warmup=2"};
enum { RECIPES = sizeof recipes / sizeof *recipes };

static uint32_t state;

static uint32_t below(uint32_t n)
{
    state = state * 1664525u + 1013904223u;
    return (state >> 16) % n;
}

static tiny begin(int recipe, const char *precision, int64_t threads)
{
    char settings[1024];
    snprintf(settings, sizeof settings, "%s model.precision=%s", recipes[recipe], precision);
    return tiny_of(threads, settings);
}

/* Pieces of `piece` calls of step each, 0: of random lengths, to the end. */
static void run_in_pieces(int recipe, const char *precision, int piece, const char *path)
{
    jem_status status = JEM_OK;
    for (int first = 1; status != JEM_END; first = 0) {
        tiny t = begin(recipe, precision, 1 + below(MOST_THREADS));
        if (!first) OK(jem_trainer_resume(t.trainer, path));
        int calls = piece ? piece : 1 + (int)below(STEPS);
        for (int i = 0; i < calls && status != JEM_END; i++) {
            status = jem_trainer_step(t.trainer);
            ck_assert_int_ge(status, 0);
        }
        OK(jem_trainer_save(t.trainer, path));
        tiny_end(&t);
    }
}

/* Every tensor; the settings tell the number of threads, which may differ. */
static void same_tensors(const char *a, const char *b, const char *what)
{
    jem__safetensors *x, *y;
    OK(jem__safetensors_load(&x, a));
    OK(jem__safetensors_load(&y, b));
    ck_assert_int_eq(jem__safetensors_count(x), jem__safetensors_count(y));
    for (int64_t i = 0; i < jem__safetensors_count(x); i++) {
        const jem__tensor_info *t = jem__safetensors_get(x, i), *u = jem__safetensors_get(y, i);
        ck_assert_msg(!strcmp(t->name, u->name) && t->size == u->size &&
                          memcmp(t->bytes, u->bytes, (size_t)t->size) == 0,
                      "%s: %s", what, t->name);
    }
    jem__safetensors_destroy(x);
    jem__safetensors_destroy(y);
}

static void try_precision(const char *precision)
{
    enum { RANDOM = 4 };
    const char *used;
    int64_t rollbacks;
    for (int r = 0; r < RECIPES; r++) {
        char whole[4300], pieces[4300], what[64];
        snprintf(whole, sizeof whole, "%s", test_path("whole"));
        snprintf(pieces, sizeof pieces, "%s", test_path("pieces"));
        tiny t = begin(r, precision, 2);
        OK(jem_trainer_run(t.trainer, NULL));
        OK(jem_trainer_save(t.trainer, whole));
        OK(jem_trainer_rollbacks(t.trainer, &rollbacks, NULL, NULL));
        ck_assert_int_eq(rollbacks > 0, r == 1);
        OK(jem_model_precision(t.model, &used));
        if (strcmp(used, precision) != 0) printf("%s: computes in %s here\n", precision, used);
        tiny_end(&t);
        for (int piece = 1; piece < STEPS + RANDOM; piece++) {
            snprintf(what, sizeof what, "recipe %d, %s, pieces %d", r, precision, piece);
            run_in_pieces(r, precision, piece < STEPS ? piece : 0, pieces);
            same_tensors(whole, pieces, what);
        }
    }
}

START_TEST(pieces_in_f32)
{
    state = 1;
    try_precision("f32");
}
END_TEST

START_TEST(pieces_in_bf16)
{
    state = 2;
    try_precision("bf16");
}
END_TEST

TESTS("splits", pieces_in_f32, pieces_in_bf16)
