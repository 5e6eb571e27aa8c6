"""How a history shows itself, in a line and as a table, and outlives an interrupted cell."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

Row = dict[str, float | None]
REACHED = ("train_loss", "test_loss", "train_accuracy", "test_accuracy")
RUNNING = ("running_loss", "running_accuracy")


class Shown:
    """Rows of numbers that show themselves."""

    def as_dicts(self) -> list[Row]:
        """Return the rows by the names of their columns."""
        raise NotImplementedError

    def __repr__(self) -> str:
        rows = self.as_dicts()
        words = f"{type(self).__name__} of {len(rows)} epochs"
        return f"<{words}, {reached(rows[-1])}>" if rows else f"<{words}>"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the columns that have values."""
        rows = self.as_dicts()
        names = [
            name
            for name in (rows[0] if rows else {})
            if name != "training_seconds" and any(row[name] is not None for row in rows)
        ]
        head = "".join(f"<th>{_words(name)}</th>" for name in names)
        lines = ("".join(f"<td>{_number(name, row[name])}</td>" for name in names) for row in rows)
        body = "".join(f"<tr>{line}</tr>" for line in lines)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def reached(row: Row) -> str:
    """Return what an epoch reached, in words; where it was not measured, its running figures.

    Options  row   of a history
    """
    names = REACHED if row["train_loss"] is not None else RUNNING
    return ", ".join(
        f"{_words(name)} {_number(name, value)}"
        for name in names
        if (value := row[name]) is not None
    )


def _words(name: str) -> str:
    return name.replace("_", " ")


def _number(name: str, value: float | None) -> str:
    if value is None:
        return ""
    if name.endswith("accuracy"):
        return f"{value:.2%}"
    return str(value) if name == "epoch" else f"{value:.4f}"


@contextmanager
def survives(_: object, __: object, history: Shown, ___: object) -> Generator[Callable[[], None]]:
    """Let Ctrl-C bring the history with it: what `fit` would have returned is lost otherwise."""
    try:
        yield lambda: None
    except KeyboardInterrupt as stopped:
        vars(stopped)["history"] = history
        stopped.add_note(
            f"{history!r}: the network has what it learned, sys.last_value.history these epochs"
        )
        raise
