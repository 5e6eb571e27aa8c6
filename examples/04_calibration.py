"""Can the probabilities of a classifier be trusted? Of its answers at 0.8, are 8 in 10 right?

Temperature scaling divides the logits by a number T. Here it lowers the loss. It hardly changes the
expected calibration error (ECE), which for so few answers is mostly chance.
"""

import numpy as np

import scratchnn
import scratchnn.functional as F
from scratchnn import calibration, data, mlp

train, test = data.digits()
network = mlp.init([train.features, train.outputs], std=0.01, rng=0)
scratchnn.fit(network, train, optimizer=scratchnn.SGD(0.5), epochs=20, batch_size=64, rng=0)

# Fit the temperature on one half of the test images, and judge it on the other half.
X, target = test.batch(slice(None), network.theta.dtype)
z = mlp.forward(network, X)[-1]
order = np.random.default_rng(0).permutation(len(z))
held_out, judged = order[: len(z) // 2], order[len(z) // 2 :]
T = calibration.fit_temperature(z[held_out], target[held_out])
print(f"T = {T:.3f}: the network is", "overconfident" if T > 1 else "underconfident")

z, target = z[judged], target[judged]
for name, logits in (("before", z), ("after", z / T)):
    p = F.softmax(logits)
    ece = calibration.expected_calibration_error(p, target, bins=10)
    brier = calibration.brier_score(p, target)
    loss = F.cross_entropy(logits, target)
    accuracy = scratchnn.accuracy(logits, target)
    print(f"{name:6}  ECE {ece:.3f}  Brier {brier:.3f}  loss {loss:.3f} nats  {accuracy:.1%} right")

bins = calibration.reliability_bins(F.softmax(z / T), target, bins=10)
print("\nafter temperature scaling, by confidence:")
for low, count, confidence, right in zip(
    bins.edges, bins.count, bins.confidence, bins.accuracy, strict=False
):
    if count:
        print(
            f"  above {low:.1f}: {count:3} answers, confidence {confidence:.2f}, right {right:.2f}"
        )
