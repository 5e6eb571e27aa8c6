"""What a page of the course is made of. All of it is computed when the site is built.

```{run}          Python of a page, shown as a session with what it prints
```{torch}        the same in torch, whose results are in docs/results/course-torch.json
{value}`x:.3f`    a number in a sentence, by the names that the page's {run} blocks made
```{code-of} scratchnn.ops.softmax.softmax
                  a function or class as it is in its file, with a link to it
```{picture} name a figure of docs/course/pictures.py; the text below is its caption
```{mistakes}     bugs of parity/flaws, a line for each operation
```{errata}       the beliefs that tests/test_corrections.py corrects
```{answer}       hidden until it is asked for
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import inspect
import io
import json
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import sources
import svg
import wording
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

logger = logging.getLogger(__name__)
DOCS = Path(__file__).resolve().parents[1]
TORCH = DOCS / "results/course-torch.json"
MUTANTS = DOCS / "results/mutants.json"
CORRECTIONS = "tests/test_corrections.py"


def session(code: str, names: dict[str, Any]) -> list[tuple[str, str]]:
    """Run code statement by statement; return each with what it shows.

    A last expression is shown as Python's prompt shows it, unless it is None.
    """
    shown = []
    for text, statement in zip(statements(code), ast.parse(code).body, strict=True):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            if isinstance(statement, ast.Expr):
                value = eval(compile(ast.Expression(statement.value), "<page>", "eval"), names)
                if value is not None:
                    print(repr(value))
            else:
                exec(compile(ast.Module([statement], []), "<page>", "exec"), names)
        shown.append((text, out.getvalue().rstrip()))
    return shown


def statements(code: str) -> list[str]:
    """Return the text of each statement, with the comments before the next."""
    lines = code.splitlines()
    starts = [statement.lineno - 1 for statement in ast.parse(code).body]
    ends = [*starts[1:], len(lines)]
    return ["\n".join(lines[a:b]).rstrip() for a, b in zip(starts, ends, strict=True)]


def without_comments(code: str) -> str:
    """Return code that is the same whatever its comments say."""
    return ast.dump(ast.parse(code))


def as_console(steps: Iterable[tuple[str, str]]) -> str:
    """Return code and results as a Python session."""
    lines = []
    for text, out in steps:
        first, *more = text.splitlines()
        lines.append(f">>> {first}")
        lines += [f"... {line}" if line else "..." for line in more]
        lines += out.splitlines()
    return "\n".join(lines)


class Run(SphinxDirective):
    """A Python session; its names stay for the blocks and values further down the page."""

    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {"hidden": directives.flag}

    def run(self) -> list[nodes.Node]:
        names = names_of(self.env)
        try:
            steps = session("\n".join(self.content), names)
        except Exception as error:
            raise self.error(f"the code does not run: {error!r}") from error
        if "hidden" in self.options:
            return []
        return [nodes.literal_block(shown := as_console(steps), shown, language="pycon")]


class Torch(SphinxDirective):
    """torch's side: the code is run by docs/course/with_torch.py, and its results are kept."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        code, results = "\n".join(self.content), torch_results()
        self.env.note_dependency(str(TORCH))
        plain = without_comments(code)
        try:
            kept = next(b for c, b in results["blocks"].items() if without_comments(c) == plain)
        except StopIteration:
            raise self.error(
                "torch's results are missing: python docs/course/with_torch.py"
            ) from None
        shown = as_console(zip(statements(code), (out for _, out in kept), strict=True))
        said = wording.sayer(self.config.language, "blocks")("torch {} says")
        caption = nodes.caption("", said.format(results["torch"]))
        block = nodes.literal_block(shown, shown, language="pycon")
        return [nodes.container("", caption, block, classes=["torch"], literal_block=True)]


@cache
def torch_results() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(TORCH.read_text()) if TORCH.exists() else {"blocks": {}}
    return found


