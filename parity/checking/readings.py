"""How a function may be meant: which row, in which layout, reduced how, in which unit.

A reading turns a case of a row into what the function is given, and the row's right answers into
what the function must return.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from parity import judge, oracle
from parity.bounds import unit_roundoff
from parity.cases import Case
from parity.checking.conventions import (
    BIASES,
    FORMS,
    NO_REDUCTION,
    ONE,
    REDUCTIONS,
    ROWS,
    Factor,
    Gradient,
    Layout,
    Reduction,
    kind,
)
from parity.checking.names import STEP
from parity.checking.rows import OF
from parity.digits import Numbers
from parity.ops import Op
from scratchnn.ops.shared import AnyArray, Array
from scratchnn.ops.softmax import to_rows


@dataclass(frozen=True)
class Reading:
    """One way to read a function; its methods are of cases of `row`."""

    asked: Op
    row: Op
    binding: tuple[str, ...]
    layout: Layout = ROWS
    form: str = "indices"
    turned_weight: bool = False
    bias: str = "(H,)"
    settings: Mapping[str, object] = field(default_factory=dict)
    taken: frozenset[str] = frozenset()
    reduction: Reduction = NO_REDUCTION
    factor: Factor = ONE
    kept: bool = False  # the answer has axes of length 1 more or less
    at_defaults: bool = False  # the cases vary no option
    gradient: Gradient | None = None

    @property
    def name(self) -> str:
        return self.row.name

    @property
    def varied(self) -> frozenset[str]:
        """The options that the cases vary: of those taken, no axis where one example has no two."""
        if self.at_defaults:
            return frozenset()
        return self.taken - {"axis"} if self.layout.each else self.taken

    @property
    def parameters(self) -> frozenset[str]:
        """The arrays of a layer that are the same for all examples."""
        return frozenset(self.row.arguments[1:] if self.row.products else ())

    # What the function is given

    def prepared(self, case: Case) -> Case:
        """Return a case of two dimensions at the options of the function."""
        row = self.row
        if "ignore_index" in row.options and "ignore_index" not in self.varied and "target" in case:
            case = case | {"target": np.maximum(case["target"], 0)}
        case, logs = as_rows(row, case), case.get("log_target", False)
        for option, default in row.defaults.items():
            if option in self.settings:
                case = case | {option: self.settings[option]}
            elif option not in self.varied or option not in case:
                case = case | {option: default}
        if logs != case.get("log_target", False):  # the target is log p, or p, as is asked
            change = np.exp if logs else np.log
            with np.errstate(all="ignore"):
                case = case | {"target": change(case["target"])}
        if "reduction" in row.options and self.reduction.option is not None:
            case = case | {"reduction": self.reduction.option}
        if self.layout.narrow:
            case = case | {name: case[name][:, :1] for name in row.arguments}
        if self.form == "binary":
            case = case | {"target": np.rint(case["target"])}
        return case

    def given(self, case: Case) -> dict[str, AnyArray]:
        """Return the arrays by role, in the function's form, of all examples."""
        found = {}
        for role in self.row.arguments:
            x = np.array(case[role])
            if role == "target" and x.dtype.kind in "iu":
                x = self._labels(x, case)
            elif role == "W":
                x = x.T.copy() if self.turned_weight != self.layout.turned else x
            elif role == "b":
                x = x.reshape(BIASES[self.bias])
            else:
                x = np.ascontiguousarray(self.layout.fold(x))
            found[role] = x
        return found

    def _labels(self, target: AnyArray, case: Case) -> AnyArray:
        if self.form == "one-hot":
            z = case[self.row.inputs[0]]
            return np.array(self.layout.fold(np.eye(z.shape[1], dtype=z.dtype)[target]))
        if self.form == "column":
            return np.array(self.layout.fold(target.reshape(-1, 1)))
        return target

    def calls(self, case: Case) -> list[dict[str, AnyArray]]:
        """Return what goes into each call: one for a batch, or one per example."""
        whole = self.given(case)
        if not self.layout.each:
            return [whole]
        if self.layout.each == "number":
            flat = {role: x.reshape(-1) for role, x in whole.items()}
            return [{r: x[n] for r, x in flat.items()} for n in range(_size(flat))]
        shape = AS_ONE.get(self.layout.each)
        rows = []
        for n in range(_count(whole)):
            row = {r: x if r in self.parameters else x[n] for r, x in whole.items()}
            for role in row.keys() - self.parameters if shape else ():
                row[role] = row[role].reshape(shape) if np.ndim(row[role]) else row[role]
            rows.append(row)
        return rows

    def of_first(self, dy: AnyArray) -> AnyArray:
        """Return the upstream gradient of the first call."""
        if not self.layout.each:
            return dy
        if self.layout.each == "number" or dy.ndim < 2:
            return dy.reshape(-1)[:1]
        return dy[0].reshape(AS_ONE.get(self.layout.each, -1))

    # What it must return

    def _sizes(self, case: Case) -> tuple[int, int]:
        z = case[self.row.inputs[0]]
        return z.shape[0], z.shape[-1]

    def present(self, case: Case, value: Any) -> Any:
        """Return a value of the row in the function's form."""
        if self.reduction.per_row and np.ndim(value) == 2:
            value = value.sum(axis=1)
        scale = self.factor.value * self.reduction.share(*self._sizes(case))
        value = value * scale if scale != 1 else value
        return value if self.layout.each else self.layout.fold(value)

    def right(self, case: Case) -> Numbers:
        return self.present(case, judge.right_value(self.row, case))

    def bound(self, case: Case) -> Array:
        with np.errstate(all="ignore"):
            bound = np.asarray(self.present(case, judge.value_bound(self.row, case)))
            if not (slack := self._slack(case)):
                return bound
            right = abs(np.asarray(self.right(case)).astype(float))
            return np.asarray(bound + (4 + self._sizes(case)[1]) * slack * right)

    def _slack(self, case: Case) -> float:
        own = self.factor is ONE and not self.reduction.over and not self.reduction.per_row
        return 0.0 if own else unit_roundoff(judge.value_dtype(self.row, case))

    def spread(self, case: Case, dy: AnyArray) -> AnyArray:
        """Return the row's upstream gradient of the function's own."""
        dy = np.asarray(dy, np.float64)
        dy = dy if self.layout.each else self.layout.unfold(dy)
        if self.reduction.per_row and dy.ndim == 1:
            dy = np.broadcast_to(dy[:, None], case[self.row.inputs[0]].shape)
        return dy * self.factor.value * self.reduction.share(*self._sizes(case))

    def right_gradients(self, case: Case, dy: AnyArray) -> dict[str, Numbers]:
        """Return the right gradients by role, in the function's form."""
        if self.gradient and self.gradient.of == "jacobian":
            return {self.row.inputs[0]: self.jacobian(case)}
        if self.gradient and self.gradient.of == "logits":
            return {self.row.inputs[0]: self.layout.fold(self._of_logits(case, dy)[0])}
        found = judge.right_gradients(self.row, case, self.spread(case, dy))
        return self.folded(dict(zip(self.row.inputs, found, strict=True)))

    def gradient_bounds(self, case: Case, dy: AnyArray) -> dict[str, Array]:
        first, u = self.row.inputs[0], unit_roundoff(judge.value_dtype(self.row, case))
        if self.gradient and self.gradient.of == "jacobian":
            return {first: 16 * u * (1 + self._sizes(case)[1]) * np.ones(())}
        if self.gradient and self.gradient.of == "logits":
            return {first: self.layout.fold(self._of_logits(case, dy)[1])}
        found = judge.gradient_bounds(self.row, case, self.spread(case, dy))
        bounds = self.folded(dict(zip(self.row.inputs, found, strict=True)))
        right = self.right_gradients(case, dy) if self._slack(case) else {}
        with np.errstate(all="ignore"):
            extra = {r: 8 * u * abs(np.asarray(g).astype(float)) for r, g in right.items()}
            bounds = {role: b + extra.get(role, 0.0) for role, b in bounds.items()}
        return bounds | self._of_updates(case, bounds, u)

    def _of_updates(self, case: Case, bounds: Mapping[str, Array], u: float) -> dict[str, Array]:
        """Return the bounds of gradients that are told by (W before - W after) / rate."""
        if self.gradient is None or not self.gradient.updates:
            return {}
        held = self.folded({role: abs(case[role]) for role in self.parameters})
        return {role: 2 * bounds[role] + 4 / STEP * u * w for role, w in held.items()}

    def folded(self, gradients: dict[str, Any]) -> dict[str, Any]:
        found = {}
        for role, g in gradients.items():
            if role == "W":
                found[role] = np.transpose(g) if self.turned_weight != self.layout.turned else g
            elif role == "b":
                found[role] = np.reshape(g, BIASES[self.bias])
            else:
                found[role] = g if self.layout.each else self.layout.fold(g)
        return found

    def jacobian(self, case: Case) -> Numbers:
        """Return ∂y_i/∂z_j of each row, (N, C, C)."""
        z = case["z"]
        rows = [np.broadcast_to(e, z.shape) for e in np.eye(z.shape[1])]
        return np.stack([judge.right_gradients(self.row, case, e)[0] for e in rows], axis=1)

    def _of_logits(self, case: Case, dy: AnyArray) -> tuple[Numbers, Array]:
        """Return (p - target) times dy or its share, and its bound, where p = softmax or σ of z."""
        name, dy = self.row.inputs[0], self.spread(case, dy)
        p, u = np.asarray(case[name], np.float64), unit_roundoff(case[name].dtype)
        if kind(self.row) == "classes":
            v, *how = oracle.reduced_mass(p, case["target"], reduction=case["reduction"])
            share = oracle.share(np.reshape(dy, (-1, 1)), *how)
            return (p * v.sum(axis=1, keepdims=True) - v) * share, 16 * u * (p + v) * abs(share)
        share = oracle.share(dy, case["reduction"], p.size)
        return (p - case["target"]) * share, 16 * u * (p + case["target"]) * abs(share)

    # In words

    @property
    def words(self) -> str:
        of = IN_WORDS.get(self.row.name, self.row.name)
        if kind(self.row) == "distribution" and self.layout is ROWS:
            of += " of each row" if self.settings.get("axis", -1) in (-1, 1) else " of each column"
        parts = [f"{self.reduction.words} of {of}" if self.reduction.words else of]
        if "target" in self.row.arguments and (self.row.labelled or self.form == "binary"):
            parts.append(FORMS[self.form])
        if self.row.products:
            shape = "(H, D)" if self.turned_weight else "(D, H)"
            parts.append(f"weight {shape}")
        parts += [w for w in (self.layout.words, self.factor.words) if w]
        said = {o: v for o, v in self.settings.items() if o not in ("axis", "reduction")}
        parts += ["without torch's threshold"] if said.pop("threshold", 0) == 1e30 else []
        parts += [f"{o}={v!r}" for o, v in said.items()]
        return ", ".join(parts)

    @property
    def differences(self) -> list[str]:
        """What differs from the operation as torch has it."""
        found, asked = [], self.asked
        if self.row.name != asked.name and self.row.inputs[0] in OF:
            found.append(f"of {OF[self.row.inputs[0]]}, where {asked.name} takes {_first(asked)}")
        if self.reduction.words and self.reduction.option is not None:
            default = REDUCTIONS[kind(self.row)][0]
            if self.reduction != default:
                found.append(f"{_as(self.reduction.words)}; torch's default is the {default.words}")
        found += [self.factor.words] if self.factor.words else []
        found += [FORMS[self.form]] if self.form != "indices" else []
        found += [self.layout.words] if self.layout.words else []
        found += ["the weight is (H, D), as torch's"] if self.turned_weight else []
        if self.gradient and self.gradient.of == "logits":
            found.append("the gradient is that of the logits, p - target")
        if self.gradient and self.gradient.over:
            found.append("the gradient is that of the mean")
        return found


