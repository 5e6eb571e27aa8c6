"""What one number of a training step is computed by: in NumPy, and in torch beside it.

The NumPy formulas run on float32, on float64 and on numbers of 51 digits. A reader sees the source
of both: parity/lockstep/culprit.py prints it.
"""

import numpy as np

from parity.later import conventions, torch
from scratchnn.objectives import OBJECTIVES


def dense(x, w, b):
    return x @ w + b


def torch_dense(x, w, b):
    return torch.nn.functional.linear(x[None], w[None], b[None])


def product(x, w):
    return x @ w


def torch_product(x, w):
    return torch.nn.functional.linear(x[None], w[None])


def total(x):
    return x.sum()


def torch_total(x):
    return x.sum()


def kronecker(P, Q, R, b):
    return (P @ Q * R).sum() + b


def torch_kronecker(P, Q, R, b):
    return torch.nn.functional.linear(Q.reshape(1, -1), (P.T @ R).reshape(1, -1), b[None])


def kronecker_input(P, Q, R):
    return (P @ Q * R).sum()


def torch_kronecker_input(P, Q, R):
    return torch.nn.functional.linear(Q.reshape(1, -1), (P.T @ R).reshape(1, -1))


def kronecker_parameter(P, Q, R):
    return (P @ Q * R).sum()


def torch_kronecker_parameter(P, Q, R):
    return (torch.nn.functional.linear(P.T, R.T) * Q).sum()


def relu(z):
    return np.maximum(z, 0)


def torch_relu(z):
    return torch.relu(z)


def objective(name, part, index, z, target):
    return np.asarray(OBJECTIVES[name].loss_and_gradient(z, target)[part])[index]


def torch_objective(name, part, index, z, target):
    loss = conventions.LOSSES[name](z.requires_grad_(), target)
    return (loss, *torch.autograd.grad(loss, z))[part][index]


def update(theta, learning_rate, momentum, v, g):
    return theta - learning_rate * (momentum * v + g)


def torch_update(theta, learning_rate, momentum, v, g):
    parameter = torch.nn.Parameter(theta)
    optimizer = torch.optim.SGD([parameter], lr=learning_rate, momentum=momentum)
    optimizer.state[parameter]["momentum_buffer"] = v
    parameter.grad = g
    optimizer.step()
    return parameter


IN_TORCH = {
    dense: torch_dense,
    product: torch_product,
    total: torch_total,
    kronecker: torch_kronecker,
    kronecker_input: torch_kronecker_input,
    kronecker_parameter: torch_kronecker_parameter,
    relu: torch_relu,
    objective: torch_objective,
    update: torch_update,
}
