"""Writes the report of all runs below a directory: the page for people and the figures for programs."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from bigdata_ml import __version__
from bigdata_ml.pages import Card, Section, duration_text, money_text, number_text, render_page, share_text
from bigdata_ml.report.cleaning_section import cleaning_section
from bigdata_ml.report.cost_section import cost_section, provenance_section, steps_section
from bigdata_ml.report.evaluation_section import METRICS, evaluation_section, with_spread
from bigdata_ml.report.groups import Group, find_groups
from bigdata_ml.report.json_files import write_bytes, write_json
from bigdata_ml.report.learning_section import learning_section
from bigdata_ml.report.origin import Origin, find_origin
from bigdata_ml.report.steps import Step, read_steps
from bigdata_ml.report.summary import summary_of

__all__ = ["Report", "write_report"]


@dataclass(frozen=True, slots=True)
class Report:
    """Where the report lies, and its figures."""

    summary_path: Path
    report_path: Path
    summary: dict[str, Any]


def write_report(run_dir: str | PathLike[str], *, dataset_roots: Sequence[str] = ()) -> Report:
    """Write `summary.json` and `report.html` into a run's directory or one above several.

    Args:
        run_dir: where the runs are.
        dataset_roots: where to look for datasets that are no longer where the runs found them.

    Raises:
        ValueError: see `find_groups`.
        MetadataUnreadable: a file of a run that cannot be read, naming it.

    >>> write_report("runs/demo").report_path        # doctest: +SKIP
    PosixPath('runs/demo/report.html')
    """
    root = Path(run_dir)
    groups = [(group, find_origin(group, roots=dataset_roots)) for group in find_groups(root)]
    steps = read_steps(root)
    summary = summary_of(root, {group.name: (group, origin) for group, origin in groups})
    page = render_page(
        title=f"Report: {root.resolve().name}",
        subtitle=_subtitle([group for group, _ in groups]),
        cards=_cards([group for group, _ in groups], summary),
        sections=_sections(groups, steps),
        footer=f"Written by bigdata_ml {__version__}. The figures are in summary.json beside this page.",
    )
    report = Report(root / "summary.json", root / "report.html", summary)
    write_bytes(report.report_path, page)
    write_json(report.summary_path, summary)
    return report


def _subtitle(groups: Sequence[Group]) -> str:
    runs = sum(len(group.runs) for group in groups)
    return (
        f"{runs} run{'s' if runs > 1 else ''}: {', '.join(f'{group.name} ({group.runs[0].record.recipe})' for group in groups)}"
    )


def _sections(groups: Sequence[tuple[Group, Origin]], steps: Sequence[Step]) -> list[Section]:
    sections = []
    for group, origin in groups:
        sections += [cleaning_section(group, origin), learning_section(group), evaluation_section(group), cost_section(group)]
    if steps:
        sections.append(steps_section(steps))
    return [*sections, provenance_section(groups)]


def _cards(groups: Sequence[Group], summary: dict[str, Any]) -> list[Card]:
    cards = [card for group in groups for card in _group_cards(group, summary[group.name])]
    cards.append(Card("All steps", duration_text(summary["seconds"]), "wall-clock time"))
    if summary["peak_rss_mb"] is not None:
        cards.append(Card("Peak memory", f"{summary['peak_rss_mb']:,.0f} MiB", "resident, of the step that takes most"))
    return cards


def _group_cards(group: Group, found: dict[str, Any]) -> list[Card]:
    runs = f"{len(group.runs)} run{'s' if len(group.runs) > 1 else ''}"
    majority = found["majority_accuracy"]
    against = "chance 0.5000" if group.headline == "roc_auc" else "" if majority is None else f"majority class {majority:.4f}"
    note = ", ".join(filter(None, (runs, against)))
    cards = [Card(f"{group.name}: test {METRICS[group.headline]}", with_spread(group, group.headline), note)]
    if found["found"] is not None:
        refused = f"{number_text(sum(found['refused'].values()))} refused of {number_text(found['found'])}"
        cards.append(Card(f"{group.name}: rows kept", number_text(found["kept"]), refused))
    if found["rows_per_second"] is not None:
        speed = f"{found['rows_per_second']:,.0f} rows/s"
        cards.append(Card(f"{group.name}: waiting for data", share_text(found["stall"]), speed))
    price = "–" if found["cost"] is None else money_text(found["cost"], found["currency"])
    cards.append(
        Card(
            f"{group.name}: training", duration_text(found["train_seconds"]), f"{found['device_hours']:.2g} device-hours, {price}"
        )
    )
    return cards
