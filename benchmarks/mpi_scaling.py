"""How data-parallel SGD scales: a model of a step's time, with constants that are measured.

    python -m benchmarks.mpi_scaling [--quick] [--json FILE]    measure on this machine, and print

P ranks take for a step on a batch of n rows

    T(n, P) = a + b ⌈n / P⌉                             compute: fixed, and for each row
            + 2 α log2 P + 2 β (P - 1) / P · bytes      Allreduce: its messages, and their bytes

An Allreduce of a long vector adds it up in log2 P messages, each half as long as the one before,
and hands it out in as many. docs/distributed.md says more.

Source   Thakur, Rabenseifner & Gropp 2005, doi:10.1177/1094342005051521
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np

from benchmarks.cases import JSON
from scratchnn import SGD, launch, mlp, objectives, train
from scratchnn.distributed import Ranks
from scratchnn.extras import need
from scratchnn.ops.shared import AnyArray
from scratchnn.run.recipes import RECIPES

ROOT = Path(__file__).parents[1]
SIZES = [784, *RECIPES["mlp"].hidden, 10]
LAYERS = mlp.layers(SIZES)
BYTES = 4 * (mlp.count(LAYERS) + 2)  # what a step sends: the gradient, a loss and a count, float32
ROWS = (16, 32, 64, 128, 256, 512, 1024)  # of the batches that one rank computes alone
BATCHES = (64, 256, 1024)  # that several ranks share
MESSAGES = (16, 1024, 65_536, 524_288, BYTES, 8_388_608)  # bytes
ROUND = 5  # steps or messages between two looks at the clock


@dataclass(frozen=True)
class Compute:
    """The time of a rank's own work in a step:  a + b n  seconds."""

    step: float
    row: float

    def seconds(self, rows: float) -> float:
        """Return the time of a step on so many rows."""
        return self.step + self.row * rows


@dataclass(frozen=True)
class Network:
    """The time of a message:  α + β bytes  seconds."""

    message: float
    byte: float

    def seconds(self, ranks: int, size: float) -> float:
        """Return the time of an Allreduce of so many bytes."""
        latency = 2 * self.message * math.log2(ranks)
        return latency + 2 * self.byte * size * (ranks - 1) / ranks


FAST = Network(message=2e-6, byte=1 / 12.5e9)  # assumed: 2 µs and 100 Gbit/s


