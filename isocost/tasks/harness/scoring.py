"""How a task of lm-eval scores a text: by its own filter and its own metric.

Lives here: the choice of filter and metric, the filtered answer and its score. Not here: requests
(``asking``), the meaning of a score to Isocost (the verifier ``lm_eval``).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from isocost.registry import did_you_mean
from isocost.tasks.harness import finding
from isocost.tasks.harness.asking import Loaded, Settings, digest, loaded
from isocost.tasks.model import TaskMistake


class Scorer:
    """Scores one text after the other by one filter and one metric of a task.

    Attributes:
        filter: name of the filter.
        metric: name of the metric.
    """

    def __init__(self, own: Loaded, filter_name: str | None, metric: str | None) -> None:
        """Choose filter and metric; the task's first ones if None.

        Raises:
            TaskMistake: the task has no such filter or metric, or none that scores one text.
        """
        self._own, self._task = own, own.task
        self._documents = own.documents()
        self.filter = self._filter_named(filter_name)
        self.metric = self._metric_named(metric)

    def _filter_named(self, name: str | None) -> str:
        self._filters = {one.name: one for one in self._task._filters}
        found = name or next(iter(self._filters))
        if found not in self._filters:
            raise TaskMistake(
                f"task {self._own.settings.name} has no filter {name}",
                remedy=did_you_mean(found, self._filters, kind="filters"),
                key=("config", "filter"),
            )
        others = [one for one in self._filters if one != found and self._makes_text(one)]
        if not self._makes_text(found):
            raise TaskMistake(
                f"filter {found} of task {self._own.settings.name} makes no answer of one text",
                remedy=f"Name one of {', '.join(others)}." if others else "Name another task.",
                key=("config", "filter"),
            )
        return found

    def _makes_text(self, name: str) -> bool:
        """Whether a filter turns one text into one text; some need all repeats of a document."""
        try:
            return isinstance(self._filtered(name, 0, "1"), str)
        except Exception:  # whatever a foreign filter does with too few texts
            return False

    def _metric_named(self, name: str | None) -> str:
        mean = finding.module("api.metrics").mean
        higher = self._task.higher_is_better()
        aggregated = self._task.aggregation()
        usable = [one for one, by in aggregated.items() if by is mean and higher.get(one, True)]
        if name is not None and name not in aggregated:
            raise TaskMistake(
                f"task {self._own.settings.name} has no metric {name}",
                remedy=did_you_mean(name, usable, kind="metrics"),
                key=("config", "metric"),
            )
        found = name or next(iter(usable), next(iter(aggregated), ""))
        if found not in usable:
            raise TaskMistake(
                f"metric {found or 'of any name'} of task {self._own.settings.name} is not the mean"
                " of scores of single answers",
                remedy=f"Name one of {', '.join(usable)}." if usable else "Name another task.",
                key=("config", "metric"),
            )
        return found

    def _filtered(self, name: str, doc_id: int, text: str) -> Any:
        instance = finding.module("api.instance").Instance(
            request_type=finding.GENERATES,
            doc=self._documents[doc_id],
            arguments=("", {}),
            idx=0,
            metadata=(self._own.settings.name, doc_id, 1),
            resps=[text],
        )
        self._filters[name].apply([instance])
        return instance.filtered_resps[name]

    def has(self, doc_id: int, expected: str) -> bool:
        """Whether a document is still the one that was asked, by its hash."""
        return doc_id < len(self._documents) and digest(self._documents[doc_id]) == expected

    def answer(self, doc_id: int, text: str) -> Any:
        """What the filter makes of a text."""
        return self._filtered(self.filter, doc_id, text)

    def score(self, doc_id: int, answer: str) -> float:
        """What the metric says of a filtered answer."""
        found = self._task.process_results(self._documents[doc_id], [answer])
        return float(found[self.metric])


@lru_cache(maxsize=16)
def scorer(settings: Settings, filter_name: str | None, metric: str | None) -> Scorer:
    """The scorer of a task, made once; errors as in `Scorer`."""
    return Scorer(loaded(settings), filter_name, metric)
