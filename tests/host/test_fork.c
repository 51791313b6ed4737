/* A fork after the library was used: the child's calls on the parent's handles fail with
   an error of their own, at once; it may destroy them; its own work as ever. */
#include "helpers.h"
#include <pthread.h>
#include <sys/wait.h>

typedef struct handles {
    jem_context *context;
    jem_config *config;
    jem_model *model;
    jem_dataset *data;
    jem_loader *loader;
    jem_sampler *sampler;
    jem_optimizer *optimizer;
    jem_pass *pass;
    jem_trainer *trainer;
} handles;

enum { IMAGE = 28 * 28, K = 10 };
static float image[IMAGE], out[IMAGE], logits[K];

static handles make(void)
{
    handles h;
    int64_t n;
    OK(jem_config_create(&h.config));
    OK(jem_config_parse(h.config, "context.threads=2 loader.batch=4 sampler.buffer=20 "
                                  "sampler.steps=1 trainer.iterations=100"));
    OK(jem_context_create(&h.context, h.config));
    OK(jem_model_load(&h.model, h.context, test_source("examples/models/glyphs.safetensors")));
    OK(jem_dataset_open(&h.data, h.context, "glyphs:limit=200", h.config));
    OK(jem_loader_create(&h.loader, h.data, h.config));
    OK(jem_sampler_create(&h.sampler, h.model, h.config));
    OK(jem_optimizer_create(&h.optimizer, h.model, h.config));
    OK(jem_pass_create(&h.pass, h.model, JEM_PASS_GRADIENT, 2));
    OK(jem_trainer_create(&h.trainer, h.model, h.data, h.config));
    OK(jem_loader_next(h.loader, NULL, 0, NULL, 0, &n));
    OK(jem_sampler_draw(h.sampler, NULL, 1, out, INT64_MAX));
    OK(jem_model_logits(h.model, image, 1, logits, K)); /* before a step changes it */
    OK(jem_pass_forward(h.pass, image, 1, out, INT64_MAX));
    OK(jem_trainer_step(h.trainer));
    return h;
}

static void destroy(handles *h)
{
    jem_context_destroy(h->context);
    jem_dataset_destroy(h->data);
    jem_model_destroy(h->model);
    jem_trainer_destroy(h->trainer);
    jem_pass_destroy(h->pass);
    jem_sampler_destroy(h->sampler);
    jem_loader_destroy(h->loader);
    jem_optimizer_destroy(h->optimizer);
    jem_config_destroy(h->config);
}

