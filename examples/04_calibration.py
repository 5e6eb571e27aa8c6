"""
Calibration
===========

Can the probabilities of a classifier be trusted? Of its answers at 0.8, are 8 in 10 right?
"""

import numpy as np

import scratchnn
import scratchnn.functional as F
from scratchnn import calibration, data, mlp, plots

# %%
# A network that sees few examples many times becomes too sure of itself. This one sees 300
# digits 150 times.

train, test = data.digits()
X, target = train.batch(slice(300), np.float64)
network = mlp.init([64, 100, 10], rng=0, dtype=np.float64)
optimizer = scratchnn.SGD(0.5)
history = scratchnn.fit(
    network, X, target, optimizer=optimizer, epochs=150, batch_size=32, rng=0, evaluation=False
)

# %%
# Ask it about the test digits. One half serves to choose a temperature, the other half to judge.

X, target = test.batch(slice(None), np.float64)
z = mlp.forward(network, X)[-1]
order = np.random.default_rng(0).permutation(len(z))
held_out, judged = order[: len(z) // 2], order[len(z) // 2 :]

# %%
# On the dashed line, of the answers given with probability 0.8, 8 in 10 are right. Most bins lie
# below it: the network is right less often than it says.

before = z[judged]
plots.reliability(calibration.reliability_bins(F.softmax(before), target[judged]), "before")

# %%
# Temperature scaling divides all logits by one number T. The answers stay the same, because the
# largest logit stays the largest. Only the probabilities move towards each other.

T = calibration.fit_temperature(z[held_out], target[held_out])
print(f"T = {T:.3f}: the network is", "overconfident" if T > 1 else "underconfident")

after = before / T
plots.reliability(calibration.reliability_bins(F.softmax(after), target[judged]), "after")

# %%
# Did it help? The expected calibration error (ECE) is the mean distance from the dashed line. Of so
# few answers it is partly chance. The Brier score and the loss are better judges: smaller is
# better.

for name, logits in (("before", before), ("after", after)):
    p = F.softmax(logits)
    ece = calibration.expected_calibration_error(p, target[judged], bins=10)
    brier = calibration.brier_score(p, target[judged])
    loss = F.cross_entropy(logits, target[judged])
    accuracy = scratchnn.accuracy(logits, target[judged])
    print(f"{name:6}  ECE {ece:.3f}  Brier {brier:.3f}  loss {loss:.3f} nats  {accuracy:.1%} right")
