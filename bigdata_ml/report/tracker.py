"""A run's directory: every figure of a report is read back from the plain JSON files in it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from bigdata_ml.errors import MetadataUnreadable
from bigdata_ml.report.json_files import append_line, read_json, read_lines, write_json, write_lines
from bigdata_ml.report.records import Baseline, EpochRecord, RunRecord

__all__ = ["BASELINES", "RUN", "Epochs", "RunDirectory", "read_baseline", "write_baseline"]

RUN = "run.json"
BASELINES = "baselines"
_METRICS = "metrics.jsonl"
_EVALUATION = "evaluation.json"
_EVALUATED = {
    "multiclass": ("split", "rows", "classes", "top1", "top5", "log_loss", "majority_accuracy", "confusion"),
    "binary": (
        "split",
        "rows",
        "classes",
        "roc_auc",
        "log_loss",
        "accuracy",
        "majority_accuracy",
        "confusion",
        "roc_curve",
        "calibration",
    ),
}


@dataclass(frozen=True, slots=True)
class Epochs:
    """The epochs of a run, and the torn last line that a killed run left, or None."""

    records: tuple[EpochRecord, ...]
    torn: str | None


class RunDirectory:
    """Writes and reads the files of one run; the directory is made by the first write.

    >>> run = RunDirectory("runs/digits/seed-1")
    >>> run.read_epochs().records
    ()
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(path)

    def write_run(self, run: RunRecord) -> None:
        """Say what the run is."""
        write_json(self.path / RUN, run.to_json())

    def read_run(self) -> RunRecord:
        """Return what the run is.

        Raises:
            MetadataUnreadable: `run.json` cannot be read, or is no run.
        """
        written = read_json(self.path / RUN)
        try:
            return RunRecord.from_json(written)
        except (ValueError, KeyError, TypeError) as error:
            raise _unreadable(self.path / RUN, error) from error

    def append_epoch(self, epoch: EpochRecord) -> None:
        """Add the figures of an epoch; they are on disk when this returns."""
        append_line(self.path / _METRICS, epoch.to_json())

    def read_epochs(self) -> Epochs:
        """Return the epochs that were finished.

        Raises:
            MetadataUnreadable: a line that holds no epoch.
        """
        lines = read_lines(self.path / _METRICS)
        try:
            return Epochs(tuple(EpochRecord.from_json(line) for line in lines.objects), lines.torn)
        except TypeError as error:
            raise _unreadable(self.path / _METRICS, error) from error

    def drop_epochs_from(self, epoch: int) -> int:
        """Drop the figures of `epoch` and later ones, which a resumed run measures again; return how many were dropped."""
        records = self.read_epochs().records
        kept = [record for record in records if record.epoch < epoch]
        write_lines(self.path / _METRICS, [epoch_record.to_json() for epoch_record in kept])
        return len(records) - len(kept)

    def write_evaluation(self, evaluation: Mapping[str, Any]) -> None:
        """Write what the model is worth on a split it has not seen.

        Args:
            evaluation: task, split, rows, classes, log_loss, majority_accuracy, seconds, confusion (rows: true, columns:
                predicted); of a multiclass task top1, top5; of a binary one roc_auc, accuracy, roc_curve (fpr, tpr) and
                calibration (predicted, observed, rows). What is not defined is None, and `undefined` says why by its name.

        Raises:
            ValueError: keys that are missing for its task.
        """
        _check_evaluation(evaluation)
        write_json(self.path / _EVALUATION, evaluation)

    def read_evaluation(self) -> dict[str, Any] | None:
        """Return what `write_evaluation` wrote, or None for a run that was not evaluated.

        Raises:
            MetadataUnreadable: a file that cannot be read, or is no evaluation.
        """
        path = self.path / _EVALUATION
        if not path.exists():
            return None
        written = read_json(path)
        try:
            _check_evaluation(written)
        except ValueError as error:
            raise _unreadable(path, error) from error
        return written


def write_baseline(directory: str | PathLike[str], baseline: Baseline) -> None:
    """Write `baselines/NAME.json` below a run's directory or the directory that holds the runs of a group."""
    write_json(Path(directory) / BASELINES / f"{baseline.name}.json", asdict(baseline))


def read_baseline(path: Path) -> Baseline:
    """Return a baseline.

    Raises:
        MetadataUnreadable: a file that cannot be read, or is no baseline.
    """
    written = read_json(path)
    try:
        return Baseline.from_json(written)
    except KeyError as error:
        raise _unreadable(path, error) from error


def _check_evaluation(evaluation: Mapping[str, Any]) -> None:
    task = evaluation.get("task")
    if task not in _EVALUATED:
        raise ValueError(f"the task of an evaluation must be one of {', '.join(_EVALUATED)}, got {task!r}")
    missing = [name for name in _EVALUATED[task] if name not in evaluation]
    if missing:
        raise ValueError(f"an evaluation of a {task} task must have {', '.join(_EVALUATED[task])}; {', '.join(missing)} missing")


def _unreadable(path: Path, error: Exception) -> MetadataUnreadable:
    return MetadataUnreadable(f"{path}: cannot be read ({type(error).__name__}: {error}); delete it or write it again")
