"""A small attack of every kind, drawn; the whole of it is ``make attack``.

The seed is printed and drawn unless ``ISOCOST_ATTACK_SEED`` gives it; a failure prints the command that repeats it.
"""

from __future__ import annotations

import os
import random
import tempfile
from pathlib import Path

import pytest

from tests.attack import kinds
from tests.attack.__main__ import fast_folder, line_of
from tests.attack.ground import Ground
from tests.attack.outcomes import FAILED, IMPOSSIBLE, Outcome
from tests.attack.workers import attack, sampled

pytestmark = pytest.mark.slow
SEED = int(os.environ.get("ISOCOST_ATTACK_SEED") or random.SystemRandom().randrange(10**6))
SAMPLED = [name for name in kinds.NAMES if kinds.kind(name).SAMPLE]


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    print(f"ISOCOST_ATTACK_SEED={SEED}")
    with tempfile.TemporaryDirectory(prefix="attack-", dir=fast_folder()) as folder:
        ground = Ground(Path(folder) / "ground")
        ground.build()
        return list(attack(ground.home, iter(sampled(SEED)), workers=2, until=lambda _: False))


@pytest.mark.parametrize("name", SAMPLED)
def test_it_holds(outcomes: list[Outcome], name: str) -> None:
    mine = [outcome for outcome in outcomes if outcome.kind == name]
    assert len(mine) == kinds.kind(name).SAMPLE
    failed = [line_of(outcome) for outcome in mine if outcome.result in FAILED]
    assert not failed, f"ISOCOST_ATTACK_SEED={SEED}\n" + "\n".join(failed)
    if all(outcome.result == IMPOSSIBLE for outcome in mine):
        pytest.skip(mine[0].detail)


def test_tries_are_drawn_from_the_seed_alone() -> None:
    assert sampled(SEED) == sampled(SEED) != sampled(SEED + 1)
