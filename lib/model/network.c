/* Building a network statement by statement: what the builder accepts is what the
   model file's reader accepts. */
#include "model/network.h"
#include "base/memory.h"
#include "base/status.h"
#include <inttypes.h>
#include <string.h>

struct jem_network {
    jem__graph graph; /* for shapes and checks */
    char *text;
    int64_t length, room;
    jem_status status; /* of the first builder that failed, and why */
    char reason[256];
};

jem_status jem_network_create(jem_network **out, int64_t channels, int64_t height, int64_t width)
{
    jem_network *network;
    JEM__REQUIRE(out, "jem_network_create");
    *out = NULL;
    if (channels < 1 || channels > 4096 || height < 1 || height > 65536 || width < 1 ||
        width > 65536)
        return jem__fail(JEM_ERROR_ARGUMENT,
                         "jem_network_create: images of %" PRId64 "x%" PRId64 "x%" PRId64
                         ", expected 1..4096 channels of 1..65536 x 1..65536 pixels",
                         channels, height, width);
    JEM__TRY(jem__calloc(&network, 1, sizeof *network));
    network->graph.input = (jem__image){channels, height, width};
    *out = network;
    return JEM_OK;
}

void jem_network_destroy(jem_network *network)
{
    if (!network) return;
    jem__graph_clear(&network->graph);
    jem__free(network->text);
    jem__free(network);
}

static jem_status append(jem_network *network, const char *statement)
{
    int64_t more = (int64_t)strlen(statement) + 2;
    if (network->length + more + 1 > network->room) {
        char *fresh;
        int64_t room = 2 * (network->length + more + 1);
        JEM__TRY(jem__alloc(&fresh, room, 1));
        if (network->text) memcpy(fresh, network->text, (size_t)network->length);
        jem__free(network->text);
        network->text = fresh;
        network->room = room;
    }
    network->length +=
        jem__format(network->text + network->length, (size_t)(network->room - network->length),
                    "%s%s", network->length ? "; " : "", statement);
    return JEM_OK;
}

/* Keeps the first failure; the value that the statement makes, or the failure. */
static int32_t add(jem_network *network, const char *statement, int length, size_t size)
{
    JEM__TRY(jem_network_status(network));
    jem_status status =
        length < 0 || (size_t)length >= size
            ? jem__fail(JEM_ERROR_CONFIG, "network: a name is longer than 63 characters")
            : jem__network_statement(&network->graph, statement, (size_t)length, 0);
    if (!status) status = append(network, statement);
    if (!status) return network->graph.node_count;
    network->status = status;
    jem_last_error(network->reason, sizeof network->reason);
    return status;
}

enum { STATEMENT = 256 };

int32_t jem_network_convolution(jem_network *network, int32_t in, const char *name,
                                int64_t channels, int64_t kernel, int64_t stride, int64_t pad)
{
    char s[STATEMENT];
    int n =
        jem__format(s, sizeof s, "convolution %d %s %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64,
                    in, name ? name : "", channels, kernel, stride, pad);
    return add(network, s, n, sizeof s);
}

int32_t jem_network_norm(jem_network *network, int32_t in, const char *name, const char *norm)
{
    char s[STATEMENT];
    int n = jem__format(s, sizeof s, "norm %d %s %s", in, name ? name : "", norm ? norm : "");
    return add(network, s, n, sizeof s);
}

int32_t jem_network_activation(jem_network *network, int32_t in, const char *activation)
{
    char s[STATEMENT];
    int n = jem__format(s, sizeof s, "%s %d", activation ? activation : "?", in);
    return add(network, s, n, sizeof s);
}

int32_t jem_network_dropout(jem_network *network, int32_t in, double probability)
{
    char s[STATEMENT];
    int n = jem__format(s, sizeof s, "dropout %d %.9g", in, probability);
    return add(network, s, n, sizeof s);
}

int32_t jem_network_pool(jem_network *network, int32_t in, const char *pool, int64_t window,
                         int64_t stride, int64_t pad)
{
    char s[STATEMENT];
    int n = jem__format(s, sizeof s, "%s_pool %d %" PRId64 " %" PRId64 " %" PRId64,
                        pool ? pool : "?", in, window, stride, pad);
    return add(network, s, n, sizeof s);
}

int32_t jem_network_mean(jem_network *network, int32_t in)
{
    char s[STATEMENT];
    int n = jem__format(s, sizeof s, "mean %d", in);
    return add(network, s, n, sizeof s);
}

int32_t jem_network_linear(jem_network *network, int32_t in, const char *name, int64_t outputs)
{
    char s[STATEMENT];
    int n = jem__format(s, sizeof s, "linear %d %s %" PRId64, in, name ? name : "", outputs);
    return add(network, s, n, sizeof s);
}

int32_t jem_network_add(jem_network *network, int32_t a, int32_t b)
{
    char s[STATEMENT];
    int n = jem__format(s, sizeof s, "add %d %d", a, b);
    return add(network, s, n, sizeof s);
}

jem_status jem_network_status(const jem_network *network)
{
    JEM__REQUIRE(network, "jem_network_status");
    return network->status ? jem__fail(network->status, "%s", network->reason) : JEM_OK;
}

jem_status jem_network_shape(const jem_network *network, int32_t value, int64_t *channels,
                             int64_t *height, int64_t *width)
{
    JEM__REQUIRE(network, "jem_network_shape");
    if (value < 0 || value > network->graph.node_count)
        return jem__fail(JEM_ERROR_ARGUMENT, "jem_network_shape: value %d, expected 0..%d", value,
                         network->graph.node_count);
    jem__image s = jem__graph_shape(&network->graph, value);
    if (channels) *channels = s.c;
    if (height) *height = s.h;
    if (width) *width = s.w;
    return JEM_OK;
}

int64_t jem_network_text(const jem_network *network, char *buffer, int64_t capacity)
{
    if (buffer && capacity > 0) *buffer = 0;
    JEM__REQUIRE(network, "jem_network_text");
    return jem__copy_text(network->text ? network->text : "", buffer, capacity);
}

static jem_status settings(jem_config **out, const jem_network *network, const jem_config *config)
{
    jem__image s = network->graph.input;
    JEM__TRY(config ? jem_config_clone(out, config) : jem_config_create(out));
    JEM__TRY(jem_config_set_str(*out, "model.architecture", "network"));
    JEM__TRY(jem_config_set_str(*out, "model.network", network->text ? network->text : ""));
    JEM__TRY(jem_config_set_i64(*out, "model.channels", s.c));
    JEM__TRY(jem_config_set_i64(*out, "model.height", s.h));
    return jem_config_set_i64(*out, "model.width", s.w);
}

jem_status jem_model_create_network(jem_model **model, jem_context *context,
                                    const jem_network *network, const jem_config *config)
{
    jem_config *own = NULL;
    JEM__REQUIRE(model, "jem_model_create_network");
    *model = NULL;
    JEM__REQUIRE(context, "jem_model_create_network");
    JEM__REQUIRE(network, "jem_model_create_network");
    JEM__ENTER(context, "jem_model_create_network");
    JEM__TRY(jem_network_status(network));
    jem_status status = settings(&own, network, config);
    if (!status) status = jem_model_create(model, context, own);
    jem_config_destroy(own);
    return status;
}
