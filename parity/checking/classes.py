"""Classes: which of their methods are asked, and how their objects are made."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from parity.checking import names
from parity.checking.calls import quietly, tensor
from parity.checking.names import listed, plain
from parity.ops import Op
from scratchnn.ops.shared import AnyArray

FORWARD = listed(
    """
    calculate forward loss compute compute_loss activate activation fn function func f
    value apply evaluate call cost predict
    """
)
BACKWARD = listed(
    """
    backward gradient grad derivative backprop bprop backward_pass delta prime gradients
    compute_gradient loss_gradient d deriv f_prime df diff loss_prime loss_grad dloss
    """
)
LIKE_BACKWARD = "backward", "grad", "deriv", "prime", "backprop", "diff"
NICKNAMES = {  # of operations
    "crossentropy": "ce xent categoricalcrossentropy softmaxcrossentropy softmaxloss",
    "binarycrossentropy": "bce bceloss logloss",
    "mse": "meansquarederror squarederror",
    "l1": "mae meanabsoluteerror",
    "nll": "negativeloglikelihood",
    "kldiv": "kl kldivergence",
    "linear": "affine dense",
    "logsumexp": "lse",
}
HELD = {
    "W": "w weight weights kernel theta",
    "b": "b bias biases",
}
MODULE = "torch.nn.modules.module", "Module"  # its __call__ takes anything


class Mismatch(Exception):  # noqa: N818
    """An object keeps its weight in another layout."""


def owner_of(thing: Any) -> type | None:
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


def forward_of(owner: type, op: Op) -> Any:
    """Return the method that computes the operation: by its name, by a usual one, or the only one.

    None where there is none.
    """
    public = _public(owner)
    called = [n for n in public if plain(n) in names_of(op)]
    usual = [n for n in FORWARD if n in public]
    usual += [n for part in FORWARD for n in public if _has(n, part)]
    if any("__call__" in vars(base) for base in owner.__mro__[:-1]):
        usual.append("__call__")
    only = public if len(public) == 1 and public[0] not in BACKWARD else []
    return next((getattr(owner, n) for n in (*called, *usual, *only)), None)


def backward_of(owner: type, forward: str) -> Any:
    """Return the method that computes the gradient of another, of this name, or None.

    It is called as its forward and as a gradient (sigmoid_prime), or as a gradient alone (prime).
    """
    public = _public(owner)
    gradients = [n for n in public if any(w in plain(n) for w in LIKE_BACKWARD) or n[:1] == "d"]
    of_it = [n for n in gradients if plain(forward) in plain(n) and len(forward) > 1]
    others = {plain(n) for n in public if n not in (forward, *FORWARD, *BACKWARD)}
    free = [n for n in public if not any(o in plain(n) and o != plain(n) for o in others)]
    usual = [n for n in BACKWARD if n in public]
    usual += [n for part in BACKWARD for n in free if _has(n, part)]
    return next((getattr(owner, n) for n in (*of_it, *usual) if n != forward), None)


def _public(owner: type) -> list[str]:
    found = inspect.getmembers(owner, callable)
    return [n for n, _ in found if not n.startswith("_") and not _of_any_module(owner, n)]


def _has(name: str, part: str) -> bool:
    return len(part) > 3 and part in name.lower() and name.lower() not in FORWARD + BACKWARD


def names_of(op: Op) -> set[str]:
    """Return what an operation is called, in lower case and without underscores."""
    name = plain(op.function)
    short = name.removesuffix("withlogits").removesuffix("ofprobabilities").removesuffix("loss")
    return {name, short, f"{short}loss", *NICKNAMES.get(short, "").split()}


def _of_any_module(owner: type, name: str) -> bool:
    """Whether a method is one that all of torch's modules have, such as their hooks."""
    base = next((base for base in owner.__mro__ if name in vars(base)), owner)
    return (base.__module__, base.__name__) == MODULE


def signed(thing: Any) -> Any:
    """Return what has a thing's signature: its forward, of a module of torch's, else itself."""
    of_torch = any((base.__module__, base.__name__) == MODULE for base in type(thing).__mro__)
    return thing.forward if of_torch else thing


