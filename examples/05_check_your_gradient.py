"""
Check your gradient
===================

A softmax regression whose gradient is nearly right, and what ``gradcheck`` says.
"""

import numpy as np

import scratchnn.functional as F
from scratchnn import gradcheck, plots

# %%
# A loss of your own, and its gradient with respect to W and b. One line of it is wrong. A network
# would learn all the same, so a falling loss would not show it.


def loss(X, W, b, target):
    z = X @ W + b
    z = z - z.max(axis=1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    return -log_p[np.arange(len(X)), target].mean()


def gradient(dloss, X, W, b, target):
    e = np.exp(X @ W + b)
    dz = e / e.sum(axis=1, keepdims=True)  # p
    dz[np.arange(len(X)), target] -= 1  # p - y
    dz *= dloss  # something is missing here
    return X.T @ dz, dz.sum(axis=0)


# %%
# ``gradcheck`` needs nothing but the two functions. It measures the gradient, compares, and says
# what the difference looks like.

rng = np.random.default_rng(0)
X, W, b = rng.normal(size=(5, 3)), rng.normal(size=(3, 4)), rng.normal(size=4)
target = rng.integers(4, size=5)
print(gradcheck.check(loss, gradient, X, W, b, target, wrt=["W", "b"]))

# %%
# The loss is a mean over 5 rows, so its gradient must be divided by 5:


def repaired(dloss, X, W, b, target):
    return gradient(dloss / len(X), X, W, b, target)


print(gradcheck.check(loss, repaired, X, W, b, target, wrt=["W", "b"]))

# %%
# How does it measure? The usual way is the central difference, (f(z + h) - f(z - h)) / 2h. With a
# large h the curve bends in between, and with a small h the subtraction loses digits. Even the best
# h loses several of 16 digits. The complex step needs no subtraction: the imaginary part of
# f(z + ih), divided by h, has all digits for every small h.

z, t = np.array([[0.2, 0.1, -0.1]]), np.array([0])
right = F.cross_entropy_backward(1.0, z, t)[0, 0]


def own_loss(z):
    return np.log(np.exp(z).sum()) - z[0, 0]


steps = 10.0 ** -np.arange(1, 17)
move = np.array([[1.0, 0.0, 0.0]])
central = [(own_loss(z + h * move) - own_loss(z - h * move)) / (2 * h) for h in steps]
complex_step = [own_loss(z + 1j * h * move).imag / h for h in steps]

figure, (axis,) = plots.new_figure(1)
for name, found in (("central difference", central), ("complex step", complex_step)):
    axis.loglog(steps, np.maximum(abs(np.array(found) - right), 1e-17), ".-", label=name)
axis.set(xlabel="h", ylabel="error of the slope")
axis.legend()
figure
