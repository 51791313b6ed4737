/* Class Gaussians in the model's file. */
#include "base/config.h"
#include "base/context.h"
#include "base/memory.h"
#include "base/status.h"
#include "sample/factor.h"
#include "tensor/kernels.h"
#include <inttypes.h>
#include <jem/starts.h>
#include <math.h>
#include <string.h>

static const char mean_name[] = "starts.mean", rest_name[] = "starts.rest",
                  factor_name[] = "starts.factor";

typedef struct shape {
    int64_t c, h, w, classes;
} shape;

static jem_status shape_of(const jem_model *model, shape *s)
{
    return jem_model_info(model, &s->c, &s->h, &s->w, &s->classes, NULL);
}

/* ---- To and from tensors ---- */

/* rank -1: the tensor has no such dimension. */
static jem_status store(jem_model *model, const shape *s, const char *name, int64_t rank,
                        const char *dtype, const void *bytes, int64_t size)
{
    jem__tensor_info t = {.name = name, .dtype = dtype, .bytes = bytes};
    const int64_t whole[] = {s->classes, rank, s->c, s->h, s->w};
    for (int i = 0; i < 5; i++)
        if (i != 1 || rank >= 0) t.shape[t.dimensions++] = whole[i];
    t.size = size;
    return jem__model_extra_set(model, &t);
}

jem_status jem__factor_store(const jem__factor *f, jem_model *model)
{
    int64_t plane = f->classes * f->image, size = plane * f->rank;
    jem__real *narrow;
    shape s;
    JEM__TRY(shape_of(model, &s));
    JEM__TRY(jem__alloc(&narrow, size, 2));
    jem__activations_here(JEM__BF16)->narrow(f->factor, narrow, size);
    jem_status status = store(model, &s, mean_name, -1, "F32", f->mean, plane * 4);
    if (!status) status = store(model, &s, rest_name, -1, "F32", f->rest, plane * 4);
    if (!status) status = store(model, &s, factor_name, f->rank, "BF16", narrow, size * 2);
    jem__free(narrow);
    if (status) jem_model_starts_remove(model); /* all or none */
    return status;
}

/* A tensor [classes,(rank,)c,h,w] as finite floats; rank NULL: without that dimension. */
static jem_status load(const jem_model *model, const shape *s, const char *name, int64_t *rank,
                       float **values)
{
    jem__tensor_info t;
    int64_t at = 1;
    if (!jem__model_extra_get(model, name, &t))
        return jem__fail(JEM_ERROR_FORMAT, "the model has other tensors starts.* but no %s", name);
    int32_t fits = t.dimensions == (rank ? 5 : 4) && t.shape[0] == s->classes;
    if (fits && rank) *rank = t.shape[at++];
    fits = fits && t.shape[at] == s->c && t.shape[at + 1] == s->h && t.shape[at + 2] == s->w;
    if (!fits)
        return jem__fail(JEM_ERROR_FORMAT,
                         "tensor %s of the model: expected shape [%" PRId64 "%s,%" PRId64
                         ",%" PRId64 ",%" PRId64 "]",
                         name, s->classes, rank ? ",rank" : "", s->c, s->h, s->w);
    JEM__TRY(jem__alloc(values, t.elements, sizeof **values));
    jem_status status = jem__safetensors_to_f32(&t, *values);
    if (status) return jem__fail_in(status, "tensor %s of the model", name);
    for (int64_t i = 0; i < t.elements; i++)
        if (!isfinite((*values)[i]) || fabsf((*values)[i]) > 1e3F)
            return jem__fail(JEM_ERROR_FORMAT,
                             "tensor %s of the model, element %" PRId64
                             ": got %g, expected a number within -1000..1000",
                             name, i, (double)(*values)[i]);
    return JEM_OK;
}

jem_status jem__factor_load(jem__factor *f, const jem_model *model)
{
    jem__tensor_info t;
    shape s;
    *f = (jem__factor){0};
    if (!jem__model_extra_get(model, factor_name, &t) &&
        !jem__model_extra_get(model, mean_name, &t) && !jem__model_extra_get(model, rest_name, &t))
        return JEM_OK;
    JEM__TRY(shape_of(model, &s));
    jem_status status = load(model, &s, mean_name, NULL, &f->mean);
    if (!status) status = load(model, &s, rest_name, NULL, &f->rest);
    if (!status) status = load(model, &s, factor_name, &f->rank, &f->factor);
    if (status) {
        jem__factor_clear(f);
        return status;
    }
    f->classes = s.classes;
    f->image = s.c * s.h * s.w;
    return JEM_OK;
}

/* ---- Public ---- */

static jem_status check_shape(const shape *s, jem_dataset *data)
{
    int64_t c, h, w;
    JEM__TRY(jem_dataset_info(data, NULL, &c, &h, &w, NULL));
    if (c == s->c && h == s->h && w == s->w) return JEM_OK;
    return jem__fail(JEM_ERROR_SHAPE,
                     "jem_model_starts_fit: images of %" PRId64 "x%" PRId64 "x%" PRId64
                     ", expected %" PRId64 "x%" PRId64 "x%" PRId64,
                     c, h, w, s->c, s->h, s->w);
}

jem_status jem_model_starts_fit(jem_model *model, jem_dataset *data, const jem_config *config)
{
    jem__factor factor = {0};
    shape s;
    JEM__REQUIRE(model, "jem_model_starts_fit");
    JEM__REQUIRE(data, "jem_model_starts_fit");
    JEM__ENTER(jem__model_context(model), "jem_model_starts_fit");
    JEM__TRY(shape_of(model, &s));
    JEM__TRY(check_shape(&s, data));
    JEM__TRY(jem__factor_fit(&factor, "jem_model_starts_fit", jem__model_context(model), data,
                             s.c * s.h * s.w, s.classes,
                             jem__config_i64(config, "sampler.start_rank"),
                             (uint64_t)jem__config_i64(config, "sampler.seed")));
    jem_status status = jem__factor_store(&factor, model);
    jem__factor_clear(&factor);
    return status;
}

jem_status jem_model_starts_info(const jem_model *model, int64_t *rank, int64_t *bytes,
                                 double *explained)
{
    jem__factor factor;
    jem__tensor_info t;
    const char *const names[] = {mean_name, rest_name, factor_name};
    JEM__REQUIRE(model, "jem_model_starts_info");
    if (rank) *rank = 0;
    if (bytes) *bytes = 0;
    if (explained) *explained = 0;
    JEM__ENTER(jem__model_context(model), "jem_model_starts_info");
    JEM__TRY(jem__factor_load(&factor, model));
    if (factor.classes == 0) return JEM_OK;
    if (rank) *rank = factor.rank;
    for (int i = 0; bytes && i < 3; i++)
        if (jem__model_extra_get(model, names[i], &t)) *bytes += t.size;
    if (explained) *explained = jem__factor_explained(&factor);
    jem__factor_clear(&factor);
    return JEM_OK;
}

jem_status jem_model_starts_remove(jem_model *model)
{
    JEM__REQUIRE(model, "jem_model_starts_remove");
    JEM__ENTER(jem__model_context(model), "jem_model_starts_remove");
    jem__model_extra_remove(model, mean_name);
    jem__model_extra_remove(model, rest_name);
    jem__model_extra_remove(model, factor_name);
    return JEM_OK;
}
