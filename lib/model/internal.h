/* The model's own state: shared by the files of this room only. */
#ifndef JEM__MODEL_INTERNAL_H
#define JEM__MODEL_INTERNAL_H

#include "format/safetensors.h"
#include "model/parameters.h"
#include "model/plan.h"
#include <pthread.h>

typedef struct jem__pack jem__pack; /* a packed copy of a parameter */
void jem__pack_destroy(jem__pack *pack);

typedef struct jem__entry {
    char *key, *value;
} jem__entry;

/* A tensor of the file that the network does not use: kept for the next save. */
typedef struct jem__extra {
    char *name;
    char dtype[8];
    int64_t dimensions, shape[8], size;
    uint8_t *bytes;
} jem__extra;

/* A model's entries of metadata: a file has two more, format_version and checksum. */
enum { JEM__MODEL_TEXTS = JEM__TEXT_LIMIT - 2 };
int32_t jem__metadata_is_file(const char *key); /* one of the two */

/* Settings that the file keeps as metadata of the same name: of architecture
   wide_resnet (1), network (2). Ends with a NULL name. */
typedef struct jem__setting {
    const char *name;
    int32_t kinds;
} jem__setting;
extern const jem__setting jem__model_settings[];

struct jem_model {
    jem__count count;
    jem_context *context;
    jem_config *config; /* model.* as used */
    jem__graph graph;
    jem__engine *engine;
    int64_t slice;
    uint64_t seed;
    int32_t check_input;
    int32_t fuse;
    jem__method method;
    int32_t type; /* of activations: JEM__F32 or JEM__BF16 */

    jem__parameter *parameters;
    float *values, *gradients; /* all of them, one block each */
    _Atomic int64_t version, packed_version;
    _Atomic int64_t statistics; /* counts moves of running statistics in passes */

    jem__entry *metadata;
    int64_t metadata_count, metadata_room;
    int64_t *by_key; /* places of the metadata, sorted by key */
    int64_t by_key_room;
    const char **class_names; /* [classes] where each begins in that entry; NULL without it */
    jem__extra *extras;
    int64_t extra_count;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t returned;
    jem__pack **packs;
    int64_t pack_count, pack_room;
    _Atomic int64_t pack_next; /* of a refresh: the next to make */
    float *drafts;             /* where packs are made: draft_count times draft floats */
    int64_t draft, draft_count;
    jem__plan **plans;
    int64_t plan_count, plan_room;
    struct jem_pass *idle; /* passes that plain calls borrow */
    int64_t borrowed;
};

/* The graph of model.architecture; its status stays in it. */
jem_status jem__model_graph(jem__graph *graph, const jem_config *config);
int32_t jem__model_is_network(const jem_config *config);
struct jem_pass *jem__pass_next(const jem_pass *pass);
jem_status jem__model_new(jem_model **model, jem_context *context, const jem_config *config);
jem_status jem__model_store(jem_model *model);              /* storage for the graph's parameters */
jem_status jem__model_initialise(jem_model *model);         /* initial weights */
void jem__model_drop_parameters(jem_model *model);          /* packs and storage */
void jem__metadata_drop(jem_model *model, const char *key); /* nothing if there is none */
void jem__metadata_clear(jem_model *model);                 /* for the model's end */
jem_status jem__metadata_put(jem_model *model, const char *key, const char *value);

/* The plan for n images; compiled once, kept. */
jem_status jem__model_plan(jem_model *model, int64_t n, int32_t wants, const jem__plan **plan);

/* Borrowed passes: at most one per worker and one more, others wait. */
jem_status jem__pass_borrow(jem_pass **pass, jem_model *model, jem_pass_mode mode);
void jem__pass_return(jem_pass *pass);
void jem__pass_free(jem_pass *pass); /* without touching the model's references */
/* What a forward is asked for; each may be NULL. */
typedef struct jem__wanted {
    float *logits, *features, *energy;
    const int32_t *y; /* energy of E(x,y) */
} jem__wanted;
/* Forward of any n >= 0 images. */
jem_status jem__pass_infer(jem_pass *pass, const float *x, int64_t n, const jem__wanted *wanted);

#endif
