"""Formulas: a strict reader and an exact comparison.

Lives here: from a text to a tree that accounts for every character of it (``text``, ``tokens``,
``reader``), exact arithmetic on trees (``trees``), sameness of two answers (``sameness``), and
high-precision values in the helper process (``values``). Not here: which part of a reply is the
formula (the verifiers), and the helper process (isocost.tasks.judging).
"""
