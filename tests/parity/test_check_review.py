"""What a review of `parity check` found: modules of torch, batches that mix, small errors, ..."""

from __future__ import annotations

import numpy as np
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


# ---- a layer of columns whose backward divides by m ---------------------------------------------


class Columns:
    def __init__(self, n_in, n_out):
        self.W, self.b = np.zeros((n_out, n_in)), np.zeros((n_out, 1))

    def forward(self, X):
        self.X = X
        return self.W @ X + self.b

    def backward(self, dY):
        m = self.X.shape[1]
        self.dW = dY @ self.X.T / m
        self.db = dY.sum(axis=1, keepdims=True) / m
        return self.W.T @ dY


def test_check_names_the_mean_of_a_layer_of_columns():
    report = parity.check(Columns, "linear")
    assert (report.of("value"), report.of("gradient")) == ("right", "wrong"), str(report)
    assert "The gradients of the parameters are divided by N" in str(report)
