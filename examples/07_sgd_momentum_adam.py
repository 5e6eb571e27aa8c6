"""
SGD, momentum, Adam
===================

Three optimizers train the same network, from the same parameters and on the same batches.
"""

import scratchnn
from scratchnn import data, mlp, plots

# %%
# An optimizer turns a gradient into a step. SGD goes against the gradient. With momentum it keeps a
# velocity, a decaying sum of the gradients so far. Adam divides by the size that each
# parameter's gradients usually have.

optimizers = {
    "SGD": scratchnn.SGD(0.05),
    "SGD with momentum 0.9": scratchnn.SGD(0.05, momentum=0.9),
    "Adam": scratchnn.Adam(0.002),
}

# %%
# ``rng=0`` gives each run the same initial parameters and the same order of the examples.

train, test = data.digits()
histories = {}
for name, optimizer in optimizers.items():
    network = mlp.init([64, 30, 10], rng=0)
    histories[name] = scratchnn.fit(
        network, train, test, optimizer=optimizer, epochs=20, batch_size=64, rng=0
    )
    last = histories[name].epochs[-1]
    print(f"{name:22} train loss {last.train_loss:.3f}, test accuracy {last.test_accuracy:.1%}")

# %%
# With momentum 0.9 the steps become up to ten times as long, where the gradients agree. So it is
# soon far ahead of plain SGD. Is momentum better, then, or only faster? Plain SGD with ten times
# the learning rate answers this.

network = mlp.init([64, 30, 10], rng=0)
histories["SGD, ten times the rate"] = scratchnn.fit(
    network, train, test, optimizer=scratchnn.SGD(0.5), epochs=20, batch_size=64, rng=0
)
plots.compare(histories)

# %%
# Its curve lies close to that of momentum. On this small problem momentum is a longer step;
# :doc:`chapter 6 </course/06-sgd>` shows a narrow valley in which it is more.
