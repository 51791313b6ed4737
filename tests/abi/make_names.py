#!/usr/bin/env python3
"""Writes the names and values that this library takes, one a line: make_names.py LIBJEM.so
JEM_TABLE_FOLDER. tests/abi/names_N.txt keeps those of ABI N from its first release on;
test_names.c holds every later library to them. Lines are only ever added.
"""
import ctypes
import re
import sys

sys.path.insert(0, sys.argv[2])
import jem_table as table  # noqa: E402

jem = table.declare(ctypes.CDLL(sys.argv[1]))


def keys():
    """Every setting at its default, at both ends of its range, and each of its choices."""
    for i in range(jem.jem_config_key_count()):
        texts, kind = [ctypes.c_char_p() for _ in range(4)], ctypes.c_int32()
        at = [ctypes.byref(t) for t in texts]
        assert jem.jem_config_key_info(i, at[0], ctypes.byref(kind), at[1], at[2], at[3]) == 0
        name, standard, allowed, _ = (t.value.decode() for t in texts)
        values = [standard]
        if re.fullmatch(r"\S+\.\.\S+", allowed):
            values += allowed.split("..")
        elif "|" in allowed:
            values += allowed.split("|")
        for value in dict.fromkeys(values):
            yield f'key {name}="{value}"'


def choices(call, argument):
    """The names that an error's text lists."""
    text = ctypes.create_string_buffer(2048)
    assert call(argument) < 0
    jem.jem_last_error(text, len(text))
    return text.value.decode().split("one of")[1].strip(" :").split(", ")


def main():
    context, config, model = (ctypes.c_void_p() for _ in range(3))
    assert jem.jem_config_create(ctypes.byref(config)) == 0
    assert jem.jem_config_parse(config, b"model.channels=1 model.height=8 model.width=8") == 0
    assert jem.jem_context_create(ctypes.byref(context), config) == 0
    assert jem.jem_model_create(ctypes.byref(model), context, config) == 0
    x, scores = (ctypes.c_float * 64)(), (ctypes.c_float * 1)()
    yield from keys()
    yield from ("preset " + n for n in choices(lambda n: jem.jem_config_preset(config, n), b"?"))
    yield from ("score " + n for n in choices(
        lambda n: jem.jem_eval_score(model, n, x, 1, 0, None, scores), b"?"))
    yield from ("metric " + jem.jem_trainer_metric_name(i).decode()
                for i in range(jem.jem_trainer_metric_count()))
    yield from ("status %d %s" % (i, jem.jem_status_name(i).decode()) for i in range(-99, 99)
                if jem.jem_status_name(i) != b"unknown status")


print("\n".join(main()))
