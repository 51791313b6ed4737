#!/usr/bin/env python3
"""Scores a drawing from Python, through ctypes and nothing else.

usage: score.py LIBJEM.so MODEL.safetensors
"""
import ctypes
import math
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
    shape = [i64() for _ in range(4)]
    check(jem.jem_model_info(model, *map(ctypes.byref, shape), None))
    channels, height, width, classes = (s.value for s in shape)

    # Your image: 28 x 28 bytes. Here a 7, drawn by hand.
    rows = ["." * 28] * 6 + ["......##############........"] * 3
    for i in range(13):
        left = 17 - i // 2
        rows.append("." * left + "###" + "." * (25 - left))
    rows += ["." * 28] * 6
    pixels = bytes(230 if c == "#" else 20 for c in "".join(rows))

    x = (ctypes.c_float * (channels * height * width))()
    logits, energy = (ctypes.c_float * classes)(), ctypes.c_float()
    check(jem.jem_model_prepare(model, pixels, i64(28), i64(28), i64(0), i32(GREY8), i32(1), x))
    check(jem.jem_model_logits(model, x, i64(1), logits, i64(classes)))
    check(jem.jem_model_energy(model, x, None, i64(1), ctypes.byref(energy)))

    # p(y|x) = exp(f(x)[y] + E(x)), because E(x) = -logsumexp f(x).
    best = max(range(classes), key=lambda k: logits[k])
    name = ctypes.create_string_buffer(64)
    jem.jem_model_class_name.restype = i64
    jem.jem_model_class_name(model, i64(best), name, i64(64))
    print("class %s, probability %.4f, log p(x) = %.3f + constant"
          % (name.value.decode(), math.exp(logits[best] + energy.value), -energy.value))
    jem.jem_model_destroy(model)
    jem.jem_context_destroy(context)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
