"""
Train, look, predict
====================

A network learns handwritten digits in a few seconds. Then we look at what it learned, at its
mistakes, and give it a digit that we draw ourselves.

In a checkout, ``pip install -e '.[notebook,data]'`` installs what this needs.
"""

# %%
# Train
# -----
#
# 1,437 digits to learn from and 360 to test on come with the package. ``train`` says what it is in
# one line; ``train.X`` has the pixels.

from scratchnn import SGD, data, examine, fit, mlp, plots

train, test = data.digits()
plots.show_images(train.images[:18], 2, 9, titles=train.labels(slice(18)), scale=0.9)

# %%
# The network has 64 inputs, a hidden layer of 30 units, and 10 outputs. ``fit`` returns a history,
# which shows itself as a table.

network = mlp.init([64, 30, 10], rng=0)
history = fit(network, train, test, optimizer=SGD(0.5), batch_size=64, rng=0)
history

# %%
# Curves say more than the table: does the network still learn, or does it learn by heart?

plots.curves(history, "64-30-10 on digits")

# %%
# Look
# ----
#
# ``examine.answers`` asks the network about every test image. Which digits does it mix up?

answers = examine.answers(network, test)
plots.confusion(answers.confusion, test.classes)

# %%
# The worst mistakes gave the right digit hardly any probability. Some of them a person would get
# wrong, too.

plots.mistakes(answers)

# %%
# Does it know when it does not know? On the dashed line, of the answers given with probability 0.8,
# 8 in 10 are right.

plots.reliability(answers.reliability)

# %%
# The same in numbers, each with what it is:

answers.calibration()

# %%
# What does each unit of the hidden layer look for? Blue pixels speak for it, red ones against it.

plots.weights(network)

# %%
# Predict
# -------
#
# A 7, drawn in blue on grey paper, is nothing like the 8 x 8 images that the network knows.
# ``read`` finds the drawing, inverts it, and brings it to their size. It says what it did.
# ``scratchnn predict RUN PICTURE`` does the same in the terminal.

from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image, ImageDraw

from scratchnn.run.look import images

paper = Image.new("RGB", (300, 260), (215, 215, 210))
pen = ImageDraw.Draw(paper)
pen.line([(90, 60), (190, 60), (140, 200)], fill=(30, 40, 120), width=26, joint="curve")
with TemporaryDirectory() as folder:
    path = Path(folder) / "seven.png"
    paper.save(path)
    seven = images.read(path, (8, 8), images.FRAMINGS["digits"])
seven.how

# %%
# This is what the network gets to see:

plots.show_images(seven.pixels[None], 1, 1, titles=["what the network sees"], scale=2)

# %%
# Its three likeliest answers, with their probabilities:

X = seven.pixels.reshape(1, 64).astype("float32")
p = examine.probabilities(mlp.forward(network, X)[-1])[0]
print({digit: f"{p[digit]:.1%}" for digit in p.argsort()[::-1][:3].tolist()})

# %%
# What the losses are
# -------------------
#
# The last two pictures explain ideas of the course, and need no network. First the squared loss,
# the absolute loss and Huber's, with their derivatives, which have a sign:

plots.losses()

# %%
# And softmax at several temperatures: the logits are divided by T.

plots.temperature()
