/* Replay buffers from outside: a checkpoint's, or the caller's images. */
#include "base/config.h"
#include "base/context.h"
#include "base/memory.h"
#include "base/status.h"
#include "format/checkpoint.h"
#include "model/model.h"
#include "sample/sampler.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

static jem_status check_slots(const char *name, const jem_sampler *sampler, int64_t first,
                              int64_t n)
{
    int64_t slots;
    JEM__TRY(jem_sampler_buffer_info(sampler, &slots));
    if (first < 0 || n < 0 || first > slots || n > slots - first)
        return jem__fail(JEM_ERROR_ARGUMENT,
                         "%s: slots %" PRId64 " and %" PRId64 " more, expected within 0..%" PRId64,
                         name, first, n, slots);
    return JEM_OK;
}

static jem_status check_values(const char *name, const float *x, int64_t n, int64_t image,
                               int64_t first)
{
    for (int64_t i = 0; i < n * image; i++)
        if (!isfinite(x[i]))
            return jem__fail(JEM_ERROR_ARGUMENT,
                             "%s: slot %" PRId64 ", element %" PRId64
                             " is %g, expected a finite number",
                             name, first + i / image, i % image, (double)x[i]);
    return JEM_OK;
}

jem_status jem_sampler_buffer_set(jem_sampler *sampler, int64_t first, int64_t n, const float *x)
{
    static const char name[] = "jem_sampler_buffer_set";
    jem__sampler_state state;
    JEM__REQUIRE(sampler, name);
    JEM__ENTER(jem__sampler_context(sampler), name);
    JEM__TRY(check_slots(name, sampler, first, n));
    if (n == 0) return JEM_OK;
    JEM__REQUIRE(x, name);
    JEM__TRY(jem__sampler_state_of(sampler, &state));
    JEM__TRY(check_values(name, x, n, state.image, first));
    memcpy(state.buffer + first * state.image, x, (size_t)(n * state.image) * sizeof *x);
    for (int64_t i = 0; i < n; i++) state.age[first + i] = 0;
    return JEM_OK;
}

/* Values and ages of the file's buffer, if it has the shape of the sampler's. */
static jem_status find_buffer(const jem__safetensors *set, const char *path,
                              const jem_sampler *sampler, const jem__tensor_info **values,
                              const jem__tensor_info **ages)
{
    int64_t slots, image;
    jem__sampler_buffer_shape(sampler, &slots, &image);
    const jem__tensor_info *v = jem__safetensors_find(set, "sampler.buffer");
    const jem__tensor_info *a = jem__safetensors_find(set, "sampler.age");
    if (!v || !a || strcmp(v->dtype, "F32") != 0 || strcmp(a->dtype, "I64") != 0 ||
        v->dimensions != 2 || a->elements != v->shape[0])
        return jem__fail(JEM_ERROR_FORMAT,
                         "%s: holds no replay buffer (tensors sampler.buffer and "
                         "sampler.age of a checkpoint)",
                         path);
    if (v->shape[0] != slots || v->shape[1] != image)
        return jem__fail(JEM_ERROR_SHAPE,
                         "%s: the buffer has %" PRId64 " slots of %" PRId64
                         " values, expected %" PRId64 " (sampler.buffer) of %" PRId64,
                         path, v->shape[0], v->shape[1], slots, image);
    *values = v;
    *ages = a;
    return JEM_OK;
}

/* Blocks of one class each are for a sampler of classes; any other may go on from any chain. */
static jem_status check_blocks(const jem__safetensors *set, const char *path,
                               const jem_sampler *sampler)
{
    jem_config *config = NULL;
    const char *settings = jem__safetensors_metadata(set, "settings");
    if (!settings || !jem__sampler_has_blocks(sampler)) return JEM_OK;
    JEM__TRY(jem_config_create(&config));
    jem_status status = jem_config_parse(config, settings);
    if (status)
        status = jem__fail_in(status == JEM_ERROR_CONFIG ? JEM_ERROR_FORMAT : status, "%s", path);
    else if (!jem__config_i64(config, "sampler.conditional") &&
             jem__config_f64(config, "trainer.pxy") <= 0)
        status = jem__fail(JEM_ERROR_CONFIG,
                           "%s: chains of the buffer are of any class, expected those of "
                           "sampler.conditional=1",
                           path);
    jem_config_destroy(config);
    return status;
}

/* Checks everything before it changes anything, and that the file has such a buffer before there is
   room made for one. */
static jem_status take_buffer(const jem__safetensors *set, const char *path, jem_sampler *sampler,
                              int64_t *used)
{
    const jem__tensor_info *values = NULL, *ages = NULL;
    jem__sampler_state state;
    JEM__TRY(find_buffer(set, path, sampler, &values, &ages));
    JEM__TRY(jem__sampler_state_of(sampler, &state));
    for (int64_t i = 0; i < state.slots; i++) {
        int64_t age;
        memcpy(&age, ages->bytes + i * 8, sizeof age);
        if (age < -1 || age > (int64_t)1 << 60)
            return jem__fail(JEM_ERROR_FORMAT,
                             "%s: the age of slot %" PRId64 " is %" PRId64 ", expected -1..2^60",
                             path, i, age);
        for (int64_t j = 0; age >= 0 && j < state.image; j++) {
            float value;
            memcpy(&value, values->bytes + (i * state.image + j) * 4, sizeof value);
            if (!isfinite(value))
                return jem__fail(JEM_ERROR_FORMAT, "%s: slot %" PRId64 " is not finite", path, i);
        }
        if (used) *used += age >= 0;
    }
    memcpy(state.buffer, values->bytes, (size_t)values->size);
    memcpy(state.age, ages->bytes, (size_t)ages->size);
    return JEM_OK;
}

/* Files of other programs that have such tensors may have no checksum. */
static jem_status check_whole(const jem__safetensors *set, const char *path)
{
    if (jem__checkpoint_is(set)) return jem__checkpoint_check(set, path);
    return jem__safetensors_metadata(set, "checksum") ? jem__safetensors_verify(set, path) : JEM_OK;
}

jem_status jem_sampler_buffer_load(jem_sampler *sampler, const char *path, int64_t *used)
{
    static const char name[] = "jem_sampler_buffer_load";
    jem__safetensors *set = NULL;
    if (used) *used = 0;
    JEM__REQUIRE(sampler, name);
    JEM__REQUIRE(path, name);
    JEM__ENTER(jem__sampler_context(sampler), name);
    JEM__TRY(jem__safetensors_load(&set, path));
    jem_status status = check_whole(set, path);
    if (!status) status = check_blocks(set, path, sampler);
    if (!status) status = take_buffer(set, path, sampler, used);
    jem__safetensors_destroy(set);
    if (status && used) *used = 0;
    return status;
}

jem_status jem_sampler_buffer_age(const jem_sampler *sampler, int64_t first, int64_t n,
                                  int64_t *age)
{
    static const char name[] = "jem_sampler_buffer_age";
    JEM__REQUIRE(sampler, name);
    JEM__TRY(check_slots(name, sampler, first, n));
    if (n == 0) return JEM_OK;
    JEM__REQUIRE(age, name);
    jem__sampler_ages(sampler, first, n, age);
    return JEM_OK;
}
