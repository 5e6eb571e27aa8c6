"""Anyone's function and its backward, called in whatever form they come.

Functions that return a value, (value, gradient) or (value, cache); classes with forward, __call__,
loss and the like, which return a gradient or leave it in attributes; functions of torch's tensors.
"""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from parity.checking import names
from parity.checking.names import Parameters, plain
from parity.ops import Function, Op
from scratchnn.ops.shared import AnyArray

FORWARD = """calculate forward loss compute compute_loss activate activation fn function func f value
    apply evaluate call cost predict""".split()
BACKWARD = """backward gradient grad derivative backprop bprop backward_pass delta prime gradients
    compute_gradient loss_gradient d deriv f_prime df diff loss_prime loss_grad dloss""".split()
LEFT = {  # attributes in which a backward leaves gradients, in lower case without underscores
    "W": "dw dweights dweight wgrad gradw weightsgradient gradweights gradweight weightgrad",
    "b": "db dbiases dbias bgrad gradb biasgradient gradbias gradbiases biasesgradient biasgrad",
    "": "dinputs dinput dx dz dlogits gradinput grad gradient dpred dypred dyhat dy",
}
RESULTS = "output outputs out y result loss value activation activations a probs p z".split()
HELD = {
    "W": "w weight weights kernel theta",
    "b": "b bias biases",
}
GRADIENTS = {plain(n) for n in "grad grads gradient gradients dx dz dW dw dscores dlogits".split()}


class RaisedError(Exception):
    """An exception of the code that is checked, which is its cause; no fault of our own."""

    @property
    def place(self) -> str:
        """The line that raised, in the code that is checked."""
        error, own = self.__cause__, __file__
        frames = inspect.getinnerframes(error.__traceback__) if error and error.__traceback__ else []
        inner = [f for f in frames if f.filename != own and "site-packages" not in f.filename]
        if not inner or not inner[-1].code_context:
            return ""
        return f"line {inner[-1].lineno}: {inner[-1].code_context[0].strip()}"

    @property
    def words(self) -> str:
        return f"{type(self.__cause__).__name__}: {self.__cause__}".partition("\n")[0][:200]


@dataclass
class Outcome:
    """What a call returned: its value, what else it returned, and what it was a method of."""

    value: Any
    extra: Any = None
    instance: Any = None
    warned: list[str] = field(default_factory=list)


