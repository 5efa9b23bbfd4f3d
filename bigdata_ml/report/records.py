"""The records a run leaves behind: what it is, an epoch's figures, a baseline's."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = ["VERSION", "Baseline", "DatasetRecord", "EpochRecord", "RunRecord", "Task"]

VERSION = 1
Task = Literal["multiclass", "binary"]


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetRecord:
    """The dataset of a run: where it was and its fingerprints; `content` is None for plain Parquet."""

    url: str
    content: str | None
    layout: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RunRecord:
    """What a run is, written to `run.json` before its first step.

    Attributes:
        recipe: name of the recipe.
        task: "multiclass" or "binary".
        config: the recipe's settings as JSON values.
        dataset: what it is trained on.
        label: name of the field to predict.
        seed: of order, augmentation and weights.
        device: "cpu", "cuda" …
        world_size: processes, a device each.
        started: ISO 8601.
        price_per_device_hour: in `currency`, 0 or more.
        currency: ISO 4217.
        parameters: numbers the model learns.
    """

    recipe: str
    task: Task
    config: Mapping[str, Any]
    dataset: DatasetRecord
    label: str
    seed: int
    device: str
    world_size: int
    started: str
    price_per_device_hour: float
    parameters: int
    currency: str = "USD"

    def __post_init__(self) -> None:
        if self.task not in ("multiclass", "binary"):
            raise ValueError(f"task must be multiclass or binary, got {self.task!r}")

    def to_json(self) -> dict[str, Any]:
        """Return the record as `run.json` holds it."""
        return {"version": VERSION, **asdict(self)}

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> "RunRecord":
        """Return the record that `to_json` wrote; unknown keys are ignored.

        Raises:
            ValueError, KeyError, TypeError: an object that is no run, or one of a newer version.
        """
        if written["version"] > VERSION:
            raise ValueError(f"written in version {written['version']}, this library reads up to {VERSION}")
        known = {name: written[name] for name in cls.__dataclass_fields__}
        dataset = {name: known["dataset"][name] for name in DatasetRecord.__dataclass_fields__}
        return cls(**{**known, "dataset": DatasetRecord(**dataset)})


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochRecord:
    """One epoch's figures, a line of `metrics.jsonl`.

    Attributes:
        epoch: 0 …
        steps, rows: of all ranks together.
        seconds: of the training loop; `wait_seconds` of them were spent waiting for data.
        rows_per_second: rows / seconds.
        rows_dropped: rows that fill no last batch and were left out.
        train_loss, validation_loss: means over rows; None where not measured or not finite.
        validation_top1, validation_roc_auc: 0 … 1, whichever goes with the task.
        peak_rss_mb: the process's peak resident memory so far, MiB.
    """

    epoch: int
    steps: int
    rows: int
    seconds: float
    wait_seconds: float
    rows_per_second: float
    train_loss: float | None
    validation_loss: float | None = None
    validation_top1: float | None = None
    validation_roc_auc: float | None = None
    peak_rss_mb: float
    rows_dropped: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the record as a line holds it; the metric of the other task is left out."""
        written = asdict(self)
        other = "validation_roc_auc" if self.validation_roc_auc is None else "validation_top1"
        if written[other] is None:
            del written[other]
        return written

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> "EpochRecord":
        """Return the record that `to_json` wrote; unknown keys are ignored.

        Raises:
            TypeError: a line that lacks figures.
        """
        return cls(**{name: written[name] for name in cls.__dataclass_fields__ if name in written})


@dataclass(frozen=True, kw_only=True, slots=True)
class Baseline:
    """A model that the network is measured against: on `rows` rows of the test split, after `seconds` of training."""

    name: str
    title: str
    rows: int
    metrics: Mapping[str, float]
    seconds: float

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> "Baseline":
        """Return the baseline of a JSON object; unknown keys are ignored.

        Raises:
            KeyError: a key that is missing.
        """
        return cls(**{name: written[name] for name in cls.__dataclass_fields__})
