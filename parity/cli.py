"""The commands of `python -m parity`: scratchnn compared with torch and others.

    python -m parity ops             every operation and its gradients, on generated inputs
    python -m parity train RECIPE    train in NumPy and in torch, and compare each step
    python -m parity record          record trainings of torch
    python -m parity replay          check scratchnn against recordings, without torch
    python -m parity accuracy        errors in ulps, compared with other libraries'
    python -m parity check FILE.py:FUNCTION --op OP    is an implementation of your own right?
    python -m parity mutants         plant bugs, and see which check finds which

Exit status: 0 parity, or the criterion of accuracy, holds, 1 it fails, 2 usage, 3 data,
130 interrupted. A command imports what it needs when it runs: `replay` runs with NumPy alone, and
`check` without torch.
"""

from __future__ import annotations

import argparse
import platform
from ast import literal_eval
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import scratchnn
from parity import report, theirs
from parity.digits import Precision
from parity.report import Report, Section
from scratchnn.data import files
from scratchnn.extras import need, need_all
from scratchnn.run.arguments import Parser, add_recipe_arguments, positive_int, seed
from scratchnn.run.cli import run_command
from scratchnn.run.recipes import RECIPES

if TYPE_CHECKING:
    from parity.checking import Report as Checked
    from parity.ops import Op

    Command = Callable[[argparse.Namespace], int]
    Subparsers = argparse._SubParsersAction[Parser]

