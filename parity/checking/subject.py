"""Anyone's function and its backward, called in whatever form they come.

Functions that return a value, (value, gradient) or (value, cache); classes with forward, __call__,
loss and the like, which return a gradient or leave it in attributes; functions of torch's tensors.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from parity.checking import names
from parity.checking.calls import quietly
from parity.checking.classes import (
    FORWARD,
    HELD,
    attributes,
    backward_of,
    forward_of,
    make,
    needs_object,
    of_instance,
    owner_of,
    parameters,
    place,
    signed,
)
from parity.checking.names import Parameters, listed, plain
from parity.ops import Function, Op
from scratchnn.ops.shared import AnyArray

LEFT = {  # attributes in which a backward leaves gradients, in lower case without underscores
    "W": "dw dweights dweight wgrad gradw weightsgradient gradweights gradweight weightgrad",
    "b": "db dbiases dbias bgrad gradb biasgradient gradbias gradbiases biasesgradient biasgrad",
    "": "dinputs dinput dx dz dlogits gradinput grad gradient dpred dypred dyhat dy",
}
RESULTS = listed("output outputs out y result loss value activation activations a probs p z")
GRADIENTS = listed("grad grads gradient gradients dx dz dw dscores dlogits")


@dataclass
class Outcome:
    """What a call returned: its value, what else it returned, and what it was a method of.

    Of a backward, the gradients: a list, or by role.
    """

    value: object
    extra: object = None
    instance: object = None
    warned: list[str] = field(default_factory=list)
    gradients: list[object] | dict[str, object] = field(default_factory=list)


@dataclass(eq=False)
class Subject:
    """What is checked: a function or class, its backward, and where both belong.

    Parts    op         what it is meant to be
             thing      a function, a class, a method of one, or an object that can be called
             other      its backward, or None
             settings   values of options that it does not take
    """

    op: Op
    thing: Function
    other: Function | None = None
    settings: Mapping[str, object] = field(default_factory=dict)
    tensors: bool = False
    as_torch: bool = False
    called: str = ""  # its name, where it has another one than its definition

    def __post_init__(self) -> None:
        self.owner = owner_of(self.thing)
        forward, self.backward = self._methods()
        if forward is None:
            wanted = ", ".join(FORWARD[:5])
            raise ValueError(f"{self.name} has no method such as {wanted}: name it Class.method")
        self.forward: Function = forward

    def _methods(self) -> tuple[Function | None, Function | None]:
        """Return what computes the value, and the gradient; None where there is none."""
        thing, other = self.thing, self.other
        if self.owner is not None:
            forward = forward_of(self.owner, self.op) if thing is self.owner else thing
            if self.owner.__module__.startswith("torch"):
                return forward, other
            own = backward_of(self.owner, getattr(forward, "__name__", ""))
            return forward, own if other is None or other is self.owner else other
        if inspect.isroutine(thing):
            return thing, other
        name = getattr(forward_of(type(thing), self.op), "__name__", "")
        own = backward_of(type(thing), name)
        forward = thing if callable(thing) else getattr(thing, name, None)
        return forward, other or (own and getattr(thing, own.__name__))

    @property
    def name(self) -> str:
        if self.called:
            return self.called
        name = getattr(self.thing, "__qualname__", type(self.thing).__name__)
        return name.rpartition("<locals>.")[2].removeprefix("_VariableFunctionsClass.")

    @cached_property
    def parameters(self) -> Parameters | None:
        return own_parameters(self.forward, self.owner)

    @cached_property
    def backward_parameters(self) -> Parameters | None:
        return own_parameters(self.backward, self.owner) if self.backward is not None else None

    @cached_property
    def options(self) -> dict[str, str]:
        """The options of the operation that the function takes, with its names for them."""
        if (
            self.parameters is None
            and (getattr(self.thing, "__module__", "") or "torch") == "torch"
        ):
            return {o: name for o, name in names.OF_TORCH.items() if o in self.op.options}
        return names.taken(self.op, self.parameters, f"{self.name} {self.words} {self.source}")

    @cached_property
    def backward_options(self) -> dict[str, str]:
        words = f"{self.backward_words} {self.source}"
        return names.taken(self.op, self.backward_parameters, words)

    @cached_property
    def words(self) -> str:
        """What its author says of it: docstrings and comments."""
        own = "" if self.forward is self.thing else told_by(self.forward)
        return f"{told_by(self.thing)}\n{own}"

    @property
    def backward_words(self) -> str:
        return told_by(self.backward if self.other is None else self.other)

    @cached_property
    def source(self) -> str:
        """Its code; empty where Python cannot tell."""
        try:
            return inspect.getsource(self.forward)
        except (OSError, TypeError):
            return ""

    def default(self, option: str) -> object:
        """Return the function's own default of an option; `Parameter.empty` where it has none."""
        given = {p.name: p.default for p in self.parameters or []}
        return given.get(self.options.get(option, ""), inspect.Parameter.empty)

    def places(self, count: int = 0) -> list[str] | None:
        """Return the names of the arguments that arrays go to; None where Python cannot tell.

        Options  count   how many there are at most, if not 0: the last with a default are left out
        """
        if self.parameters is None:
            return None
        if any(p.kind is p.VAR_POSITIONAL for p in self.parameters):
            return list(self.op.arguments)
        known = {*names.TARGETS, "b", "bias", "biases"}
        taken = set(self.options.values())
        found = names.places(self.parameters, list(taken), lambda name: plain(name) in known)
        optional = [p.name for p in self.parameters if p.default is not p.empty]
        while count and len(found) > count and found[-1] in optional:
            found.pop()
        return found

    def backward_places(self) -> list[str] | None:
        if self.backward_parameters is None:
            return None
        if any(p.kind is p.VAR_POSITIONAL for p in self.backward_parameters):
            return [names.DY, *self.op.arguments]
        known = {*names.TARGETS, "b", "bias", "biases", "dout", "dvalues", "grad", "gradoutput"}
        known |= {*names.RATES}
        taken = set(self.backward_options.values())
        return names.places(self.backward_parameters, list(taken), lambda n: plain(n) in known)

    # Calls

    @property
    def makes_objects(self) -> bool:
        """Whether methods are called on an object of a class."""
        methods, owner = (self.forward, self.backward), self.owner
        return owner is not None and any(needs_object(m, owner) for m in methods)

    def start(
        self,
        given: Mapping[str, AnyArray],
        objects: list[object] | None = None,
        moved: bool = False,
    ) -> object:
        """Return an object of the class whose methods are called, or None.

        Options  objects   holds the object that is asked again, once there is one; None: always new
                 moved     its parameters have changed since: put them back
        """
        if self.owner is None or not self.makes_objects:
            return None
        if objects:
            place(objects[0], given if moved else {})
            return objects[0]
        made = make(self.owner, given, self.settings)
        if objects is not None:
            objects.append(made)
        return made

    def call(
        self, instance: object, arrays: Sequence[object], options: Mapping[str, object]
    ) -> Outcome:
        named = {self.options[o]: value for o, value in options.items() if o in self.options}
        arrays, named = _split(arrays, named, self.places(len(arrays)), self.parameters)
        result, warned = quietly(of_instance(self.forward, instance), arrays, named, self.tensors)
        if result is None and instance is not None:
            result = _left(instance)
        outcome = Outcome(result, None, instance, warned)
        if isinstance(result, tuple) and len(result) > 1:
            outcome.value, rest = result[0], result[1:]
            outcome.extra = rest[0] if len(rest) == 1 else rest
        outcome.value = _array(outcome.value)
        return outcome

    def pull(
        self,
        ran: Outcome,
        arrays: Sequence[object],
        options: Mapping[str, object],
        updates: bool = False,
    ) -> Outcome:
        """Call the backward after a forward call; its value is gradients, a list or by role.

        Options  updates   it changes the parameters, by names.STEP times their gradients
        """
        named = {
            self.backward_options[o]: v for o, v in options.items() if o in self.backward_options
        }
        places = self.backward_places()
        arrays, named = _split(arrays, named, places, self.backward_parameters)
        assert self.backward is not None
        function = of_instance(self.backward, ran.instance)
        before = {r: np.array(x) for r, x in parameters(ran.instance).items()} if updates else {}
        result, warned = quietly(function, arrays, named, self.tensors)
        now = parameters(ran.instance) if updates else {}
        changes = {r: (x - now[r]) / x.dtype.type(names.STEP) for r, x in before.items()}
        found = gradients_in(result, ran.instance, changes)
        return Outcome(None, None, ran.instance, warned, found)

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


