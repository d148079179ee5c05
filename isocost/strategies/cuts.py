"""What a sample would have cost had it been cut after b tokens, for strategies that cut:
truncation, DeepConf online, shortest-of-k.

Lives here: the cost of a cut sample on every axis, as far as the bank tells it. Not here: which
samples are cut, and where.

The rules. Tokens: b. Prompt tokens: as they were. Latency: prefill, and decoding pro rata of the
intervals between tokens, prefill_s + decode_s (b - 1) / (T - 1). Energy: b / T of the sample's
where it was shared out by generated tokens in the first place, else unknown. Everything else
(FLOPs, traffic, money) was computed from token counts by a card or a price list, and such laws are
polynomials of second degree in prompt, cached and generated tokens: the coefficients are found back
from the point's samples. A point whose samples do not follow one to a part in a million, or whose
lengths do not fix one, has unknown costs where samples are cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from isocost.strategies.point_bank import LINEAR_AXES, PointBank
from isocost.strategies.shapes import Bools, Floats

TOLERANCE = 1e-6  # relative misfit at which a law is no law of these samples
BY_TOKENS = "output_token_share"
NOT_BANKED = "not_banked"
MOST_FITTED = 512  # samples


@dataclass(frozen=True)
class CutLaw:
    """Cost of a sample cut after b tokens, 1 <= b <= its length: base + slope b + curve b^2; NaN
    where unknown.

    Attributes:
        base: (problems, samples), in the unit of the axis.
        slope: a token, same shape.
        curve: a token squared, one for all samples.
    """

    base: Floats
    slope: Floats
    curve: float = 0.0

    def at(self, tokens: Floats | float) -> Floats:
        """Cost when cut at these tokens, (problems, samples) or one number for all."""
        b = np.maximum(tokens, 1.0)
        return self.base + self.slope * b + self.curve * b * b


def reasons_of(laws: Mapping[str, CutLaw | str]) -> dict[str, str]:
    """Why axes without a law have none, for those whose column is banked."""
    return {axis: law for axis, law in laws.items() if isinstance(law, str) and law != NOT_BANKED}


def cut_law(bank: PointBank, axis: str) -> CutLaw | str:
    """The law of one of ``LINEAR_AXES``; the reason where there is none."""
    if not bank.known(LINEAR_AXES[axis]) or not bank.known("output_tokens"):
        return NOT_BANKED
    length = bank.column("output_tokens")
    whole = bank.column(LINEAR_AXES[axis])
    if axis == "output_tokens":
        return CutLaw(np.zeros(length.shape), np.ones(length.shape))
    if axis == "prompt_tokens_unshared":
        return CutLaw(whole, np.zeros(length.shape))
    if axis == "latency_sequential_s":
        if not (bank.known("prefill_s") and bank.known("decode_s")):
            return "decoding_time_not_banked"
        slope = np.where(length > 1, bank.column("decode_s") / np.maximum(length - 1, 1), 0.0)
        return CutLaw(whole - slope * np.maximum(length, 1), slope)
    if axis == "energy_j":
        if not (bank.labels.get("energy_method") or "").endswith(BY_TOKENS):
            return "energy_not_shared_by_tokens"
        slope = np.where(length > 0, whole / np.maximum(length, 1), 0.0)
        return CutLaw(whole - slope * length, slope)
    return _computed(bank, whole, length)


def _computed(bank: PointBank, whole: Floats, length: Floats) -> CutLaw | str:
    """What is computed from token counts by a card or a price list.

    A polynomial of second degree in prompt, cached, generated tokens.
    """
    prompt, cached = bank.column("prompt_tokens"), np.nan_to_num(bank.column("cached_tokens"))
    known = bank.present & (length >= 1) & np.isfinite(whole) & np.isfinite(prompt)
    if not known.any():
        return NOT_BANKED
    (p, _, _), (c, _, _), (t, middle, spread) = (
        _centred(x, known) for x in (prompt, cached, length)
    )
    coefficients = _fit(p[known], c[known], t[known], whole[known])
    if coefficients is None:
        return "costs_follow_no_law_of_tokens"
    linear = coefficients[6] + coefficients[7] * p + coefficients[8] * c
    curve = float(coefficients[9]) / spread**2
    slope = linear / spread - 2 * curve * middle
    b = np.maximum(length, 1)
    return CutLaw(whole - slope * b - curve * b * b, slope, curve)


def _centred(values: Floats, known: Bools) -> tuple[Floats, float, float]:
    """Values moved and stretched into -1..1, the middle and half the range."""
    low, high = float(values[known].min()), float(values[known].max())
    middle, spread = (low + high) / 2, max((high - low) / 2, 1e-300) if high > low else 1.0
    return (values - middle) / spread, middle, spread


def _features(p: Floats, c: Floats, t: Floats) -> list[Floats]:
    """All monomials up to the second degree, those of the generated tokens last."""
    return [np.ones(len(t)), p, c, p * p, c * c, p * c, t, p * t, c * t, t * t]


def _fit(p: Floats, c: Floats, t: Floats, target: Floats) -> Floats | None:
    """Coefficients that give every known cost, if there are such and if they fix the costs at the
    other lengths, too.
    """
    # A few hundred samples fix the law; all are there to disagree.
    chosen = np.unique(np.linspace(0, len(target) - 1, MOST_FITTED).astype(np.int64))
    few = p[chosen], c[chosen], t[chosen]
    design = np.stack(_features(*few), axis=1)
    padded = np.concatenate(
        [design, np.zeros((max(design.shape[1] - len(chosen), 0), design.shape[1]))]
    )
    turned, sizes, axes = np.linalg.svd(padded, full_matrices=False)
    told = sizes >= 1e-9 * sizes[0]
    free = axes[~told]
    # As many coefficients as samples fit anything: at least one sample must be left to disagree.
    if len(target) <= design.shape[1] - len(free):
        return None
    for end in (-1.0, 0.3, 1.0):
        other = np.stack(_features(*few[:2], np.full(len(chosen), end)), axis=1)
        if np.abs((other - design) @ free.T).max(initial=0.0) > 1e-6:
            return None
    coefficients = axes[told].T @ ((turned[: len(chosen), told].T @ target[chosen]) / sizes[told])
    misfit = -target
    for coefficient, feature in zip(coefficients, _features(p, c, t), strict=True):
        misfit = misfit + coefficient * feature
    return coefficients if np.all(np.abs(misfit) <= TOLERANCE * np.abs(target).max()) else None