def needs_object(method: Any, owner: type) -> bool:
    """Whether a method of a class is called on an object: static and class methods are not."""
    if not inspect.isfunction(method):
        return False
    own = inspect.getattr_static(owner, method.__name__, None)
    return own is not None and not isinstance(own, staticmethod)


def of_instance(method: Any, instance: Any) -> Any:
    """Return a method of an instance; static ones and functions as they are."""
    if instance is None or not needs_object(method, type(instance)):
        return method
    return getattr(instance, method.__name__)


def make(owner: type, given: Mapping[str, AnyArray], settings: Mapping[str, object]) -> Any:
    """Return an object of a class, with sizes or weights for what its constructor wants.

    Raises   ValueError where it wants something else; RaisedError, Mismatch
    """
    wanted = [p for p in names.parameters(owner) or [] if p.kind is not p.VAR_POSITIONAL]
    named = {p.name: settings[p.name] for p in wanted if p.name in settings}
    needed = [p for p in wanted if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    if "W" in given:
        D = given["X"].shape[-1] if given["X"].shape[-1] in given["W"].shape else len(given["X"])
        sizes = iter((D, given["W"].size // D))
        named |= {p.name: names.STEP for p in needed if plain(p.name) in names.RATES}
        for p in (p for p in needed if p.name not in named):
            role = next((r for r, known in HELD.items() if plain(p.name) in known.split()), "")
            named[p.name] = given[role].copy() if role in given else next(sizes, None)
    lacking = [p.name for p in needed if p.name not in named]
    if lacking:
        words = " ".join(f"--set {name}=..." for name in lacking)
        raise ValueError(f"{owner.__name__} needs {', '.join(lacking)}: give {words} or settings=")
    instance, _ = quietly(owner, [], named, tensors=False)
    place(instance, given)
    for holder, name in rates(instance) if "W" in given else ():
        holder[name] = names.STEP
    return instance


def rates(instance: Any) -> list[tuple[dict[str, Any], str]]:
    """Return the numbers by which an object may change its parameters."""
    return [
        (holder, name)
        for holder, name in attributes(instance)
        if plain(name) in names.RATES and isinstance(holder[name], float)
    ]


def parameters(instance: Any) -> dict[str, Any]:
    """Return the parameters that an object keeps, by role."""
    found: dict[str, Any] = {}
    for holder, name in attributes(instance):
        for role, known in HELD.items():
            if plain(name) in known.split() and isinstance(holder[name], np.ndarray):
                found.setdefault(role, holder[name])
    return found


def place(instance: Any, given: Mapping[str, AnyArray]) -> None:
    """Put the parameters of a case where an object keeps its own."""
    for role in [r for r in HELD if r in given]:
        _place(instance, role, given[role])


def _place(instance: Any, role: str, array: AnyArray) -> None:
    """Put a parameter where an object keeps it, if it does."""
    for holder, name in attributes(instance):
        if plain(name) in HELD[role].split():
            if hasattr(holder[name], "detach"):
                _place_tensor(holder[name], name, array)
                return
            old = np.asarray(holder[name])
            if old.shape == array.shape or (old.ndim == 0 and old == None):  # noqa: E711
                holder[name] = array.copy()
            elif old.size == array.size and role == "b":
                holder[name] = array.reshape(old.shape).copy()
            elif old.shape == array.T.shape:
                raise Mismatch(f"{name} has shape {old.shape}")
            return


def _place_tensor(parameter: Any, name: str, array: AnyArray) -> None:
    if tuple(parameter.shape) == array.shape:
        parameter.data = tensor(array)
    elif tuple(parameter.shape) == array.T.shape:
        raise Mismatch(f"{name} has shape {tuple(parameter.shape)}")


def attributes(instance: Any, gradients: bool = False) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield each attribute of an object, and each entry of those that are dictionaries.

    Options  gradients   of the dictionaries called grads or the like, or of all others
    """
    own = getattr(instance, "__dict__", {})
    for name, value in list(own.items()):
        yield own, name
        if isinstance(value, dict) and ("grad" in name.lower()) == gradients:
            yield from ((value, key) for key in list(value) if isinstance(key, str))


def held(instance: Any) -> set[str]:
    """Return the parameters that an object keeps itself."""
    kept = {plain(name) for _, name in attributes(instance)}
    return {role for role, known in HELD.items() if kept & set(known.split())}