@dataclass(eq=False)
class Subject:
    """What is checked: a function or class, its backward, and where both belong.

    Parts    op         what it is meant to be
             thing      a function, a class, a method of one, or an object that can be called
             other      its backward, or None
             settings   values of options that it does not take
    """

    op: Op
    thing: Any
    other: Any = None
    settings: Mapping[str, object] = field(default_factory=dict)
    tensors: bool = False
    as_torch: bool = False
    called: str = ""  # its name, where it has another one than its definition

    def __post_init__(self) -> None:
        self.owner = _owner(self.thing)
        self.forward: Any = self.thing
        self.backward: Any = self.other
        if self.owner is not None:
            if self.thing is self.owner:
                self.forward = _method(self.owner, FORWARD, "__call__")
            if self.backward is None or self.backward is self.owner:
                self.backward = _method(self.owner, BACKWARD)
            if self.backward is self.forward or self.owner.__module__.startswith("torch"):
                self.backward = self.other
        elif not inspect.isroutine(self.thing):
            self.forward = self.thing
            self.backward = self.backward or _bound(self.thing, BACKWARD)
        if self.forward is None:
            wanted = ", ".join(FORWARD[:5])
            raise ValueError(f"{self.name} has no method such as {wanted}: name it Class.method")

    @property
    def name(self) -> str:
        if self.called:
            return self.called
        name = getattr(self.thing, "__qualname__", type(self.thing).__name__)
        return name.rpartition("<locals>.")[2].removeprefix("_VariableFunctionsClass.")

    @cached_property
    def parameters(self) -> Parameters | None:
        return _without_self(self.forward, self.owner)

    @cached_property
    def backward_parameters(self) -> Parameters | None:
        return _without_self(self.backward, self.owner) if self.backward is not None else None

    @cached_property
    def options(self) -> dict[str, str]:
        """The options of the operation that the function takes, with its names for them."""
        if self.parameters is None and (getattr(self.thing, "__module__", "") or "torch") == "torch":
            return {o: n[-1] for o, n in names.ALIASES.items() if o in self.op.options}
        return names.taken(self.op, self.parameters)

    @cached_property
    def backward_options(self) -> dict[str, str]:
        return names.taken(self.op, self.backward_parameters)

    @cached_property
    def words(self) -> str:
        """What its author says of it: docstrings and comments."""
        own = "" if self.forward is self.thing else _source(self.forward)
        return f"{_source(self.thing)}\n{own}"

    @property
    def backward_words(self) -> str:
        return _source(self.backward if self.other is None else self.other)

    @cached_property
    def source(self) -> str:
        """Its code; empty where Python cannot tell."""
        try:
            return inspect.getsource(self.forward)
        except (OSError, TypeError):
            return ""

    def places(self) -> list[str] | None:
        """Return the names of the arguments that arrays go to; None where Python cannot tell."""
        if self.parameters is None:
            return None
        if any(p.kind is p.VAR_POSITIONAL for p in self.parameters):
            return list(self.op.arguments)
        known = {*names.TARGETS, "b", "bias", "biases"}
        taken = set(self.options.values())
        return names.places(self.parameters, list(taken), lambda name: plain(name) in known)

    def backward_places(self) -> list[str] | None:
        if self.backward_parameters is None:
            return None
        if any(p.kind is p.VAR_POSITIONAL for p in self.backward_parameters):
            return [names.DY, *self.op.arguments]
        known = {*names.TARGETS, "b", "bias", "biases", "dout", "dvalues", "grad", "gradoutput"}
        taken = set(self.backward_options.values())
        return names.places(self.backward_parameters, list(taken), lambda n: plain(n) in known)

    # Calls

    def start(self, given: Mapping[str, AnyArray]) -> Any:
        """Return a new object of the class whose methods are called, or None."""
        if self.owner is None:
            return None
        return _make(self.owner, given, self.settings)

    def call(self, instance: Any, arrays: Sequence[Any], options: Mapping[str, object]) -> Outcome:
        named = {self.options[o]: value for o, value in options.items() if o in self.options}
        result, warned = _quietly(_of(self.forward, instance), arrays, named, self.tensors)
        if result is None and instance is not None:
            result = _left(instance)
        outcome = Outcome(result, None, instance, warned)
        if isinstance(result, tuple) and len(result) > 1:
            outcome.value, rest = result[0], result[1:]
            outcome.extra = rest[0] if len(rest) == 1 else rest
        outcome.value = _array(outcome.value)
        return outcome

    def pull(self, ran: Outcome, arrays: Sequence[Any], options: Mapping[str, object]) -> Outcome:
        """Call the backward after a forward call; its value is a list of gradients, or a mapping."""
        named = {self.backward_options[o]: v for o, v in options.items() if o in self.backward_options}
        function = _of(self.backward, ran.instance)
        result, warned = _quietly(function, arrays, named, self.tensors)
        return Outcome(_gradients(result, ran.instance), None, ran.instance, warned)

    @property
    def second_is_gradient(self) -> bool:
        """Whether the name of what it returns second says that it is a gradient."""
        return any(plain(n) in GRADIENTS or n[:1] == "d" or "grad" in n for n in self._second)

    @cached_property
    def _second(self) -> list[str]:
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(self.forward)))
        except (OSError, TypeError, SyntaxError):
            return []
        returns = [node.value for node in ast.walk(tree) if isinstance(node, ast.Return)]
        pairs = [r.elts[1] for r in returns if isinstance(r, ast.Tuple) and len(r.elts) > 1]
        return [name.id for pair in pairs for name in ast.walk(pair) if isinstance(name, ast.Name)]


def _owner(thing: Any) -> type | None:
    """Return the class that a method belongs to, or that is checked itself."""
    if inspect.isclass(thing):
        return thing
    qualified = getattr(thing, "__qualname__", "")
    if not inspect.isfunction(thing) or "." not in qualified or qualified.endswith("<lambda>"):
        return None
    path, given = qualified.rpartition(".")[0], names.parameters(thing)
    if "<locals>" in path or not given or given[0].name not in ("self", "this", "_"):
        return None
    found: Any = thing.__globals__
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else getattr(found, part, None)
    if not inspect.isclass(found) or isinstance(vars(found).get(thing.__name__), staticmethod):
        return None
    return found


def _method(owner: type, among: Sequence[str], call: str = "") -> Any:
    """Return the method of a class with one of these names, else its only public one."""
    public = {n: v for n, v in inspect.getmembers(owner, callable) if not n.startswith("_")}
    for name in among:
        if name in public:
            return _static(owner, name)
    for name in among:
        for own in public:
            if len(name) > 3 and name in own.lower() and own.lower() not in FORWARD + BACKWARD:
                return _static(owner, own)
    if call and call in vars(owner):
        return _static(owner, call)
    if call and any(call in vars(base) for base in owner.__mro__[:-1]):
        return _static(owner, call)
    return None


def _static(owner: type, name: str) -> Any:
    return getattr(owner, name)


def _bound(thing: Any, among: Sequence[str]) -> Any:
    return next((getattr(thing, n) for n in among if callable(getattr(thing, n, None))), None)


def _of(method: Any, instance: Any) -> Any:
    """Return a method of an instance; static ones and functions as they are."""
    if instance is None or not inspect.isfunction(method):
        return method
    own = inspect.getattr_static(type(instance), method.__name__, None)
    if isinstance(own, staticmethod) or own is None:
        return method
    return getattr(instance, method.__name__)


def _without_self(method: Any, owner: type | None) -> Parameters | None:
    found = names.parameters(method)
    if found and owner is not None and inspect.isfunction(method):
        own = inspect.getattr_static(owner, method.__name__, None)
        if own is not None and not isinstance(own, staticmethod):
            return found[1:]
    return found


