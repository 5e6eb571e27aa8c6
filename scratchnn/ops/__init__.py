"""The maths: each operation with its hand-derived gradient right below it.

    softmax.py        softmax, log_softmax, logsumexp
    cross_entropy.py  cross_entropy, nll_loss: which class?
    binary.py         binary_cross_entropy_with_logits: yes or no?
    regression.py     squared, absolute and Huber losses: how much?
    divergence.py     kl_div: how far is one distribution from another?
    linear.py         Y = X W + b
    kronecker.py      a linear map with 1/n of the weights
    activations.py    relu, sigmoid
    shared.py         what all of them share: array types, checks, reductions

`scratchnn.functional` has all of them in one place.
"""
