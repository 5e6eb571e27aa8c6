"""The maths: each operation with its hand-derived gradient right below it, in reading order.

    linear.py         Y = X W + b
    activations.py    functions of each entry: relu, sigmoid, ...
    softmax.py        softmax, log_softmax, logsumexp
    cross_entropy.py  cross_entropy, nll_loss: which class?
    binary.py         binary_cross_entropy_with_logits: yes or no?
    regression.py     squared, absolute and Huber losses: how much?
    divergence.py     kl_div: how far is one distribution from another?
    kronecker.py      a linear map with 1/n of the weights
    shared.py         what all of them use: array types, checks, reductions

`scratchnn.functional` has all of them in one place.
"""
