"""Compiled inner loops over all outcomes and draws.

Lives here: numba code only, called by draws.py and joint.py, which explain the methods and hold the
plain versions that these must equal. All matrices are outcomes x draws; the innermost loops run
over neighbouring draws.
"""

# Numba infers the types of what a kernel is called with, and reads no annotation.
# pyright: reportMissingParameterType=false

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def build_staircases(price, grade, order, members, used):
    """Best and second best quality at no more than each cost, row by row.

    Step costs, both qualities, owner of the best, number of steps.

    price, grade: draws x members. order: the members of every draw by rising cost. Sets ``used``
    for members that make a step.
    """
    width, size = order.shape
    step, first, second = np.empty((width, size)), np.empty((width, size)), np.empty((width, size))
    owner = np.empty((width, size), dtype=np.int64)
    steps = np.zeros(width, dtype=np.int64)
    for t in range(width):
        best, next_best, who, k = -np.inf, -np.inf, -1, 0
        for s in order[t]:
            c, g = price[t, s], grade[t, s]
            if g > best:
                next_best = best
                best, who = g, members[s]
            elif g > next_best:
                next_best = g
            else:
                continue
            used[members[s]] = True
            if k == 0 or step[t, k - 1] < c:
                k += 1
            step[t, k - 1], first[t, k - 1], second[t, k - 1], owner[t, k - 1] = (
                c,
                best,
                next_best,
                who,
            )
        steps[t] = k
    return step, first, second, owner, steps


@njit(cache=True)
def sweep_margins(
    price,
    grade,
    price_of,
    grade_of,
    sequence,
    draws,
    staircases,
    rounding,
    reach,
    margin,
    near,
    fresh,
):
    """Margins of all outcomes in some draws, against the best and second best members.

    At every cost.

    price, grade: distinct costs and values x draws. price_of, grade_of: their row for every
    outcome. sequence: outcomes by rising mean cost, those of one cost row together. staircases:
    from `build_staircases`. rounding: numbers that differ by this share are equal. reach: share of
    a cost within which a chain of equals may end. Fills margin and near (may be on the frontier),
    and fresh for outcomes that are better than the second best, so that the members are incomplete;
    returns the draws with such outcomes.
    """
    step, first, second, owner, steps = staircases
    width = draws.shape[0]
    place = np.zeros(width, dtype=np.int64)
    dirty = np.zeros(width, dtype=np.bool_)
    # The staircase at the cost up to rounding, at the cost itself, and below any chain of its
    # equals.
    best, next_best, who = np.empty(width), np.empty(width), np.empty(width, dtype=np.int64)
    known, known_who, below = np.empty(width), np.empty(width, dtype=np.int64), np.empty(width)
    row = -1
    for i in sequence:
        if price_of[i] != row:
            row = price_of[i]
            best[:] = -np.inf
            next_best[:] = -np.inf
            known[:] = -np.inf
            below[:] = -np.inf
            who[:] = -1
            known_who[:] = -1
            for t in range(width):
                c = price[row, draws[t]]
                limit = c + rounding * abs(c)
                p, n = place[t], steps[t]
                while p < n and step[t, p] <= limit:
                    p += 1
                while p > 0 and step[t, p - 1] > limit:
                    p -= 1
                place[t] = p
                if p > 0:
                    best[t], next_best[t], who[t] = (
                        first[t, p - 1],
                        second[t, p - 1],
                        owner[t, p - 1],
                    )
                while p > 0 and step[t, p - 1] > c:
                    p -= 1
                if p > 0:
                    known[t], known_who[t] = second[t, p - 1], owner[t, p - 1]
                while p > 0 and step[t, p - 1] >= c * (1 - reach):
                    p -= 1
                if p > 0:
                    below[t] = first[t, p - 1]
        line, any_new = grade_of[i], False
        for t in range(width):
            d = draws[t]
            g = grade[line, d]
            is_new = (g > known[t]) & (known_who[t] != i)
            dirty[t] |= is_new
            any_new |= is_new
            rival = next_best[t] if who[t] == i else best[t]
            gain = g - rival
            slack = rounding * abs(g)
            margin[i, d] = 0.0 if abs(gain) <= slack else gain
            # What costs less beyond any chain of equals, and is as good, dominates.
            near[i, d] = (g >= rival - 2 * slack) & (g > below[t])
        fresh[i] |= any_new
    return dirty


