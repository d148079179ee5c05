import numpy as np
import pytest

from isocost.errors import IsocostError
from isocost.telemetry import Window, measured_window, steady_state_window, tokens_in_window


def test_measured_window_leaves_warmup_out_and_counts_it():
    window = measured_window([0, 10, 11, 12], [9, 20, 25, 22], [True, False, False, False])
    assert window == Window("measured", 10.0, 25.0, 3, 1, 0) and window.duration_s == 15
    assert measured_window([0.0], [1.0], [True]) is None
    with pytest.raises(IsocostError, match="finite"):
        measured_window([np.nan], [1.0], [False])
    with pytest.raises(IsocostError, match="length"):
        measured_window([0.0], [1.0], [])


def test_steady_state_by_the_events_themselves():
    """Walk the events.

    Start when B first tokens were seen, end when n - B - 1 requests have finished.
    """
    generator = np.random.default_rng(5)
    n, batch = 40, 6
    first = np.sort(generator.uniform(0, 50, n))
    last = first + generator.uniform(1, 20, n)
    seen = finished = 0
    start = end = None
    for time, kind in sorted([(t, "first") for t in first] + [(t, "last") for t in last]):
        seen, finished = seen + (kind == "first"), finished + (kind == "last")
        start = time if start is None and seen == batch else start
        end = time if end is None and finished == n - batch - 1 else end
    shuffled = generator.permutation(n)
    window = steady_state_window(first[shuffled], last[shuffled], batch, n_warmup=3)
    assert (window.start_s, window.end_s, window.n_drain, window.n_warmup) == (
        start,
        end,
        batch + 1,
        3,
    )


def test_no_steady_state_without_enough_requests():
    assert steady_state_window(np.arange(9.0), np.arange(9.0) + 5, 4) is None
    assert steady_state_window(np.arange(10.0), np.arange(10.0) + 5, 4) is not None
    assert (
        steady_state_window([5.0] * 10, [5.0] * 10, 4) is None
    )  # events coincide: an empty window is none
    with pytest.raises(IsocostError, match="max_num_seqs"):
        steady_state_window([1.0], [2.0], 0)


def test_tokens_in_window_counts_each_token_time():
    generator = np.random.default_rng(0)
    first = generator.uniform(0, 10, 50)
    tokens = generator.integers(1, 30, 50)
    last = np.where(tokens > 1, first + generator.uniform(0.1, 9, 50), first)
    window = Window("steady", 4.0, 11.0, 50, 0, 0)
    count = sum(
        int(((moments > 4.0) & (moments <= 11.0)).sum())
        for moments in (
            np.linspace(a, b, int(n)) for a, b, n in zip(first, last, tokens, strict=True)
        )
    )
    assert tokens_in_window(first, last, tokens, window) == count
    everything = Window("steady", -1.0, 30.0, 50, 0, 0)
    assert tokens_in_window(first, last, tokens, everything) == tokens.sum()


def test_ml_energy_documented_sample():
    """54,631.48 J at .093545 J/token in 97.6 s."""
    tokens = 54631.48 / 0.093545
    assert tokens == pytest.approx(584012.8, abs=0.05)
    assert pytest.approx(559.749, abs=5e-4) == 54631.48 / 97.6
    assert pytest.approx(60.43007, abs=5e-6) == 0.093545 * 646
