"""One training step of a network with a hidden layer, operation by operation."""

import numpy as np

import scratchnn.functional as F
from scratchnn import data, mlp

train, _ = data.digits()
X, target = train.batch(slice(32), np.float32)
network = mlp.init([64, 30, 10], rng=0)
(W1, b1), (W2, b2) = network.layers

# forward
z1 = F.linear(X, W1, b1)
a1 = F.relu(z1)
z2 = F.linear(a1, W2, b2)
log_p = F.log_softmax(z2)
loss = F.nll_loss(log_p, target)

# backward: each line undoes one line above, from the last to the first
dz2 = F.cross_entropy_backward(1.0, log_p, target)
da1, dW2, db2 = F.linear_backward(dz2, a1, W2)
dz1 = F.relu_backward(da1, a1)
_, dW1, db1 = F.linear_backward(dz1, X, W1)

# The package does the same, into one flat vector:
grad = mlp.backward(network, mlp.forward(network, X), dz2)
by_hand = mlp.Parameters.from_arrays([(dW1, db1), (dW2, db2)])
print("same gradient:", np.array_equal(grad.theta, by_hand.theta))

# and a step of SGD is one line on it
network.theta -= 0.5 * grad.theta
after = F.cross_entropy(mlp.forward(network, X)[-1], target)
print(f"loss before {loss:.4f}, after {after:.4f}")
