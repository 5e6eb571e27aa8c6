"""
Backpropagation by hand
=======================

A network with a hidden layer, operation by operation: forward, backward, and a step.
"""

import numpy as np

import scratchnn.functional as F
from scratchnn import data, mlp, plots

# %%
# A batch of 32 digits, and a network of two dense layers with a ReLU between them. Only its
# random initial parameters come from the package.

train, _ = data.digits()
X, target = train.batch(slice(32), np.float32)
network = mlp.init([64, 30, 10], rng=0)  # dense, relu, dense
(W1, b1), _, (W2, b2) = network.views

# %%
# **Forward.** Each line uses the result of the line before.

z1 = F.linear(X, W1, b1)
a1 = F.relu(z1)
z2 = F.linear(a1, W2, b2)
loss = F.cross_entropy(z2, target)

# %%
# **Backward.** One line for each line above, from the last to the first. ``dz2`` stands for
# the derivative of the loss with respect to z2, and so on. Each backward takes the gradient of
# its function's result, and returns the gradients of its arguments.

dz2 = F.cross_entropy_backward(1.0, z2, target)
da1, dW2, db2 = F.linear_backward(dz2, a1, W2, b2)
dz1 = F.relu_backward(da1, z1)
_, dW1, db1 = F.linear_backward(dz1, X, W1, b1)

# %%
# The package does the same, into one flat vector:

gradient = mlp.backward(network, mlp.forward(network, X), dz2)
by_hand = mlp.Parameters.from_arrays([(dW1, db1), (dW2, db2)])
print("same gradient:", np.array_equal(gradient.theta, by_hand.theta))

# %%
# **A step** moves every parameter against its gradient. The four arrays are views into the flat
# vector ``network.theta``, so one line moves them all:

network.theta -= 0.5 * gradient.theta
after = F.cross_entropy(mlp.forward(network, X)[-1], target)
print(f"loss before {loss:.4f}, after {after:.4f}")

# %%
# Many such steps are training. Here are 100 on the same 32 digits:

losses = []
for _ in range(100):
    outputs = mlp.forward(network, X)
    loss, dz2 = F.cross_entropy_with_gradient(outputs[-1], target)
    losses.append(loss)
    network.theta -= 0.5 * mlp.backward(network, outputs, dz2).theta

figure, (axis,) = plots.new_figure(1)
axis.semilogy(losses, color=plots.BLUE)
axis.set(xlabel="step", ylabel="loss (nats)")
figure
