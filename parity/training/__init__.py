"""A training in NumPy, compared with the same training in torch.

In reading order:

    trace.py        all that torch computed in a step, and the calls of rows that it is made of
    optimizers.py   one step of an optimizer: ours, torch's, the right one, and its bound
    network.py      the right step, and the bounds of its errors, handed on layer by layer
    step.py         a step, judged: each operation alone, then our whole step
    torch_side.py   the model of a run in torch
    report.py       what a lockstep found, as text, JSON and a picture
    lockstep.py     both sides through a whole training; of a failure, the side that is wrong
    free_run.py     both trained freely; how far torch drifts from itself
    paired.py       final accuracies over paired seeds
    golden.py       recorded trainings of torch (traces/)
    modes.py        the three ways of `python -m parity train`
    own.py          a network, or a step, of one's own: `parity.train`, `parity.check_step`
"""
