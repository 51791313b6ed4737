#include "model/graph.h"
#include "base/memory.h"
#include "base/status.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void jem__graph_clear(jem__graph *graph)
{
    jem__free(graph->nodes);
    jem__free(graph->parameters);
    *graph = (jem__graph){0};
}

int32_t jem__node_reads(const jem__node *node, int32_t value)
{
    return node->input[0] == value || node->input[1] == value;
}

jem__image jem__graph_shape(const jem__graph *graph, int32_t value)
{
    return value == 0 ? graph->input : graph->nodes[value - 1].shape;
}

int32_t jem__graph_coupled(const jem__graph *graph)
{
    for (int32_t i = 0; i < graph->node_count; i++)
        if (graph->nodes[i].op == &jem__op_batch_norm) return 1;
    return 0;
}

int32_t jem__graph_drops(const jem__graph *graph)
{
    for (int32_t i = 0; i < graph->node_count; i++)
        if (graph->nodes[i].op == &jem__op_dropout && graph->nodes[i].number > 0) return 1;
    return 0;
}

static int32_t add_node(jem__graph *g, const jem__node *node)
{
    if (g->status) return -1;
    g->status =
        jem__grow(&g->nodes, g->node_count, &g->node_room, g->node_count + 1, sizeof *g->nodes);
    if (g->status) return -1;
    g->nodes[g->node_count++] = *node;
    return g->node_count;
}

static int32_t add_parameter(jem__graph *g, const char *prefix, const char *suffix,
                             int64_t dimensions, const int64_t *shape, jem_parameter_kind kind,
                             float fill, int64_t fan_in)
{
    if (g->status) return -1;
    g->status = jem__grow(&g->parameters, g->parameter_count, &g->parameter_room,
                          g->parameter_count + 1, sizeof *g->parameters);
    if (g->status) return -1;
    jem__parameter_info *p = &g->parameters[g->parameter_count];
    *p = (jem__parameter_info){
        .dimensions = dimensions, .kind = kind, .fill = fill, .fan_in = fan_in};
    snprintf(p->name, sizeof p->name, "%s.%s", prefix, suffix);
    memcpy(p->shape, shape, (size_t)dimensions * sizeof *shape);
    return g->parameter_count++;
}

static jem__node node_of(const jem__op *op, int32_t a, int32_t b)
{
    return (jem__node){.op = op, .input = {a, b}, .parameter = {-1, -1, -1, -1}};
}

int32_t jem__graph_convolution(jem__graph *g, int32_t in, const char *prefix, int64_t channels,
                               int64_t kernel, int64_t stride, int64_t pad)
{
    if (g->status) return -1;
    jem__image s = jem__graph_shape(g, in);
    jem__node node = node_of(&jem__op_convolution, in, -1);
    int64_t shape[] = {channels, s.c, kernel, kernel}, fan_in = s.c * kernel * kernel;
    node.kernel = kernel;
    node.stride = stride;
    node.pad = pad;
    if (s.h + 2 * pad < kernel || s.w + 2 * pad < kernel) {
        g->status = jem__fail(JEM_ERROR_SHAPE,
                              "%s: image of %" PRId64 "x%" PRId64 " is smaller than the kernel",
                              prefix, s.h, s.w);
        return -1;
    }
    node.shape = (jem__image){channels, (s.h + 2 * pad - kernel) / stride + 1,
                              (s.w + 2 * pad - kernel) / stride + 1};
    node.parameter[0] =
        add_parameter(g, prefix, "weight", 4, shape, JEM_PARAMETER_TRAINABLE, 0, fan_in);
    node.parameter[1] =
        add_parameter(g, prefix, "bias", 1, shape, JEM_PARAMETER_TRAINABLE, 0, fan_in);
    return add_node(g, &node);
}

/* A norm's parameter: [c], [1,c,1,1] or a scalar. */
typedef struct norm_part {
    const char *name;
    jem_parameter_kind kind;
    int32_t moved, dimensions;
    float fill;
} norm_part;

static int32_t add_norm(jem__graph *g, int32_t in, const char *prefix, jem__node node,
                        const norm_part *parts, int count)
{
    if (g->status) return -1;
    node.input[0] = in;
    node.shape = jem__graph_shape(g, in);
    for (int i = 0; i < count; i++) {
        int64_t shape[] = {node.shape.c, 1, 1, 1}, image[] = {1, node.shape.c, 1, 1};
        node.parameter[i] = add_parameter(g, prefix, parts[i].name, parts[i].dimensions,
                                          parts[i].dimensions == 4 ? image : shape, parts[i].kind,
                                          parts[i].fill, 0);
        if (node.parameter[i] >= 0) g->parameters[node.parameter[i]].moved = parts[i].moved;
    }
    return add_node(g, &node);
}

int32_t jem__graph_batch_norm(jem__graph *g, int32_t in, const char *prefix, float momentum)
{
    static const norm_part parts[] = {{"weight", JEM_PARAMETER_TRAINABLE, 0, 1, 1},
                                      {"bias", JEM_PARAMETER_TRAINABLE, 0, 1, 0},
                                      {"running_mean", JEM_PARAMETER_STATISTIC, 1, 1, 0},
                                      {"running_var", JEM_PARAMETER_STATISTIC, 1, 1, 1}};
    jem__node node = node_of(&jem__op_batch_norm, in, -1);
    node.number = momentum;
    return add_norm(g, in, prefix, node, parts, 4);
}