DEVICES = ("cpu", "cuda")
DTYPES = ("float32", "float64")
PRECISIONS = ("ieee", "tf32")
RECORDED: tuple[tuple[str, Precision], ...]
RECORDED = (("float64", "ieee"), ("float32", "ieee"), ("float32", "tf32"))


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status.

    Options  argv   the arguments; default: those of the process
    """
    parser = Parser("python -m parity", description="NumPy against PyTorch, step by step.")
    parsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in COMMANDS:
        add(parsers)
    arguments = parser.parse_args(argv)
    return run_command(_run, arguments, program="parity")


def _run(arguments: argparse.Namespace) -> int:
    """Run the command that was given, if what it is to write can be written."""
    if folder := getattr(arguments, "out", None):
        files.check_folder(Path(folder))
    for name in ("json", "html"):
        if path := getattr(arguments, name, None):
            files.check_place(Path(path))
    return int(arguments.command(arguments))


def _add(parsers: Subparsers, name: str, command: Command, words: str) -> Parser:
    parser = parsers.add_parser(name, help=words)
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    parser.set_defaults(command=command)
    return parser


def _add_ops(parsers: Subparsers) -> None:
    sub = _add(parsers, "ops", run_ops, "every operation and its gradients, on generated inputs")
    words = "where torch computes; default: every device that is here"
    sub.add_argument("--device", choices=(*DEVICES, "all"), default="all", help=words)
    words = "tf32: float32, with torch's matrix products in TF32; default: all three"
    sub.add_argument("--dtype", choices=(*DTYPES, "tf32", "all"), default="all", help=words)
    words = "which operations; default: every row of the table"
    sub.add_argument("--op", nargs="+", metavar="NAME", help=words)
    words = "generated cases of each operation; default: 100"
    sub.add_argument("--examples", type=positive_int, default=100, metavar="N", help=words)
    kinds = ("mixed", "worst-case", "probabilistic")
    words = "of rounding errors; default: mixed, worst case for sums, probabilistic for products"
    sub.add_argument("--bounds", choices=kinds, default="mixed", help=words)
    words = "of the generated cases; default: 0"
    sub.add_argument("--seed", type=seed, default=0, metavar="N", help=words)
    words = "of NumPy and torch; default: 1, as cases are small"
    sub.add_argument("--threads", type=positive_int, default=1, metavar="N", help=words)
    report.add_arguments(sub)


def run_ops(arguments: argparse.Namespace) -> int:
    pictures = ["matplotlib"] if arguments.html else []
    need_all(dict.fromkeys(["torch", "hypothesis", "mpmath", *pictures], "parity"))
    from parity import devices
    from parity.judge import OURS
    from parity.search import ROWS, leaving_no_folder, search

    names = devices.available() if arguments.device == "all" else [arguments.device]
    device = [devices.prepare(name, deterministic=False) for name in names][-1]
    dtypes = ROWS if arguments.dtype == "all" else [arguments.dtype]
    rows = [(op, dtype) for dtype in dtypes for op in _rows(arguments.op, dtype)]
    if not rows:
        raise ValueError("--dtype tf32 is for operations that multiply matrices, got none")
    cells = []
    with devices.threads(arguments.threads), leaving_no_folder():
        environment = devices.environment(device)
        sides = [OURS, *(f"torch {name}" for name in names)]
        print(report.cells_header(sides))
        for op, dtype in rows:
            searched = arguments.examples, arguments.seed, arguments.bounds
            cells.append(search(op, dtype, names, *searched))
            print(report.cell_line(cells[-1], sides), flush=True)
    settings = {name: getattr(arguments, name) for name in ("dtype", "examples", "bounds", "seed")}
    found = report.of_cells(cells, {"devices": names} | settings, environment)
    print("", *filter(None, map(report.cell_failure, cells)), sep="\n")
    print(*report.refusals(cells), found.verdict, sep="\n")
    report.say_saved(*report.save(found, arguments.json, arguments.html))
    return 0 if found.holds else 1


def _rows(names: list[str] | None, dtype: str) -> list[Op]:
    """Return the rows of the table with these names, in TF32 those that multiply matrices."""
    from parity.ops import OPS

    named = {name: {name, op.function} for name, op in OPS.items()}
    unknown = set(names or ()) - set().union(*named.values())
    if unknown:
        wanted = "; ".join(name for name in OPS if "," not in name)
        raise ValueError(f"--op must be of {wanted}; got {'; '.join(sorted(unknown))}")
    rows = [op for op in OPS.values() if not names or named[op.name] & set(names)]
    return [op for op in rows if op.products] if dtype == "tf32" else rows


def _add_train(parsers: Subparsers) -> None:
    usage = "python -m parity train RECIPE [options]"
    words = "train a recipe on both sides and compare"
    sub = parsers.add_parser("train", help=words, usage=usage)
    sub.set_defaults(command=run_train)
    groups = add_recipe_arguments(sub)
    compared = sub.add_argument_group("comparison")
    words = (
        "lockstep: compare every step; free-run: compare parameters that were trained freely; "
        "accuracy: compare final accuracies over several seeds; default: lockstep"
    )
    modes = ("lockstep", "free-run", "accuracy")
    compared.add_argument("--mode", choices=modes, default="lockstep", help=words)
    _add_device(compared)
    words = "of torch's float32 matrix products; tf32 is simulated on a CPU; default: ieee"
    compared.add_argument("--precision", choices=PRECISIONS, default="ieee", help=words)
    words = "use the error bounds of this precision; tf32 must exceed those of ieee; default: ieee"
    compared.add_argument("--judged-as", choices=PRECISIONS, help=words)
    words = "default: both, one after the other"
    groups.network.add_argument("--dtype", choices=DTYPES, help=words)
    words = "stop after N steps; default: all of the recipe's"
    compared.add_argument("--steps", type=positive_int, metavar="N", help=words)
    words = "how many, for --mode accuracy; default: 5"
    compared.add_argument("--seeds", type=positive_int, metavar="N", help=words)
    report.add_arguments(groups.output)


def _add_device(parser: argparse._ActionsContainer) -> None:
    words = "where torch computes; default: cuda where there is a GPU"
    parser.add_argument("--device", choices=DEVICES, help=words)


def run_train(arguments: argparse.Namespace) -> int:
    if arguments.html and arguments.mode != "accuracy":
        need_all({"torch": "parity", "matplotlib": "parity"})  # before the training, not after it
    else:
        need("torch", "torch")
    from parity.training import modes

    return modes.run(arguments)


def _add_record(parsers: Subparsers) -> None:
    sub = _add(parsers, "record", run_record, "record trainings of torch, for `replay`")
    names = list(RECIPES)
    words = f"which to record, of {', '.join(names)}; default: all"
    sub.add_argument(
        "--recipe", nargs="+", choices=names, metavar="RECIPE", default=names, help=words
    )
    _add_device(sub)
    sub.add_argument("--dtype", choices=DTYPES, help="default: both")
    words = "of torch's float32 matrix products; default: both"
    sub.add_argument("--precision", choices=PRECISIONS, help=words)
    words = "how many steps to train; default: 100"
    sub.add_argument("--steps", type=positive_int, default=100, metavar="N", help=words)
    words = "of the initial parameters and the order of the examples; default: 1"
    sub.add_argument("--seed", type=seed, default=1, metavar="N", help=words)
    words = "the folder to write to; default: parity/training/traces"
    sub.add_argument("--out", metavar="DIR", help=words)


def run_record(arguments: argparse.Namespace) -> int:
    need("torch", "torch")
    from parity import devices
    from parity.training import golden

    device = devices.prepare(arguments.device)
    folder = Path(arguments.out or golden.FOLDER)
    for name in arguments.recipe:
        recipe = RECIPES[name].on(RECIPES[name].default_data)
        for dtype, precision in RECORDED:
            if arguments.dtype in (None, dtype) and arguments.precision in (None, precision):
                given = recipe, device, dtype, precision, arguments.seed, arguments.steps
                kind = "tf32" if precision == "tf32" else dtype
                path = folder / f"{name}-{device.type}-{kind}.npz"
                golden.save(path, *golden.record(*given))
                print(f"{path}  {path.stat().st_size:,} bytes", flush=True)
    return 0


def _add_replay(parsers: Subparsers) -> None:
    sub = _add(parsers, "replay", run_replay, "check scratchnn against recordings, without torch")
    words = "recordings; default: those in parity/training/traces"
    sub.add_argument("files", nargs="*", metavar="FILE", help=words)
    words = "use the error bounds of this precision; default: that of the recording"
    sub.add_argument("--judged-as", choices=PRECISIONS, help=words)


def run_replay(arguments: argparse.Namespace) -> int:
    """Replay each file and report; 1 where one fails."""
    from parity.training import golden

    files = arguments.files or sorted(golden.FOLDER.glob("*.npz"))
    if not files:
        raise FileNotFoundError(f"{golden.FOLDER} has no recordings: `python -m parity record`")
    print(f"scratchnn {scratchnn.__version__}, numpy {np.__version__}, {platform.platform()}")
    failed = 0
    for file in files:
        result = golden.replay(golden.load(file), arguments.judged_as)
        failed += not result.holds
        print(result, flush=True)
    print(f"{len(files) - failed} of {len(files)} recordings hold")
    return 1 if failed else 0


def _add_accuracy(parsers: Subparsers) -> None:
    words = "measure errors in ulps, compared with other libraries': some minutes"
    sub = _add(parsers, "accuracy", run_accuracy, words)
    sub.add_argument("--quick", action="store_true", help="fewer rows: half a minute")
    sub.add_argument("--json", metavar="FILE", help="save every cell as JSON")


def run_accuracy(arguments: argparse.Namespace) -> int:
    need_all({"torch": "accuracy", "mpmath": "accuracy"})
    from parity import accuracy, devices
    from parity.accuracy import libraries
    from parity.digits import DIGITS

    versions = libraries.versions()
    for name, package in libraries.PACKAGES.items():
        print(f"{name} {versions.get(package, 'not installed')}", end=", ")
    print(f"against {DIGITS} digits")
    found = list(accuracy.measure(arguments.quick))
    for dtype in DTYPES:
        print(f"\n{accuracy.table(found, dtype)}", end="")
    print(f"\n{accuracy.summary(found)}")
    broken = [f"  broken: {cell}" for cell in found if not cell.holds]
    print(*broken, sep="\n", end="\n" if broken else "")
    if arguments.json:
        facts = devices.environment(devices.prepare("cpu")) | versions
        facts |= {"quick": arguments.quick, "digits": DIGITS}
        accuracy.save(Path(arguments.json), found, facts)
        report.say_saved(arguments.json)
    return 1 if broken else 0


def _add_check(parsers: Subparsers) -> None:
    sub = _add(parsers, "check", run_check, "check an implementation of your own")
    words = "what to check: also FILE.py:Class, FILE.py:Class.method, FILE.ipynb:NAME, module:NAME"
    sub.add_argument("function", metavar="FILE.py:FUNCTION", help=words)
    sub.add_argument("--op", required=True, help="softmax, cross_entropy, ...: what it should be")
    words = "its gradient; default: that of a class, or what the function returns second"
    sub.add_argument("--backward", metavar="FILE.py:FUNCTION", help=words)
    words = "the value of an option in your function, as reduction=none; may be repeated"
    sub.add_argument(
        "--set", metavar="OPTION=VALUE", action="append", default=[], type=_setting, help=words
    )
    words = "what the arguments are, in their order, as target,prediction; default: by their names"
    sub.add_argument("--order", metavar="A,B", help=words)
    words = "judge by torch's conventions alone: a sum in place of a mean is then wrong"
    sub.add_argument("--as-torch", action="store_true", help=words)
    words = "exit with 1 from this grade on; default: unstable"
    grades = ("wrong", "unstable", "differs")
    sub.add_argument("--fail-on", choices=grades, default="unstable", help=words)
    sub.add_argument("--show-output", action="store_true", help="show what your code prints")
    report.add_arguments(sub)


def _setting(text: str) -> tuple[str, object]:
    option, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"must be OPTION=VALUE, got {text!r}")
    try:
        return option, literal_eval(value)
    except (SyntaxError, ValueError):
        return option, value


def run_check(arguments: argparse.Namespace) -> int:
    need("mpmath", "check")
    from parity import checking

    found = checking.of_names(
        arguments.function,
        arguments.op,
        arguments.backward,
        settings=dict(arguments.set),
        order=arguments.order.split(",") if arguments.order else None,
        as_torch=arguments.as_torch,
        show_output=arguments.show_output,
    )
    print(found)
    report.say_saved(*report.save(_page(found, arguments), arguments.json, arguments.html))
    return 0 if found.passes(arguments.fail_on) else 1


def _page(found: Checked, arguments: argparse.Namespace) -> Report:
    title, text = f"{found.function} as {found.op}", str(found)
    settings = {name: getattr(arguments, name) for name in ("set", "order", "as_torch")}
    facts: dict[str, object] = {"scratchnn": scratchnn.__version__, "numpy": np.__version__}
    facts |= {"python": platform.python_version(), "platform": platform.platform()}
    if theirs.has_torch():
        from parity import devices

        facts = devices.environment(devices.prepare("cpu"))
    verdict, sections = text.partition("\n")[0], [Section("Report", "", report.code(text))]
    return Report(title, found.ok, verdict, settings, facts, found.as_dict(), lambda: sections)


def _add_mutants(parsers: Subparsers) -> None:
    sub = _add(parsers, "mutants", run_mutants, "plant bugs, and see which check finds which")
    sub.add_argument("--json", metavar="FILE", help="save the result as JSON")


def run_mutants(arguments: argparse.Namespace) -> int:
    """Plant every bug, print which check sees it, and fail if one is seen by none."""
    need_all(dict.fromkeys(["torch", "hypothesis", "mpmath"], "tests"))
    from parity import devices
    from parity.checking import mutants

    found = []
    for mutant in mutants.run():
        found.append(mutant)
        seen = ", ".join(mutant.killed_by) or "SURVIVES"
        print(f"{mutant.where}: {mutant.bug}: {seen}", flush=True)
    print(f"\n{mutants.summary(found)}", end="")
    if arguments.json:
        mutants.save(Path(arguments.json), found, devices.environment(devices.prepare("cpu")))
        report.say_saved(arguments.json)
    return 1 if any(mutant.survives for mutant in found) else 0


COMMANDS = _add_ops, _add_train, _add_record, _add_replay, _add_accuracy, _add_check, _add_mutants
