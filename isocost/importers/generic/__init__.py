"""The machinery of the generic importer: mapping files, paths into records, and the same in SQL.

Not here: the format itself (``isocost.importers.formats.generic``).
"""
