"""Every operation and torch's beside the right answer: values and gradients, generated inputs."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import scratchnn.functional as F
from parity.ops import OPS
from parity.search.sides import judge

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(
    not torch.cuda.is_available(), reason="no CUDA device"
))]  # fmt: skip


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", OPS)
def test_op_agrees_with_torch(name, dtype, device):
    op = OPS[name]

    @given(op.cases(dtype), st.integers(0, 2**32 - 1))
    def check(case, dy_seed):
        for verdict in judge(op, case, dy_seed, [device]):
            assert verdict.holds, str(verdict)

    check()


def test_every_operation_has_a_row():
    functions = {
        name for name in F.__all__ if "_backward" not in name and "_with_gradient" not in name
    }
    rows = {name.partition(",")[0] for name in OPS}
    assert functions | {"kronecker_linear"} == rows
    assert {f"{name}_backward" for name in functions} < set(F.__all__)
