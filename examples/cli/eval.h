/* Shared by the subcommands of jem eval. */
#ifndef EVAL_H
#define EVAL_H

#include "cli.h"

/* What all of them are given. */
typedef struct eval_given {
    const char *model, *data, *picture;
    int as_trained, compact;
    settings settings;
} eval_given;
extern eval_given given;

#define EVAL_NEEDS                                                                                 \
    {"model", OPTION_TEXT, 1, &given.model, "FILE", "the model, safetensors"},                     \
    {                                                                                              \
        "data", OPTION_TEXT, 1, &given.data, "SOURCE", "images; their test split"                  \
    }
#define EVAL_PICTURE(what)                                                                         \
    {                                                                                              \
        "picture", OPTION_TEXT, 0, &given.picture, "FILE", "draw " what ": .png, .pdf, .svg"       \
    }
#define EVAL_CHAIN                                                                                 \
    {                                                                                              \
        "as-trained", OPTION_FLAG, 0, &given.as_trained, NULL,                                     \
            "chains as in training: begin with those sampler settings"                             \
    }
#define EVAL_TAKES                                                                                 \
    {"json", OPTION_FLAG, 0, &given.compact, NULL, "JSON on one line"},                            \
        {"split", OPTION_KEY, 0, "dataset.split", "NAME", NULL},                                   \
        {"limit", OPTION_KEY, 0, "dataset.limit", "N", NULL},                                      \
        {"threads", OPTION_KEY, 0, "context.threads", "N", NULL},                                  \
    {                                                                                              \
        "precision", OPTION_KEY, 0, "model.precision", "NAME", NULL                                \
    }
#define EVAL_SOURCES                                                                               \
    "SOURCE: glyphs, letters, noise, idx:DIR (MNIST's format), cifar:DIR, cifar100:DIR,\n"         \
    "svhn:DIR, png:DIR (a folder for each class), packed:FILE (see 'jem pack');\n"                 \
    "options of generated sets follow, as in glyphs:limit=1000,seed=3."

typedef struct eval_work {
    jem_context *context;
    jem_config *config;
    jem_model *model; /* NULL without --model */
    images set;       /* closed without --data */
    int64_t image, classes;
} eval_work;

/* Parses the options, opens what they name, runs, closes. */
int eval_run(const command *self, int argc, char **argv, int (*run)(eval_work *));
/* An object on stdout that begins with the data, and its end. */
void eval_begin(json *out, const eval_work *work);
void eval_end(json *out);
/* The chain's settings, as numbers say little without them. */
void eval_sampler(json *out, const jem_config *config);
/* A number of the settings under a name. */
void eval_setting(json *out, const jem_config *config, const char *key, const char *name);

int eval_accuracy(int argc, char **argv);
int eval_calibration(int argc, char **argv);
int eval_temperature(int argc, char **argv);
int eval_ood(int argc, char **argv);
int eval_roc(int argc, char **argv);
int eval_histograms(int argc, char **argv);
int eval_attack(int argc, char **argv);
int eval_distance(int argc, char **argv);
int eval_refine(int argc, char **argv);
int eval_frechet(int argc, char **argv);
int eval_inception(int argc, char **argv);

#endif
