"""The commands of `python -m parity`, one a file: `add` declares it, `run` does it."""

import argparse

DTYPES = ("float32", "float64")
PRECISIONS = ("ieee", "tf32")


def add_device_arguments(parser: argparse.ArgumentParser) -> None:
    """Add where torch computes, and in which precision it multiplies float32 matrices."""
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), help="default: CUDA where there is one"
    )
    parser.add_argument(
        "--precision", choices=PRECISIONS, default="ieee",
        help="of torch's products of float32 matrices; tf32 is simulated on a CPU",
    )  # fmt: skip
    add_judged_as(parser)


def add_judged_as(parser: argparse.ArgumentParser) -> None:
    """Add the precision whose bounds judge."""
    parser.add_argument(
        "--judged-as", choices=PRECISIONS, default="ieee",
        help="the bounds that judge float32: those of ieee, which refuse tf32, or of tf32",
    )  # fmt: skip
