"""What must be true before a table is used, as shown by Dagster.

``gate`` shows the results of the validity rules from when core tables were curated
(``isocost.gates``), ``expectations`` evaluates the same rules with Great Expectations, ``schema``
checks each stored table against its definition, and ``sql`` runs the queries of ``sql/checks``
about derived tables, which must return no rows. No rule is defined here.
"""
