"""
Train on digits
===============

Softmax regression, the simplest classifier, learns handwritten digits in less than a second.
"""

import scratchnn
from scratchnn import data, examine, mlp, plots

# %%
# The package contains 1,797 digits of 8 x 8 pixels: 1,437 to learn from, and 360 to test on.

train, test = data.digits()
plots.show_images(train.images[:10], 1, 10, titles=train.labels(slice(10)), scale=0.9)

# %%
# The network is one dense layer: 64 pixels in, 10 scores out. ``fit`` goes through all training
# images 20 times. It takes a step on each batch of 64 images.

network = mlp.init([train.features, train.outputs], std=0.01, rng=0)
history = scratchnn.fit(
    network,
    train,
    test,
    optimizer=scratchnn.SGD(learning_rate=0.5),
    epochs=20,
    batch_size=64,
    rng=0,
)
last = history.epochs[-1]
print(f"test loss {last.test_loss:.3f}, accuracy {last.test_accuracy:.1%}")

# %%
# A gap opens between both parts: the network is surer of images that it has seen. The dotted line
# is the mean over an epoch while the parameters move, so it begins far above the others.

plots.curves(history, "softmax regression on digits")

# %%
# What did it learn? Each class has a weight for each pixel. Blue pixels speak for the class, and
# red ones against it. A 0 has ink in a ring and none in the middle.

plots.weights(network)

# %%
# These are its worst mistakes: the right digits got hardly any probability.

answers = examine.answers(network, test)
plots.mistakes(answers)
