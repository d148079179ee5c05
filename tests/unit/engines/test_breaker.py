"""Waiting for a server.

One probe at a time, growing pauses, patience, and the reading of Retry-After. The clock is the
test's own.
"""

from __future__ import annotations

import asyncio
import email.utils
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isocost.engines.breaker import (
    LONGEST_WAIT_S,
    Breaker,
    GivenUp,
    backoff,
)
from isocost.retry_after import LONGEST_RETRY_AFTER_S, retry_after


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def breaker(patience_s: float = 60.0) -> tuple[Breaker, Clock]:
    clock = Clock()
    return Breaker(patience_s, clock=clock, jitter=lambda: 0.0), clock


def admit(made: Breaker):
    """A request's turn, in an event loop of its own."""
    return asyncio.run(made.admit())


def let_through(made: Breaker) -> list:
    """Whether a request is let through at once; a thread, since it may have to wait."""
    found = []
    thread = threading.Thread(target=lambda: found.append(admit(made)), daemon=True)
    thread.start()
    thread.join(0.05)
    return found


def test_while_the_server_answers_all_pass_and_when_it_is_away_one_probe_does():
    made, clock = breaker()
    first, second = admit(made), admit(made)
    with first:
        first.away("connection refused")
    with second:
        second.away("connection refused")
    assert not let_through(made)
    clock.now += 1.0
    made._announce()
    time.sleep(0.05)  # the one that waits becomes the probe
    assert not let_through(made)


def test_an_answered_probe_lets_all_through_and_a_failed_one_waits_longer():
    made, clock = breaker()
    with admit(made) as turn:
        turn.away("gone")
    pauses = []
    for _ in range(8):
        pauses.append(made._next_probe - clock.now)
        clock.now = made._next_probe
        with admit(made) as probe:
            assert probe.is_probe
            probe.away("gone")
    assert pauses == sorted(pauses) and pauses[0] < pauses[3] and pauses[-1] <= LONGEST_WAIT_S
    clock.now = made._next_probe
    with admit(made) as probe:
        probe.answered()
        assert made.is_open() and admit(made).is_probe  # it may still break off: one more, not all
        probe.answered(is_whole=True)
    assert [admit(made).is_probe for _ in range(3)] == [False] * 3
    reported = made.drain_notes()
    assert (
        len(reported) == 2
        and "unreachable (gone)" in reported[0]
        and "back" in reported[1]
        and made.drain_notes() == []
    )


def test_a_probe_that_learns_nothing_makes_room_for_another():
    made, clock = breaker()
    with admit(made) as turn:
        turn.away("gone")
    clock.now += 10
    with pytest.raises(RuntimeError), admit(made):
        raise RuntimeError
    assert admit(made).is_probe


def test_patience_runs_from_the_first_failure_and_all_are_given_up():
    made, clock = breaker(patience_s=60)
    with admit(made) as turn:
        turn.away("connection refused")
    clock.now += 59
    assert made.given_up() is None
    clock.now += 2
    assert "has not answered for 61 s (connection refused)" in made.given_up()
    with pytest.raises(GivenUp):
        admit(made)


def test_patience_runs_while_every_request_is_too_many_and_starts_over_at_an_answer():
    made, clock = breaker(patience_s=60)
    for _ in range(5):
        with admit(made) as turn:
            turn.busy("HTTP 429")
        clock.now += 10
    with admit(made) as turn:
        turn.answered()
    clock.now += 1000
    assert made.given_up() is None


def test_an_answer_that_still_comes_is_waited_for_before_giving_up():
    made, clock = breaker(patience_s=60)
    streaming = admit(made)
    streaming.answered()
    with admit(made) as turn:
        turn.away("gone")
    clock.now += 100
    assert made.given_up() is None
    with streaming:
        pass
    assert made.given_up()


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_a_pause_is_bounded_and_never_nothing(failures, drawn):
    assert 0.25 <= backoff(failures, lambda: drawn) <= LONGEST_WAIT_S


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("5", 5), ("0", 0), ("1.5", 1.5), ("999999999999", LONGEST_RETRY_AFTER_S), ("-3", None)],
)
def test_retry_after_in_seconds(header, seconds):
    assert retry_after(header) == seconds


@given(st.integers(-10_000, 10_000))
def test_retry_after_as_a_date(seconds):
    now = 1_800_000_000
    wanted = min(max(seconds, 0), LONGEST_RETRY_AFTER_S)
    assert retry_after(email.utils.formatdate(now + seconds, usegmt=True), now_unix_s=now) == wanted


@given(st.none() | st.text(max_size=40))
def test_whatever_retry_after_says_it_is_a_bounded_wait_or_none(header):
    found = retry_after(header)
    assert found is None or 0 <= found <= LONGEST_RETRY_AFTER_S


def test_a_pause_is_no_longer_than_the_patience():
    made = Breaker(0.05)
    begun = time.monotonic()
    asyncio.run(made.pause(300.0))
    assert 0.04 < time.monotonic() - begun < 30
