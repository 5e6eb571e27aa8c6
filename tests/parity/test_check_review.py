"""What a review of `parity check` found: modules of torch, batches that mix, small errors, ..."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import parity

# ---- modules of torch ---------------------------------------------------------------------------


class OwnSoftmax(nn.Module):
    def forward(self, z):
        return torch.softmax(z, 1)


MODULES = {
    "softmax": (nn.Softmax(dim=1), OwnSoftmax(), OwnSoftmax),
    "cross_entropy": (nn.CrossEntropyLoss(),),
    "mse_loss": (nn.MSELoss(), nn.MSELoss),
    "linear": (nn.Linear,),
}


@pytest.mark.parametrize(("op", "thing"), [(op, x) for op, of in MODULES.items() for x in of])
def test_check_takes_modules_of_torch(op, thing):
    report = parity.check(thing, op)
    assert report.grade == "right", str(report)
