/* Application pixels -> model input. */
#include "base/memory.h"
#include "base/status.h"
#include "format/pixels.h"
#include "model/internal.h"
#include <inttypes.h>

jem_status jem_model_prepare(const jem_model *model, const uint8_t *pixels, int64_t width,
                             int64_t height, int64_t stride, jem_pixel_format format,
                             int32_t resize, float *x, int64_t capacity)
{
    JEM__REQUIRE(model, "jem_model_prepare");
    JEM__REQUIRE(pixels, "jem_model_prepare");
    JEM__REQUIRE(x, "jem_model_prepare");
    JEM__ENTER(model->context, "jem_model_prepare");
    int64_t bytes = jem__pixel_bytes(format);
    jem__image to = model->graph.input;
    if (!bytes)
        return jem__fail(JEM_ERROR_ARGUMENT, "jem_model_prepare: format %d, expected 1..4", format);
    if (width < 1 || height < 1 || width > 1 << 20 || height > 1 << 20)
        return jem__fail(JEM_ERROR_ARGUMENT,
                         "jem_model_prepare: size %" PRId64 "x%" PRId64 ", expected 1..1048576",
                         width, height);
    if (stride == 0) stride = width * bytes;
    if (stride < width * bytes)
        return jem__fail(JEM_ERROR_ARGUMENT,
                         "jem_model_prepare: stride %" PRId64 " bytes, expected at least %" PRId64,
                         stride, width * bytes);
    JEM__TRY(jem__check_count("jem_model_prepare", "stride", stride, height));
    if (!resize && (width != to.w || height != to.h))
        return jem__fail(JEM_ERROR_SHAPE,
                         "jem_model_prepare: image is %" PRId64 "x%" PRId64 ", expected %" PRId64
                         "x%" PRId64 " (or ask for resizing)",
                         width, height, to.w, to.h);
    if (to.c != 1 && to.c != 3)
        return jem__fail(JEM_ERROR_UNSUPPORTED,
                         "jem_model_prepare: the model has %" PRId64 " channels, expected 1 or 3",
                         to.c);
    JEM__TRY(jem__check_capacity("jem_model_prepare", "x", capacity, to.c * to.h, to.w));
    return jem__pixels_convert(pixels, width, height, stride, format, to.c, to.h, to.w, x);
}
