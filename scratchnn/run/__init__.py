"""Around training: recipes by name, saving, watching, and the command line.

recipes.py        the reference models by name
checkpoint.py     save and load θ
folder.py         the folder of a run: RunFolder, resume
keeping.py        what is written there when, and how a run goes on
replacing.py      --overwrite: the old run stays until the new one is saved
history.py        its history.jsonl
record.py         its run.json
signals.py        signals that ask a training to stop
watch.py          a line per epoch, a progress bar, live curves, TensorBoard
terminal.py       what is printed, and what if it cannot be
arguments.py      the command line's arguments, shared with parity
settings.py       the settings of a training, given or taken over from a run
optimizers.py     the optimizer of a recipe, with its schedule
train_command.py  `scratchnn train`
data_command.py   `scratchnn data`
cli.py            the `scratchnn` command
"""
