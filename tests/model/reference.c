#include "model/reference.h"
#include "base/random.h"
#include <math.h>
#include <stdlib.h>

static int64_t elements_of(const jem__parameter_info *p)
{
    int64_t total = 1;
    for (int64_t i = 0; i < p->dimensions; i++) total *= p->shape[i];
    return total;
}

reference *reference_create(jem_model *model, int64_t n, int training)
{
    const jem__graph *graph = &model->graph;
    reference *r = malloc(sizeof *r);
    *r = (reference){.graph = graph, .n = n, .training = training, .seed = model->seed};
    r->parameters = malloc((size_t)graph->parameter_count * sizeof *r->parameters);
    for (int32_t p = 0; p < graph->parameter_count; p++) {
        int64_t total = elements_of(&graph->parameters[p]);
        r->parameters[p] = malloc((size_t)total * sizeof(double));
        for (int64_t i = 0; i < total; i++)
            r->parameters[p][i] = (double)model->parameters[p].value[i];
    }
    return r;
}

void reference_destroy(reference *r)
{
    for (int32_t p = 0; p < r->graph->parameter_count; p++) free(r->parameters[p]);
    free(r->parameters);
    free(r);
}

static void convolution(const jem__node *node, int64_t n, jem__image s, const double *x,
                        const double *weight, const double *bias, double *y)
{
    jem__image d = node->shape;
    int64_t k = node->kernel;
    for (int64_t i = 0; i < n; i++)
        for (int64_t o = 0; o < d.c; o++)
            for (int64_t h = 0; h < d.h; h++)
                for (int64_t w = 0; w < d.w; w++) {
                    double sum = bias[o];
                    for (int64_t c = 0; c < s.c; c++)
                        for (int64_t a = 0; a < k; a++)
                            for (int64_t b = 0; b < k; b++) {
                                int64_t ih = h * node->stride + a - node->pad;
                                int64_t iw = w * node->stride + b - node->pad;
                                if (ih < 0 || iw < 0 || ih >= s.h || iw >= s.w) continue;
                                sum += x[((i * s.c + c) * s.h + ih) * s.w + iw] *
                                       weight[((o * s.c + c) * k + a) * k + b];
                            }
                    *y++ = sum;
                }
}

static void batch_norm(const reference *r, const jem__node *node, const double *x, double *y)
{
    jem__image s = node->shape;
    int64_t pixels = s.h * s.w;
    for (int64_t c = 0; c < s.c; c++) {
        double mean = r->parameters[node->parameter[2]][c];
        double var = r->parameters[node->parameter[3]][c];
        if (r->training) {
            mean = var = 0;
            for (int64_t i = 0; i < r->n; i++)
                for (int64_t j = 0; j < pixels; j++) mean += x[(i * s.c + c) * pixels + j];
            mean /= (double)(r->n * pixels);
            for (int64_t i = 0; i < r->n; i++)
                for (int64_t j = 0; j < pixels; j++)
                    var += pow(x[(i * s.c + c) * pixels + j] - mean, 2);
            var /= (double)(r->n * pixels);
        }
        for (int64_t i = 0; i < r->n; i++)
            for (int64_t j = 0; j < pixels; j++) {
                int64_t at = (i * s.c + c) * pixels + j;
                y[at] = (x[at] - mean) / sqrt(var + 1e-5) * r->parameters[node->parameter[0]][c] +
                        r->parameters[node->parameter[1]][c];
            }
    }
}

static void group_norm(const reference *r, const jem__node *node, const double *x, double *y)
{
    jem__image s = node->shape;
    int64_t pixels = s.h * s.w, size = s.c / node->groups * pixels;
    for (int64_t i = 0; i < r->n * node->groups; i++, x += size, y += size) {
        double mean = 0, var = 0;
        for (int64_t j = 0; j < size; j++) mean += x[j] / (double)size;
        for (int64_t j = 0; j < size; j++) var += pow(x[j] - mean, 2) / (double)size;
        for (int64_t j = 0; j < size; j++) {
            int64_t c = i % node->groups * (s.c / node->groups) + j / pixels;
            y[j] = (x[j] - mean) / sqrt(var + 1e-5) * r->parameters[node->parameter[0]][c] +
                   r->parameters[node->parameter[1]][c];
        }
    }
}

