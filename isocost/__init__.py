"""Isocost: what accuracy does a unit of inference compute buy?

The instrument: plain Python that samples once and replays every inference-time strategy. Nothing
here knows Dagster; the orchestration lives in the sibling packages ``assets`` and ``pipelines``.
What other programs may call is in ``isocost.api`` (docs/stability.md).
"""

import os as _os

from isocost.errors import IsocostError

# Polars' allocator keeps freed memory for ten seconds or more, which looks like usage. It reads
# this when Polars is first imported.
_os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:0,muzzy_decay_ms:0")

__all__ = ["IsocostError", "__version__"]

__version__ = "0.2.0"
