/* A training loop of one's own, on the parts alone: loader, sampler, pass, losses,
   optimizer. What jem_trainer does, in the order x_p, x_q, labelled.

   usage: train_loop [STEPS] */
#include <jem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 32, K = 10, IMAGE = 28 * 28 };

/* Every call returns a status: stop at the first failure, with its reason. */
static void check(jem_status status)
{
    char text[512];
    if (status >= 0) return;
    jem_last_error(text, sizeof text);
    fprintf(stderr, "train_loop: %s\n", text);
    exit(1);
}

int main(int argc, char **argv)
{
    static float xp[N * IMAGE], xq[N * IMAGE], xl[N * IMAGE], logits[N * K], d[N * K];
    int32_t y[N];
    int64_t n, steps = argc > 1 ? atoll(argv[1]) : 20;
    jem_config *config;
    jem_context *context;
    jem_dataset *data;
    jem_model *model;
    jem_loader *labelled, *unlabelled;
    jem_sampler *sampler;
    jem_pass *pass;
    jem_optimizer *optimizer;

    check(jem_config_create(&config));
    check(jem_config_parse(config, "model.channels=1 model.height=28 model.width=28 "
                                   "model.activation=silu loader.batch=32 sampler.steps=5 "
                                   "sampler.clamp=1 sampler.buffer=500 optimizer.rate=2e-3 "
                                   "optimizer.clip=1"));
    check(jem_context_create(&context, config));
    check(jem_dataset_open(&data, context, "glyphs:limit=2000", config));
    check(jem_model_create(&model, context, config));
    check(jem_loader_create(&labelled, data, config));
    check(jem_config_set_i64(config, "loader.stream", 1)); /* another order */
    check(jem_loader_create(&unlabelled, data, config));
    check(jem_sampler_create(&sampler, model, config));
    check(jem_pass_create(&pass, model, JEM_PASS_TRAIN, N));
    check(jem_optimizer_create(&optimizer, model, config));

    for (int64_t step = 0; step < steps; step++) {
        double data_energy, sample_energy, cross_entropy, norm;
        check(jem_loader_next(unlabelled, xp, N * IMAGE, NULL, 0, &n));
        check(jem_loader_next(labelled, xl, N * IMAGE, y, N, &n));
        check(jem_sampler_draw(sampler, NULL, N, xq, N * IMAGE));
        check(jem_model_gradient_zero(model));

        memset(d, 0, sizeof d); /* losses add to it */
        check(jem_pass_forward(pass, xp, N, logits, N * K));
        check(jem_loss_energy(logits, NULL, N, K, 1, &data_energy, d));
        check(jem_loss_energy_penalty(logits, NULL, N, K, 0.05, NULL, d));
        check(jem_pass_backward(pass, d, JEM_GRADIENT_PARAMETERS, NULL));

        memset(d, 0, sizeof d);
        check(jem_pass_forward(pass, xq, N, logits, N * K));
        check(jem_loss_energy(logits, NULL, N, K, -1, &sample_energy, d));
        check(jem_loss_energy_penalty(logits, NULL, N, K, 0.05, NULL, d));
        check(jem_pass_backward(pass, d, JEM_GRADIENT_PARAMETERS, NULL));

        memset(d, 0, sizeof d);
        check(jem_pass_forward(pass, xl, N, logits, N * K));
        check(jem_loss_cross_entropy(logits, y, N, K, 1, &cross_entropy, d));
        check(jem_pass_backward(pass, d, JEM_GRADIENT_PARAMETERS, NULL));

        check(jem_optimizer_step(optimizer, &norm));
        printf("step %3lld  E(data) %8.4f  E(samples) %8.4f  cross-entropy %.4f  |gradient| %.3f\n",
               (long long)step, data_energy, -sample_energy, cross_entropy, norm);
    }

    jem_optimizer_destroy(optimizer);
    jem_pass_destroy(pass);
    jem_sampler_destroy(sampler);
    jem_loader_destroy(unlabelled);
    jem_loader_destroy(labelled);
    jem_model_destroy(model);
    jem_dataset_destroy(data);
    jem_context_destroy(context);
    jem_config_destroy(config);
    return 0;
}
