"""Printed summaries of datasets, plans and tables."""

from typing import Any

from rich.table import Table

from bigdata_ml.dataset import Dataset
from bigdata_ml.reader import PlanSummary
from bigdata_ml.schema import type_to_text
from bigdata_ml.terminal import PlainConsole

__all__ = ["ERR", "OUT", "finite", "print_plan", "print_profile", "print_summary", "readable", "short", "summary_of"]

_PASSED_OVER = {"hidden": "hidden", "not_parquet": "not Parquet", "linked_again": "read through another link"}
OUT = PlainConsole()
ERR = PlainConsole(stderr=True)


def summary_of(dataset: Dataset) -> dict[str, Any]:
    """Return the summary that `inspect` prints, as JSON values."""
    splits = {name: dataset.split(name) for name in dataset.splits}
    manifest = dataset.manifest
    return {
        "url": dataset.url,
        "rows": dataset.rows,
        "row_groups": len(dataset.row_groups),
        "files": len(dataset.row_groups.files),
        "bytes": sum(_file_sizes(dataset).values()),
        "splits": {name: {"rows": split.rows, "row_groups": len(split.row_groups)} for name, split in splits.items()},
        "passed_over": dict(dataset.passed_over),
        "label": dataset.label,
        "schema": dataset.schema.to_json(),
        "vocabularies": {name: vocabulary.size for name, vocabulary in dataset.vocabularies.items()},
        "cleaning": None
        if manifest is None or manifest.cleaning is None
        else {
            "found": manifest.cleaning.found,
            "kept": manifest.cleaning.kept,
            "refused": dict(manifest.cleaning.refused),
            "warned": dict(manifest.cleaning.warned),
        },
        "fingerprints": {"content": manifest.content if manifest else None, "layout": dataset.fingerprint},
    }


def print_summary(dataset: Dataset) -> None:
    """Print the summary of a dataset."""
    summary = summary_of(dataset)
    OUT.print(summary["url"], style="bold", soft_wrap=True)
    OUT.print(
        f"{summary['rows']} rows in {summary['row_groups']} row groups, {summary['files']} files, {summary['bytes'] / 1e6:.1f} MB"
    )
    if dataset.manifest is None:
        OUT.print("plain Parquet, no manifest: no vocabularies, statistics or checksums")
    if summary["passed_over"]:
        counts = ", ".join(f"{count:,} {_PASSED_OVER[why]}" for why, count in summary["passed_over"].items())
        OUT.print(f"skipped files: {counts}")
    for name, split in summary["splits"].items():
        OUT.print(f"  {name:<12}{split['rows']:>10} rows {split['row_groups']:>6} row groups")
    table = Table("field", "type", "codec", "nulls", "vocabulary")
    for field in dataset.schema:
        values = str(dataset.vocabularies[field.name].size) if field.vocabulary else ""
        name = f"{field.name} (label)" if field.name == dataset.label else field.name
        null = field.null.value if field.nullable else ""
        table.add_row(name, type_to_text(field.type), field.codec.value, null, values)
    OUT.print(table)
    if cleaning := summary["cleaning"]:
        refused = ", ".join(f"{reason} {count}" for reason, count in cleaning["refused"].items())
        warned = ", ".join(f"{name} {count}" for name, count in cleaning["warned"].items()) or "none"
        OUT.print(
            f"cleaning: {cleaning['found']} found, {cleaning['kept']} kept; refused: {refused}; warnings: {warned}",
            soft_wrap=True,
        )
    OUT.print(f"content {summary['fingerprints']['content'] or '–'}  layout {summary['fingerprints']['layout']}", soft_wrap=True)


