/* The text form of a network (include/jem/network.h): statements separated by semicolons.
   It comes from files: every number, name and size is checked here, before anything is
   allocated by it. */
#include "base/status.h"
#include "model/network.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    WORDS = 7,
    WORD = 64,
    MOST_NODES = 1024,
    MOST_SIDE = 65536,        /* of channels, outputs */
    MOST_WINDOW = 64,         /* of kernels, strides */
    MOST_PARAMETERS = 1 << 30 /* of all layers together */
};

/* Elements of an image's values: so many, or so many times the image's own, but never beyond. */
typedef struct limit {
    int64_t least, times, most;
} limit;
static const limit of_value = {1 << 22, 128, 1 << 26}, of_all = {1 << 26, 1024, 1 << 30};

typedef struct statement {
    char word[WORDS][WORD];
    int32_t count, number; /* words; from 1 */
} statement;

static jem_status refuse(const statement *s, const char *what)
{
    return jem__fail(JEM_ERROR_CONFIG, "network: statement %d (%s): %s", s->number, s->word[0],
                     what);
}

/* ---- Words ---- */

static int32_t is_space(char c)
{
    return c == ' ';
}

static jem_status split(const char *text, size_t length, int32_t number, statement *s)
{
    *s = (statement){.number = number};
    for (size_t i = 0; i < length;) {
        size_t n = 0;
        if (is_space(text[i])) {
            i++;
            continue;
        }
        while (i + n < length && !is_space(text[i + n])) n++;
        if (s->count == WORDS || n >= WORD)
            return jem__fail(JEM_ERROR_CONFIG,
                             "network: statement %d has too many or too long "
                             "words: '%.40s'",
                             number, text);
        memcpy(s->word[s->count], text + i, n);
        s->word[s->count++][n] = 0;
        i += n;
    }
    return JEM_OK;
}

static jem_status integer(const statement *s, int32_t word, const char *what, int64_t low,
                          int64_t high, int64_t *value)
{
    const char *text = s->word[word];
    int64_t n = 0;
    size_t digits = strspn(text, "0123456789");
    for (size_t i = 0; i < digits && digits <= 9; i++) n = n * 10 + (text[i] - '0');
    if (digits == 0 || digits > 9 || text[digits] || n < low || n > high)
        return jem__fail(JEM_ERROR_CONFIG,
                         "network: statement %d (%s): %s is '%s', expected %" PRId64 "..%" PRId64,
                         s->number, s->word[0], what, text, low, high);
    *value = n;
    return JEM_OK;
}

static jem_status value(const jem__graph *g, const statement *s, int32_t word, int32_t *in)
{
    int64_t n = 0;
    JEM__TRY(integer(s, word, "the value it reads", 0, g->node_count, &n));
    *in = (int32_t)n;
    return JEM_OK;
}

static int32_t starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* A layer's parameters are tensors NAME.weight, ... beside the classifier's. */
static jem_status name(const jem__graph *g, const statement *s, const char **out)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.";
    const char *text = *out = s->word[2];
    size_t n = strlen(text);
    if (strspn(text, good) != n || text[0] == '.' || text[n - 1] == '.')
        return refuse(s, "the name must be of letters, digits, '_' and inner '.'");
    if (starts_with(text, "class_output") || starts_with(text, "energy_output"))
        return refuse(s, "class_output and energy_output are the model's own names");
    for (int32_t i = 0; i < g->parameter_count; i++)
        if (starts_with(g->parameters[i].name, text) && g->parameters[i].name[n] == '.' &&
            !strchr(g->parameters[i].name + n + 1, '.'))
            return refuse(s, "another layer has this name");
    return JEM_OK;
}

/* ---- Operators ---- */

static jem_status convolution(jem__graph *g, const statement *s, int32_t in, float momentum)
{
    const char *prefix;
    int64_t channels, kernel, stride, pad;
    (void)momentum;
    JEM__TRY(name(g, s, &prefix));
    JEM__TRY(integer(s, 3, "channels", 1, MOST_SIDE, &channels));
    JEM__TRY(integer(s, 4, "the kernel", 1, MOST_WINDOW, &kernel));
    JEM__TRY(integer(s, 5, "the stride", 1, MOST_WINDOW, &stride));
    JEM__TRY(integer(s, 6, "the pad", 0, kernel - 1, &pad));
    jem__graph_convolution(g, in, prefix, channels, kernel, stride, pad);
    return g->status;
}

