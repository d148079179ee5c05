"""The formats of other tools, one registered module each.

Helper modules of a format start with its name.

Not here: the machinery that all of them share (``isocost.importers``).
"""
