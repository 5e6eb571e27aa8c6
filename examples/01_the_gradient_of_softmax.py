"""
The gradient of softmax
=======================

Why the gradient of cross-entropy is p - y, prediction minus truth, seen in numbers.
"""

import numpy as np

import scratchnn.functional as F
from scratchnn import plots

# %%
# A network gave three scores, the logits z. The first class is the right one. Softmax makes
# probabilities of the scores, and the loss is -log of the probability of the right class.

z = np.array([[0.2, 0.1, -0.1]])  # logits of one example, three classes
target = np.array([0])

p = F.softmax(z)
loss = F.cross_entropy(z, target)
print("p   ", p[0])
print("loss", loss, "= -log p[0] =", -np.log(p[0, 0]))

# %%
# The gradient says how the loss changes with each logit. By the formula it is p - y, where y is 1
# at the right class and 0 elsewhere:

y = np.array([[1.0, 0.0, 0.0]])
dz = F.cross_entropy_backward(1.0, z, target)
print("dz   ", dz[0])
print("p - y", (p - y)[0])

# %%
# The same without any formula: move each logit a little to both sides, and see how far the loss
# goes.

h = 1e-6
measured = np.zeros(3)
for k in range(3):
    up, down = z.copy(), z.copy()
    up[0, k] += h
    down[0, k] -= h
    measured[k] = (F.cross_entropy(up, target) - F.cross_entropy(down, target)) / (2 * h)
print("measured", measured)

# %%
# The picture shows both. To lower the loss, the first logit must rise and the others must fall,
# each in proportion to the probability that it wrongly has.

figure, (left, right) = plots.new_figure(2)
classes = np.arange(3)
left.bar(classes - 0.2, p[0], 0.4, color=plots.BLUE, label="p, the prediction")
left.bar(classes + 0.2, y[0], 0.4, color=plots.GREY, label="y, the truth")
right.bar(classes, dz[0], 0.6, color=plots.ORANGE, label="dz = p - y")
right.plot(classes, measured, "kx", label="measured")
for axis in (left, right):
    axis.set(xlabel="class", xticks=classes)
    axis.legend()
figure

# %%
# The gradient can also be had in two steps of the chain rule: from the loss to log p, and from
# log p to z. A library does this, as log_softmax and the loss are two functions.

log_p = F.log_softmax(z)
dlog_p = F.nll_loss_backward(1.0, log_p, target)
print("in two steps", F.log_softmax_backward(dlog_p, z)[0])
