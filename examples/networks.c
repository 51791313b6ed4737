/* Networks of one's own from operators: an MLP, a small VGG, a plain ResNet. Each learns
   p(y|x) and p(x) on the built-in glyphs for some steps and is saved; jem eval, jem
   sample and jem info take the files as any other.

   usage: networks [STEPS [DIRECTORY]] */
#include <jem.h>
#include <stdio.h>
#include <stdlib.h>

enum { SIDE = 28, TEST = 500 };

/* Every call returns a status: stop at the first failure, with its reason. */
static void check(jem_status status)
{
    char text[512];
    if (status >= 0) return;
    jem_last_error(text, sizeof text);
    fprintf(stderr, "networks: %s\n", text);
    exit(1);
}

/* ---- Three networks; builders may be chained without checks ---- */

static void mlp(jem_network *net)
{
    int32_t x = jem_network_linear(net, 0, "hidden1", 256);
    x = jem_network_activation(net, x, "silu");
    x = jem_network_dropout(net, x, 0.1);
    x = jem_network_linear(net, x, "hidden2", 128);
    jem_network_activation(net, x, "silu");
}

/* Simonyan and Zisserman 2014: 3x3 convolutions, and pooling between the stages. */
static void vgg(jem_network *net)
{
    int32_t x = 0;
    for (int stage = 0; stage < 3; stage++) {
        for (int layer = 0; layer < 2; layer++) {
            char name[32];
            snprintf(name, sizeof name, "conv%d_%d", stage + 1, layer + 1);
            x = jem_network_convolution(net, x, name, 16 << stage, 3, 1, 1);
            x = jem_network_activation(net, x, "silu");
        }
        x = jem_network_pool(net, x, "average", 2, 2, 0);
    }
    x = jem_network_linear(net, x, "hidden", 128);
    jem_network_activation(net, x, "silu");
}

/* conv, norm, activation, conv, norm, plus the shortcut, activation. */
static int32_t residual_block(jem_network *net, int32_t x, int number, int64_t channels,
                              int64_t stride)
{
    char name[32];
    int64_t before;
    check(jem_network_shape(net, x, &before, NULL, NULL));
    snprintf(name, sizeof name, "block%d.conv1", number);
    int32_t y = jem_network_convolution(net, x, name, channels, 3, stride, 1);
    snprintf(name, sizeof name, "block%d.norm1", number);
    y = jem_network_activation(net, jem_network_norm(net, y, name, "group:4"), "silu");
    snprintf(name, sizeof name, "block%d.conv2", number);
    y = jem_network_convolution(net, y, name, channels, 3, 1, 1);
    snprintf(name, sizeof name, "block%d.norm2", number);
    y = jem_network_norm(net, y, name, "group:4");
    if (stride != 1 || before != channels) {
        snprintf(name, sizeof name, "block%d.shortcut", number);
        x = jem_network_convolution(net, x, name, channels, 1, stride, 0);
    }
    return jem_network_activation(net, jem_network_add(net, x, y), "silu");
}

/* He et al. 2016. */
static void resnet(jem_network *net)
{
    int32_t x = jem_network_convolution(net, 0, "stem", 16, 3, 1, 1);
    x = jem_network_activation(net, x, "silu");
    x = residual_block(net, x, 1, 16, 1);
    x = residual_block(net, x, 2, 32, 2);
    x = residual_block(net, x, 3, 64, 2);
    jem_network_mean(net, x);
}

/* ---- Training and testing ---- */

/* The share of test images whose largest logit is their label's. */
static double accuracy(jem_model *model, jem_dataset *test)
{
    static float logits[TEST * 10];
    int32_t y[TEST];
    double share;
    check(jem_eval_logits(model, test, logits, TEST * 10, y, TEST));
    check(jem_eval_accuracy(logits, y, TEST, 10, &share));
    return share;
}

/* The network as its model file will hold it. */
static void tell(const char *name, const jem_network *network)
{
    int64_t length = jem_network_text(network, NULL, 0);
    char *text = malloc((size_t)length + 1);
    if (!text) exit(1);
    jem_network_text(network, text, length + 1);
    printf("%s: %s\n", name, text);
    free(text);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*build)(jem_network *net);
    } networks[] = {{"mlp", mlp}, {"vgg", vgg}, {"resnet", resnet}};
    jem_config *config;
    jem_context *context;
    jem_dataset *data, *test;

    check(jem_config_create(&config));
    check(jem_config_parse(config, "loader.batch=32 trainer.px_batch=16 sampler.steps=5 "
                                   "sampler.clamp=1 sampler.gradient_clamp=1 sampler.buffer=500 "
                                   "trainer.px=0.2 trainer.energy_penalty=0.5 "
                                   "optimizer.rate=1e-3 optimizer.clip=1"));
    check(jem_config_set_i64(config, "trainer.iterations", argc > 1 ? atoll(argv[1]) : 100));
    check(jem_context_create(&context, config));
    check(jem_dataset_open(&data, context, "glyphs:limit=2000", config));
    check(jem_dataset_open(&test, context, "glyphs:split=test,limit=500", config));

    for (int i = 0; i < 3; i++) {
        jem_network *network;
        jem_model *model;
        jem_trainer *trainer;
        int64_t features, weights = 0, elements;
        check(jem_network_create(&network, 1, SIDE, SIDE));
        networks[i].build(network);
        check(jem_network_status(network)); /* of all builders at once */
        tell(networks[i].name, network);
        check(jem_model_create_network(&model, context, network, config));
        jem_network_destroy(network); /* the model keeps what it needs */
        check(jem_model_info(model, NULL, NULL, NULL, NULL, &features));
        for (int64_t p = 0; p < jem_model_parameter_count(model); p++) {
            check(jem_model_parameter_info(model, p, NULL, NULL, NULL, &elements, NULL));
            weights += elements;
        }

        check(jem_trainer_create(&trainer, model, data, config));
        check(jem_trainer_run(trainer, NULL));
        printf("%-6s  %6lld weights, %3lld features, accuracy %.1f %%\n", networks[i].name,
               (long long)weights, (long long)features, 100 * accuracy(model, test));
        if (argc > 2) {
            char path[4096];
            snprintf(path, sizeof path, "%s/%s.safetensors", argv[2], networks[i].name);
            check(jem_model_save(model, path));
        }
        jem_trainer_destroy(trainer);
        jem_model_destroy(model);
    }
    jem_dataset_destroy(test);
    jem_dataset_destroy(data);
    jem_context_destroy(context);
    jem_config_destroy(config);
    return 0;
}
