"""Training in NumPy beside torch: the three modes of `parity train`, and SGD.

The first mode, lockstep, is a folder of its own; the other two are here.

    free_run.py   both trained freely, beside torch and torch with a weight moved by one ulp
    paired.py     final accuracies over paired seeds
    saving.py     what `parity train` saves
    modes.py      the three modes
    optimizer.py  SGD beside torch.optim.SGD, with every option
"""
