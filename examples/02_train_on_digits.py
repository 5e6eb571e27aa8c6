"""Train softmax regression on handwritten digits, and look at one of its mistakes."""

import scratchnn
from scratchnn import data, mlp

train, test = data.digits()
network = mlp.init([train.features, train.outputs], std=0.01, rng=0)  # one dense layer
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

X, target = test.batch(slice(None), network.theta.dtype)
predicted = mlp.predict(network, X)
wrong = (predicted != target).argmax()
print(f"test image {wrong} is a {target[wrong]}, and the network says {predicted[wrong]}:")
for row in test.X[wrong].reshape(8, 8):
    print("  ", "".join(" .:-=+*#%@"[pixel * 9 // 16] * 2 for pixel in row))
