#!/usr/bin/env python3
"""What a wrapper's call costs: scoring one image through ctypes and from C, by turns.

usage: PYTHONPATH=BUILD/examples/ffi wrapping.py LIBJEM.so BUILD/bench/wrapping

Prints JSON. Both sides score the same image with the same small network; each number is
the median of many calls, and each round takes both in turn.
"""
import ctypes
import json
import statistics
import subprocess
import sys
import time

import jem_table as table

SETTINGS = b"context.threads=1 model.depth=10 model.channels=1 model.height=8 model.width=8"
ROUNDS, CALLS = 15, 400


def through_ctypes(library):
    jem = table.declare(ctypes.CDLL(library))
    handles = [ctypes.c_void_p() for _ in range(3)]
    config, context, model = handles
    x, energy = (ctypes.c_float * 64)(), ctypes.c_float()

    def check(status):
        if status < 0:
            text = ctypes.create_string_buffer(512)
            jem.jem_last_error(text, 512)
            sys.exit(text.value.decode())

    check(jem.jem_config_create(ctypes.byref(config)))
    check(jem.jem_config_parse(config, SETTINGS))
    check(jem.jem_context_create(ctypes.byref(context), config))
    check(jem.jem_model_create(ctypes.byref(model), context, config))

    def median(n):
        times = []
        for _ in range(CALLS):
            start = time.perf_counter()
            check(jem.jem_model_energy(model, x, None, n, ctypes.byref(energy)))
            times.append(time.perf_counter() - start)
        return statistics.median(times) * 1e6

    return median


def main(library, program):
    median = through_ctypes(library)
    median(1)
    rounds = []
    for _ in range(ROUNDS):
        native = json.loads(subprocess.run([program, SETTINGS.decode(), str(CALLS)], check=True,
                                           stdout=subprocess.PIPE).stdout)
        rounds.append((native["one_us"], median(1), native["none_us"], median(0)))
    c, wrapped, c_none, wrapped_none = (statistics.median(column) for column in zip(*rounds))
    more = statistics.median(w - n for n, w, _, _ in rounds)
    print(json.dumps({"calls": ROUNDS * CALLS, "c_us": round(c, 2), "ctypes_us": round(wrapped, 2),
                      "more_us": round(more, 2), "empty_call_c_us": round(c_none, 3),
                      "empty_call_ctypes_us": round(wrapped_none, 3)}))


if __name__ == "__main__":
    main(*sys.argv[1:]) if len(sys.argv) == 3 else sys.exit(__doc__)
