"""What may come in place of an argument, by what the argument is: an array, a number, a seed."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from scratchnn import SGD, mlp


class Kind(NamedTuple):
    """What comes in place of an argument: code in which `a` is the argument, and what is right.

    right   "refused": an error; "same": the same result, or an error; "close": up to the digits of
            float16; "nan": a result that has NaN, or an error; "any": any result, or an error;
            "shape": a result that a law allows; "analytic": the result of a complex number
    """

    code: str
    right: str


def kinds(right: str, codes: str) -> list[Kind]:
    """Return a kind for each line."""
    return [Kind(code.strip(), right) for code in codes.strip().splitlines()]


OBJECTS = kinds("refused", """
    None
    'abc'
    b'abc'
    {}
    {1.0, 2.0}
    iter([1.0])
    object()
    float
    np
    lambda: a
    [[1.0], [2.0, 3.0]]
    datetime.date(2026, 1, 1)
    np.datetime64('2026-01-01')
    np.ma.masked
    np.array('abc')
    np.array(None)
    Ellipsis
""")  # fmt: skip
SHAPES = kinds("shape", """
    a[None]
    a[..., None]
    a[:1]
    a[:-1]
    np.concatenate([a, a])
    np.float64(1.0)
    a[..., :1]
    a[..., :-1]
    a.T
    a.ravel()
    a[0]
    a[:0]
    a[..., :0]
    a.ravel()[0]
""")  # fmt: skip
ARRAYS = [
    *OBJECTS,
    *kinds("refused", """
        a.astype(str)
        a.astype('S9')
        a.astype(int).astype('M8[D]')
        a.astype(int).astype('m8[s]')
        a.astype(object)
        np.where(a > 0, a, None)
        np.ma.masked_array(a, a > 0)
        np.ma.masked_array(a)
        np.matrix(a.ravel()).reshape(a.shape)
        torch.tensor(a)
        a.tolist()
        list(a)
        tuple(a)
        memoryview(a)
        array.array('d', [1.0, 2.0])
        np.zeros(a.shape, [('x', float)])
        type('Table', (), {'__module__': 'tables', '__array__': lambda self, *_, **__: a})()
    """),
    *kinds("same", """
        np.asfortranarray(a)
        np.repeat(a, 2, axis=-1)[..., ::2]
        a[::-1].copy()[::-1]
        a.view(type('Named', (np.ndarray,), {'__module__': 'named'}))
        a.astype(a.dtype.newbyteorder())
        np.lib.stride_tricks.as_strided(a, writeable=False)
    """),
    *SHAPES,
]  # fmt: skip
FLOATS = [
    *ARRAYS,
    *kinds("refused", "a.astype(int)\na.astype(np.uint8)\na.astype(bool)\n1.0"),
    *kinds("close", "a.astype(np.float16)\na.astype(np.float32)\na.astype(np.longdouble)"),
    *kinds("nan", "a * np.nan"),
    *kinds("any", "a + np.inf\n-1e308 * (a + 3)\n-a\n0 * a"),
    *kinds("analytic", "a + 1e-20j * np.cos(np.arange(a.size)).reshape(a.shape)"),
]
WHOLES_OF = [
    *ARRAYS,
    *kinds("refused", "a.astype(bool)\na * 1j\n1\na - 99\na * np.nan\na + 0.5"),
    *kinds("same", "a.astype(np.int32)\na.astype(np.uint64)\na.astype(np.int16)\na.astype(float)"),
]
IMAGES = [
    *ARRAYS,
    *kinds("refused", "a * 1j\n1"),
    *kinds("any", "a.astype(bool)\na.astype(int)\na.astype(float) * np.nan\n-a.astype(float)"),
]
NUMBERS = [
    *OBJECTS,
    *kinds("refused", """
        str(a)
        [a]
        (a,)
        np.array([a])
        np.array([a, a])
        complex(a)
        a + 1e-20j
        torch.tensor([a, a])
        decimal.Decimal(a)
        a.__add__
    """),
    *kinds("same", "np.float64(a)\nfractions.Fraction(a)\nnp.longdouble(a)\nnp.array(a)"),
    *kinds("close", "np.float32(a)\nnp.float16(a)"),
    *kinds("nan", "float('nan')\nnp.float64('nan')"),
    *kinds("any", "float('inf')\n-float('inf')\n-a - 1\n0.0\n1e400\nTrue\n1\n-1e308\n1e308"),
]  # fmt: skip
WHOLES = [
    *OBJECTS,
    *kinds("refused", """
        str(a)
        [a, a, a]
        np.array([a, a, a])
        complex(a)
        a + 0.5
        np.float64(a + 0.5)
        float('nan')
        float('inf')
        decimal.Decimal(a)
        a.__add__
        torch.tensor([a, a, a])
    """),
    *kinds("same", "float(a)\nnp.int64(a)\nnp.uint8(a)\nfractions.Fraction(a)\nnp.array(a)"),
    *kinds("any", "0\n-1\n99\n-99\nTrue\n[a]"),
]  # fmt: skip
NOT_CHOICES = kinds("refused", """
    'nonsense'
    a.upper()
    a + ' '
    1
    True
    [a]
    (a,)
    np.array([a])
    np.array([a, a])
    a.encode()
