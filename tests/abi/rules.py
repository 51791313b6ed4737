#!/usr/bin/env python3
"""Holds the public headers to the rules of the API: types that every language can pass,
no code or data in headers, one name for one act, a comment for every function, every
number pinned in test_values.c. Usage: rules.py SOURCE
"""
import os
import re
import shutil
import sys
import tempfile

SOURCE = os.path.abspath(sys.argv[1])
sys.path.insert(0, os.path.join(SOURCE, "examples/ffi"))
import headers  # noqa: E402

NUMBERS = {"int32_t", "int64_t", "uint64_t", "float", "double"}
# Of no handle, or of the library itself.
PLAIN = {"jem_last_error", "jem_status_name", "jem_version", "jem_abi_version", "jem_build_info"}
FORBIDDEN = r"\b(bool|_Bool|long|short|unsigned|size_t|inline|static|volatile|union)\b|\.\.\."


def type_error(api, text, function):
    """What is wrong with a parameter's or a result's type, or None."""
    base = re.sub(r"\bconst\b|\*", "", text).strip()
    stars = text.count("*")
    if re.search(FORBIDDEN, text):
        return "is not of fixed size"
    if stars == 0:
        good = base in NUMBERS or api.aliases.get(base) == "int32_t" or (base == "void" and function)
        return None if good else "is passed by value"
    if base in api.handles:
        return None if stars <= 2 else "has too many stars"
    if base in [t.name for t in api.tables]:
        return None if stars == 1 and text.startswith("const ") else "is a table that is not const"
    known = base in NUMBERS | {"char", "uint8_t", "void"} or base in api.aliases
    return None if known and stars <= 2 else "is of an unknown type"


def check_function(api, f, nouns, say):
    where = f.header + ": " + f.name
    if not f.comment:
        say(where + " has no comment")
    if type_error(api, f.result, True):
        say(f"{where}: the result {f.result} {type_error(api, f.result, True)}")
    seen_input = False
    for p in f.parameters:
        wrong = type_error(api, p.type, False)
        if wrong:
            say(f"{where}: {p.type} {p.name} {wrong}")
        handle = re.sub(r"\W|const", "", p.type) in api.handles
        if handle and p.type.count("*") == 2 and seen_input:
            say(f"{where}: the new handle {p.name} comes after an input")
        seen_input = seen_input or (handle and p.type.count("*") == 1)
    if f.name not in PLAIN and f.name.split("_")[1] not in nouns:
        say(f"{where} is of no noun of the API ({', '.join(sorted(nouns))})")
    if f.name.endswith(("_destroy", "_cancel")) != (f.result == "void"):
        say(f"{where}: only _destroy and _cancel return nothing")
    if f.name.endswith("_destroy") and len(f.parameters) != 1:
        say(where + " takes one handle")


def check_pins(api, pins, say):
    for e in api.enums:
        if e.type and api.aliases.get(e.type) != "int32_t":
            say(f"{e.header}: {e.type} is not int32_t")
        for name, *number in e.values:
            if not number or not re.fullmatch(r"-?\d+", number[0]):
                say(f"{e.header}: {name} has no number")
            elif f"PINNED({name}, {number[0]});" not in pins:
                say(f"{e.header}: {name} is not pinned in tests/abi/test_values.c")
    for t in api.tables:
        if t.fields[0].name != "struct_size":
            say(f"{t.header}: {t.name} does not begin with struct_size")
        for field in t.fields:
            if f"PINNED(offsetof({t.name}, {field.name})," not in pins:
                say(f"{t.header}: {t.name}.{field.name} is not pinned in tests/abi/test_values.c")


def check_text(name, text, say):
    """What the parser does not see."""
    code = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    for m in re.finditer(r"^\s*#\s*define\s+(\w+)\(", code, re.M):
        say(f"{name}: {m.group(1)} is a macro with arguments")
    for m in re.finditer(FORBIDDEN, code):
        say(f"{name}: '{m.group(0)}'")
    code = re.sub(r"^\s*#.*$|extern \"C\"", "", code, flags=re.M)
    for m in re.finditer(r"\bextern\b[^;]*", code):
        say(f"{name}: data: {headers.tidy(m.group(0))}")
    for m in re.finditer(r"\bJEM_API\s+[^;(]*;", code):
        say(f"{name}: data: {headers.tidy(m.group(0))}")


def check(root):
    """The violations in a source tree, one line each."""
    said = []
    try:
        api = headers.read(os.path.join(root, "include"))
    except ValueError as error:
        return [str(error)], None
    nouns = {re.sub(r"^jem[_/]|\.h$", "", name) for name in api.handles + api.files}
    with open(os.path.join(root, "tests/abi/test_values.c"), encoding="utf-8") as file:
        pins = re.sub(r"\s+", " ", file.read())
    count = 0
    for name in api.files:
        with open(os.path.join(root, "include", name), encoding="utf-8") as file:
            text = file.read()
        check_text(name, text, said.append)
        count += len(re.findall(r"^JEM_API\b", re.sub(r"/\*.*?\*/", "", text, flags=re.S), re.M))
    if count != len(api.functions):
        said.append(f"{count} times JEM_API, but {len(api.functions)} functions were understood")
    names = [f.name for f in api.functions]
    for f in api.functions:
        check_function(api, f, nouns, said.append)
    for name in {n for n in names if names.count(n) > 1}:
        said.append(name + " is declared twice")
    for handle in api.handles:
        if handle + "_destroy" not in names:
            said.append(handle + " has no _destroy")
    check_pins(api, pins, said.append)
    return said, api


VIOLATIONS = [
    "/* X. */\nJEM_API jem_status jem_model_bad(bool x);",
    "/* X. */\nJEM_API jem_status jem_model_bad(long x);",
    "/* X. */\nJEM_API jem_status jem_model_bad(const char *format, ...);",
    "/* X. */\nJEM_API jem_status jem_model_bad(jem_log log);",
    "/* X. */\nJEM_API jem_status jem_model_bad(jem_model *model, jem_model **copy);",
    "/* X. */\nJEM_API jem_status jem_thing_bad(int32_t x);",
    "/* X. */\nJEM_API void jem_model_bad(jem_model *model);",
    "\n\nJEM_API jem_status jem_model_bad(int32_t x);",
    "static inline int jem_bad(void) { return 1; }",
    "#define JEM_SQUARE(x) ((x) * (x))",
    "JEM_API extern int jem_bad;",
    "typedef struct jem_bad jem_bad;",
    "enum { JEM_BAD = 77 };",
    "enum { JEM_BAD };",
    "typedef struct jem_bad_table {\n    void *user;\n} jem_bad_table;",
]


def check_itself(scratch):
    """The check must see a violation of each kind."""
    for number, violation in enumerate(VIOLATIONS):
        root = os.path.join(scratch, str(number))
        shutil.copytree(os.path.join(SOURCE, "include"), os.path.join(root, "include"))
        os.makedirs(os.path.join(root, "tests/abi"))
        shutil.copy(os.path.join(SOURCE, "tests/abi/test_values.c"), os.path.join(root, "tests/abi"))
        path = os.path.join(root, "include/jem/context.h")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace("/* Makes a context.", violation + "\n\n/* Makes a context.", 1))
        if not check(root)[0]:
            sys.exit("rules.py does not see: " + violation)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        check_itself(folder)
    found, api = check(SOURCE)
    print("\n".join(found))
    if found:
        sys.exit(1)
    print(f"{len(api.functions)} functions, {len(api.tables)} tables keep the rules")
