"""Formulas: a strict reader and an exact comparison.

Lives here: parsing a text into a tree that accounts for every character (``text``, ``tokens``,
``reader``), exact arithmetic on trees (``trees``), equality of two answers (``sameness``), and
high-precision values in the helper process (``values``). Not here: which part of a reply is the
formula (the verifiers), and the helper process (isocost.tasks.judging).
"""