def step_seconds(compute: Compute, network: Network, rows: int, ranks: int, size: float) -> float:
    """Return the time of a step on a batch of so many rows, shared by so many ranks."""
    return compute.seconds(-(-rows // ranks)) + network.seconds(ranks, size)


def fit_compute(rows: Sequence[int], seconds: Sequence[float]) -> Compute:
    """Fit a + b n to measured steps."""
    return Compute(*_fit([np.ones(len(rows)), np.array(rows)], seconds))


def fit_network(ranks: int, sizes: Sequence[int], seconds: Sequence[float]) -> Network:
    """Fit α and β to measured Allreduces of so many ranks."""
    latency = np.full(len(sizes), 2 * math.log2(ranks))
    bytes_moved = 2 * np.array(sizes) * (ranks - 1) / ranks
    return Network(*_fit([latency, bytes_moved], seconds))


def _fit(columns: list[AnyArray], seconds: Sequence[float]) -> list[float]:
    """Return the coefficients with the least squares of the *relative* errors."""
    y = np.array(seconds)
    solution, *_ = np.linalg.lstsq(np.column_stack(columns) / y[:, None], np.ones(len(y)))
    return [float(value) for value in solution]


# Measuring: this part runs on every rank


def worker(rounds: int) -> None:
    """Time Allreduces and steps on the ranks that there are; the first prints them as JSON."""
    ranks = launch.world()
    with need("threadpoolctl", "mpi").threadpool_limits(1):
        result = {
            "ranks": ranks.size,
            "steps": {
                n: step_time(ranks, n, rounds) for n in (ROWS if ranks.size == 1 else BATCHES)
            },
            "messages": {size: message_time(ranks, size, rounds) for size in MESSAGES},
        }
    if ranks.rank == 0:
        print(json.dumps(result))


def step_time(ranks: Ranks, n: int, rounds: int) -> float:
    """Return the median time of a step of the `mlp` recipe on a batch of n rows."""
    rng, rows = np.random.default_rng(1), ranks.shard(np.arange(n))
    network = mlp.init(LAYERS, rng=rng)
    optimizer, objective = SGD(0.01, 0.5), objectives.get("cross_entropy")
    grad, share = ranks.gradient(network), len(rows) / n
    X, target = rng.normal(size=(n, SIZES[0])).astype(np.float32)[rows], rows % SIZES[-1]

    def step() -> None:
        loss, correct = train.backpropagate(network, X, target, objective, out=grad)
        ranks.average(grad, loss, correct, share)
        optimizer.step(network.theta, grad.theta)

    return _time(step, ranks, rounds)


def message_time(ranks: Ranks, size: int, rounds: int) -> float:
    """Return the median time of an Allreduce of so many bytes; of a single rank it is 0."""
    if ranks.size == 1:
        return 0.0
    layers = mlp.layers([size // 4 - 3, 1])  # and b, and two figures
    grad = ranks.gradient(mlp.Parameters.zeros(layers))
    assert grad.theta.nbytes + 8 == size
    return _time(lambda: ranks.average(grad, 0.0, 0, 1.0), ranks, rounds)


def _time(action: Callable[[], object], ranks: Ranks, rounds: int) -> float:
    times = []
    action()
    for _ in range(rounds):
        ranks.sum([0.0])  # all start together
        start = perf_counter()
        for _ in range(ROUND):
            action()
        times.append((perf_counter() - start) / ROUND)
    return median(times)


# The report


def measure(rounds: int, counts: Sequence[int]) -> JSON:
    """Run the worker on 1, 2, ... ranks; return the times, and the constants fitted to them."""
    load = os.getloadavg()[0]
    runs = [_launch(ranks, rounds) for ranks in counts]
    compute = fit_compute(ROWS, [runs[0]["steps"][str(n)] for n in ROWS])
    pair = next(run for run in runs if run["ranks"] == 2)
    network = fit_network(2, MESSAGES, [pair["messages"][str(size)] for size in MESSAGES])
    return {
        "cores": os.cpu_count(),
        "load": load,
        "numpy": np.__version__,
        "bytes": BYTES,
        "compute": asdict(compute),
        "network": asdict(network),
        "runs": runs,
    }


def _launch(ranks: int, rounds: int) -> JSON:
    mpiexec = shutil.which("mpiexec", path=str(Path(sys.executable).parent)) or "mpiexec"
    command = [mpiexec, "-n", str(ranks), sys.executable, "-m", "benchmarks.mpi_scaling"]
    done = subprocess.run(
        [*command, "--worker", "--rounds", str(rounds)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return json.loads(done.stdout)


def check_table(results: JSON) -> str:
    """Return the steps as measured and as the model has them."""
    compute, network = Compute(**results["compute"]), Network(**results["network"])
    alone = {n: results["runs"][0]["steps"][str(n)] for n in BATCHES}
    lines = ["| ranks | batch | measured, ms | model, ms | model / measured | speed-up measured |"]
    lines.append("|--:|--:|--:|--:|--:|--:|")
    for run in results["runs"]:
        ranks, crowded = run["ranks"], run["ranks"] > results["cores"]
        for n in BATCHES:
            seconds = run["steps"][str(n)]
            model = step_seconds(compute, network, n, ranks, results["bytes"])
            foretold = "- | -" if crowded else f"{1e3 * model:.2f} | {model / seconds:.2f}"
            name = f"{ranks} on {results['cores']} cores" if crowded else ranks
            speedup = f"{alone[n] / seconds:.2f}"
            lines.append(f"| {name} | {n} | {1e3 * seconds:.2f} | {foretold} | {speedup} |")
    return "\n".join(lines) + "\n"


def paper_table(results: JSON, network: Network = FAST) -> str:
    """Return the model's speed-ups up to 1,000 ranks of one core each, on an assumed network."""
    compute, size = Compute(**results["compute"]), results["bytes"]
    columns = "batch 64 | batch 1,024 | batch 16,384 | 64 rows a rank: efficiency"
    lines = [f"| ranks | Allreduce, ms | {columns} |", "|--:|--:|--:|--:|--:|--:|"]
    for ranks in (1, 2, 4, 8, 16, 64, 256, 1000):
        faster = (
            compute.seconds(n) / step_seconds(compute, network, n, ranks, size)
            for n in (64, 1024, 16_384)
        )
        weak = compute.seconds(64) / step_seconds(compute, network, 64 * ranks, ranks, size)
        speedups = " | ".join(f"{value:.1f} ×" for value in faster)
        sent = 1e3 * network.seconds(ranks, size)
        lines.append(f"| {ranks:,} | {sent:.2f} | {speedups} | {weak:.0%} |")
    return "\n".join(lines) + "\n"


def constants(results: JSON) -> str:
    """Return a sentence with the measured constants."""
    compute, network = Compute(**results["compute"]), Network(**results["network"])
    return (
        f"Measured: a = {1e3 * compute.step:.2f} ms, b = {1e6 * compute.row:.1f} µs, "
        f"α = {1e6 * network.message:.1f} µs, 1/β = {1e-9 / network.byte:.1f} GB/s; "
        f"{results['cores']} cores, with other work at a load of {results['load']:.1f}, "
        f"NumPy {results['numpy']}.\n"
    )


def main() -> None:
    """Measure, print, and save if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--quick", action="store_true", help="few rounds, and no 4 ranks")
    parser.add_argument("--json", metavar="FILE", help="save the measurement")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        return worker(arguments.rounds)
    rounds, counts = (3, (1, 2)) if arguments.quick else (arguments.rounds, (1, 2, 4))
    results = measure(rounds, counts)
    print(constants(results), check_table(results), paper_table(results), sep="\n")
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(results, indent=1) + "\n")
    return None


if __name__ == "__main__":
    main()
