"""Problems written in the sweep file itself.

Lives here: a handful of problems under `config.problems`, each {question, reference}. Not here:
longer lists (source "jsonl"). `dataset` is a label.
"""

from __future__ import annotations

from isocost.tasks.model import Problem, TaskLike, TaskMistake, make_problem
from isocost.tasks.registry import register_source

_KEYS = ("question", "reference", "cluster", "context")


@register_source
class Inline:
    """The source "inline"."""

    name = "inline"

    def check(self, task: TaskLike) -> None:
        """Check keys and values of every problem."""
        unknown = set(task.config) - {"problems"}
        if unknown:
            raise TaskMistake(
                f"source inline has no setting {min(unknown)}",
                remedy="Its only setting is problems.",
                key=("config", min(unknown)),
            )
        rows = task.config.get("problems")
        if not isinstance(rows, list) or not rows:
            raise TaskMistake(
                "no problems are given",
                remedy="Give config.problems: a list of {question, reference}.",
                key=("config",),
            )
        for index, row in enumerate(rows):
            key = ("config", "problems", index)
            if not isinstance(row, dict) or not {"question", "reference"} <= set(row) <= set(_KEYS):
                raise TaskMistake(
                    "a problem has the keys question and reference, and may have cluster and"
                    " context",
                    remedy="Correct the entry.",
                    key=key,
                )
            for name, value in row.items():
                if (
                    isinstance(value, bool)
                    or not isinstance(value, str | int | float)
                    or not str(value).strip()
                ):
                    raise TaskMistake(
                        f"{name} must be a text or a number", remedy="Quote it.", key=(*key, name)
                    )

    def load(self, task: TaskLike) -> tuple[Problem, ...]:
        """The first distinct problems in the given order."""
        self.check(task)
        problems: dict[str, Problem] = {}
        for index, row in enumerate(task.config["problems"]):
            cluster = None if row.get("cluster") is None else str(row["cluster"])
            origin = {"source": self.name, "index": index}
            problem = make_problem(
                task.name,
                str(row["question"]),
                str(row["reference"]),
                task.verifier,
                cluster_id=cluster,
                metadata=origin,
                fields={"context": str(row["context"])} if "context" in row else None,
            )
            problems.setdefault(problem.problem_id, problem)
        if len(problems) < task.n_problems:
            raise TaskMistake(
                f"{len(problems)} different problems are given; {task.n_problems} are requested",
                remedy=f"Set n_problems to at most {len(problems)}.",
                key=("n_problems",),
            )
        return tuple(problems.values())[: task.n_problems]
