"""What an optimizer keeps from step to step, and of which network."""

from __future__ import annotations

import weakref
from collections.abc import Mapping

from scratchnn.ops.shared import Array, check_real, check_same_shape, check_writeable


class State(dict[str, Array]):
    """The arrays that an optimizer keeps, by name, and the θ that they belong to."""

    def __init__(self, arrays: Mapping[str, Array], theta: Array) -> None:
        super().__init__(arrays)
        self.owner = weakref.ref(theta)

    def __reduce__(self) -> tuple[type[dict[str, Array]], tuple[dict[str, Array]]]:
        return dict, (dict(self),)  # a copy belongs to the θ of its first step


def check_step(theta: Array, grad: Array) -> None:
    """Raise where a step cannot be taken.

    Raises   TypeError, ValueError
    """
    check_real(theta=theta, grad=grad)
    check_same_shape(theta=theta, grad=grad)
    check_writeable(theta=theta)


def state_of(theta: Array, state: dict[str, Array]) -> State:
    """Return the state if it belongs to this θ, or else an empty one.

    A state that was assigned, from a checkpoint for instance, belongs to the θ of the next step.
    So the velocity of one network never moves another one.
    """
    if not isinstance(state, State):
        return State(state, theta)
    return state if state.owner() is theta else State({}, theta)
