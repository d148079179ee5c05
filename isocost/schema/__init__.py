"""The lowest layer: every column and table is defined here once.

``model`` has the two classes, ``tables/`` the definitions, ``registry`` finds them, ``types``
derives Polars, Arrow and DuckDB types, ``frames`` validates a frame against its table,
``dictionary`` writes the data dictionary. No data is read or written here and nothing else of
Isocost is imported.
"""
