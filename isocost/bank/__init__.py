"""The bank: the raw lake of sealed parts, its manifests, and their proof.

Lives here: appending, sealing, resuming, verifying, reading. Importers of other tools' files are in
``importers``. Not here: what a row means (``isocost.schema.tables.raw``) and how it is generated
(``isocost.generate``).
"""
