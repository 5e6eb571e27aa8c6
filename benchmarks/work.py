"""A case in a worker: what shows that a backend does it right, and what is timed."""

from collections.abc import Callable
from typing import Any

from benchmarks.cases import Case
from benchmarks.inputs import one_step, op_inputs, short
from scratchnn.arrays import Array


def results_of(backend: Any, case: Case) -> dict[str, Array]:
    """Return what checks.py compares: an operation's results, or trained parameters."""
    if hasattr(backend, "floor") or case.kind in ("op", "inference", "loading"):
        few = short(case) if case.kind == "loading" else case
        return {str(i): array for i, array in enumerate(_task(backend, few).result())}
    exact, step = (
        backend.trainer(few, dtype)
        for few, dtype in ((short(case), "float64"), (one_step(case), "float32"))
    )
    for trainer in (exact, step):
        trainer.step() if case.kind == "step" else trainer.epoch()
    return {"float64": exact.theta(), "float32": step.theta(), "order": exact.order()}


def work_of(backend: Any, case: Case) -> tuple[Callable[[], Any], Any]:
    """Return what is to be timed, and the trainer where there is one."""
    if hasattr(backend, "floor") or case.kind in ("op", "inference", "loading"):
        return _task(backend, case).run, None
    trainer = backend.trainer(case, "float32")
    return (trainer.step if case.kind == "step" else trainer.epoch), trainer


def _task(backend: Any, case: Case) -> Any:
    if hasattr(backend, "floor"):
        return backend.floor(case)
    if case.kind == "op":
        name = case.name.partition(" ")[0]
        return backend.op(name, *op_inputs(name, case.shape))
    return backend.predictor(case) if case.kind == "inference" else backend.loader(case)