class Value(SphinxRole):
    """A number, computed: {value}`np.log(10):.3f`, or without a format."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        try:
            shown = eval(f"f'''{{{self.text}}}'''", names_of(self.env))
        except Exception as error:
            message = self.inliner.reporter.error(f"{self.text}: {error!r}", line=self.lineno)
            return [], [message]
        return [nodes.inline("", shown, classes=["value"])], []


def names_of(env: Any) -> dict[str, Any]:
    """Return the names that the blocks of this page have made so far."""
    if "lesson_names" not in env.temp_data:
        sys.path[:0] = [p for p in [str(DOCS / "course")] if p not in sys.path]
        names: dict[str, Any] = {"result": result}
        exec("import numpy as np\nimport scratchnn.functional as F", names)
        names["np"].set_printoptions()
        env.temp_data["lesson_names"] = names
    return env.temp_data["lesson_names"]


def result(name: str) -> Any:
    """Return a results file: result("reference") is docs/results/reference.json."""
    return json.loads((DOCS / f"results/{name}.json").read_text())


class CodeOf(SphinxDirective):
    """A function or class, from its file."""

    required_arguments = 1
    option_spec: ClassVar[dict[str, Any]] = {"without-docstring": directives.flag}

    def run(self) -> list[nodes.Node]:
        try:
            obj = named(self.arguments[0])
            code = source_of(obj)
        except (ImportError, AttributeError, TypeError) as error:
            raise self.error(f"there is no {self.arguments[0]}: {error}") from error
        if "without-docstring" in self.options:
            code = without_docstring(code)
        code = wording.with_comments(code, self.config.language)
        path, line = sources.place(obj) or ("", 0)
        self.env.note_dependency(str(sources.ROOT / path))
        link = sources.reference(self.env.app, self.env.docname, path, line)
        link += nodes.Text(path)
        caption = nodes.caption("", "", link)
        block = nodes.literal_block(code, code, language="python")
        return [nodes.container("", caption, block, classes=["code-of"], literal_block=True)]


def named(name: str) -> Any:
    """Return the function or class, or the method of a class, that this names."""
    module, _, rest = name.rpartition(".")
    try:
        return getattr(importlib.import_module(module), rest)
    except ModuleNotFoundError:
        return getattr(named(module), rest)


def source_of(obj: Any) -> str:
    """Return the code of a function or class."""
    return textwrap.dedent(inspect.getsource(obj)).rstrip()


def without_docstring(code: str) -> str:
    """Return a function without its docstring, which the page has said already."""
    return re.sub(r'^( +)"""(?:.|\n)*?"""\n', "", code, count=1, flags=re.MULTILINE)


class Picture(SphinxDirective):
    """A figure in the page itself, whose lines have the colour of the text: light or dark."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        sys.path.insert(0, str(DOCS / "course"))
        try:
            pictures = importlib.import_module("pictures")
        finally:
            sys.path.pop(0)
        drawn = svg.of_figure(getattr(pictures, name), name, self.config.language)
        label = " ".join(self.content).replace('"', "'") or name
        drawn = drawn.replace("<svg ", f'<svg role="img" aria-label="{label}" ')
        figure = nodes.figure("", classes=["picture"])
        figure += nodes.raw("", drawn, format="html")
        if self.content:
            parsed, _ = self.parse_inline(" ".join(self.content), lineno=self.lineno)
            figure += nodes.caption("", "", *parsed)
        return [figure]


class Mistakes(SphinxDirective):
    """Planted bugs, and which checks find them: a line "operation: name; name" for each."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(MUTANTS))
        entries = nodes.bullet_list(classes=["mistakes"])
        for op, name in bugs(self.content):
            entries += self.entry(op, name)
        return [entries]

    def entry(self, op: str, name: str) -> nodes.list_item:
        """Return a bug: its name with a link, what is wrong, and what finds it."""
        try:
            flaw = flaw_of(op, name)
        except StopIteration:
            raise self.error(f"parity/flaws has no {name} in {op}") from None
        path, line = sources.place(flaw.wrong) or ("", 0)
        link = sources.reference(self.env.app, self.env.docname, path, line)
        flaw_in, check_in, block_in = (
            wording.sayer(self.config.language, kind) for kind in ("flaws", "checks", "blocks")
        )
        link += nodes.Text(flaw_in(name))
        text = block_in(": ") + flaw_in(flaw.cause)
        text = re.sub(r"(?:, |，)ε ≈ \{epsilon\}", "", text)  # said after the formula that has it
        text = text.replace("ε ≈ {epsilon}", "ε").replace("{epsilon}", "ε")
        text += "" if text.endswith((".", "。")) else "."
        entry = nodes.paragraph("", "", nodes.strong("", "", link), nodes.Text(text))
        if checks := found_by(flaw):
            said = block_in(" Found by: {}.").format(block_in(", ").join(map(check_in, checks)))
            entry += nodes.emphasis("", said)
        return nodes.list_item("", entry)


def bugs(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the bugs that lines "operation: name; name" ask for."""
    for line in lines:
        op, _, names = line.partition(": ")
        yield from ((op, name) for name in names.split("; "))


