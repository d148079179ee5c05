"""The accelerator kit: from a machine with an NVIDIA GPU, lent for minutes and offline, to tables.

Lives here: ``pack`` (here), ``unpack`` and ``campaign`` (on that machine), ``bring_back`` (here
again). Not here: how a sweep is measured (``isocost.generate``) or its tables are built
(``isocost.build``): the kit only carries both ways what these need and make.
"""