def own_parameters(method: Function, owner: type | None) -> Parameters | None:
    found = names.parameters(signed(method))
    if found and owner is not None and inspect.isfunction(method):
        own = inspect.getattr_static(owner, method.__name__, None)
        if own is not None and not isinstance(own, staticmethod):
            return found[1:]
    return found


def told_by(thing: Function | None) -> str:
    """Return the docstrings and comments of a function or class."""
    try:
        source = inspect.getsource(thing) if thing else ""
    except (OSError, TypeError):
        return getattr(thing, "__doc__", "") or ""
    comments = [line.partition("#")[2] for line in source.splitlines() if "#" in line]
    return "\n".join([getattr(thing, "__doc__", "") or "", *comments])


def _split(
    arrays: Sequence[object],
    named: dict[str, object],
    places: list[str] | None,
    given: Parameters | None,
) -> tuple[Sequence[object], dict[str, object]]:
    """Give those arrays by name that are wanted so."""
    keywords = names.by_keyword(given)
    if not keywords or places is None:
        return arrays, named
    pairs = dict(zip(places, arrays, strict=False))
    own = {name: x for name, x in pairs.items() if name in keywords}
    return [x for name, x in pairs.items() if name not in own], named | own


# Results


def _array(value: object) -> object:
    """Return a tensor as an array, and a list of numbers; all else as it is."""
    if hasattr(value, "detach"):
        return value.detach().numpy()
    return np.array(value) if isinstance(value, list) else value


