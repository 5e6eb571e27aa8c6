"""python -m parity ops: every operation and its gradients, on generated inputs."""

import argparse
from typing import Any

from parity.report import page
from scratchnn.arguments import positive_int, seed
from scratchnn.extras import need

DTYPES = ("float32", "float64", "tf32", "all")


def add(commands: Any) -> None:
    """Declare the command."""
    sub = commands.add_parser("ops", help="every operation and its gradients, on generated inputs")
    sub.add_argument("--device", choices=("cpu", "cuda", "all"), default="all",
                     help="torch's; default: all that are here")  # fmt: skip
    sub.add_argument("--dtype", choices=DTYPES, default="all",
                     help="tf32: torch's matrix products in TF32; default: all")  # fmt: skip
    sub.add_argument("--op", nargs="+", metavar="NAME", help="default: every row of the table")
    sub.add_argument("--examples", type=positive_int, default=100, metavar="N",
                     help="generated cases of each operation; default: 100")  # fmt: skip
    sub.add_argument("--bounds", choices=("mixed", "worst-case", "probabilistic"), default="mixed",
                     help="default: worst case for sums, probabilistic for products")  # fmt: skip
    sub.add_argument("--seed", type=seed, default=0)
    sub.add_argument("--threads", type=positive_int, default=1, help="default: 1, cases are small")
    page.add_arguments(sub)
    sub.add_argument("--debug", action="store_true", help="show tracebacks")
    sub.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Search every cell for its worst case, print the matrix, and judge."""
    need("torch", "parity")
    need("hypothesis", "parity")
    need("mpmath", "parity")
    if arguments.html:
        need("matplotlib", "plots")
    from parity import devices
    from parity.report import ops as ops_report

    names = devices.available() if arguments.device == "all" else [arguments.device]
    device = [devices.prepare(name, deterministic=False) for name in names][-1]
    with devices.threads(arguments.threads):
        environment = devices.environment(device)
        cells = _search(arguments, names)
    report = ops_report.report(cells, _settings(arguments, names), environment)
    print("", *filter(None, map(ops_report.failure, cells)), sep="\n")
    print(*ops_report.refusals(cells), report.verdict, sep="\n")
    saved = page.save(report, arguments.json, arguments.html)
    if saved:
        print(f"saved {', '.join(map(str, saved))}")
    return 0 if report.holds else 1


def _search(arguments: argparse.Namespace, names: list[str]) -> list[Any]:
    from parity.report import ops as ops_report
    from parity.search import ROWS, search
    from parity.search.sides import OURS

    print(ops_report.header([OURS, *(f"torch {name}" for name in names)]))
    cells = []
    for dtype in ROWS if arguments.dtype == "all" else [arguments.dtype]:
        for op in _rows(arguments.op, dtype):
            cells.append(search(
                op, dtype, names, arguments.examples, arguments.seed, arguments.bounds
            ))  # fmt: skip
            print(ops_report.line(cells[-1]), flush=True)
    if not cells:
        raise ValueError("--dtype tf32 is for operations that multiply matrices, got none")
    return cells


def _rows(names: list[str] | None, dtype: str) -> list[Any]:
    """Return the rows of the table with these names, in TF32 those that multiply matrices.

    A name without its variant, as cross_entropy of "cross_entropy, probabilities", means all.

    Raises   ValueError
    """
    from parity.ops import OPS

    named = {name: {name, name.partition(",")[0]} for name in OPS}
    known = set().union(*named.values())
    unknown = set(names or ()) - known
    if unknown:
        wanted = "; ".join(name for name in OPS if "," not in name)
        raise ValueError(f"--op must be of {wanted}; got {'; '.join(sorted(unknown))}")
    rows = [op for op in OPS.values() if not names or named[op.name] & set(names)]
    return [op for op in rows if op.products] if dtype == "tf32" else rows


def _settings(arguments: argparse.Namespace, names: list[str]) -> dict[str, Any]:
    wanted = ("dtype", "examples", "bounds", "seed")
    return {"devices": names} | {name: getattr(arguments, name) for name in wanted}