def _source(thing: Any) -> str:
    """Return the docstrings and comments of a function or class."""
    try:
        source = inspect.getsource(thing)
    except (OSError, TypeError):
        return getattr(thing, "__doc__", "") or ""
    comments = [line.partition("#")[2] for line in source.splitlines() if "#" in line]
    return "\n".join([getattr(thing, "__doc__", "") or "", *comments])


# Classes whose objects need sizes or parameters


def _make(owner: type, given: Mapping[str, AnyArray], settings: Mapping[str, object]) -> Any:
    wanted = [p for p in names.parameters(owner) or [] if p.kind is not p.VAR_POSITIONAL]
    named = {p.name: settings[p.name] for p in wanted if p.name in settings}
    needed = [p for p in wanted if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    if "W" in given:
        D, H = given["W"].shape if given["X"].shape[-1] == given["W"].shape[0] else given["W"].T.shape
        sizes = iter((D, H))
        for p in (p for p in needed if p.name not in named):
            role = next((r for r, known in HELD.items() if plain(p.name) in known.split()), None)
            named[p.name] = given[role].copy() if role in given else next(sizes, None)
    instance, _ = _quietly(owner, [], named, tensors=False)
    for role in [r for r in HELD if r in given]:
        _place(instance, role, given[role])
    return instance


def _place(instance: Any, role: str, array: AnyArray) -> None:
    """Put a parameter where an object keeps it, if it does."""
    for holder, name in _attributes(instance):
        if plain(name) in HELD[role].split():
            old = np.asarray(holder[name])
            if old.shape == array.shape or (old.ndim == 0 and old == None):  # noqa: E711
                holder[name] = array.copy()
            elif old.size == array.size and role == "b":
                holder[name] = array.reshape(old.shape).copy()
            elif old.shape == array.T.shape:
                raise Mismatch(f"{name} has shape {old.shape}")
            return


class Mismatch(Exception):  # noqa: N818
    """An object keeps its weight in another layout."""


def _attributes(instance: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield each attribute of an object, and each entry of those that are dictionaries."""
    own = getattr(instance, "__dict__", {})
    for name, value in list(own.items()):
        yield own, name
        if isinstance(value, dict):
            yield from ((value, key) for key in list(value) if isinstance(key, str))


def held(instance: Any) -> set[str]:
    """Return the parameters that an object keeps itself."""
    kept = {plain(name) for _, name in _attributes(instance)}
    return {role for role, known in HELD.items() if kept & set(known.split())}


# Results


def _array(value: Any) -> Any:
    """Return a tensor as an array, and a list of numbers; all else as it is."""
    if hasattr(value, "detach"):
        return value.detach().numpy()
    return np.array(value) if isinstance(value, list) else value


def _left(instance: Any) -> Any:
    """Return the result that a forward left in an attribute."""
    kept = {plain(name): value for name, value in vars(instance).items()}
    return next((kept[name] for name in RESULTS if kept.get(name) is not None), None)


def _gradients(result: Any, instance: Any) -> list[Any] | dict[str, Any]:
    """Return what a backward returned or left in attributes: a list, or a mapping by role."""
    found: dict[str, Any] = {}
    for holder, name in _attributes(instance) if instance is not None else ():
        for role, known in LEFT.items():
            inside = holder is not getattr(instance, "__dict__", None)
            if plain(name) in known.split() or (inside and plain(name) == role.lower() != ""):
                found.setdefault(role, holder[name])
    found = {role: value for role, value in found.items() if value is not None}
    if isinstance(result, dict):
        for name, value in result.items():
            match = [r for r, known in LEFT.items() if plain(str(name)) in known.split()]
            own = [r for r in ("W", "b", "X") if plain(str(name)) == r.lower()]
            found[(match or own or [str(name)])[0]] = value
        return {role: _array(value) for role, value in found.items()}
    if result is None:
        return {role: _array(value) for role, value in found.items()}
    listed = list(result) if isinstance(result, tuple | list) else [result]
    listed = [_array(value) for value in listed if value is not None]
    if len(listed) == 1 and set(found) & {"W", "b"}:
        return {**{r: _array(v) for r, v in found.items() if r}, "": listed[0]}
    return listed


# The call itself


def _quietly(
    function: Function, arrays: Sequence[Any], named: Mapping[str, object], tensors: bool
) -> tuple[Any, list[str]]:
    """Call a function; return what it returned, and its warnings.

    Raises   RaisedError for whatever it raises
    """
    if tensors:
        arrays = [_tensor(array) for array in arrays]
        named = {name: _tensor(value) for name, value in named.items()}
    with warnings.catch_warnings(record=True) as warned, np.errstate(all="warn", under="ignore"):
        warnings.simplefilter("always")
        try:
            result = function(*arrays, **named)
        except Exception as error:
            raise RaisedError(f"{type(error).__name__}: {error}") from error
    return result, [str(w.message) for w in warned]


def _tensor(array: Any) -> Any:
    import torch

    if isinstance(array, np.ndarray | np.generic):
        return torch.from_numpy(np.array(array))
    return getattr(torch, array) if array in ("float32", "float64") else array
