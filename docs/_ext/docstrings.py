"""The docstrings of scratchnn as pages: formulas, and the sections Shapes, Options, Raises, ...

    An imperative line.

        a formula = in an indented block

    The reason, in prose.

    Shapes   one text
    Options  name      its text, which may go
                       on in the next line
             another   its text

They are turned into reStructuredText, which autodoc reads.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from textwrap import dedent

from sphinx.application import Sphinx

SECTIONS = "Shapes|Options|Units|Raises|State|Parts|Torch|Source"
SECTION = re.compile(rf"({SECTIONS})\s{{2,}}(?=\S)")
# A name or several, and two spaces or more before its text.
ENTRY = re.compile(r"(\*{0,2}\w+(?:, \w+)*)\s{2,}(\S.*)")
SPECIAL = re.compile(r"([*|\\]|(?<=\w)_(?!\w))")
MARKED = re.compile(r"(`[^`]+`|(?<![\w(*])\*\w+\*(?![\w*]))")  # a name, or an emphasis
REMARK = re.compile(r",? (?=(?:of|for|with|whose|chained|after) )|; ")  # behind the code of Torch
# Values that are no Python, so that Sphinx would not read the signature.
VALUES = {r"<class 'numpy\.(\w+)'>": r"np.\1", r"<function <lambda>>": "...", "<factory>": "..."}
VALUES[r"<function (\w+)>"] = r"\1"


def rewrite(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Put reStructuredText in place of a docstring's lines."""
    lines[:] = list(as_rst(lines))


def plain_types(
    app: Sphinx,
    what: str,
    name: str,
    obj: object,
    options: object,
    signature: str | None,
    returns: str | None,
) -> tuple[str | None, str | None]:
    """Write the project's own types and values by their names: Array, Reduction, np.float32."""
    forward = r"TypeAliasForwardRef\('(\w+)'\)"
    for value, shown in VALUES.items():
        signature = signature and re.sub(value, shown, signature)
    return (
        signature and re.sub(forward, r"\1", signature),
        returns and re.sub(forward, r"\1", returns),
    )


def skip_fields(
    app: Sphinx, what: str, name: str, obj: object, skip: bool, options: object
) -> bool | None:
    """Leave out the fields of named tuples, of which Python says their number alone."""
    return True if str(getattr(obj, "__doc__", "")).startswith("Alias for field number") else None


def as_rst(lines: list[str]) -> Iterator[str]:
    """Yield the lines of a docstring as reStructuredText.

    Text at the margin is prose, or a list where each line is a name and its text. What is
    indented is shown as it is, and a line that begins with the name of a section begins it.
    """
    for chunk in chunks(lines):
        if match := SECTION.match(chunk[0]):
            width = match.end()
            first, *rest = chunk
            yield from section(match[1], [first[width:], *(line[width:] for line in rest)])
        elif chunk[0].startswith("    "):
            yield from literal(dedent("\n".join(chunk)))
        elif all(ENTRY.match(line) for line in chunk):
            yield from entries(chunk)
        else:
            yield from map(escaped, chunk)
        yield ""


def chunks(lines: list[str]) -> Iterator[list[str]]:
    """Yield paragraphs, indented blocks and sections."""
    chunk: list[str] = []
    kind = ""
    for line in lines:
        now = kind_of(line, kind)
        if chunk and (now != kind or SECTION.match(line)) and chunk[-1:] != [""]:
            yield chunk
            chunk = []
        elif chunk and chunk[-1] == "" and now != kind:
            yield chunk[:-1]
            chunk = []
        if line.strip() or kind == "block":
            chunk.append(line)
        elif chunk:
            yield chunk
            chunk = []
        kind = now if line.strip() else kind
        if not line.strip() and kind != "block":
            kind = ""
    while chunk and not chunk[-1].strip():
        chunk.pop()
    if chunk:
        yield chunk


def kind_of(line: str, before: str) -> str:
    """Tell whether a line is prose, of an indented block, or of a section."""
    if not line.strip():
        return before
    if SECTION.match(line) or (before == "section" and line.startswith(" ")):
        return "section"
    return "block" if line.startswith("    ") else "prose"


def literal(code: str) -> Iterator[str]:
    """Yield a block of Python, or of a formula."""
    yield f".. code-block:: {'python' if is_python(code) else 'text'}"
    yield ""
    yield from (f"   {line}" for line in code.splitlines())


def is_python(code: str) -> bool:
    """Tell whether a block is code: it parses, and calls something of the package."""
    try:
        ast.parse(code)
    except SyntaxError:
        return False
    return bool(re.search(r"^import |\b(F|np|data|plots|mlp|strict|gradcheck)\b[.(]|fit\(", code))


def section(title: str, lines: list[str]) -> Iterator[str]:
    """Yield a section as a field: its text, or a list of its entries."""
    if title == "Torch":
        code, *remark = REMARK.split(" ".join(map(str.strip, lines)), maxsplit=1)
        yield f":{title}: ``{code}``{', ' if remark else ''}{escaped(''.join(remark))}"
    elif any(ENTRY.match(line) for line in lines):
        yield f":{title}:"
        yield from (f"    {line}" if line else "" for line in entries(lines))
    else:
        yield f":{title}: {escaped(' '.join(map(str.strip, lines)))}"


def entries(lines: list[str]) -> Iterator[str]:
    """Yield names and their texts as a definition list."""
    for line in lines:
        if match := ENTRY.match(line):
            yield ", ".join(f"``{name}``" for name in match[1].split(", "))
            yield f"    {escaped(match[2])}"
        elif line.startswith(" ") and line.strip():
            yield f"    {escaped(line.strip())}"
        elif line.strip():
            yield from ("", escaped(line.strip()), "")


def escaped(line: str) -> str:
    """Return a line of prose in which only backticks, and stars around a word, mean something."""
    return "".join(
        part if MARKED.fullmatch(part) else SPECIAL.sub(r"\\\1", part).replace("`", r"\`")
        for part in MARKED.split(line)
    )


def setup(app: Sphinx) -> dict[str, bool]:
    """Rewrite each docstring as autodoc reads it."""
    app.connect("autodoc-process-docstring", rewrite)
    app.connect("autodoc-process-signature", plain_types)
    app.connect("autodoc-skip-member", skip_fields)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
