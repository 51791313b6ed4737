/* Initial values from data (act norm): a training batch goes forward once, and each
   such layer sets itself before the next one sees what it makes. */
#include "base/memory.h"
#include "base/status.h"
#include "model/pass.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

static int32_t waits(const jem_model *model, const jem__node *node)
{
    return node->op == &jem__op_act_norm && *model->parameters[node->parameter[2]].value == 0;
}

/* A node that waits for data, or NULL. A channel of one value has no deviation. */
static jem_status find(const jem_model *model, int64_t n, const jem__node **found)
{
    const jem__graph *g = &model->graph;
    *found = NULL;
    for (int32_t i = 0; i < g->node_count; i++) {
        const jem__node *node = &g->nodes[i];
        if (!waits(model, node)) continue;
        *found = node;
        if (n * node->shape.h * node->shape.w < 2)
            return jem__fail(JEM_ERROR_SHAPE,
                             "%s: act norm cannot start from one value per channel, expected a "
                             "first training batch of 2 images or more",
                             model->parameters[node->parameter[0]].name);
    }
    return JEM_OK;
}

/* Copies all that a forward in training may move, there or back. */
static void copy_moved(jem_model *model, float *kept, int32_t back)
{
    for (int32_t i = 0; i < model->graph.parameter_count; i++) {
        const jem__parameter *p = &model->parameters[i];
        if (!p->moved) continue;
        memcpy(back ? p->value : kept, back ? kept : p->value, (size_t)p->elements * sizeof *kept);
        kept += p->elements;
    }
}

static jem_status check_finite(const jem_model *model)
{
    for (int32_t i = 0; i < model->graph.parameter_count; i++) {
        const jem__parameter *p = &model->parameters[i];
        for (int64_t j = 0; p->moved && j < p->elements; j++)
            if (!isfinite(p->value[j]))
                return jem__fail(JEM_ERROR_DIVERGED,
                                 "%s: the first training batch gives %g, expected finite "
                                 "activations",
                                 p->name, (double)p->value[j]);
    }
    return JEM_OK;
}

static jem_status forward(jem_pass *own, const jem_pass *pass, const float *x, int64_t n)
{
    own->dropout_stream = pass->dropout_stream;
    own->dropout_number = pass->dropout_number;
    JEM__TRY(jem__pass_arrange(own, n, 1));
    for (int64_t i = 0; i < own->slices; i++) jem__pass_aim(own, own->slots[i], i, x, NULL);
    return jem__pass_phase(own, JEM__FORWARD);
}

int64_t jem__model_moved_elements(const jem_model *model)
{
    int64_t moved = 0;
    for (int32_t i = 0; i < model->graph.parameter_count; i++)
        if (model->parameters[i].moved) moved += model->parameters[i].elements;
    return moved;
}

jem_status jem__pass_initialiser(jem_pass **own, const jem_pass *pass, int64_t n)
{
    const jem__node *node;
    *own = NULL;
    if (pass->mode != JEM_PASS_TRAIN || pass->hold) return JEM_OK;
    JEM__TRY(find(pass->model, n, &node));
    return node ? jem__pass_new(own, pass->model, JEM__TRAINING | JEM__INITIALISE, n) : JEM_OK;
}

jem_status jem__pass_initialise(const jem_pass *pass, const float *x, int64_t n)
{
    jem_model *model = pass->model;
    jem_pass *own;
    float *kept;
    JEM__TRY(jem__pass_initialiser(&own, pass, n));
    if (!own) return JEM_OK;
    jem_status status = jem__alloc(&kept, jem__model_moved_elements(model), sizeof *kept);
    if (status) {
        jem__pass_free(own);
        return status;
    }
    copy_moved(model, kept, 0);
    status = forward(own, pass, x, n);
    if (!status) status = check_finite(model);
    if (status) copy_moved(model, kept, 1);
    jem__pass_free(own);
    jem__free(kept);
    jem__model_touch(model);
    return status;
}
