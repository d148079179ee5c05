"""Tasks of lm-evaluation-harness (the package ``lm-eval``).

Lives here: finding a task and its faults (``finding``), what it asks (``asking``) and how it scores
(``scoring``), all of it by the package's own functions. Not here: the source and the verifier of
the name ``lm_eval``, which use it. The package is imported only when one of them is used.
"""
