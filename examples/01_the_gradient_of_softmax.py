"""Why the gradient of cross-entropy is p - onehot(target), seen in numbers."""

import numpy as np

import scratchnn.functional as F

z = np.array([[0.2, 0.1, -0.1]])  # logits of one example, three classes
target = np.array([0])

p = F.softmax(z)
loss = F.cross_entropy(z, target)
dz = F.cross_entropy_backward(1.0, z, target)
print("p            ", p[0])
print("loss         ", loss, "= -log p[0] =", -np.log(p[0, 0]))
print("dz           ", dz[0], "= p - onehot")

# The same without any formula, by moving each logit a little:
h = 1e-6
for k in range(3):
    up, down = z.copy(), z.copy()
    up[0, k] += h
    down[0, k] -= h
    slope = (F.cross_entropy(up, target) - F.cross_entropy(down, target)) / (2 * h)
    print(f"slope along z[{k}] {slope:+.8f}")

# Both steps of the chain: from the loss to log p, and from log p to z.
log_p = F.log_softmax(z)
dlog_p = F.nll_loss_backward(1.0, log_p, target)
print("in two steps ", F.log_softmax_backward(dlog_p, z)[0])
