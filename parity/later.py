"""torch, and what is written in it, imported when first used: the table of operations needs none.

So an implementation can be checked against the oracle where torch is not installed.
"""

from importlib.util import find_spec
from typing import Any

from scratchnn.extras import need


class Later:
    """A module that is imported when something of it is first asked for.

    Raises   MissingExtraError then, where it is not installed
    """

    def __init__(self, module: str) -> None:
        self._name = module
        self._module: Any = None  # looked up once: who times an operation would see it

    def __getattr__(self, name: str) -> Any:
        if self._module is None:
            self._module = need(self._name, "torch")
        return getattr(self._module, name)


torch = Later("torch")
conventions = Later("parity.conventions")


def has_torch() -> bool:
    """Return whether torch is installed."""
    return find_spec("torch") is not None
