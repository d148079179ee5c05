"""The payload: one engine session, from its plan to sealed raw parts.

Lives here, on the top floor (several rooms are used together): `work` (what is asked), `preflight`
(what is wrong before an engine starts), `rows` (a completion as a row), `loop` (the engine loop),
`progress` (what people and Dagster are told), `session` (all of it in order). Not here: the command
line (``isocost.generate``), any engine, the bank.
"""
