"""The report's sections on speed, cost and where every figure comes from."""

import json
from collections.abc import Sequence

from bigdata_ml.pages import Section, Table, Text, money_text, share_text
from bigdata_ml.report.groups import Group, Run
from bigdata_ml.report.origin import Origin
from bigdata_ml.report.steps import Step

__all__ = ["cost_section", "provenance_section", "steps_section"]


def cost_section(group: Group) -> Section:
    """Return rows a second, the share of time spent waiting, and what each run cost."""
    columns = (
        "run",
        "rows/s",
        "waiting for data",
        "seconds",
        "devices",
        "device-hours",
        "price of one",
        "cost",
        "peak memory, MiB",
        "rows left out",
    )
    lead = (
        "What the devices did with their time, and what that time costs: device-hours = seconds / 3600 × devices, "
        f"cost = device-hours × price. The first run: {group.runs[0].cost.formula}."
    )
    table = Table(
        columns,
        [_row(run) for run in group.runs],
        "Training loop only; evaluation is not counted. Rows left out: those that fill no last batch, others each epoch",
    )
    return Section(f"{group.name}: speed and cost", lead, [table])


def _row(run: Run) -> tuple[str | float | None, ...]:
    epochs = run.epochs.records
    seconds, cost = run.seconds, run.cost
    return (
        run.directory.name,
        sum(one.rows for one in epochs) / seconds if seconds else None,
        share_text(sum(one.wait_seconds for one in epochs) / seconds if seconds else None),
        seconds,
        f"{run.record.world_size} × {run.record.device}",
        cost.device_hours,
        money_text(cost.price_per_device_hour, cost.currency),
        money_text(cost.amount, cost.currency),
        max((epoch.peak_rss_mb for epoch in epochs), default=None),
        max((one.rows_dropped for one in epochs), default=None),
    )


def steps_section(steps: Sequence[Step]) -> Section:
    """Return the steps of the whole pipeline."""
    rows: list[tuple[str | float, ...]] = [(step.name, step.seconds, step.peak_rss_mb) for step in steps]
    rows.append(("all", sum(one.seconds for one in steps), max(one.peak_rss_mb for one in steps)))
    table = Table(("step", "seconds", "peak memory, MiB"), rows)
    return Section("Steps", "Every step of the pipeline, as its launcher measured it.", [table])


def provenance_section(groups: Sequence[tuple[Group, Origin]]) -> Section:
    """Return the datasets, versions, seeds and settings behind the figures."""
    rows = [row for group, origin in groups for row in _sources(group, origin)]
    note = Text("Each figure is read back from run.json, metrics.jsonl, evaluation.json and the dataset's manifest.")
    return Section("Provenance", "Enough to do it again.", [Table(("group", "what", "value"), rows), note])


def _sources(group: Group, origin: Origin) -> list[tuple[str, str, str]]:
    record = group.runs[0].record
    manifest = origin.dataset.manifest if origin.dataset else None
    facts = {
        "dataset": record.dataset.url,
        "content fingerprint": record.dataset.content or "none: plain Parquet",
        "layout fingerprint": record.dataset.layout,
        "recipe": record.recipe,
        "settings": json.dumps(record.config, ensure_ascii=False, default=str),
        "seeds": ", ".join(str(run.record.seed) for run in group.runs),
        "parameters of the model": f"{record.parameters:,}",
        "started": ", ".join(run.record.started for run in group.runs),
    }
    if manifest is not None:
        facts |= {"dataset written by": manifest.written_by, "dataset created": manifest.created}
        facts |= {
            f"preparation: {name}": value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
            for name, value in manifest.provenance.items()
            if name != "joins"
        }
    return [(group.name, name, value) for name, value in facts.items()]
