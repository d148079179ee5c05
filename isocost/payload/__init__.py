"""The payload: one engine session, from its plan to sealed raw parts.

Lives here, in the top layer (it combines several packages): `work` (what is requested), `preflight`
(checks before an engine starts), `rows` (a completion as a row), `loop` (the engine loop),
`progress` (reports to the terminal and Dagster), `session` (all of it in order). Not here: the
command line (``isocost.generate``), any engine, the bank.
"""
