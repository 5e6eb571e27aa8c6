"""Which argument of anyone's function is what, by its name.

A role is the name of an array of a row ("z", "target", "X"), or what a backward may be given
besides: "dy", the upstream gradient; "result", what the function returned; "cache", what else it
returned; "probabilities", those of the logits; "logits", those of the probabilities; "rate", by
which it changes its own parameters.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import product

from parity.ops import Op

Parameters = list[inspect.Parameter]


def listed(words: str) -> tuple[str, ...]:
    return tuple(words.split())


DY, RESULT, P, CACHE, LOGITS = "dy", "result", "probabilities", "cache", "logits"
RATE, STEP = "rate", 0.5  # STEP is the rate that is given: a power of two rounds nothing
BIAS = ("b", "bias")
OF_TORCH = {"axis": "dim", "keepdims": "keepdim"}  # names of options

# Names, in lower case and without underscores. A name of several roles gets the first that is free.
TARGETS = listed(
    """
    ytrue t label labels target targets truth groundtruth gold actual onehot yonehot
    tonehot expected true desired gt yactual trues ground ys lab yt yenc tlabels correct
    correctclass classes tgt tgts
    """
)
INPUTS = listed(
    """
    ypred yhat yp p prob probs proba probability probabilities logits logit scores score z
    x pred preds prediction predictions predicted output outputs out h logp logprob
    logprobs logproba logq q qs estimate estimates inp input inputs s o al net zs xs
    values logps est activations yprob yprobs a
    """
)
RESULTS = listed(
    """
    p ps prob probs proba probabilities y out output outputs s sm a logp logprobs logprob
    act activation softmaxoutput sigmoidoutput result yhat ypred sig al soft
    """
)
MADE = listed(
    """
    p ps prob probs proba probabilities s sm a yhat ypred dvalues softmaxoutput output
    outputs out predictions preds pred al softmax sig
    """
)  # the probabilities of logits
UPSTREAM = listed(
    """
    dy g gy gradient upstream delta dvalues accumgrad outputgradient gradoutput error
    gradoutputs upstreamgrad upstreamgradient v gout goutput cotangent ct gradin
    """
)
RATES = listed("learningrate lr eta alpha stepsize rate step learnrate lrate")
OPTIONS = {  # names of options besides their own, in the same form
    "axis": "dim ax",
    "keepdims": "keepdim",
    "label_smoothing": "smoothing smooth labelsmooth",
    "weight": "weights classweight classweights",
    "pos_weight": "posweights positiveweight",
    "ignore_index": "ignorelabel ignore ignoreid padindex padidx paddingidx",
}
SMOOTHS = re.compile(r"label\w*[ _-]?smooth|smooth\w*[ _-](the )?(label|target)", re.IGNORECASE)
CACHES = ("cache", "ctx", "saved", "memo", "context", "tape", "caches")
DY_LIKE = re.compile(r"d[a-z0-9]{0,12}|grad[a-z]*|[a-z]*grad(ient)?s?")
OF_A_RESULT = re.compile(r"\b(output|result|activat|already|return value)", re.IGNORECASE)


def parameters(function: Callable[..., object]) -> Parameters | None:
    """Return a function's parameters; None where Python cannot tell, as for some written in C."""
    try:
        return list(_signature(function).parameters.values())
    except (TypeError, ValueError):
        return None


@lru_cache(maxsize=256)
def _signature(function: Callable[..., object]) -> inspect.Signature:
    return inspect.signature(function)


def taken(op: Op, given: Parameters | None, words: str = "") -> dict[str, str]:
    """Return the options of a row that a function takes, with the names that it gives them.

    Options  words   its code and what its author says: an epsilon may be that of label smoothing
    """
    given = given or []
    if any(p.kind is p.VAR_KEYWORD for p in given):
        return {option: option for option in op.options}
    epsilon = "eps epsilon" if SMOOTHS.search(words) else ""
    found: dict[str, str] = {}
    for option in op.options:
        more = f"{OPTIONS.get(option, '')} {epsilon if option == 'label_smoothing' else ''}"
        known = [plain(option), *more.split()]
        if named := [p.name for p in given if plain(p.name) in known]:
            found[option] = named[0]
    return found


