/* A network as a small graph of operators: what is computed, not how.

   Node i produces value i + 1; value 0 is the input. Nodes come in the order of
   computation. The last node is the classifier, what it reads are the features; a graph
   with an energy head has it behind the classifier, on the same features. */
#ifndef JEM__MODEL_GRAPH_H
#define JEM__MODEL_GRAPH_H

#include "base/config.h"
#include "model/model.h"

struct jem__plan;
struct jem__node;

/* One operator: emits the steps of a plan. (lib/model/op_*.c) */
typedef struct jem__op {
    const char *name;
    jem_status (*forward)(struct jem__plan *plan, int32_t node);
    jem_status (*backward)(struct jem__plan *plan, int32_t node);
    /* Which of its values the backward pass reads again; NULL: none. */
    int32_t (*keeps)(const struct jem__plan *plan);
} jem__op;

enum { JEM__KEEPS_INPUT = 1, JEM__KEEPS_OUTPUT = 2 };

extern const jem__op jem__op_convolution, jem__op_batch_norm, jem__op_group_norm, jem__op_act_norm,
    jem__op_leaky_relu, jem__op_silu, jem__op_dropout, jem__op_add, jem__op_pool, jem__op_max_pool,
    jem__op_average_pool, jem__op_linear;

typedef struct jem__image {
    int64_t c, h, w;
} jem__image;

typedef struct jem__node {
    const jem__op *op;
    int32_t input[2];            /* values; -1: none */
    jem__image shape;            /* of the output, per image */
    int32_t parameter[4];        /* of the graph; -1: none */
    int64_t kernel, stride, pad; /* convolution, windows */
    int64_t groups;              /* group norm */
    float number;                /* dropout probability, slope, norm momentum */
} jem__node;

/* What a parameter is before it has storage. */
typedef struct jem__parameter_info {
    char name[96];
    int64_t dimensions, shape[4];
    jem_parameter_kind kind;
    int32_t moved;  /* by a forward in training: statistics, initial values from data */
    float fill;     /* initial value of statistics, scales and shifts */
    int64_t fan_in; /* > 0: U(-1/sqrt(fan_in), 1/sqrt(fan_in)) instead */
} jem__parameter_info;

typedef struct jem__graph {
    jem__image input;
    int64_t classes;
    int32_t head; /* 1: the last node is the energy head, the one before it the classifier */
    jem__node *nodes;
    jem__parameter_info *parameters;
    int32_t node_count, parameter_count;
    int64_t node_room, parameter_room;
    jem_status status; /* of the first builder that failed */
} jem__graph;

void jem__graph_clear(jem__graph *graph);
jem__image jem__graph_shape(const jem__graph *graph, int32_t value);
int32_t jem__node_reads(const jem__node *node, int32_t value);
/* 1 if some node of the graph couples the images of a batch in training. */
int32_t jem__graph_coupled(const jem__graph *graph);
int32_t jem__graph_drops(const jem__graph *graph); /* 1 if some node has dropout */

/* Builders return the new value, or -1 after a failure, which stays in
   graph->status; they may be chained without checking. prefix names the
   parameters: prefix.weight, prefix.bias, ... */
int32_t jem__graph_convolution(jem__graph *g, int32_t in, const char *prefix, int64_t channels,
                               int64_t kernel, int64_t stride, int64_t pad);
int32_t jem__graph_batch_norm(jem__graph *g, int32_t in, const char *prefix, float momentum);
/* Refused for groups of a single value. */
int32_t jem__graph_group_norm(jem__graph *g, int32_t in, const char *prefix, int64_t groups);
int32_t jem__graph_act_norm(jem__graph *g, int32_t in, const char *prefix);
/* One of model.norm's: none, batch, instance, layer, act. */
int32_t jem__graph_norm(jem__graph *g, int32_t in, const char *prefix, const char *norm,
                        float momentum);
/* One of model.activation's for jem__graph_unary: relu, leaky_relu, silu; NULL: no other. */
const jem__op *jem__graph_activation(const char *activation, float *slope);
int32_t jem__graph_unary(jem__graph *g, int32_t in, const jem__op *op, float number);
int32_t jem__graph_add(jem__graph *g, int32_t a, int32_t b);
int32_t jem__graph_pool(jem__graph *g, int32_t in); /* the average of all pixels */
/* op: the maximum or the average of each window; pad <= kernel / 2, kernel <= 16. */
int32_t jem__graph_windows(jem__graph *g, int32_t in, const jem__op *op, int64_t kernel,
                           int64_t stride, int64_t pad);
int32_t jem__graph_linear(jem__graph *g, int32_t in, const char *prefix, int64_t outputs);

/* The classifier of the features, and the energy head if model.energy says so. */
void jem__graph_finish(jem__graph *g, int32_t features, const jem_config *config);
/* The classifier's node, whose input are the features. */
int32_t jem__graph_classifier(const jem__graph *g);

/* Architectures: settings model.* -> graph. */
jem_status jem__wide_resnet(jem__graph *graph, const jem_config *config);
jem_status jem__network(jem__graph *graph, const jem_config *config);

#endif
