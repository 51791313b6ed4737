"""Reads libjem's headers: functions, enums, callback tables, handles.

The headers keep to a small subset of C (tests/abi/rules.py holds them to it), so a page
of Python reads them. Wrappers are generated from what it finds: see table.py.
"""
import dataclasses
import os
import re


@dataclasses.dataclass
class Parameter:
    type: str  # "const float *"
    name: str


@dataclasses.dataclass
class Function:
    name: str
    result: str
    parameters: list
    header: str  # "jem/model.h"
    comment: str  # of its paragraph


@dataclasses.dataclass
class Enum:
    type: str  # its typedef; "" if it stands alone
    values: list  # (name, number)
    header: str
    comment: str = ""


@dataclasses.dataclass
class Table:
    name: str
    fields: list  # Parameter, or Function for a callback
    header: str
    comment: str = ""


@dataclasses.dataclass
class Api:
    functions: list
    enums: list
    tables: list
    handles: list
    aliases: dict  # typedef name -> type
    files: list


def tidy(text):
    """One blank between words, stars against the name."""
    return re.sub(r"\s+", " ", text).replace("* ", "*").strip()


def declaration(text):
    """"const float *x" -> Parameter("const float *", "x")."""
    match = re.fullmatch(r"(.+?)([A-Za-z_]\w*)", tidy(text), re.S)
    if not match:
        raise ValueError("a parameter without type or name: " + tidy(text))
    return Parameter(match.group(1).strip(), match.group(2))


def parameters(text):
    text = tidy(text)
    return [] if text in ("", "void") else [declaration(part) for part in text.split(",")]


def plain(comment):
    """A comment's text without its frame."""
    text = re.sub(r"^/\*+|\*+/$", "", comment.strip()).strip()
    return "\n".join(line.strip() for line in text.splitlines())


def strip(text):
    """Comments become blanks; places stay."""
    return re.sub(r"/\*.*?\*/", lambda m: re.sub(r"[^\n]", " ", m.group(0)), text, flags=re.S)


def paragraph_comment(text, at):
    """The last comment before place at in its paragraph, which has no empty line.

    A comment documents all below it: "Set one key." and the three calls that follow.
    """
    # Empty lines inside a comment end no paragraph.
    solid = re.sub(r"/\*.*?\*/", lambda m: re.sub(r"\s", "x", m.group(0)), text[:at], flags=re.S)
    breaks = [m.end() for m in re.finditer(r"\n[ \t]*\n", solid)]
    comments = re.findall(r"/\*.*?\*/", text[breaks[-1] if breaks else 0:at], re.S)
    return plain(comments[-1]) if comments else ""


def read_header(api, text, header):
    code = strip(text)
    for m in re.finditer(r"typedef struct (jem_\w+) \1;", code):
        api.handles.append(m.group(1))
    for m in re.finditer(r"typedef (\w+) (jem_\w+);", code):
        api.aliases[m.group(2)] = m.group(1)
    for m in re.finditer(r"(?:typedef \w+ (jem_\w+);\s*)?enum\s*\{(.*?)\};", code, re.S):
        values = [tuple(part.strip() for part in v.split("=", 1))
                  for v in m.group(2).split(",") if v.strip()]
        api.enums.append(Enum(m.group(1) or "", values, header, paragraph_comment(text, m.start())))
    for m in re.finditer(r"typedef struct (jem_\w+) \{(.*?)\} \1;", code, re.S):
        fields = []
        for part in m.group(2).split(";"):
            if not part.strip():
                continue
            call = re.fullmatch(r"(.*?)\(\*(\w+)\)\((.*)\)", tidy(part), re.S)
            fields.append(Function(call.group(2), call.group(1).strip(), parameters(call.group(3)),
                                   header, "") if call else declaration(part))
        api.tables.append(Table(m.group(1), fields, header, paragraph_comment(text, m.start())))
    for m in re.finditer(r"\bJEM_API\s+([^;{]*?)(\w+)\s*\(([^;{]*)\);", code):
        api.functions.append(Function(m.group(2), tidy(m.group(1)), parameters(m.group(3)), header,
                                      paragraph_comment(text, m.start())))


def read(include):
    """Reads the headers of a folder include/."""
    api = Api([], [], [], [], {}, [])
    for name in sorted(os.listdir(os.path.join(include, "jem"))):
        with open(os.path.join(include, "jem", name), encoding="utf-8") as file:
            read_header(api, file.read(), "jem/" + name)
        api.files.append("jem/" + name)
    return api
