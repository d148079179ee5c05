"""From the bank to the tables that people read: which table is made from what, what still fits, and
the building of the rest.

Modules: ``rules`` (which table is made from what), ``slices`` (what a rule may read), ``ledger``
(what still fits), ``derive`` (the pieces of one step), ``refresh`` (the run), ``curate`` and
``sources`` (core tables, source by source), ``losses`` (fewer rows than before), ``proof`` (stored
bytes), ``estimate`` (memory). Not here: how a table is computed (``isocost.tables``).
"""
