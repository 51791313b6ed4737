#include "model/norm.h"

jem__blocked jem__norm_images(const jem__step *step, const jem__slot *slot)
{
    jem__image s = step->node->shape;
    return (jem__blocked){slot->plan->n, s.c, s.h * s.w, step->block};
}

void *jem__norm_at(const jem__slot *slot, int32_t which)
{
    return jem__slot_data(slot, slot->plan->steps[slot->at].buffer[which]);
}

jem__moments jem__moments_join(jem__moments a, jem__moments b)
{
    double d = b.mean - a.mean, n = a.n + b.n;
    return (jem__moments){n, a.mean + d * b.n / n, a.m2 + (b.m2 + d * d * a.n * b.n / n)};
}

void jem__norm_slice_moments(const jem__step *step, jem__slot *slot)
{
    jem__blocked m = jem__norm_images(step, slot);
    double *partial = jem__slot_data(slot, step->buffer[1]);
    step->kernels->channel_moments(&m, jem__slot_data(slot, step->buffer[0]), partial,
                                   partial + m.c);
}

jem__moments jem__norm_batch_moments(const jem__step *step, jem__slot *const *slots, int64_t count,
                                     int32_t which, int64_t channel)
{
    jem__image shape = step->node->shape;
    jem__moments all = {0};
    for (int64_t j = 0; j < count; j++) {
        const double *partial = jem__norm_at(slots[j], which);
        double n = (double)(slots[j]->n * shape.h * shape.w);
        all =
            jem__moments_join(all, (jem__moments){n, partial[channel], partial[shape.c + channel]});
    }
    return all;
}

void jem__norm_parameters(const jem__step *step, jem__slot *slot)
{
    int64_t c = step->node->shape.c;
    const double *partial = jem__slot_data(slot, step->buffer[0]);
    float *dweight = jem__slot_data(slot, step->buffer[1]);
    float *dbias = jem__slot_data(slot, step->buffer[2]);
    for (int64_t i = 0; i < c; i++) {
        dbias[i] = (float)partial[i];
        dweight[i] = (float)partial[c + i];
    }
}
