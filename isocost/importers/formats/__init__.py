"""The formats of other tools, one registered module each; helpers of one format carry its name in
front.

Not here: the machinery that all of them share (``isocost.importers``).
"""
