"""What must hold before anybody builds on a table, as Dagster shows it.

``gate`` shows what the rules of validity found where core tables were curated (``isocost.gates``),
``expectations`` lets Great Expectations read the same statements, ``schema`` holds each stored
table to its definition, ``sql`` runs the queries of ``sql/checks`` about derived tables, which must
return no row. No rule lives here.
"""
