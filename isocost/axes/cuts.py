"""The cost of a call or a sample that is cut after b of its T generated tokens, by its axis's law.

Lives here: what each law of ``isocost.axes.model`` means in numbers, for arrays and for columns of
a frame alike, and as a square of b for strategies that sum it over many b. Not here: which samples
and calls are cut (``isocost.strategies``, ``isocost.tables.core.answers``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import polars as pl

from isocost.axes.model import (
    NO_LAW,
    ByTokens,
    CostAxis,
    DecodingShare,
    Floats,
    PerToken,
    TokenShare,
    Unknown,
)

V = TypeVar("V", Floats, pl.Expr)
NO_DECODING_TIME = "decoding_time_not_banked"


def reason_without_law(axis: CostAxis) -> str:
    """Why the cost of a whole sample says nothing about a cut one, where it does not."""
    match axis.cut:
        case Unknown(reason):
            return reason
        case TokenShare(otherwise=otherwise):
            return otherwise
        case DecodingShare():
            return NO_DECODING_TIME
        case _:
            return NO_LAW


@dataclass(frozen=True, slots=True)
class CutCalls(Generic[V]):
    """Calls, or samples of one call, that may be cut.

    Attributes:
        of: a column by name.
        length: T, all generated tokens of each.
        at_least: values, but no smaller than a number.
    """

    of: Callable[[str], V]
    length: V
    at_least: Callable[[V, float], V]

    @property
    def gaps(self) -> V:
        """Intervals between their tokens, at least 1."""
        return self.at_least(self.length - 1, 1.0)

    def decoding(self, kept: V) -> V:
        """Decoding time up to the b-th token: decode_s (b - 1) / (T - 1)."""
        return self.of("decode_s") * self.at_least(kept - 1, 0.0) / self.gaps

    def cost(self, axis: CostAxis, kept: V) -> V | None:
        """The cost up to the b-th token; None where no law tells it.

        A share by tokens is taken as one: whether it was one is the caller's to know.
        """
        whole = self.of(axis.column)
        match axis.cut:
            case PerToken():
                return kept
            case DecodingShare():
                return self.of("prefill_s") + self.decoding(kept)
            case TokenShare():
                return whole * kept / self.length
            case ByTokens():
                length, rises = self.length, [self.of(field.name) for field in axis.rise]
                lost = rises[0] * (length - kept)
                if len(rises) == 2:
                    lost = lost + rises[1] * (length * length - kept * kept)
                return whole - lost
            case Unknown():
                return None
            case _:
                return whole


@dataclass(frozen=True)
class CutLaw:
    """Cost of a sample cut after b tokens as base + slope b + curve b^2; NaN if unknown.

    1 <= b <= its length.

    Attributes:
        base: in the unit of the axis.
        slope: per token, same shape.
        curve: per token squared, same shape.
    """

    base: Floats
    slope: Floats
    curve: Floats

    def at(self, tokens: Floats | float) -> Floats:
        """Cost when cut at these tokens, of the same shape or one number for all."""
        b = np.maximum(tokens, 1.0)
        return self.base + self.slope * b + self.curve * b * b


def law_of(samples: CutCalls[Floats], axis: CostAxis) -> CutLaw:
    """The law of an axis that tells the cost of cut samples, as a square of b.

    It goes through the cost of the whole sample. A sample without anything to cut does not rise.
    """
    length, whole = samples.length, samples.of(axis.column)
    slope = curve = np.zeros(length.shape)
    match axis.cut:
        case PerToken():
            return CutLaw(slope, np.ones(length.shape), curve)
        case DecodingShare():
            slope = np.where(length > 1, samples.of("decode_s") / samples.gaps, 0.0)
        case TokenShare():
            slope = np.where(length > 0, whole / np.maximum(length, 1), 0.0)
        case ByTokens():
            rises = [samples.of(field.name) for field in axis.rise]
            slope, curve = (*rises, curve)[:2]
        case _:
            return CutLaw(whole, slope, curve)
    b = np.maximum(length, 1)
    return CutLaw(whole - slope * b - curve * b * b, slope, curve)


def of_arrays(of: Callable[[str], Floats]) -> CutCalls[Floats]:
    """Samples whose columns are arrays."""
    return CutCalls(of, of("output_tokens"), np.maximum)


def of_columns() -> CutCalls[pl.Expr]:
    """Calls that are rows of a frame."""
    return CutCalls(pl.col, pl.col("output_tokens").cast(pl.Float64), pl.max_horizontal)
