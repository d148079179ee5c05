"""What both figures share: axes, domains and rounding.

Lives here: the logarithmic cost axis and the accuracy axis. Not here: marks (``frontier_figure``, ``scaling_figure``).
"""

from __future__ import annotations

import math
from typing import Any

import altair as alt
import polars as pl

from isocost.publish import labels


def rounded(value: Any) -> Any:
    """Five significant digits are more than a pixel; the page stays small and its bytes do not hang on the last bit."""
    return float(f"{value:.5g}") if isinstance(value, float) else value


def drawable(points: pl.DataFrame) -> pl.DataFrame:
    """The rows that a logarithmic axis can show."""
    return points.filter(pl.col("cost").is_not_null() & (pl.col("cost") > 0) & pl.col("accuracy").is_not_null())


def log_domain(*costs: pl.Series) -> list[float]:
    """Smallest and largest cost with a margin that looks equal on a logarithmic axis."""
    low, high = (float(f(values)) for f, values in ((min, [c.min() for c in costs if len(c)]), (max, [c.max() for c in costs if len(c)])))
    margin = max((high / low) ** 0.06, 1.08)
    return [rounded(low / margin), rounded(high * margin)]


def cost_encoding(cost_axis: str, domain: list[float]) -> alt.X:
    """The cost axis: logarithmic, a label at 1, 2 and 5 of every decade."""
    axis = alt.Axis(title=labels.axis_label(cost_axis).title, format="~s", values=_ticks(*domain))
    return alt.X("cost:Q", scale=alt.Scale(type="log", nice=False, domain=domain), axis=axis)


def accuracy_encoding(domain: list[float]) -> alt.Y:
    """The accuracy axis, in percent."""
    axis = alt.Axis(title="Accuracy", format=".0%", tickCount=6)
    return alt.Y("accuracy:Q", scale=alt.Scale(domain=domain, nice=False), axis=axis)


def accuracy_domain(drawn: pl.DataFrame, asymptotes: pl.Series | None = None) -> list[float]:
    """From zero, unless all that is drawn lies high; a band wider than the data may run out of the picture."""
    lows = [v for v in (drawn["accuracy_low"].min(), drawn["accuracy"].min()) if v is not None]
    highs = [v for v in (drawn["accuracy_high"].max(), drawn["accuracy"].max()) if v is not None]
    if asymptotes is not None and asymptotes.drop_nulls().len():
        highs.append(min(1.0, float(asymptotes.max())))
    low, high = min(lows), max(highs)
    bottom = 0.0 if low < 0.5 * high else max(0.0, low - 0.1 * (high - low))
    # A picture of nothing but zeros still needs an axis.
    return [rounded(bottom), rounded(max(min(1.0, high + 0.06 * (high - bottom)), bottom + 0.02))]


def cost_tooltip(cost_axis: str) -> alt.Tooltip:
    """The cost of a mark, to four digits."""
    return alt.Tooltip("cost:Q", title=labels.axis_label(cost_axis).title, format=",.4~g")


def _ticks(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if high / low <= 2000 else (1,)
    values = [float(f"{step}e{decade}") for decade in decades for step in steps]
    return [v for v in values if low <= v <= high]
