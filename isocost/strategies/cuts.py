"""The cost of a sample cut after b tokens, for strategies that cut samples.

Truncation, DeepConf online, shortest-of-k.

Lives here: the law of an axis over the samples of a bank, as far as the bank has the necessary
data. Not here: the laws (``isocost.axes.cuts``), which samples are cut, and where.
"""

from __future__ import annotations

from collections.abc import Mapping

from isocost.axes.cuts import NO_DECODING_TIME, CutLaw, law_of, of_arrays, reason_without_law
from isocost.axes.model import ByTokens, CostAxis, DecodingShare, TokenShare, Unknown
from isocost.strategies.point_bank import PointBank

__all__ = ["CutLaw", "cut_law", "reasons_of"]
NOT_BANKED = "not_banked"


def reasons_of(laws: Mapping[str, CutLaw | str]) -> dict[str, str]:
    """Why axes without a law have none, for those whose column is banked."""
    return {axis: law for axis, law in laws.items() if isinstance(law, str) and law != NOT_BANKED}


def cut_law(bank: PointBank, axis: CostAxis) -> CutLaw | str:
    """The law of an axis with a sample column; the reason if there is none."""
    if not bank.known(axis.column) or not bank.known("output_tokens"):
        return NOT_BANKED
    match axis.cut:
        case DecodingShare() if not (bank.known("prefill_s") and bank.known("decode_s")):
            return NO_DECODING_TIME
        case TokenShare(method, ending) if not (bank.labels.get(method) or "").endswith(ending):
            return reason_without_law(axis)
        case ByTokens() if not bank.known(axis.rise[0].name):
            return reason_without_law(axis)
        case Unknown():
            return reason_without_law(axis)
        case _:
            return law_of(of_arrays(bank.column), axis)