/* In the child, where an assertion would go on as the parent. */
#define EXPECT(expression)                                                                         \
    do {                                                                                           \
        char text_[256] = "";                                                                      \
        jem_last_error(text_, sizeof text_);                                                       \
        if (!(expression)) {                                                                       \
            fprintf(stderr, "child: line %d: %s (%s)\n", __LINE__, #expression, text_);            \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

static void expect_refusals(handles *h)
{
    int64_t n;
    char text[256];
    jem_model *copy = (jem_model *)h;
    jem_dataset *part = (jem_dataset *)h;
    EXPECT(jem_model_logits(h->model, image, 1, out, K) == JEM_ERROR_FORK);
    jem_last_error(text, sizeof text);
    EXPECT(strstr(text, "jem_model_logits: the handle was made before a fork") != NULL);
    EXPECT(jem_model_energy(h->model, image, NULL, 1, out) == JEM_ERROR_FORK);
    EXPECT(jem_model_energy_gradient(h->model, image, NULL, 1, NULL, out) == JEM_ERROR_FORK);
    EXPECT(jem_model_clone(&copy, h->model) == JEM_ERROR_FORK && !copy);
    EXPECT(jem_model_create(&copy, h->context, NULL) == JEM_ERROR_FORK && !copy);
    EXPECT(jem_dataset_subset(&part, h->data, NULL, 0) == JEM_ERROR_FORK && !part);
    EXPECT(jem_loader_next(h->loader, NULL, 0, NULL, 0, &n) == JEM_ERROR_FORK && n == 0);
    EXPECT(jem_sampler_draw(h->sampler, NULL, 1, out, INT64_MAX) == JEM_ERROR_FORK);
    EXPECT(jem_pass_backward(h->pass, logits, JEM_GRADIENT_INPUT, out) == JEM_ERROR_FORK);
    EXPECT(jem_optimizer_step(h->optimizer, NULL) == JEM_ERROR_FORK);
    EXPECT(jem_trainer_step(h->trainer) == JEM_ERROR_FORK);
    EXPECT(jem_trainer_run(h->trainer, NULL) == JEM_ERROR_FORK);
    EXPECT(jem_trainer_save(h->trainer, "/nowhere/at/all") == JEM_ERROR_FORK);
    jem_trainer_cancel(h->trainer);
}

/* A context of the child's own gives the parent's logits. */
static void expect_work(void)
{
    jem_context *context;
    jem_model *model;
    float own[K];
    EXPECT(jem_context_create(&context, NULL) == JEM_OK);
    EXPECT(jem_model_load(&model, context, test_source("examples/models/glyphs.safetensors")) ==
           JEM_OK);
    EXPECT(jem_model_logits(model, image, 1, own, K) == JEM_OK);
    EXPECT(memcmp(own, logits, sizeof own) == 0);
    jem_model_destroy(model);
    jem_context_destroy(context);
}

/* As another program, which no checker of leaks looks at: what threads held that a fork leaves
   behind nobody can give back. */
static void leave(void)
{
    execl("/bin/true", "true", (char *)NULL);
    _exit(1);
}

static void wait_for(pid_t child)
{
    int status;
    ck_assert_int_gt(child, 0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child's status is %x",
                  (unsigned)status);
}

START_TEST(child)
{
    handles h = make();
    pid_t pid = fork();
    if (pid == 0) {
        alarm(60);
        expect_refusals(&h);
        destroy(&h);
        expect_work();
        leave();
    }
    wait_for(pid);
    OK(jem_model_logits(h.model, image, 1, out, K));
    OK(jem_trainer_step(h.trainer));
    destroy(&h);
}
END_TEST

static volatile int32_t stop;

/* Always in the midst of something: a new batch size compiles a plan. */
static void *busy(void *user)
{
    static float x[8 * IMAGE], energy[8];
    for (int64_t n = 1; !stop; n = n % 8 + 1) {
        jem_model *model;
        if (jem_model_clone(&model, user)) return user;
        if (jem_model_energy(model, x, NULL, n, energy)) return user;
        jem_model_destroy(model);
    }
    return NULL;
}

START_TEST(fork_while_busy)
{
    if (TEST_ASAN) return;
    handles h = make();
    pthread_t thread;
    void *failed;
    stop = 0;
    ck_assert_int_eq(pthread_create(&thread, NULL, busy, h.model), 0);
    for (int i = 0; i < 10; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            alarm(60);
            expect_refusals(&h);
            destroy(&h);
            expect_work();
            leave();
        }
        wait_for(pid);
    }
    stop = 1;
    pthread_join(thread, &failed);
    ck_assert_ptr_null(failed);
    destroy(&h);
}
END_TEST

/* A grandchild is as far from the first handles as the child, and from the child's too. */
START_TEST(generations)
{
    handles h = make();
    pid_t pid = fork();
    if (pid == 0) {
        jem_context *context;
        jem_model *model;
        int status = 1;
        alarm(60);
        EXPECT(jem_context_create(&context, NULL) == JEM_OK);
        EXPECT(jem_model_create(&model, context, NULL) == JEM_OK);
        pid_t grandchild = fork();
        if (grandchild == 0) {
            alarm(60);
            expect_refusals(&h);
            EXPECT(jem_model_clone(&model, model) == JEM_ERROR_FORK);
            expect_work();
            leave();
        }
        EXPECT(waitpid(grandchild, &status, 0) == grandchild && status == 0);
        leave();
    }
    wait_for(pid);
    destroy(&h);
}
END_TEST

TESTS("fork", child, fork_while_busy, generations)