def flaw_of(op: str, name: str) -> Any:
    """Return the planted bug of this name."""
    return next(flaw for flaw in flaws() if (flaw.op, flaw.name) == (op, name))


@cache
def flaws() -> list[Any]:
    """Return all planted bugs."""
    return [
        flaw
        for name in ("softmax", "cross_entropy", "probabilities", "losses", "layers", "training")
        for flaw in importlib.import_module(f"parity.flaws.{name}").FLAWS
    ]


def found_by(flaw: Any) -> list[str]:
    """Return the checks that find a bug, as docs/results/mutants.json has them."""
    place = f"{flaw.op}, backward" if flaw.backward else flaw.op
    where = "training" if flaw.where is not None else place
    for row in json.loads(MUTANTS.read_text())["mutants"]:
        if (row["where"], row["bug"]) == (where, flaw.name):
            return list(row["killed_by"])
    return []


class Errata(SphinxDirective):
    """What tutorials get wrong: a row for each test of tests/test_corrections.py."""

    def run(self) -> list[nodes.Node]:
        path = CORRECTIONS
        say = wording.sayer(self.config.language, "errata")
        block_in = wording.sayer(self.config.language, "blocks")
        self.env.note_dependency(str(sources.ROOT / path))
        entries = nodes.bullet_list(classes=["errata"])
        for test in corrections():
            belief, truth = split_belief(say(believed(test)))
            link = sources.reference(self.env.app, self.env.docname, path, test.lineno)
            link += nodes.Text(block_in("test"))
            text = test.name.split("_")[1:]
            who = ", ".join(part.upper() for part in text if re.fullmatch(r"r\d", part))
            before, after = block_in(" ({})").split("{}")
            gap = "" if belief.endswith("。") else " "
            entry = nodes.paragraph("", who + block_in(": "))
            entry += [nodes.emphasis("", belief), nodes.Text(gap + truth + before), link]
            entry += nodes.Text(after)
            entries += nodes.list_item("", entry)
        return [entries]


def corrections() -> list[ast.FunctionDef]:
    """Return the tests that each correct a belief."""
    tree = ast.parse((sources.ROOT / CORRECTIONS).read_text(encoding="utf-8"))
    tests = (node for node in tree.body if isinstance(node, ast.FunctionDef))
    return [test for test in tests if test.name.startswith("test_r")]


def believed(test: ast.FunctionDef) -> str:
    """Return a test's docstring, after the word that begins it."""
    return " ".join((ast.get_docstring(test) or "").split()).removeprefix("Belief: ")


def split_belief(said: str) -> tuple[str, str]:
    """Return the belief, and what is true."""
    match = re.match(r"(.*?(?:[.;]\s|。))(.*)", said)
    return (match[1].strip(), match[2]) if match else (said, "")


class Answer(SphinxDirective):
    """An answer, hidden until the reader asks for it."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        answer = wording.sayer(self.config.language, "blocks")("Answer")
        summary = f"<summary>{answer}</summary>"
        before = nodes.raw("", f"<details class='answer'>{summary}", format="html")
        after = nodes.raw("", "</details>", format="html")
        return [before, *self.parse_content_to_nodes(), after]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives and the role."""
    for name, directive in {
        "run": Run,
        "torch": Torch,
        "code-of": CodeOf,
        "picture": Picture,
        "mistakes": Mistakes,
        "errata": Errata,
        "answer": Answer,
    }.items():
        app.add_directive(name, directive)
    app.add_role("value", Value())
    return {"parallel_read_safe": True, "parallel_write_safe": True}
