"""Isocost: what accuracy does a unit of inference compute buy?

The instrument: plain Python that samples once and replays every inference-time strategy. Nothing here knows Dagster; the
orchestration lives in the sibling packages ``assets`` and ``pipelines``.
"""

__version__ = "0.1.0"
