"""The reference models by name, with their data and hyper-parameters.

R0 to R4 are the five tutorials that this project implements; docs/reference.md says which.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from scratchnn import layers, mlp, objectives
from scratchnn.data import DataError, Dataset, load, load_own, stream
from scratchnn.data.datasets import DATA, check_name
from scratchnn.mlp import Parameters
from scratchnn.objectives import CrossEntropy, Objective
from scratchnn.optim import Adam, Optimizer
from scratchnn.run import optimizers

ADAM_RATE = Adam.learning_rate  # torch's, for recipes whose own is that of SGD


@dataclass(frozen=True)
class Recipe:
    """A model, its objective, its reference data, and how it is trained there.

    Options  name, summary   what it is called, and what it is, for `scratchnn recipes`
             data            the name of its reference data set
             objective       its loss, by name or as an object of scratchnn.objectives, which has
                             options such as label smoothing
             learning_rate, batch_size, epochs, momentum   of its training
             hidden          the widths of the hidden layers
             activation      the name of the layer after each of them
             kronecker       n, where the hidden layers are Kronecker(D, H, n); None: dense
             init_std        of the initial weights; None: torch's uniform default
             normalize       scale inputs to mean 0 and standard deviation 1, not to [0, 1]
             classes         the two classes to tell apart; None: all
             digits          what differs on the bundled digits, which are 1,437 and not 60,000
             optimizer       "sgd", "adam" or "adamw"
             nesterov, dampening   of SGD
             weight_decay    None: the optimizer's own, 0.01 for adamw and 0 for the others
             schedule        "constant", "cosine", which falls to 0 by the last epoch, or
                             "step:10,0.1": times 0.1 after every 10 epochs
             warm_up         in how many epochs, or which part of one, the rate rises to its size
    """

    name: str
    summary: str
    data: str
    objective: str | Objective
    learning_rate: float
    batch_size: int
    epochs: int
    momentum: float = 0.0
    hidden: tuple[int, ...] = ()
    activation: str = "relu"
    kronecker: int | None = None
    init_std: float | None = 0.01
    normalize: bool = False
    classes: tuple[int, int] | None = None
    digits: dict[str, Any] = field(default_factory=dict)
    optimizer: str = "sgd"
    nesterov: bool = False
    dampening: float = 0.0
    weight_decay: float | None = None
    schedule: str = "constant"
    warm_up: float = 0.0

    @property
    def label_smoothing(self) -> float:
        """The share of the target that the objective spreads over all classes."""
        goal = objectives.get(self.objective)
        return goal.label_smoothing if isinstance(goal, CrossEntropy) else 0.0

    @property
    def default_data(self) -> str:
        """The data set that `scratchnn train` takes without --data. It needs no download."""
        return "line" if self.data == "line" else "digits"

    def on(self, data: str, **changes: Any) -> Recipe:
        """Return the recipe for this data set.

        Options  data      "digits", "mnist", "fashion-mnist" or "line"; or a path of your own data
                 changes   other values of its fields, as epochs=1, or a label_smoothing for its
                           objective; None changes nothing. Adam and AdamW take a learning rate of
                           0.001 where none is given, and hidden layers that the recipe has not
                           take torch's initial weights
        Raises   ValueError for data that the recipe cannot train on, an unknown activation, or
                 options that its objective or optimizer does not take
        """
        if data in DATA and (data == "line") != (self.data == "line"):
            allowed = "line" if self.data == "line" else "digits, mnist or fashion-mnist"
            raise ValueError(f"{self.name} trains on {allowed}, got {data!r}")
        given = {name: value for name, value in changes.items() if value is not None}
        layers.activation(given.get("activation", self.activation))  # raises for an unknown one
        tuned = dict(self.digits) if data == "digits" else {}
        if given.get("optimizer", self.optimizer) != "sgd":
            tuned |= {"momentum": 0.0, "learning_rate": ADAM_RATE}
        if given.get("hidden") and not self.hidden:
            tuned["init_std"] = None
        tuned |= given
        label_smoothing = tuned.pop("label_smoothing", None)
        changed = replace(self, data=data, **tuned)
        if label_smoothing is not None:
            changed = changed._smoothed(label_smoothing)
        optimizers.check(changed)
        return changed

    def _smoothed(self, label_smoothing: float) -> Recipe:
        """Return the recipe with this share of smoothing in its objective.

        Raises   ValueError for another objective than cross-entropy
        """
        if label_smoothing == self.label_smoothing:
            return self
        goal = objectives.get(self.objective)
        if not isinstance(goal, CrossEntropy):
            raise ValueError(
                f"label smoothing goes with the loss cross_entropy, and {self.name} has {goal.op}"
            )
        return replace(self, objective=replace(goal, label_smoothing=label_smoothing))


@dataclass
class Run:
    """A recipe ready to train: its data, its initial parameters, and the rng that shuffles."""

    recipe: Recipe
    train: Dataset
    test: Dataset | None
    parameters: Parameters
    optimizer: Optimizer
    rng: np.random.Generator
    validation: Dataset | None = None

    @property
    def parts(self) -> tuple[Dataset, Dataset | None, Dataset | None]:
        """The data to train on, to test on, and to choose the best epoch by."""
        return self.train, self.test, self.validation


def prepare(
    recipe: Recipe,
    *,
    data_dir: str | Path | None = None,
    seed: int = 1,
    dtype: DTypeLike = np.float32,
    streamed: bool = False,
    validation: float | None = None,
) -> Run:
    """Load a recipe's data and draw its initial parameters from the seed.

    Options  recipe      as from `get(name)` or `get(name).on(data)`
             data_dir    the folder of the data, in torchvision's layout; default: $SCRATCHNN_DATA
             seed        of the initial parameters, and then of the order of the examples
             dtype       of the parameters, and so of the whole training
             streamed    leave the data in their files
             validation  the share of the training data, in each class, that is split off to choose
                         the best epoch by; the seed decides which; default: none
    Raises   ValueError for data that cannot be streamed; FileNotFoundError, DataError
    """
    train, test = load_data(recipe, data_dir, streamed=streamed)
    part: Dataset | None = None
    if validation is not None:
        train, part = train.split(validation, rng=seed)
    outputs = 1 if recipe.classes else train.outputs
    rng = np.random.default_rng(seed)
    parameters = mlp.init(
        [train.features, *recipe.hidden, outputs],
        activation=recipe.activation,
        kronecker=recipe.kronecker,
        std=recipe.init_std,
        rng=rng,
        dtype=dtype,
    )
    optimizer = optimizers.make(recipe, len(train))
    return Run(recipe, train, test, parameters, optimizer, rng, part)


def load_data(
    recipe: Recipe, data_dir: str | Path | None = None, *, streamed: bool = False
) -> tuple[Dataset, Dataset | None]:
    """Return (train, test) as the recipe wants them: normalized or not, all classes or two.

    Options  recipe      names the data set
             data_dir    the folder of the data, in torchvision's layout; default: $SCRATCHNN_DATA
             streamed    leave the data in their files
    Raises   ValueError for data that cannot be streamed; FileNotFoundError, DataError
    """
    source = stream if streamed else load
    if recipe.data not in DATA and not streamed:
        return _load_own(recipe)
    train, test = source(recipe.data, data_dir, normalize=recipe.normalize)
    if recipe.classes is None:
        return train, test
    return train.only(recipe.classes), test.only(recipe.classes) if test else None


def _load_own(recipe: Recipe) -> tuple[Dataset, Dataset | None]:
    """Return (train, test) of data of your own, with the targets that the recipe learns."""
    check_name(recipe.data)
    real = not objectives.get(recipe.objective).classes
    train, test = load_own(recipe.data, normalize=recipe.normalize, real=real)
    if recipe.classes and len(train.classes) != 2:
        raise DataError(
            f"{train.name}: {recipe.name} tells two classes apart, got {len(train.classes)}: "
            "softmax-regression takes any number"
        )
    return train, test


def get(name: str) -> Recipe:
    """Return the recipe of this name.

    Raises   ValueError that lists the names
    """
    if name not in RECIPES:
        raise ValueError(f"recipe must be one of {', '.join(RECIPES)}, got {name!r}")
    return RECIPES[name]


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            "softmax-regression",
            "softmax regression from logits (R0)",
            "fashion-mnist",
            "cross_entropy",
            learning_rate=0.1,
            batch_size=256,
            epochs=20,
            digits={"learning_rate": 0.5, "batch_size": 64},
        ),
        Recipe(
            "softmax-regression-scratch",
            "softmax regression, 10 epochs (R2, R4)",
            "fashion-mnist",
            "cross_entropy",
            learning_rate=0.1,
            batch_size=256,
            epochs=10,
            digits={"learning_rate": 0.5, "batch_size": 64},
        ),
        Recipe(
            "mlp",
            "four hidden layers of ReLU (R1)",
            "mnist",
            "cross_entropy",
            learning_rate=0.01,
            momentum=0.5,
            batch_size=64,
            epochs=10,
            hidden=(512, 256, 128, 64),
            init_std=None,
            normalize=True,
            digits={"learning_rate": 0.1, "batch_size": 32, "epochs": 20},
        ),
        Recipe(
            "mlp-kronecker",
            "the same with 1/4 of the weights, sums of Kronecker products",
            "mnist",
            "cross_entropy",
            learning_rate=0.01,
            momentum=0.5,
            batch_size=64,
            epochs=10,
            hidden=(512, 256, 128, 64),
            kronecker=4,
            init_std=None,
            normalize=True,
            digits={"learning_rate": 0.05, "batch_size": 32, "epochs": 20},
        ),
        Recipe(
            "linear-regression",
            "a line through noise, squared loss with 1/2 (R2, from scratch)",
            "line",
            "squared_loss",
            learning_rate=0.03,
            batch_size=10,
            epochs=10,
        ),
        Recipe(
            "linear-regression-concise",
            "the same with torch's MSE, without the 1/2 (R2, concise)",
            "line",
            "mse_loss",
            learning_rate=0.03,
            batch_size=10,
            epochs=3,
        ),
        Recipe(
            "multinomial-logistic",
            "softmax regression under its statistical name (R3)",
            "mnist",
            "cross_entropy",
            learning_rate=0.1,
            batch_size=256,
            epochs=100,
            init_std=None,
            digits={"learning_rate": 0.5, "batch_size": 64},
        ),
        Recipe(
            "logistic-regression",
            "3 against 8, one output through a sigmoid (R3)",
            "mnist",
            "two_classes",
            learning_rate=0.1,
            batch_size=256,
            epochs=10,
            classes=(3, 8),
            digits={"learning_rate": 0.5, "batch_size": 64, "epochs": 20},
        ),
        Recipe(
            "logistic-regression-one-vs-rest",
            "ten yes-or-no questions, one a class (R3)",
            "mnist",
            "one_vs_rest",
            learning_rate=0.5,
            batch_size=256,
            epochs=10,
            digits={"learning_rate": 2.0, "batch_size": 64, "epochs": 20},
        ),
    )
}
