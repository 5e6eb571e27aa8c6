"""The cells of a notebook: what a definition needs runs, and nothing else.

Imports, functions, classes and constants run. An assignment that calls something runs only if what
is checked needs its result, and if the call is none of training, plotting, downloading or reading.
"""

from __future__ import annotations

import ast
import json
import linecache
import re
from collections.abc import Iterator, Set
from pathlib import Path
from types import ModuleType

CELL_MAGIC = re.compile(r"\s*%%(\w*)")
OF_PYTHON = "time", "timeit", "capture", "prun"  # cell magics whose cells are Python
HELP = re.compile(r"\?{1,2}[\w.*]+\s*|[\w.*]+\?{1,2}\s*")  # name? or ?name
FUNCTIONS = ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda
DEFINITIONS = ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef
WORK = re.compile(  # the beginning of a word in the name of a call that takes long or reaches out
    r"(^|[_.])(train|fit|optimi[sz]e|run|learn|plot|show|figure|subplots|imshow|display|download|"
    r"fetch|load|read|open|url|request|get_data|from_?file|genfromtxt|save|write|input|exec|eval|"
    r"system|popen|sleep)|^(plt|pyplot|sns)\.",
    re.IGNORECASE,
)


def run_cells(module: ModuleType, path: Path, wanted: Set[str]) -> None:
    """Run what the wanted functions and classes need, in a module.

    Raises   what a definition that is needed raises
    """
    nodes = [*_nodes(path)]
    needed = _needed([node for node, _ in nodes], wanted)
    for node, name in nodes:
        made = _made(node)
        if not (_is_plain(node) or (made & needed and not _works(node))):
            continue
        try:
            exec(compile(ast.Module([node], []), name, "exec", dont_inherit=True), vars(module))
        except Exception:
            if isinstance(node, DEFINITIONS) and made & needed:
                raise  # of imports and constants, those that are needed will be missed


def _nodes(path: Path) -> Iterator[tuple[ast.stmt, str]]:
    """Yield the statements of all cells of Python, and what their cell is called in tracebacks."""
    cells = json.loads(path.read_text(encoding="utf-8")).get("cells", [])
    for number, cell in enumerate(c for c in cells if c.get("cell_type") == "code"):
        source = "".join(cell["source"])
        magic = CELL_MAGIC.match(source)
        if magic and magic[1] not in OF_PYTHON:
            continue
        lines = [_without_magic(line) for line in source.splitlines()]
        name, text = f"{path}[{number + 1}]", "\n".join(lines) + "\n"
        try:
            tree = ast.parse(text, name)
        except SyntaxError:
            continue
        linecache.cache[name] = len(text), None, text.splitlines(keepends=True), name
        yield from ((node, name) for node in tree.body)


def _without_magic(line: str) -> str:
    stripped = line.lstrip()
    if not stripped.startswith(("%", "!")) and not HELP.fullmatch(stripped):
        return line
    return f"{line[: len(line) - len(stripped)]}pass"


def _needed(nodes: list[ast.stmt], wanted: Set[str]) -> set[str]:
    """Return the names that the wanted ones need, and those that these need, and so on."""
    needed, found = set[str](), {*wanted}
    while found - needed:
        needed |= found
        found = {name for node in nodes if _made(node) & needed for name in _read(node)}
    return needed


def _made(node: ast.stmt) -> set[str]:
    """Return the names that a statement defines or assigns."""
    if isinstance(node, DEFINITIONS):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else []
    targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
    return {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}


def _read(node: ast.AST) -> set[str]:
    """Return the names that a statement or expression reads; of a function, no local ones."""
    if isinstance(node, ast.Name):
        return {node.id} if isinstance(node.ctx, ast.Load) else set()
    found = {name for child in ast.iter_child_nodes(node) for name in _read(child)}
    if isinstance(node, FUNCTIONS):
        parts = [*ast.walk(node)]
        found -= {part.arg for part in parts if isinstance(part, ast.arg)}
        names = [part for part in parts if isinstance(part, ast.Name)]
        found -= {name.id for name in names if isinstance(name.ctx, ast.Store)}
        defaults = filter(None, (*node.args.defaults, *node.args.kw_defaults))
        found |= {name for default in defaults for name in _read(default)}
    return found


def _is_plain(node: ast.stmt) -> bool:
    """Whether a statement is an import, a definition, or an assignment that calls nothing."""
    if isinstance(node, (ast.Import, ast.ImportFrom, *DEFINITIONS)):
        return True
    if not isinstance(node, ast.Assign | ast.AnnAssign):
        return False
    return isinstance(node.value, ast.Lambda) or not any(_calls(node))


def _calls(node: ast.AST) -> Iterator[ast.Call]:
    return (part for part in ast.walk(node) if isinstance(part, ast.Call))


def _works(node: ast.stmt) -> bool:
    """Whether a statement calls what trains, plots, downloads or reads."""
    return any(WORK.search(ast.unparse(call.func)) or _downloads(call) for call in _calls(node))


def _downloads(call: ast.Call) -> bool:
    return any(keyword.arg == "download" for keyword in call.keywords)
