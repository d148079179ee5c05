"""Judges: models that say whether an answer is right, and what they said.

Lives here: asking judges through servers with OpenAI's chat interface (``client``), the bank of
their judgements (``bank``), and both together (``asking``). Not here: rubrics and verdicts
(``isocost.tasks.rubrics``), the engines that answer problems (``isocost.engines``), the tables of
judgements (``isocost.tables``).
"""