def plain(name: str) -> str:
    return name.lower().replace("_", "")


def places(given: Parameters, options: Sequence[str], known: Callable[[str], bool]) -> list[str]:
    """Return the parameters that arrays go to: those without a default, and those known by name."""
    several = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    among = [p for p in given if p.kind not in several and p.name not in options]
    return [p.name for p in among if p.default is p.empty or known(p.name)]


def by_keyword(given: Parameters | None) -> list[str]:
    """Return the parameters that are given by name alone."""
    return [p.name for p in given or [] if p.kind is p.KEYWORD_ONLY]


def roles_of_forward(op: Op, name: str) -> list[str]:
    """Return what an argument of a function may be, the likeliest first; all where none tells."""
    first, n = op.inputs[0], plain(name)
    if "target" in op.arguments:
        kl = "kl_div" in op.function
        target = n in TARGETS or n == "y" or (kl and n in ("p", "ptrue", "ps", "logp"))
        both = (["target"] * target) + ([first] * (n in INPUTS or n in ("y", plain(first))))
        return both or [first, "target"]
    letters = {plain(role): role for role in op.arguments}
    known = {"weight": "W", "weights": "W", "kernel": "W", "theta": "W", "bias": "b", "biases": "b"}
    known |= {"input": "X", "inputs": "X", "a": "X", "aprev": "X", "features": "X", "z": "X"}
    role = known.get(n) if op.products else letters.get(n)
    role = letters.get(n, role)
    return [role] if role and role in op.arguments else list(op.arguments)


def roles_of_backward(
    op: Op, name: str, pool: Sequence[str], words: str, bound: Mapping[str, str]
) -> list[str]:
    """Return what an argument of a backward may be, the likeliest first.

    Options  pool    the roles that there are
             words   what its author says of it
             bound   what the function's own arguments of these names are
    """
    found = _roles_of_backward(op, name, pool, words)
    own = bound.get(name)
    if own and own in pool and "target" in op.arguments:
        return [own]
    return [own, *(role for role in found if role != own)] if own and own in pool else found


def _roles_of_backward(op: Op, name: str, pool: Sequence[str], words: str) -> list[str]:
    n, found = plain(name), []
    loss = "target" in op.arguments
    if n in RATES:
        return [RATE]
    if n in CACHES or n.endswith("cache"):
        if CACHE in pool:
            return [CACHE]  # where the forward returns one, its caller has nothing else to hand on
        found.append(RESULT)
    if n in UPSTREAM or (DY_LIKE.fullmatch(n) and n not in TARGETS):
        found.append(DY)
    if n in ("z", "logits", "scores", "net", "zs") and LOGITS in pool:
        return [LOGITS, op.inputs[0]]
    if n in MADE:
        found += [P] if op.inputs[0] == "z" else [op.inputs[0]] * loss
    if n in RESULTS and not loss:
        found.append(RESULT)
    if OF_A_RESULT.search(words) and not loss:
        found.append(RESULT)
    if found[:1] not in ([DY], [RESULT]) or n in INPUTS:
        alike = roles_of_forward(op, name)
        told = len(alike) == 1 or n == "y" or not found
        unknown = not found and n not in INPUTS and n not in map(plain, op.arguments)
        found = (alike + found if loss and P not in found[:1] else found + alike) if told else found
        found += [DY] * unknown
    found = [role for role in dict.fromkeys(found) if role in pool]
    return found or list(pool)


def assignments(
    names: Sequence[str], roles: Callable[[str], list[str]], needed: Sequence[str]
) -> Iterator[tuple[str, ...]]:
    """Yield distinct roles for arguments, the likeliest first; all that are needed are among."""
    ranked = [list(enumerate(roles(name))) for name in names]
    found = []
    for chosen in product(*ranked):
        these = tuple(role for _, role in chosen)
        if len(set(these)) == len(these) and set(needed) <= set(these):
            found.append((sum(rank for rank, _ in chosen), these))
    found.sort(key=lambda pair: pair[0])
    yield from (these for _, these in found[:48])