""")  # fmt: skip
BY_ROLE: dict[str, list[Kind]] = {
    "floats": FLOATS,
    "labels": WHOLES_OF,
    "images": IMAGES,
    "number": NUMBERS,
    "whole": WHOLES,
    "choice": [*OBJECTS, *NOT_CHOICES, Kind("np.str_(a)", "same")],
    "flag": [
        *OBJECTS,
        *kinds("refused", "'no'\n[]\nnp.array([True, False])\n2\n0.5\nfloat('nan')"),
        *kinds("same", "int(a)\nnp.bool_(a)"),
    ],
    "dtype": [
        *OBJECTS,
        *kinds("refused", "int\n'S3'\nobject\n5\ncomplex\nbool\n[a]\nnp.array(1.0)\n'M8[D]'"),
        *kinds("same", "np.dtype(a)\nnp.dtype(a).name\nnp.dtype(a).str"),
    ],
    "rng": [
        *OBJECTS,
        *kinds("refused", "'1'\n1.5\n-1\nnp.random.default_rng\nnp.random\n[1.5]\nnp.array([1.5])"),
        *kinds("same", "np.int64(a)\nnp.random.default_rng(a)\nnp.array(a)"),
    ],
    "network": [*OBJECTS, *kinds("refused", "a.theta\na.layers\n[]\ntype(a)\n[3, 2]")],
    "optimizer": [*OBJECTS, *kinds("refused", "SGD\n0.1\n'sgd'\n[a]")],
    "pair": [
        *OBJECTS,
        *kinds("refused", """
            a[0]
            (a[0],)
            a + a
            (a[0].tolist(), a[1])
            (a[0], a[1].tolist())
            (a[0], a[1][:-1])
            (a[0], None)
            (None, a[1])
            (a[0].astype(str), a[1])
            (np.ma.masked_array(a[0]), a[1])
            (a[0], np.ma.masked_array(a[1], a[1] > 1))
            (torch.tensor(a[0]), torch.tensor(a[1]))
            (a[0] * np.nan, a[1])
            (a[0] * 1j, a[1])
            (a[0][:, :-1], a[1])
            (a[0], a[1] + 99)
            (a[0], a[1] - 9)
            (a[0], a[1].astype(float))
            (a[0], a[1][:, None] + np.zeros(3))
            (a[0][:0], a[1][:0])
            dict(X=a[0], y=a[1])
        """),
        *kinds("same", "list(a)\n(np.asfortranarray(a[0]), a[1])\n(a[0], a[1].astype(np.uint8))"),
    ],
    "whole numbers": [
        *OBJECTS,
        *kinds("refused", """
            'ab'
            [str(n) for n in a]
            [n + 0.5 for n in a]
            [None for n in a]
            [[n for n in a]]
            [n * 1j for n in a]
            [-n for n in a]
            2.5
            (float('nan'), 3)
        """),
        *kinds("same", "list(a)\ntuple(a)\nnp.array(a)\n[np.int64(n) for n in a]"),
        *kinds("any", "[]\n[0, 0]\n[1]\n7\n0\n-1\n[n for n in a] * 3"),
    ],
    "list": [
        *OBJECTS,
        *kinds("refused", "a[0]\n[None for _ in a]\n[[] for _ in a]\n[type(x) for x in a]\n'ab'"),
        *kinds("same", "list(a)\ntuple(a)"),
        *kinds("any", "[]\na[:1]\na[::-1]\na + a"),
    ],
}  # fmt: skip


def role(name: str, value: Any) -> str | None:
    """Return what an argument is, by its name and its right value; None: it is left as it is."""
    if name in ("rng", "dtype"):
        return name
    if name in ("size", "padding", "betas") and isinstance(value, tuple):
        return "whole numbers" if name != "betas" else "list"
    match value:
        case np.ndarray():
            if name in ("images", "pixels", "values"):
                return "images"
            return {"f": "floats", "i": "labels"}[value.dtype.kind]
        case bool():
            return "flag"
        case int():
            return "whole"
        case float():
            return "number"
        case str():
            return "choice"
        case mlp.Parameters():
            return "network"
        case SGD():
            return "optimizer"
        case (np.ndarray(), np.ndarray()) if name in ("train", "test", "data"):
            return "pair"
        case [int(), *_]:
            return "whole numbers"
        case tuple() | list():
            return "list"
    return None
