"""A report's figures as one JSON object, each read back from the files of runs and datasets."""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from bigdata_ml.report.groups import Group, find_groups
from bigdata_ml.report.origin import Origin, find_origin
from bigdata_ml.report.steps import read_steps

__all__ = ["VERSION", "summarise", "summary_of"]

VERSION = 1


def summarise(run_dir: str | PathLike[str], *, dataset_roots: Sequence[str] = ()) -> dict[str, Any]:
    """Return the figures of all runs below a directory: an object per group, and the whole's `seconds` and `peak_rss_mb`.

    Args:
        run_dir: a run's directory or one above several.
        dataset_roots: where to look for datasets that are no longer where the runs found them.

    Raises:
        ValueError: see `find_groups`.
        MetadataUnreadable: a file of a run that cannot be read, naming it.
    """
    groups = find_groups(run_dir)
    return summary_of(Path(run_dir), {group.name: (group, find_origin(group, roots=dataset_roots)) for group in groups})


def summary_of(run_dir: Path, groups: Mapping[str, tuple[Group, Origin]]) -> dict[str, Any]:
    """Return the figures of groups that were found in `run_dir`; seconds and memory are those of `steps.jsonl` if it is there."""
    steps = read_steps(run_dir)
    epochs = [epoch for group, _ in groups.values() for epoch in group.epochs]
    seconds = [step.seconds for step in steps] or [run.seconds for group, _ in groups.values() for run in group.runs]
    peaks = [step.peak_rss_mb for step in steps] or [epoch.peak_rss_mb for epoch in epochs]
    return {
        "version": VERSION,
        **{name: _group(group, origin) for name, (group, origin) in groups.items()},
        "seconds": sum(seconds),
        "peak_rss_mb": max(peaks, default=None),
    }


def _group(group: Group, origin: Origin) -> dict[str, Any]:
    record = group.runs[0].record
    return {
        "task": group.task,
        "recipe": record.recipe,
        "runs": len(group.runs),
        "seeds": [run.record.seed for run in group.runs],
        "parameters": record.parameters,
        "dataset": {"url": record.dataset.url, "content": record.dataset.content, "layout": record.dataset.layout},
        "problems": list(origin.problems),
        **_cleaning(origin),
        **(_multiclass(group) if group.task == "multiclass" else _binary(group)),
        **_baselines(group),
        **_speed(group),
    }


def _cleaning(origin: Origin) -> dict[str, Any]:
    cleaning = origin.cleaning
    if cleaning is None:
        return {"found": None, "kept": None, "refused": None, "warned": None, "adds_up": None}
    return {
        "found": cleaning.found,
        "kept": cleaning.kept,
        "refused": dict(cleaning.refused),
        "warned": dict(cleaning.warned),
        "adds_up": cleaning.kept + sum(cleaning.refused.values()) == cleaning.found,
    }


def _multiclass(group: Group) -> dict[str, Any]:
    return {
        "top1_mean": group.mean("top1"),
        "top1_std": group.spread("top1"),
        "top5_mean": group.mean("top5"),
        "log_loss_mean": group.mean("log_loss"),
        "majority_accuracy": group.mean("majority_accuracy"),
        "undefined": group.undefined,
    }


def _binary(group: Group) -> dict[str, Any]:
    names = ("roc_auc", "log_loss", "accuracy")
    return {
        **{name: group.mean(name) for name in names},
        **{f"{name}_std": group.spread(name) for name in names},
        "majority_accuracy": group.mean("majority_accuracy"),
        "undefined": group.undefined,
    }


def _baselines(group: Group) -> dict[str, Any]:
    return {f"{baseline.name}_{metric}": value for baseline in group.baselines for metric, value in baseline.metrics.items()}


def _speed(group: Group) -> dict[str, Any]:
    seconds = sum(run.seconds for run in group.runs)
    wait = sum(epoch.wait_seconds for epoch in group.epochs)
    currencies = sorted({run.record.currency for run in group.runs})
    return {
        "rows_per_second": sum(epoch.rows for epoch in group.epochs) / seconds if seconds else None,
        "stall": wait / seconds if seconds else None,
        "train_seconds": seconds,
        "device_hours": sum(run.cost.device_hours for run in group.runs),
        # Sums of different currencies mean nothing.
        "cost": sum(run.cost.amount for run in group.runs) if len(currencies) == 1 else None,
        "currency": currencies[0] if len(currencies) == 1 else None,
        "peak_rss_mb": max((epoch.peak_rss_mb for epoch in group.epochs), default=None),
    }
