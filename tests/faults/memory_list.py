#!/usr/bin/env python3
"""Every public function is called with a fault armed: memory_list.py SOURCE

Armed is what stands in TRIED, TRIED_ONCE, MADE, CALLS and MAKES, what stands between inject_arm and
inject_disarm in test_memory.c, and what the tests' own functions do that are called there."""
import re
import sys

root = sys.argv[1]
sources = [open(f"{root}/tests/{name}").read() for name in (
    "faults/memory_cases.c", "faults/memory_training.c", "faults/test_memory.c", "train/tiny.h")]
text = re.sub(r"/\*.*?\*/|//[^\n]*", "", "\n".join(sources), flags=re.S)
words = re.compile(r"\w+")


def balanced(at, opening, closing):
    """The text from `at`, an opening bracket, to the one that closes it."""
    depth = 0
    for end in range(at, len(text)):
        depth += (text[end] == opening) - (text[end] == closing)
        if depth == 0:
            return text[at:end]
    raise SystemExit(f"unbalanced {opening} in the tests")


bodies = {m[1]: balanced(m.end() - 1, "{", "}")
          for m in re.finditer(r"^[a-z][\w *]*?(\w+)\([^;{]*\)\n\{", text, re.M)}
armed = [balanced(m.end() - 1, "(", ")")
         for m in re.finditer(r"^(?!#define).*?\b(?:TRIED(?:_ONCE)?|MADE|CALLS|MAKES)\(", text, re.M)]
armed += re.findall(r"inject_arm\(INJECT_ALLOC, 1, 1, 1\);(.*?)inject_disarm", text, re.S)

found, new = set(), {word for part in armed for word in words.findall(part)}
while new:
    found |= new
    new = {word for name in new if name in bodies for word in words.findall(bodies[name])} - found

with open(f"{root}/tests/abi/symbols.txt") as file:
    symbols = file.read().split()
missing = [name for name in symbols if name not in found]
print(f"{len(symbols) - len(missing)} of {len(symbols)} public functions are called with a fault armed")
if len(symbols) < 100 or missing:
    raise SystemExit("not tried without memory: " + " ".join(missing))