@njit(cache=True)
def rival_errors(
    grade,
    grade_of,
    quality,
    members,
    member_ends,
    rivals,
    rival_ends,
    renewed,
    joining,
    joining_ends,
    out,
):
    """Largest error of any rival at no more cost, minus the own error, outcomes x draws.

    -inf without rivals.

    Steps of one cost each: members[member_ends[s] : member_ends[s + 1]], likewise their rivals
    (read where renewed) and joining.
    """
    draws = grade.shape[1]
    width = 64
    cheaper, best, next_best = np.empty(width), np.empty(width), np.empty(width)
    for start in range(0, draws, width):
        n = min(width, draws - start)
        cheaper[:] = -np.inf
        for s in range(renewed.shape[0]):
            if renewed[s]:
                cheaper[:] = -np.inf
                for place in range(rival_ends[s], rival_ends[s + 1]):
                    raise_to(
                        cheaper,
                        grade[grade_of[rivals[place]], start : start + n],
                        quality[rivals[place]],
                    )
            best[:] = -np.inf
            next_best[:] = -np.inf
            low, high = member_ends[s], member_ends[s + 1]
            for place in range(low, high):
                line, q = (
                    grade[grade_of[members[place]], start : start + n],
                    quality[members[place]],
                )
                for t in range(n):
                    e, b, c = line[t] - q, best[t], next_best[t]
                    loser = b if e > b else e
                    best[t] = e if e > b else b
                    next_best[t] = loser if loser > c else c
            for place in range(low, high):
                i = members[place]
                line, q, result = (
                    grade[grade_of[i], start : start + n],
                    quality[i],
                    out[i, start : start + n],
                )
                for t in range(n):
                    # Where two share the best error the second best is the same.
                    e, b, c = line[t] - q, best[t], cheaper[t]
                    rival = next_best[t] if e == b else b
                    result[t] = (rival if rival > c else c) - e
            for place in range(joining_ends[s], joining_ends[s + 1]):
                raise_to(
                    cheaper,
                    grade[grade_of[joining[place]], start : start + n],
                    quality[joining[place]],
                )


@njit(cache=True)
def raise_to(highest, line, center):
    """Raise ``highest`` to the errors of one outcome if these are larger."""
    for t in range(line.shape[0]):
        e, h = line[t] - center, highest[t]
        highest[t] = e if e > h else h


@njit(cache=True)
def strike_out(grade, first, second, grade_of, first_of, second_of, guides, rounding, reach, alive):
    """Clear alive (outcomes x draws) where a guide certainly dominates.

    No worse in all three up to rounding, better beyond any chain.

    guides: outcomes x few, outcomes that are likely to dominate, -1 for none; the one that did so
    last is tried first.
    """
    draws = grade.shape[1]
    for i in range(alive.shape[0]):
        last = 0
        for d in range(draws):
            g, a, b = grade[grade_of[i], d], first[first_of[i], d], second[second_of[i], d]
            g_low, a_high, b_high = g - rounding * g, a + rounding * a, b + rounding * b
            for turn in range(guides.shape[1]):
                k = last if turn == 0 else (turn - 1 if turn <= last else turn)
                j = guides[i, k]
                if j < 0:
                    continue
                u = grade[grade_of[j], d]
                if u < g_low:
                    continue
                v = first[first_of[j], d]
                if v > a_high:
                    continue
                w = second[second_of[j], d]
                if w > b_high:
                    continue
                if u > g + reach * u or v < a - reach * a or w < b - reach * b:
                    alive[i, d] = False
                    last = k
                    break
