"""Data-parallel SGD over MPI: each rank takes a part of every batch, and all take the same step.

mpiexec -n 4 scratchnn train mlp --data mnist

ranks.py      the processes that train together, and the mean over what each computed
training.py   fit and evaluate, wrapped for several ranks
launch.py     being one of the processes that mpiexec started
"""

from scratchnn.distributed.ranks import ALONE, Ranks
from scratchnn.distributed.training import evaluate, fit

__all__ = ["ALONE", "Ranks", "evaluate", "fit"]
