"""Finds the runs below a directory and puts those that belong together into groups."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from bigdata_ml.report.cost import Cost, cost_of
from bigdata_ml.report.records import Baseline, EpochRecord, RunRecord
from bigdata_ml.report.tracker import BASELINES, RUN, Epochs, RunDirectory, read_baseline

__all__ = ["RESERVED", "Group", "Run", "find_groups"]

# Keys of the summary that are no groups.
RESERVED = ("peak_rss_mb", "seconds", "version")


@dataclass(frozen=True, slots=True)
class Run:
    """One run as its files tell it; `evaluation` is None for a run that was not evaluated."""

    directory: Path
    record: RunRecord
    epochs: Epochs
    evaluation: dict[str, Any] | None

    @property
    def seconds(self) -> float:
        """Seconds of the training loop, all epochs."""
        return sum(record.seconds for record in self.epochs.records)

    @property
    def cost(self) -> Cost:
        """Cost of the training loop."""
        return cost_of(
            self.seconds,
            world_size=self.record.world_size,
            price_per_device_hour=self.record.price_per_device_hour,
            currency=self.record.currency,
        )


@dataclass(frozen=True, slots=True)
class Group:
    """Runs of one task, such as three seeds of a recipe, and the baselines they are measured against."""

    name: str
    runs: tuple[Run, ...]
    baselines: tuple[Baseline, ...]

    @property
    def task(self) -> str:
        """Either "multiclass" or "binary"."""
        return self.runs[0].record.task

    @property
    def headline(self) -> str:
        """The metric by which models are compared."""
        return "top1" if self.task == "multiclass" else "roc_auc"

    @property
    def epochs(self) -> list[EpochRecord]:
        """The epochs of all runs."""
        return [epoch for run in self.runs for epoch in run.epochs.records]

    def values(self, metric: str) -> list[float]:
        """Return a metric of each run that has it in its evaluation, and a number for it."""
        scores = [run.evaluation.get(metric) for run in self.runs if run.evaluation is not None]
        return [float(score) for score in scores if score is not None and math.isfinite(score)]

    @property
    def undefined(self) -> dict[str, str]:
        """Why metrics are not defined, by name, of the first run that says so."""
        said = [run.evaluation.get("undefined", {}) for run in self.runs if run.evaluation is not None]
        return {metric: str(why) for reasons in reversed(said) for metric, why in reasons.items()}

    def mean(self, metric: str) -> float | None:
        """Return the mean of a metric over the runs, None if no run has it."""
        values = self.values(metric)
        return statistics.fmean(values) if values else None

    def spread(self, metric: str) -> float | None:
        """Return the sample standard deviation of a metric over the runs: 0 for one run, None if no run has it."""
        values = self.values(metric)
        return statistics.stdev(values) if len(values) > 1 else 0.0 if values else None


def find_groups(directory: str | PathLike[str]) -> list[Group]:
    """Return the groups below a directory, by name.

    A group is named after the directory that holds its runs, relative to `directory`. Runs that lie directly in `directory`
    make one group of its name if they share recipe and dataset. Otherwise each run is a group, and so is a run that is
    `directory` itself.

    Raises:
        ValueError: no run below the directory, runs of different tasks in a group, or a group with a reserved name.
        MetadataUnreadable: a file of a run that cannot be read, naming it.
    """
    root = Path(directory).resolve()
    members: dict[str, list[Run]] = {}
    runs = [_read_run(path.parent) for path in sorted(root.rglob(RUN))]
    direct = [(run.record.recipe, run.record.dataset.layout) for run in runs if run.directory.parent == root]
    together = len(direct) > 1 and len(set(direct)) == 1
    for run in runs:
        members.setdefault(_group_name(root, run.directory, together=together), []).append(run)
    if not members:
        raise ValueError(
            f"{root}: a report needs a directory with runs ({RUN} at any depth below it), there is none; "
            "give the --run-dir of a training job or a directory above it"
        )
    return [_group(name, runs, root) for name, runs in sorted(members.items())]


def _group_name(root: Path, run: Path, *, together: bool) -> str:
    if root in (run, run.parent):
        return root.name if together else run.name
    return run.parent.relative_to(root).as_posix()


def _read_run(directory: Path) -> Run:
    files = RunDirectory(directory)
    return Run(directory, files.read_run(), files.read_epochs(), files.read_evaluation())


def _group(name: str, runs: Sequence[Run], root: Path) -> Group:
    tasks = sorted({run.record.task for run in runs})
    if len(tasks) > 1:
        raise ValueError(f"{root}: the runs of group {name!r} must have one task, they have {tasks}; move them apart")
    if name in RESERVED:
        raise ValueError(f"{root}: {name!r} is a key of the summary and cannot name a group; rename that directory")
    places = {place / BASELINES for run in runs for place in (run.directory, run.directory.parent) if place.is_relative_to(root)}
    paths = sorted(path for place in places for path in place.glob("*.json"))
    return Group(name, tuple(runs), tuple(map(read_baseline, paths)))
