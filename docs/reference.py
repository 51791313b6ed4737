#!/usr/bin/env python3
"""Writes the reference of the API as one HTML page, from the headers and their comments.

usage: reference.py SOURCE OUTPUT.html
"""
import html
import os
import re
import sys

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62em; margin: 2em auto; padding: 0 1em;
       color: #222; background: #fff; }
pre { font: 14px/1.45 ui-monospace, monospace; background: #f5f6f8; padding: .7em 1em;
      overflow-x: auto; border-radius: 4px; }
.text { white-space: pre-wrap; margin: .4em 0 2em; }
h2 { border-bottom: 1px solid #ccc; padding-top: 1em; } a { color: #0b5394; }
nav { columns: 3; font-size: 14px; } :target { background: #fff3c4; }
"""


def prototype(f, name):
    arguments = [html.escape(f"{p.type} {p.name}".replace("* ", "*")) for p in f.parameters]
    head = html.escape(f.result).replace("* ", "*") + (" " if not f.result.endswith("*") else "") + name
    line = f"{head}({', '.join(arguments) or 'void'});"
    return line if len(html.unescape(line)) < 96 else head + "(\n    " + ",\n    ".join(arguments) + ");"


def linked(text, names):
    """A comment, with the functions that it names as links."""
    return re.sub(r"\bjem_\w+", lambda m: f'<a href="#{m.group(0)}">{m.group(0)}</a>'
                  if m.group(0) in names else m.group(0), html.escape(text))


def opening(source, header):
    with open(os.path.join(source, "include", header), encoding="utf-8") as file:
        text = file.read()
    return re.match(r"/\*(.*?)\*/", text, re.S).group(1)


def paragraphs(functions):
    """Functions that share a comment stand together."""
    groups = []
    for f in functions:
        if groups and groups[-1][0].comment == f.comment:
            groups[-1].append(f)
        else:
            groups.append([f])
    return groups


def section(api, source, header, names):
    title = header.removeprefix("jem/").removesuffix(".h")
    yield f'<h2 id="{title}">{title}</h2>'
    head = re.sub(r"^\s*jem/\w+\.h:\s*", "", opening(source, header))
    yield f'<div class="text">{linked(re.sub(r"(?m)^   ", "", head).strip(), names)}</div>'
    for e in (e for e in api.enums if e.header == header):
        values = "".join(f"    {name} = {number},\n" for name, number in e.values)
        yield f"<pre>{'typedef int32_t ' + e.type + '; ' if e.type else ''}enum {{\n{values}}};</pre>"
        yield f'<div class="text">{linked(e.comment, names)}</div>'
    for t in (t for t in api.tables if t.header == header):
        fields = "".join(f"    {prototype(f, f'(*{f.name})') if hasattr(f, 'result') else html.escape(f.type + ' ' + f.name) + ';'}\n"
                         for f in t.fields)
        yield f'<pre id="{t.name}">typedef struct {t.name} {{\n{fields}}} {t.name};</pre>'
        yield f'<div class="text">{linked(t.comment, names)}</div>'
    for group in paragraphs([f for f in api.functions if f.header == header]):
        lines = "\n".join(f'<span id="{f.name}">{prototype(f, f.name)}</span>' for f in group)
        yield f"<pre>{lines}</pre><div class='text'>{linked(group[0].comment, names)}</div>"


def page(source):
    sys.path.insert(0, os.path.join(source, "examples/ffi"))
    import headers
    api = headers.read(os.path.join(source, "include"))
    names = {f.name for f in api.functions} | {t.name for t in api.tables}
    yield f"<!doctype html><meta charset=utf-8><title>libjem: reference</title><style>{STYLE}</style>"
    yield f"<h1>libjem: reference</h1><pre>{html.escape(opening(source, 'jem.h').strip())}</pre><nav>"
    for f in api.functions:
        yield f'<a href="#{f.name}">{f.name}</a><br>'
    yield "</nav>"
    for header in api.files:
        yield from section(api, source, header, names)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[2], "w", encoding="utf-8") as output:
        output.write("\n".join(page(sys.argv[1])) + "\n")
