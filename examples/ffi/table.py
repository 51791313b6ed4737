#!/usr/bin/env python3
"""Writes what a wrapper needs to know of libjem, from its headers.

usage: table.py INCLUDE python|cdef|json OUTPUT

python  a module of ctypes: constants, callback tables as Structure classes, and
        declare(library), which gives every function its argument and result types and
        refuses a library of another ABI
cdef    plain C for readers of C declarations: LuaJIT's ffi.cdef, Python's cffi
json    functions, tables and constants, for anything else
"""
import dataclasses
import json
import sys

import headers

SCALARS = {"int32_t": "c_int32", "int64_t": "c_int64", "uint64_t": "c_uint64", "float": "c_float",
           "double": "c_double", "void": "None"}


def constants(api):
    return [(name, int(number)) for e in api.enums for name, number in e.values]


# ---- ctypes


def ctype(api, text):
    """Numbers by value; texts as bytes; everything else as an address."""
    text = text.replace("const ", "")
    base = text.rstrip("* ")
    if not text.endswith("*"):
        return SCALARS[api.aliases.get(base, base)]
    if text == "char *":
        return "c_char_p"
    return f"POINTER({base})" if base in [t.name for t in api.tables] else "c_void_p"


def field(api, f):
    if isinstance(f, headers.Parameter):
        return ctype(api, f.type)
    return "CFUNCTYPE(%s)" % ", ".join([ctype(api, f.result)] +
                                       [ctype(api, p.type) for p in f.parameters])


def write_python(api):
    yield '"""Written by table.py from libjem\'s headers."""'
    yield "from ctypes import (CFUNCTYPE, POINTER, Structure, c_char_p, c_double, c_float, c_int32,"
    yield "                    c_int64, c_uint64, c_void_p)\n"
    for name, number in constants(api):
        yield f"{name} = {number}"
    for t in api.tables:
        yield f"\n\nclass {t.name}(Structure):\n    _fields_ = ["
        for f in t.fields:
            yield f'        ("{f.name}", {field(api, f)}),'
        yield "    ]"
    yield "\n\nFUNCTIONS = {"
    for f in api.functions:
        types = ", ".join(ctype(api, p.type) for p in f.parameters)
        yield f'    "{f.name}": ({ctype(api, f.result)}, [{types}]),'
    yield "}\n\n\ndef declare(library):"
    yield "    for name, (result, arguments) in FUNCTIONS.items():"
    yield "        function = getattr(library, name)"
    yield "        function.restype, function.argtypes = result, arguments"
    yield "    if library.jem_abi_version() != JEM_ABI_VERSION:"
    yield "        raise ImportError(f'libjem of ABI {library.jem_abi_version()}, expected {JEM_ABI_VERSION}')"
    yield "    return library"


# ---- C


def prototype(f, name):
    arguments = ", ".join(f"{p.type} {p.name}" for p in f.parameters) or "void"
    return f"{f.result} {name}({arguments});"


def write_cdef(api):
    yield from (f"typedef {text} {alias};" for alias, text in api.aliases.items())
    yield from (f"typedef struct {handle} {handle};" for handle in api.handles)
    yield "enum {"
    yield from (f"    {name} = {number}," for name, number in constants(api))
    yield "};"
    for t in api.tables:
        yield f"typedef struct {t.name} {{"
        for f in t.fields:
            yield "    " + (prototype(f, f"(*{f.name})") if isinstance(f, headers.Function)
                            else f"{f.type} {f.name};")
        yield f"}} {t.name};"
    yield from (prototype(f, f.name) for f in api.functions)


def write_json(api):
    whole = dataclasses.asdict(api)
    yield json.dumps({"constants": dict(constants(api)), "handles": whole["handles"],
                      "aliases": whole["aliases"], "tables": whole["tables"],
                      "functions": whole["functions"],
                      "prototypes": [prototype(f, f.name) for f in api.functions]}, indent=1)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    write = {"python": write_python, "cdef": write_cdef, "json": write_json}[sys.argv[2]]
    with open(sys.argv[3], "w", encoding="utf-8") as output:
        output.write("\n".join(write(headers.read(sys.argv[1]))) + "\n")
