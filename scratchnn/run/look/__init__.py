"""Looking at runs: show, report, compare, predict, and taking a network elsewhere.

saved      a run or a checkpoint, read: the network, its history, settings and data
text       curves, tables and images in characters
page       HTML pages without scripts, and PNG images
show, report, compare, predict, exchange   the commands of these names; exchange has export, import
images     how a picture of any size is brought to the network's
"""
