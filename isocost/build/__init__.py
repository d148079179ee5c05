"""From the bank to the published tables: rules, what is up to date, and building the rest.

Modules: ``rules`` (the inputs of each table), ``slices`` (what a rule may read), ``ledger`` (what
    is up to date), ``derive`` (the pieces of one step), ``refresh`` (the run), ``curate`` and
``sources`` (core tables, source by source), ``losses`` (lost rows), ``proof`` (stored
bytes), ``estimate`` (memory). Not here: how a table is computed (``isocost.tables``).
"""
