"""One training step of a network with a hidden layer, operation by operation."""

import numpy as np

import scratchnn.functional as F
from scratchnn import data, mlp

train, _ = data.digits()
X, target = train.batch(slice(32), np.float32)
network = mlp.init([64, 30, 10], rng=0)  # dense, relu, dense
(W1, b1), _, (W2, b2) = network.views

# forward
z1 = F.linear(X, W1, b1)
a1 = F.relu(z1)
z2 = F.linear(a1, W2, b2)
loss = F.cross_entropy(z2, target)

# backward: one line for each line above, from the last to the first
dz2 = F.cross_entropy_backward(1.0, z2, target)
da1, dW2, db2 = F.linear_backward(dz2, a1, W2, b2)
dz1 = F.relu_backward(da1, z1)
_, dW1, db1 = F.linear_backward(dz1, X, W1, b1)

# The package does the same, into one flat vector:
gradient = mlp.backward(network, mlp.forward(network, X), dz2)
by_hand = mlp.Parameters.from_arrays([(dW1, db1), (dW2, db2)])
print("same gradient:", np.array_equal(gradient.theta, by_hand.theta))

# A step of SGD is one line on it:
network.theta -= 0.5 * gradient.theta
after = F.cross_entropy(mlp.forward(network, X)[-1], target)
print(f"loss before {loss:.4f}, after {after:.4f}")