AS_ONE = {"row": (1, -1), "column": (-1, 1)}  # the shape of one example


def _as(words: str) -> str:
    return f"as the {words}" if words in ("sum",) or words.startswith("mean") else f"as {words}"


def _first(op: Op) -> str:
    return OF.get(op.inputs[0], op.inputs[0])


IN_WORDS = {
    "cross_entropy": "cross-entropy of logits",
    "cross_entropy, probabilities": "cross-entropy of logits, targets of probabilities",
    "nll_loss": "cross-entropy of log-probabilities",
    "cross_entropy_of_probabilities": "cross-entropy of probabilities",
    "cross_entropy_of_probabilities, probabilities": (
        "cross-entropy of probabilities, targets of probabilities"
    ),
    "binary_cross_entropy_with_logits": "binary cross-entropy of logits",
    "binary_cross_entropy": "binary cross-entropy of probabilities",
    "kl_div": "KL divergence of log-probabilities",
    "kl_div_of_probabilities": "KL divergence of probabilities q and p",
    "mse_loss": "the squared error",
    "squared_loss": "half the squared error",
    "l1_loss": "the absolute error",
    "huber_loss": "Huber's loss",
    "smooth_l1_loss": "the smooth L1 loss",
    "linear": "X W + b",
    "linear, without a bias": "X W",
}


def _count(whole: Mapping[str, AnyArray]) -> int:
    return len(next(iter(whole.values())))


def is_default(value: Any, default: Any) -> bool:
    """Whether an option has its default value."""
    scalars = np.ndim(value) == 0 and np.ndim(default) == 0
    return value is default or (scalars and value == default)


def _size(arrays: Mapping[str, AnyArray]) -> int:
    return next(iter(arrays.values())).size


def as_rows(op: Op, case: Case) -> Case:
    """Return the same numbers with one example per row, and classes or features on axis 1."""
    name = op.inputs[0]
    z = case[name]
    if isinstance(case.get("axis"), tuple):
        case = case | {"axis": case["axis"][-1]}
    if z.ndim == 2:
        return case
    if "axis" in case:
        return case | {name: to_rows(z, case["axis"]), "axis": -1}
    if op.products:
        return case | {name: z.reshape(-1, z.shape[-1])}
    if "target" not in case:
        return case | {name: z.reshape(-1, z.shape[-1] if z.ndim else 1)}
    target = case["target"]
    rows = target.reshape(-1) if oracle.holds_indices(target) else oracle.to_rows(target)
    return case | {name: oracle.to_rows(z), "target": rows}