static jem_status norm(jem__graph *g, const statement *s, int32_t in, float momentum)
{
    const char *prefix;
    int64_t groups = 0;
    statement rest = *s;
    JEM__TRY(name(g, s, &prefix));
    if (starts_with(s->word[3], "group:")) {
        memmove(rest.word[3], s->word[3] + 6, strlen(s->word[3] + 6) + 1);
        JEM__TRY(integer(&rest, 3, "groups", 1, jem__graph_shape(g, in).c, &groups));
        jem__graph_group_norm(g, in, prefix, groups);
    } else {
        if (!strcmp(s->word[3], "none")) return refuse(s, "none makes nothing: leave it out");
        jem__graph_norm(g, in, prefix, s->word[3], momentum);
    }
    return g->status;
}

static jem_status activation(jem__graph *g, const statement *s, int32_t in, float momentum)
{
    float slope;
    const jem__op *op = jem__graph_activation(s->word[0], &slope);
    (void)momentum;
    jem__graph_unary(g, in, op, slope);
    return g->status;
}

static jem_status dropout(jem__graph *g, const statement *s, int32_t in, float momentum)
{
    double p;
    (void)momentum;
    if (!jem__parse_f64(s->word[2], &p) || !(p >= 0 && p <= 0.95))
        return refuse(s, "the probability must be 0..0.95");
    jem__graph_unary(g, in, &jem__op_dropout, (float)p);
    return g->status;
}

static jem_status windows(jem__graph *g, const statement *s, int32_t in, float momentum)
{
    int64_t kernel, stride, pad;
    (void)momentum;
    JEM__TRY(integer(s, 2, "the window", 1, 16, &kernel));
    JEM__TRY(integer(s, 3, "the stride", 1, MOST_WINDOW, &stride));
    JEM__TRY(integer(s, 4, "the pad", 0, kernel / 2, &pad));
    jem__graph_windows(g, in,
                       strcmp(s->word[0], "max_pool") ? &jem__op_average_pool : &jem__op_max_pool,
                       kernel, stride, pad);
    return g->status;
}

static jem_status mean(jem__graph *g, const statement *s, int32_t in, float momentum)
{
    (void)s, (void)momentum;
    jem__graph_pool(g, in);
    return g->status;
}

static jem_status linear(jem__graph *g, const statement *s, int32_t in, float momentum)
{
    const char *prefix;
    int64_t outputs;
    (void)momentum;
    JEM__TRY(name(g, s, &prefix));
    JEM__TRY(integer(s, 3, "outputs", 1, MOST_SIDE, &outputs));
    jem__graph_linear(g, in, prefix, outputs);
    return g->status;
}

static jem_status add(jem__graph *g, const statement *s, int32_t a, float momentum)
{
    int32_t b;
    (void)momentum;
    JEM__TRY(value(g, s, 2, &b));
    jem__image p = jem__graph_shape(g, a), q = jem__graph_shape(g, b);
    if (p.c != q.c || p.h != q.h || p.w != q.w)
        return jem__fail(JEM_ERROR_CONFIG,
                         "network: statement %d (add): values of %" PRId64 "x%" PRId64 "x%" PRId64
                         " and %" PRId64 "x%" PRId64 "x%" PRId64 ", expected equal shapes",
                         s->number, p.c, p.h, p.w, q.c, q.h, q.w);
    jem__graph_add(g, a, b);
    return g->status;
}

static const struct {
    const char *word;
    int32_t words;
    jem_status (*make)(jem__graph *g, const statement *s, int32_t in, float momentum);
} operators[] = {
    {"convolution", 7, convolution},
    {"norm", 4, norm},
    {"relu", 2, activation},
    {"leaky_relu", 2, activation},
    {"silu", 2, activation},
    {"dropout", 3, dropout},
    {"max_pool", 5, windows},
    {"average_pool", 5, windows},
    {"mean", 2, mean},
    {"linear", 4, linear},
    {"add", 3, add},
};

/* ---- The whole ---- */

static int64_t elements_of(jem__image shape)
{
    return shape.c * shape.h * shape.w; /* < 2^16 2^32 */
}

