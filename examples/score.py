#!/usr/bin/env python3
"""Scores a drawing from Python, through ctypes and nothing else.

usage: score.py LIBJEM.so MODEL.safetensors
"""
import ctypes
import sys

GREY8 = 1  # jem_pixel_format


def main(library, path):
    jem = ctypes.CDLL(library)
    jem.jem_last_error.restype = ctypes.c_int64
    pointer, i64, i32 = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int32

    def check(status):
        if status < 0:
            text = ctypes.create_string_buffer(512)
            jem.jem_last_error(text, i64(512))
            sys.exit("score.py: " + text.value.decode())

    context, model = pointer(), pointer()
    check(jem.jem_context_create(ctypes.byref(context), None))
    check(jem.jem_model_load(ctypes.byref(model), context, path.encode()))
    shape = [i64() for _ in range(3)]
    check(jem.jem_model_info(model, *map(ctypes.byref, shape), None, None))
    channels, height, width = (s.value for s in shape)

    # Your image: 28 x 28 bytes. Here a 7, drawn by hand.
    rows = ["." * 28] * 6 + ["......##############........"] * 3
    for i in range(13):
        left = 17 - i // 2
        rows.append("." * left + "###" + "." * (25 - left))
    rows += ["." * 28] * 6
    pixels = bytes(230 if c == "#" else 20 for c in "".join(rows))

    x = (ctypes.c_float * (channels * height * width))()
    y, accepted, probability, log_px = i32(), i32(), ctypes.c_float(), ctypes.c_float()
    check(jem.jem_model_prepare(model, pixels, i64(28), i64(28), i64(0), i32(GREY8), i32(1), x, i64(len(x))))
    check(jem.jem_model_predict(model, x, i64(1), *map(ctypes.byref, (y, probability, log_px, accepted))))

    name = ctypes.create_string_buffer(64)
    jem.jem_model_class_name.restype = i64
    jem.jem_model_class_name(model, i64(y.value), name, i64(64))
    verdict = {1: "accepted", 0: "rejected", -1: "not calibrated"}[accepted.value]
    print("class %s, probability %.4f, log p(x) = %.3f + constant, %s"
          % (name.value.decode(), probability.value, log_px.value, verdict))
    jem.jem_model_destroy(model)
    jem.jem_context_destroy(context)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
