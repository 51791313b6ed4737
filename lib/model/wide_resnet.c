/* Wide-ResNet as JEM builds it (Zagoruyko and Komodakis 2016; Grathwohl et al.
   2019): pre-activation blocks, the stride on the second convolution, a bias
   everywhere, a bare 1x1 shortcut from the raw block input. */
#include "base/status.h"
#include "model/graph.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct recipe {
    const jem__op *activation;
    const char *norm;
    float momentum, slope, dropout;
} recipe;

static int32_t norm_activation(jem__graph *g, const recipe *r, int32_t x, const char *prefix)
{
    return jem__graph_unary(g, jem__graph_norm(g, x, prefix, r->norm, r->momentum), r->activation,
                            r->slope);
}

static const char *name(char *buffer, const char *block, const char *part)
{
    snprintf(buffer, 80, "%.60s.%.16s", block, part);
    return buffer;
}

static int32_t block(jem__graph *g, const recipe *r, int32_t x, const char *prefix,
                     int64_t channels, int64_t stride)
{
    char text[80];
    int32_t y = norm_activation(g, r, x, name(text, prefix, "bn1"));
    y = jem__graph_convolution(g, y, name(text, prefix, "conv1"), channels, 3, 1, 1);
    if (r->dropout > 0) y = jem__graph_unary(g, y, &jem__op_dropout, r->dropout);
    y = norm_activation(g, r, y, name(text, prefix, "bn2"));
    y = jem__graph_convolution(g, y, name(text, prefix, "conv2"), channels, 3, stride, 1);
    if (g->status) return -1;
    if (stride != 1 || jem__graph_shape(g, x).c != channels)
        x = jem__graph_convolution(g, x, name(text, prefix, "shortcut.0"), channels, 1, stride, 0);
    return jem__graph_add(g, y, x);
}

jem_status jem__wide_resnet(jem__graph *g, const jem_config *config)
{
    int64_t depth = jem__config_i64(config, "model.depth");
    int64_t widen = jem__config_i64(config, "model.widen_factor");
    recipe r = {.norm = jem__config_str(config, "model.norm"),
                .momentum = (float)jem__config_f64(config, "model.norm_momentum"),
                .dropout = (float)jem__config_f64(config, "model.dropout")};
    r.activation = jem__graph_activation(jem__config_str(config, "model.activation"), &r.slope);
    if (depth < 10 || (depth - 4) % 6 != 0)
        return jem__fail(JEM_ERROR_CONFIG,
                         "model.depth: got %" PRId64 ", expected 6n+4: 10, 16, 22, 28, 34, 40, ...",
                         depth);
    *g = (jem__graph){.input = {jem__config_i64(config, "model.channels"),
                                jem__config_i64(config, "model.height"),
                                jem__config_i64(config, "model.width")},
                      .classes = jem__config_i64(config, "model.classes")};
    int32_t x = jem__graph_convolution(g, 0, "f.conv1", 16, 3, 1, 1);
    for (int stage = 1; stage <= 3; stage++)
        for (int64_t i = 0; i < (depth - 4) / 6; i++) {
            char prefix[64];
            snprintf(prefix, sizeof prefix, "f.layer%d.%" PRId64, stage, i);
            x = block(g, &r, x, prefix, (widen * 8) << stage, stage > 1 && i == 0 ? 2 : 1);
        }
    x = norm_activation(g, &r, x, "f.bn1");
    x = jem__graph_pool(g, x);
    jem__graph_finish(g, x, config);
    return g->status;
}