def _left(instance: object) -> object:
    """Return the result that a forward left in an attribute."""
    kept = {plain(name): value for name, value in vars(instance).items()}
    return next((kept[name] for name in RESULTS if kept.get(name) is not None), None)


def gradients_in(
    result: object, instance: object, changes: Mapping[str, AnyArray] | None = None
) -> list[object] | dict[str, object]:
    """Return what a backward returned or left in attributes: a list, or a mapping by role.

    Options  changes   of the parameters, divided by the rate
    """
    found: dict[str, object] = {}
    for holder, name in attributes(instance, gradients=True):
        role = _gradient_of(name, inside=holder is not getattr(instance, "__dict__", None))
        if role is not None:
            found.setdefault(role, holder[name])
    found = {role: value for role, value in found.items() if value is not None}
    for role, change in (changes or {}).items():
        if role not in found or np.any(change):
            found[role] = change
    if isinstance(result, dict):
        for name, value in result.items():
            role = _gradient_of(str(name), inside=True)
            found[str(name) if role is None else role] = value
        return {role: _array(value) for role, value in found.items()}
    if result is None:
        return {role: _array(value) for role, value in found.items()}
    listed = list(result) if isinstance(result, tuple | list) else [result]
    listed = [_array(value) for value in listed if value is not None]
    if len(listed) == 1 and set(found) & {"W", "b"}:
        return {**{r: _array(v) for r, v in found.items() if r}, "": listed[0]}
    return listed


def _gradient_of(name: str, inside: bool) -> str | None:
    """Return the role of a gradient of this name; None where it tells nothing.

    Options  inside   of a dictionary of gradients, where a key may be the parameter's own name
    """
    own = {**HELD, "": "x"} if inside else {}
    known = {role: f"{words} {own.get(role, '')}" for role, words in LEFT.items()}
    return next((role for role, words in known.items() if plain(name) in words.split()), None)