static int64_t bound(limit l, int64_t image)
{
    int64_t n = image > l.most / l.times ? l.most : image * l.times;
    return n > l.least ? n : l.least;
}

/* What a pass would hold of an image. No tensor of a file proves it (a kernel of one pixel makes
   65536 channels of any image), but the host hands over images of the size that it states. */
static jem_status check_values(const jem__graph *g, const statement *s)
{
    int64_t image = elements_of(g->input), all = image;
    int64_t last = elements_of(g->nodes[g->node_count - 1].shape);
    if (last > bound(of_value, image))
        return jem__fail(JEM_ERROR_CONFIG,
                         "network: statement %d (%s): its result has %" PRId64
                         " elements an image, expected at most %" PRId64,
                         s->number, s->word[0], last, bound(of_value, image));
    for (int32_t i = 0; i < g->node_count; i++) all += elements_of(g->nodes[i].shape);
    if (all > bound(of_all, image))
        return jem__fail(JEM_ERROR_CONFIG,
                         "network: statement %d (%s): all values up to it have %" PRId64
                         " elements an image, expected at most %" PRId64,
                         s->number, s->word[0], all, bound(of_all, image));
    return JEM_OK;
}

static jem_status check_size(const jem__graph *g, const statement *s)
{
    int64_t total = 0;
    JEM__TRY(check_values(g, s));
    for (int32_t i = 0; i < g->parameter_count; i++) {
        int64_t elements = 1;
        for (int64_t j = 0; j < g->parameters[i].dimensions; j++)
            elements *= g->parameters[i].shape[j]; /* < 2^16 2^26, or 2^16 2^16 2^6 2^6 */
        total += elements;
    }
    return total > MOST_PARAMETERS ? refuse(s, "there are too many weights") : JEM_OK;
}

jem_status jem__network_statement(jem__graph *g, const char *text, size_t length, float momentum)
{
    statement s;
    int32_t in;
    if (g->node_count == MOST_NODES)
        return jem__fail(JEM_ERROR_CONFIG, "network: more than %d operators", MOST_NODES);
    JEM__TRY(split(text, length, g->node_count + 1, &s));
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        if (strcmp(operators[i].word, s.word[0]) != 0) continue;
        if (s.count != operators[i].words)
            return jem__fail(JEM_ERROR_CONFIG,
                             "network: statement %d (%s) has %d words, expected %d", s.number,
                             s.word[0], s.count, operators[i].words);
        JEM__TRY(value(g, &s, 1, &in));
        JEM__TRY(operators[i].make(g, &s, in, momentum));
        return check_size(g, &s);
    }
    return jem__fail(JEM_ERROR_CONFIG, "network: statement %d: unknown operator '%s'", s.number,
                     s.word[0]);
}

/* A value that nothing reads would have no gradient. */
jem_status jem__network_check_used(const jem__graph *g)
{
    for (int32_t v = 0; v < g->node_count; v++) {
        int32_t used = 0;
        for (int32_t i = v; i < g->node_count && !used; i++)
            used = g->nodes[i].input[0] == v || g->nodes[i].input[1] == v;
        if (!used)
            return jem__fail(
                JEM_ERROR_CONFIG,
                "network: nothing reads value %d, expected all but the last to be used", v);
    }
    return JEM_OK;
}

static jem_status read(jem__graph *g, const char *text, float momentum)
{
    while (*text) {
        size_t length = strcspn(text, ";");
        JEM__TRY(jem__network_statement(g, text, length, momentum));
        text += length;
        text += *text == ';';
    }
    return jem__network_check_used(g);
}

jem_status jem__network(jem__graph *g, const jem_config *config)
{
    *g = (jem__graph){.input = {jem__config_i64(config, "model.channels"),
                                jem__config_i64(config, "model.height"),
                                jem__config_i64(config, "model.width")},
                      .classes = jem__config_i64(config, "model.classes")};
    if (elements_of(g->input) > of_value.most)
        return jem__fail(JEM_ERROR_CONFIG,
                         "network: images have %" PRId64 " elements, expected at most %" PRId64,
                         elements_of(g->input), of_value.most);
    JEM__TRY(read(g, jem__config_str(config, "model.network"),
                  (float)jem__config_f64(config, "model.norm_momentum")));
    jem__graph_finish(g, g->node_count, config);
    return g->status;
}
