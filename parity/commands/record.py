"""python -m parity record: record trainings of torch, for `python -m parity replay`."""

import argparse
from pathlib import Path
from typing import Any, Literal

from parity.commands import DTYPES, PRECISIONS
from scratchnn.arguments import positive_int, seed
from scratchnn.extras import need
from scratchnn.recipes import RECIPES


def add(commands: Any) -> None:
    """Declare the command."""
    sub = commands.add_parser("record", help="record trainings of torch, for `replay`")
    sub.add_argument(
        "--recipe", nargs="+", choices=RECIPES, metavar="RECIPE", help="default: all",
        default=list(RECIPES),
    )  # fmt: skip
    sub.add_argument("--device", choices=("cpu", "cuda"), help="default: CUDA where there is one")
    sub.add_argument("--dtype", choices=DTYPES, help="default: both")
    sub.add_argument("--precision", choices=PRECISIONS, help="of float32; default: both")
    sub.add_argument("--steps", type=positive_int, default=100)
    sub.add_argument("--seed", type=seed, default=1)
    sub.add_argument("--out", metavar="DIR", help="default: the package's own recordings")
    sub.add_argument("--debug", action="store_true", help="show tracebacks")
    sub.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Record each recipe on its bundled data."""
    need("torch", "torch")
    from parity import devices, golden
    from parity.golden import record

    device = devices.prepare(arguments.device)
    folder = Path(arguments.out or golden.FOLDER)
    for name in arguments.recipe:
        recipe = RECIPES[name].on(RECIPES[name].default_data)
        for dtype, precision in _kinds(arguments):
            facts, arrays = record.record(
                recipe, device, dtype, precision, seed=arguments.seed, steps=arguments.steps
            )
            kind = "tf32" if precision == "tf32" else dtype
            path = folder / f"{name}-{device.type}-{kind}.npz"
            golden.save(path, facts, arrays)
            print(f"{path}  {path.stat().st_size:,} bytes", flush=True)
    return 0


def _kinds(arguments: argparse.Namespace) -> list[tuple[str, Literal["ieee", "tf32"]]]:
    """Return the pairs of dtype and precision that are asked for."""
    kinds: list[tuple[str, Literal["ieee", "tf32"]]] = [
        ("float64", "ieee"), ("float32", "ieee"), ("float32", "tf32"),
    ]  # fmt: skip
    return [
        (dtype, precision)
        for dtype, precision in kinds
        if arguments.dtype in (None, dtype) and arguments.precision in (None, precision)
    ]
