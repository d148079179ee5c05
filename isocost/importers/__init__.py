"""Importers: what other tools measured, brought into ``raw_imports`` with its meaning declared.

One module a format, found by itself; ``run.import_path`` does the work around them, ``sealing``
writes the parts, ``stored`` reads them. Not here: grading and the way into the core tables
(``isocost.tables.core.imports``).
"""

from isocost.importers.base import (
    Conventions,
    Importer,
    ImportInput,
    importer,
    register,
    registered,
)
from isocost.importers.run import ImportReport, import_path
from isocost.importers.stored import SealedImport, read_import, read_imports, sealed_imports
from isocost.importers.verify import ImportFault, set_aside_imports, verify_imports

__all__ = [
    "Conventions",
    "ImportFault",
    "ImportInput",
    "ImportReport",
    "Importer",
    "SealedImport",
    "import_path",
    "importer",
    "read_import",
    "read_imports",
    "register",
    "registered",
    "sealed_imports",
    "set_aside_imports",
    "verify_imports",
]