static void act_norm(const reference *r, const jem__node *node, const double *x, double *y)
{
    jem__image s = node->shape;
    for (int64_t i = 0; i < r->n * s.c * s.h * s.w; i++) {
        int64_t c = i / (s.h * s.w) % s.c;
        y[i] = r->parameters[node->parameter[1]][c] * (x[i] + r->parameters[node->parameter[0]][c]);
    }
}

static void windows(const jem__node *node, jem__image s, int64_t images, const double *x, double *y)
{
    jem__image d = node->shape;
    int64_t k = node->kernel;
    for (int64_t i = 0; i < images; i++, x += s.h * s.w)
        for (int64_t o = 0; o < d.h * d.w; o++) {
            double most = -INFINITY, sum = 0;
            for (int64_t a = 0; a < k * k; a++) {
                int64_t h = o / d.w * node->stride - node->pad + a / k;
                int64_t w = o % d.w * node->stride - node->pad + a % k;
                if (h < 0 || w < 0 || h >= s.h || w >= s.w) continue;
                most = fmax(most, x[h * s.w + w]);
                sum += x[h * s.w + w];
            }
            *y++ = node->op == &jem__op_max_pool ? most : sum / (double)(k * k);
        }
}

static void dropout(const reference *r, int32_t index, const double *x, double *y)
{
    const jem__node *node = &r->graph->nodes[index];
    int64_t total = node->shape.c * node->shape.h * node->shape.w;
    for (int64_t i = 0; i < r->n; i++) {
        jem__random random;
        jem__random_at(&random, r->seed, JEM__RANDOM_DROPOUT,
                       (uint64_t)(r->dropout_stream * 65536 + index), (uint64_t)i,
                       (uint32_t)r->dropout_number);
        for (int64_t j = 0; j < total; j++) {
            int kept = jem__random_uniform(&random) >= node->number;
            y[i * total + j] = r->training ? kept * x[i * total + j] / (1 - (double)node->number)
                                           : x[i * total + j];
        }
    }
}

void reference_forward(const reference *r, const double *x, double *logits)
{
    const jem__graph *g = r->graph;
    double **values = calloc((size_t)g->node_count + 1, sizeof *values);
    for (int32_t index = 0; index < g->node_count; index++) {
        const jem__node *node = &g->nodes[index];
        jem__image in = jem__graph_shape(g, node->input[0]), out = node->shape;
        int64_t total = r->n * out.c * out.h * out.w, pixels = in.h * in.w;
        const double *a = node->input[0] ? values[node->input[0]] : x;
        const double *b = node->input[1] > 0 ? values[node->input[1]] : x;
        double *y = values[index + 1] = malloc((size_t)total * sizeof *y);
        const double *weight = node->parameter[0] < 0 ? NULL : r->parameters[node->parameter[0]];
        const double *bias = node->parameter[1] < 0 ? NULL : r->parameters[node->parameter[1]];

        if (node->op == &jem__op_convolution)
            convolution(node, r->n, in, a, weight, bias, y);
        else if (node->op == &jem__op_batch_norm)
            batch_norm(r, node, a, y);
        else if (node->op == &jem__op_group_norm)
            group_norm(r, node, a, y);
        else if (node->op == &jem__op_act_norm)
            act_norm(r, node, a, y);
        else if (node->op == &jem__op_max_pool || node->op == &jem__op_average_pool)
            windows(node, in, r->n * in.c, a, y);
        else if (node->op == &jem__op_dropout)
            dropout(r, index, a, y);
        else if (node->op == &jem__op_linear)
            for (int64_t i = 0; i < total; i++) {
                y[i] = bias[i % out.c];
                int64_t inputs = in.c * pixels;
                for (int64_t c = 0; c < inputs; c++)
                    y[i] += a[i / out.c * inputs + c] * weight[i % out.c * inputs + c];
            }
        else
            for (int64_t i = 0; i < total; i++)
                if (node->op == &jem__op_leaky_relu)
                    y[i] = a[i] > 0 ? a[i] : a[i] * (double)node->number;
                else if (node->op == &jem__op_silu)
                    y[i] = a[i] / (1 + exp(-a[i]));
                else if (node->op == &jem__op_add)
                    y[i] = a[i] + b[i];
                else {
                    y[i] = 0;
                    for (int64_t j = 0; j < pixels; j++) y[i] += a[i * pixels + j] / (double)pixels;
                }
    }
    for (int64_t i = 0; i < r->n * g->classes; i++) logits[i] = values[g->node_count][i];
    for (int32_t i = 0; i <= g->node_count; i++) free(values[i]);
    free(values);
}