int32_t jem__graph_group_norm(jem__graph *g, int32_t in, const char *prefix, int64_t groups)
{
    static const norm_part parts[] = {{"weight", JEM_PARAMETER_TRAINABLE, 0, 1, 1},
                                      {"bias", JEM_PARAMETER_TRAINABLE, 0, 1, 0}};
    if (g->status) return -1;
    jem__node node = node_of(&jem__op_group_norm, in, -1);
    jem__image s = jem__graph_shape(g, in);
    node.groups = groups;
    if (groups < 1 || s.c % groups != 0 || s.c / groups * s.h * s.w < 2) {
        g->status = jem__fail(JEM_ERROR_SHAPE,
                              "%s: %" PRId64 " groups of %" PRId64 "x%" PRId64 "x%" PRId64
                              ", expected equal groups of at least 2 values",
                              prefix, groups, s.c, s.h, s.w);
        return -1;
    }
    return add_norm(g, in, prefix, node, parts, 2);
}

int32_t jem__graph_act_norm(jem__graph *g, int32_t in, const char *prefix)
{
    static const norm_part parts[] = {{"loc", JEM_PARAMETER_TRAINABLE, 1, 4, 0},
                                      {"scale", JEM_PARAMETER_TRAINABLE, 1, 4, 1},
                                      {"initialized", JEM_PARAMETER_STATISTIC, 1, 0, 0}};
    return add_norm(g, in, prefix, node_of(&jem__op_act_norm, in, -1), parts, 3);
}

int32_t jem__graph_norm(jem__graph *g, int32_t in, const char *prefix, const char *norm,
                        float momentum)
{
    if (g->status || strcmp(norm, "none") == 0) return g->status ? -1 : in;
    if (strcmp(norm, "batch") == 0) return jem__graph_batch_norm(g, in, prefix, momentum);
    if (strcmp(norm, "instance") == 0)
        return jem__graph_group_norm(g, in, prefix, jem__graph_shape(g, in).c);
    if (strcmp(norm, "layer") == 0) return jem__graph_group_norm(g, in, prefix, 1);
    if (strcmp(norm, "act") == 0) return jem__graph_act_norm(g, in, prefix);
    g->status =
        jem__fail(JEM_ERROR_CONFIG,
                  "%s: norm '%.32s', expected none, batch, instance, layer or act", prefix, norm);
    return -1;
}

const jem__op *jem__graph_activation(const char *activation, float *slope)
{
    *slope = 0;
    if (strcmp(activation, "silu") == 0) return &jem__op_silu;
    if (strcmp(activation, "leaky_relu") == 0) *slope = 0.2f;
    return *slope > 0 || strcmp(activation, "relu") == 0 ? &jem__op_leaky_relu : NULL;
}

int32_t jem__graph_unary(jem__graph *g, int32_t in, const jem__op *op, float number)
{
    if (g->status) return -1;
    jem__node node = node_of(op, in, -1);
    node.shape = jem__graph_shape(g, in);
    node.number = number;
    return add_node(g, &node);
}

int32_t jem__graph_add(jem__graph *g, int32_t a, int32_t b)
{
    if (g->status) return -1;
    jem__node node = node_of(&jem__op_add, a, b);
    node.shape = jem__graph_shape(g, a);
    return add_node(g, &node);
}

int32_t jem__graph_pool(jem__graph *g, int32_t in)
{
    if (g->status) return -1;
    jem__node node = node_of(&jem__op_pool, in, -1);
    node.shape = (jem__image){jem__graph_shape(g, in).c, 1, 1};
    return add_node(g, &node);
}

int32_t jem__graph_windows(jem__graph *g, int32_t in, const jem__op *op, int64_t kernel,
                           int64_t stride, int64_t pad)
{
    if (g->status) return -1;
    jem__image s = jem__graph_shape(g, in);
    jem__node node = node_of(op, in, -1);
    node.kernel = kernel;
    node.stride = stride;
    node.pad = pad;
    if (kernel < 1 || kernel > 16 || stride < 1 || pad < 0 || pad > kernel / 2 ||
        s.h + 2 * pad < kernel || s.w + 2 * pad < kernel) {
        g->status = jem__fail(JEM_ERROR_SHAPE,
                              "%s: windows of %" PRId64 " (stride %" PRId64 ", pad %" PRId64
                              ") on %" PRId64 "x%" PRId64 ", expected 1..16 pixels that fit, and "
                              "a pad of at most half of them",
                              op->name, kernel, stride, pad, s.h, s.w);
        return -1;
    }
    node.shape = (jem__image){s.c, (s.h + 2 * pad - kernel) / stride + 1,
                              (s.w + 2 * pad - kernel) / stride + 1};
    return add_node(g, &node);
}

int32_t jem__graph_linear(jem__graph *g, int32_t in, const char *prefix, int64_t outputs)
{
    if (g->status) return -1;
    jem__node node = node_of(&jem__op_linear, in, -1);
    jem__image s = jem__graph_shape(g, in);
    int64_t shape[] = {outputs, s.c * s.h * s.w};
    node.shape = (jem__image){outputs, 1, 1};
    node.parameter[0] =
        add_parameter(g, prefix, "weight", 2, shape, JEM_PARAMETER_TRAINABLE, 0, shape[1]);
    node.parameter[1] =
        add_parameter(g, prefix, "bias", 1, shape, JEM_PARAMETER_TRAINABLE, 0, shape[1]);
    return add_node(g, &node);
}

void jem__graph_finish(jem__graph *g, int32_t features, const jem_config *config)
{
    jem__graph_linear(g, features, "class_output", g->classes);
    g->head = strcmp(jem__config_str(config, "model.energy"), "head") == 0;
    if (g->head) jem__graph_linear(g, features, "energy_output", 1);
}

int32_t jem__graph_classifier(const jem__graph *g)
{
    return g->node_count - 1 - g->head;
}