def print_plan(dataset: Dataset, plan: PlanSummary) -> None:
    """Print a plan's summary."""
    name = f"{dataset.url} {dataset.name}" if dataset.name else dataset.url
    OUT.print(name, style="bold", soft_wrap=True)
    last = {
        "drop": f"{plan.dropped:,} rows dropped, different ones each epoch",
        "pad": f"{plan.repeated:,} repeated rows fill the last batch, marked",
        "exact": f"{plan.repeated:,} repeated rows with valid 0 fill the last batch",
    }
    amplified = (
        "" if plan.read_amplification <= 1.1 else ": few row groups per stream; use fewer streams or write smaller row groups"
    )
    seeded = f"seed {plan.seed}, epoch {plan.epoch}"
    shuffled = {
        True: seeded,
        False: "not shuffled",
        "groups": f"row groups shuffled, {seeded}",
        "rows": f"rows shuffled, {seeded}",
    }[plan.shuffle]
    mixing, several = plan.mixing, f"; up to {plan.dataloader_reads:,} by {plan.dataloader_workers} processes per rank"
    effective = "all its rows'" if mixing.effective_groups == float("inf") else f"{mixing.effective_groups:,.1f}"
    lines = {
        "rows": f"{plan.rows:,} in {plan.row_groups:,} row groups"
        + (f", by the weights of {plan.weighted_by}, different ones each epoch" if plan.weighted_by else ""),
        "order": f"{plan.order}, {shuffled}, {plan.streams} streams, window {plan.window:,} rows",
        "steps": f"{plan.steps:,} on every rank, of {plan.global_batch_size:,} rows: {plan.rank_batch_size:,} per rank",
        "remainder": f"{plan.remainder}: {last[plan.remainder]}",
        "world sizes": f"{', '.join(map(str, plan.world_sizes))} read the same global batches; requested: {plan.world_size}",
        "reads": f"{plan.reads:,} row groups by all ranks{several if plan.dataloader_workers > 1 else ''}, "
        f"{plan.read_amplification:.3f} × their rows{amplified}",
        "rows held": f"{mixing.held_mean:,.0f} per rank on average, {mixing.held_peak:,} at most, "
        f"about {_mebibytes(plan.held_bytes)} (never above {_mebibytes(plan.held_bytes_bound)})",
        "mixing": f"{effective} effective, {mixing.distinct_groups:,.1f} distinct row groups per global batch"
        + ("" if mixing.steps == plan.steps else f" (by {mixing.steps:,} steps)"),
    }
    for title, line in lines.items():
        OUT.print(f"  {title:<12} {line}", soft_wrap=True)


def print_profile(profile: dict[str, Any]) -> None:
    """Print a table's profile, given as JSON values."""
    OUT.print(profile["source"], style="bold", soft_wrap=True)
    OUT.print(f"{profile['rows']:,} rows, {len(profile['columns']):,} columns")
    if profile.get("refused"):
        OUT.print(f"{profile['refused']:,} rows are refused: {profile['first_refused']}", soft_wrap=True)
    table = Table("column", "type", "read as", "nulls", "distinct", "range", "to look at")
    for column in profile["columns"]:
        nulls = f"{column['nulls'] / profile['rows']:.1%}" if column.get("nulls") else ""
        distinct = f"{column['distinct']:,}" if column.get("distinct") is not None else "many" if "nulls" in column else ""
        known = column.get("least") is not None and column["type"] in ("integer", "number")
        bounds = f"{column['least']:,.6g} to {column['greatest']:,.6g}" if known else ""
        read = "text" if column["inferred"] == "string" else column["inferred"]
        table.add_row(column["name"], column["type"], read, nulls, distinct, bounds, "; ".join(column["suspicions"]))
    OUT.print(table)
    for column in profile["columns"]:
        if column["why"]:
            read = "text" if column["inferred"] == "string" else column["inferred"]
            OUT.print(f"  {column['name']}: {read}: {column['why']}", soft_wrap=True)


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB"


def finite(summary: dict[str, Any]) -> dict[str, Any]:
    """Return a plan's summary with null for infinity, which JSON lacks."""
    mixing = summary["mixing"]
    return {**summary, "mixing": {name: None if value == float("inf") else value for name, value in mixing.items()}}


def _file_sizes(dataset: Dataset) -> dict[str, int]:
    table = dataset.row_groups.table
    return dict(zip(table["path"].to_pylist(), table["file_bytes"].to_pylist(), strict=True))


def readable(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with bytes replaced by their length."""
    return {name: f"<{len(value)} bytes>" if isinstance(value, bytes) else value for name, value in row.items()}


def short(value: Any) -> str:
    """Return a value as a table's cell."""
    if isinstance(value, list):
        return f"[{', '.join(map(str, value[:4]))}{', …' if len(value) > 4 else ''}] ({len(value)})"
    return "null" if value is None else str(value)
