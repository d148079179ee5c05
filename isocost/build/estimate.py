"""The requirements of a refresh, from counts alone and before anything is read.

Lives here: the counts of configurations, problems and samples by task, and the memory that they
need. Not here: the budget (``isocost.memory``), the computations that respect it.

The terms follow what each step has in memory at once; ``python -m benchmarks.memory`` prints them
next to measurements.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from isocost.build.rules.frontiers import FRONTIER_DRAWS
from isocost.build.slices import Ledger
from isocost.errors import IsocostError
from isocost.intake import Share, sources
from isocost.memory import in_words
from isocost.store import Store

# Interpreter, libraries and compiled loops; and the same plus the libraries that draw the report's
# charts.
BASE, BASE_OF_REPORT = 512 * 2**20, 768 * 2**20
# Bytes of one sample with the columns that a task's tables read, including its copies during
# deduplication and sorting.
OF_SAMPLE = 1_200
# The same without any copy: the minimum.
OF_SAMPLE_LEAST = 120
# Bytes of a call with its text, its sample and its telemetry while one session is curated.
OF_CALL = 6_000
# Bytes of one row of frontier points, which are held until the task's are whole, and written.
OF_POINT = 1_300
# Minimum bytes of one outcome: its description, its means and margins in the draws of a tile, its
# lowest and highest margins, and its points on one axis.
OF_OUTCOME_LEAST = 6_000
# Bytes of one row of a problem's outcome and its copies while the tables are sorted for
# publication, if there is space for all at once.
OF_PUBLISHED = 600
# A replay that knows every cost has this many axes.
AXES, KINDS = 9, 2
# Outcomes per configuration: this many strategies at one budget, and this many more at each further
# one.
AT_FIRST, AT_EACH = 30, 24
# Means of values, means of costs, and margins.
MATRICES = 3


@dataclass
class TaskCounts:
    """The counts of one task.

    Attributes:
        points: its configurations.
        problems: the maximum over them.
        samples: of all configurations and problems.
        per_problem: maximum number of samples per problem.
    """

    points: set[str] = field(default_factory=set)
    problems: int = 0
    samples: int = 0
    per_problem: int = 1

    def add(self, share: Share) -> None:
        """Count what a source adds to one configuration."""
        self.points.add(share.point)
        self.problems = max(self.problems, share.problems)
        self.samples += share.samples
        self.per_problem = max(self.per_problem, share.per_problem or 1)

    @property
    def outcomes(self) -> int:
        """Outcomes of all its configurations at the budgets that are replayed."""
        most = max(self.per_problem, 1)
        budgets = (
            (most - 1).bit_length() + sum(k < most for k in (5, 10, 100)) + 1
        )  # no fewer than `default_budgets`
        return len(self.points) * (AT_FIRST + AT_EACH * (budgets - 1))


@dataclass(frozen=True)
class Need:
    """The memory that a refresh needs at its peak.

    Attributes:
        peak_bytes: at least what it uses if memory is plentiful.
        least_bytes: the minimum, however small the chunks are.
        step: the computation that needs the most.
        counts: the basis of the number, in words.
    """

    peak_bytes: int
    least_bytes: int
    step: str
    counts: str

    def line(self, budget: int) -> str:
        """One sentence for the user."""
        more = (
            ""
            if self.peak_bytes <= budget
            else "; larger data is processed in chunks or written to disk"
        )
        return (
            f"memory: at most {in_words(self.peak_bytes)} for {self.step} ({self.counts}); the"
            f" budget is {in_words(budget)}{more}"
        )

    def refuse_beyond(self, budget: int) -> None:
        """Reject a budget that even the smallest chunks exceed.

        Raises:
            IsocostError: states the required memory.
        """
        if self.least_bytes > budget:
            raise IsocostError(
                f"{self.step} needs at least {in_words(self.least_bytes)} of memory"
                f" ({self.counts}), and the budget is {in_words(budget)}",
                remedy=(
                    f"Give --memory {-(-self.least_bytes // 2**20)}MiB or more, or reduce "
                    f"configurations, problems or samples"
                ),
            )


def needed(store: Store, ledger: Ledger | None = None) -> Need:
    """The peak memory of a full refresh, from planned, imported and curated counts.

    A source with unreadable counts is ignored here: the refresh reports it.
    """
    ledger = ledger or Ledger(store)
    tasks: dict[str, TaskCounts] = {}
    largest = 0
    for source in sources(store):
        try:
            shares = list(source.shares())
        except (OSError, ValueError, KeyError, TypeError, IsocostError):
            continue
        largest = max(largest, sum(share.samples for share in shares))
        for share in shares:
            tasks.setdefault(share.task, TaskCounts()).add(share)
    found = [
        Need(
            BASE + largest * OF_CALL,
            BASE + largest * OF_SAMPLE_LEAST,
            "the largest session",
            f"{largest:,} samples",
        )
    ]
    for task, counts in sorted(tasks.items()):
        detail = (
            f"{len(counts.points):,} configurations, {counts.problems:,} problems,"
            f" {counts.samples:,} samples"
        )
        least = BASE + counts.samples * OF_SAMPLE_LEAST
        found.append(
            Need(BASE + counts.samples * OF_SAMPLE, least, f"the tables of task {task}", detail)
        )
        outcomes = counts.outcomes
        drawn = (
            outcomes * (counts.problems * 8 + FRONTIER_DRAWS * (8 * MATRICES + 1))
            + outcomes * AXES * KINDS * OF_POINT
        )
        detail = (
            f"{len(counts.points):,} configurations, about {outcomes:,} outcomes,"
            f" {counts.problems:,} problems, {FRONTIER_DRAWS:,} draws"
        )
        least = BASE + outcomes * OF_OUTCOME_LEAST
        found.append(Need(BASE + drawn, least, f"the frontiers of task {task}", detail))
    rows = sum(counts.outcomes * counts.problems for counts in tasks.values())
    points = sum(counts.outcomes for counts in tasks.values()) * AXES * KINDS
    shown = BASE_OF_REPORT + rows * OF_PUBLISHED + points * OF_POINT
    detail = f"about {rows:,} outcomes of problems and {points:,} points of frontiers"
    found.append(Need(shown, BASE, "publishing", detail))
    most = max(found, key=lambda each: each.peak_bytes)
    least = max(found, key=lambda each: each.least_bytes)
    return (
        most
        if least.least_bytes <= most.least_bytes
        else Need(most.peak_bytes, least.least_bytes, least.step, least.counts)
    )
