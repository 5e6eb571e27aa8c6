"""Around training: recipes by name, saving, watching, and the command line.

recipes.py      the reference models by name
checkpoint.py   save and load θ
watch.py        a line per epoch, a progress bar, live curves, TensorBoard
arguments.py    the command line's arguments, shared with parity
data_command.py  `scratchnn data`
cli.py          the `scratchnn` command
"""
