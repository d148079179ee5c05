"""The cost of a sample cut after b tokens, for strategies that cut samples.

Truncation, DeepConf online, shortest-of-k.

Lives here: from the way in which an axis says that a cut changes it (``isocost.axes.model``) to the
cost of each cut sample, as far as the bank has the necessary data. Not here: which samples are
cut, and where.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from isocost.axes.model import (
    NO_LAW,
    ByTokens,
    CostAxis,
    DecodingShare,
    Kept,
    PerToken,
    TokenShare,
    Unknown,
)
from isocost.strategies.point_bank import PointBank
from isocost.strategies.shapes import Floats

NOT_BANKED = "not_banked"


@dataclass(frozen=True)
class CutLaw:
    """Cost of a sample cut after b tokens: base + slope b + curve b^2; NaN if unknown.

    1 <= b <= its length.

    Attributes:
        base: (problems, samples), in the unit of the axis.
        slope: per token, same shape.
        curve: per token squared, same shape.
    """

    base: Floats
    slope: Floats
    curve: Floats

    def at(self, tokens: Floats | float) -> Floats:
        """Cost when cut at these tokens, (problems, samples) or one number for all."""
        b = np.maximum(tokens, 1.0)
        return self.base + self.slope * b + self.curve * b * b


def reasons_of(laws: Mapping[str, CutLaw | str]) -> dict[str, str]:
    """Why axes without a law have none, for those whose column is banked."""
    return {axis: law for axis, law in laws.items() if isinstance(law, str) and law != NOT_BANKED}


def cut_law(bank: PointBank, axis: CostAxis) -> CutLaw | str:
    """The law of an axis with a sample column; the reason if there is none."""
    if not bank.known(axis.column) or not bank.known("output_tokens"):
        return NOT_BANKED
    length, whole = bank.column("output_tokens"), bank.column(axis.column)
    nothing = np.zeros(length.shape)
    match axis.cut:
        case PerToken():
            return CutLaw(nothing, np.ones(length.shape), nothing)
        case Kept():
            return CutLaw(whole, nothing, nothing)
        case DecodingShare():
            if not (bank.known("prefill_s") and bank.known("decode_s")):
                return "decoding_time_not_banked"
            gaps = np.maximum(length - 1, 1)
            slope = np.where(length > 1, bank.column("decode_s") / gaps, 0.0)
            return CutLaw(whole - slope * np.maximum(length, 1), slope, nothing)
        case TokenShare(method, ending, otherwise):
            if not (bank.labels.get(method) or "").endswith(ending):
                return otherwise
            slope = np.where(length > 0, whole / np.maximum(length, 1), 0.0)
            return CutLaw(whole - slope * length, slope, nothing)
        case ByTokens():
            return _by_tokens(bank, axis, whole, length)
        case Unknown(reason):
            return reason


def _by_tokens(bank: PointBank, axis: CostAxis, whole: Floats, length: Floats) -> CutLaw | str:
    """What is computed from token counts: its rise was stored with it."""
    names = [field.name for field in axis.rise]
    if not bank.known(names[0]):
        return NO_LAW
    slope = bank.column(names[0])
    curve = bank.column(names[1]) if len(names) > 1 else np.zeros(length.shape)
    b = np.maximum(length, 1)
    return CutLaw(whole - slope * b - curve * b * b, slope, curve)
