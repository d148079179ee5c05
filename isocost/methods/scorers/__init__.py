"""Scorers of steps: how good the last step of a line of reasoning is, from 0 to 1.

Lives here: the interface (``base``) and one module per scorer. A scorer is found by its name, which
a search method's parameter ``scorer`` states. Not here: what is done with scores (the search
methods).
"""

from isocost.methods.scorers.base import SCORERS, Scorer, StepScorer, scorer_of

__all__ = ["SCORERS", "Scorer", "StepScorer", "scorer_of"]
