"""Damage to files, drawn at random: bits that flip, ends that are missing, pieces that move."""

from __future__ import annotations

import numpy as np


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Return a file with one to three damages, half of the time with one."""
    for _ in range(rng.choice([1, 1, 2, 3])):
        kinds = (flip, cut, drop, repeat, blank, overwrite, number)
        content = kinds[rng.integers(len(kinds))](content, rng)
    return content


def place(content: bytes, rng: np.random.Generator) -> int:
    """Return a place in a file: each second time near its beginning, where its header is."""
    most = min(len(content), 64) if rng.random() < 0.5 else len(content)
    return int(rng.integers(max(most, 1)))


def flip(content: bytes, rng: np.random.Generator) -> bytes:
    """Flip a bit."""
    k = place(content, rng)
    flipped = bytes(byte ^ (1 << int(rng.integers(8))) for byte in content[k : k + 1])
    return content[:k] + flipped + content[k + 1 :]


def cut(content: bytes, rng: np.random.Generator) -> bytes:
    """Cut off the end."""
    return content[: place(content, rng)]


def drop(content: bytes, rng: np.random.Generator) -> bytes:
    """Leave out some bytes."""
    k = place(content, rng)
    return content[:k] + content[k + int(rng.integers(1, 9)) :]


def repeat(content: bytes, rng: np.random.Generator) -> bytes:
    """Repeat a piece; also at the end, as where two files became one."""
    k, end = sorted((place(content, rng), place(content, rng)))
    return content[:end] + content[k:]


def blank(content: bytes, rng: np.random.Generator) -> bytes:
    """Put zeros in place of a piece, as a disk does."""
    k = place(content, rng)
    length = len(content[k : k + int(rng.integers(1, 513))])
    return content[:k] + bytes(length) + content[k + length :]


def overwrite(content: bytes, rng: np.random.Generator) -> bytes:
    """Put other bytes in place of a piece."""
    k = place(content, rng)
    length = len(content[k : k + int(rng.integers(1, 17))])
    return content[:k] + rng.bytes(length) + content[k + length :]


def number(content: bytes, rng: np.random.Generator) -> bytes:
    """Put a number that is too large in place of four bytes, which may be a size."""
    k = place(content, rng)
    high = int(rng.choice([2**16, 2**24, 2**31 - 1, 2**32 - 1])).to_bytes(4, "big")
    return content[:k] + (high if rng.random() < 0.5 else high[::-1]) + content[k + 4 :]
