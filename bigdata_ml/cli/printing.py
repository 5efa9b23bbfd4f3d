"""What the command line prints of datasets and plans."""

from typing import Any

from rich.table import Table

from bigdata_ml.dataset import Dataset
from bigdata_ml.reader import PlanSummary
from bigdata_ml.schema import type_to_text
from bigdata_ml.terminal import PlainConsole

__all__ = ["ERR", "OUT", "finite", "print_plan", "print_profile", "print_summary", "readable", "short", "summary_of"]

_PASSED_OVER = {"hidden": "hidden", "not_parquet": "no Parquet", "linked_again": "read by another link"}
OUT = PlainConsole()
ERR = PlainConsole(stderr=True)


def summary_of(dataset: Dataset) -> dict[str, Any]:
    """Return what `inspect` says of a dataset, as JSON values."""
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
        "vocabularies": {name: one.size for name, one in dataset.vocabularies.items()},
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
    """Print what `inspect` says of a dataset."""
    found = summary_of(dataset)
    OUT.print(found["url"], style="bold", soft_wrap=True)
    OUT.print(f"{found['rows']} rows in {found['row_groups']} row groups, {found['files']} files, {found['bytes'] / 1e6:.1f} MB")
    if dataset.manifest is None:
        OUT.print("plain Parquet, no manifest: no vocabularies, statistics or checksums")
    if found["passed_over"]:
        counts = ", ".join(f"{count:,} {_PASSED_OVER[why]}" for why, count in found["passed_over"].items())
        OUT.print(f"files that are not read: {counts}")
    for name, split in found["splits"].items():
        OUT.print(f"  {name:<12}{split['rows']:>10} rows {split['row_groups']:>6} row groups")
    table = Table("field", "type", "codec", "nulls", "vocabulary")
    for field in dataset.schema:
        size = str(dataset.vocabularies[field.name].size) if field.vocabulary else ""
        name = f"{field.name} (label)" if field.name == dataset.label else field.name
        null = field.null.value if field.nullable else ""
        table.add_row(name, type_to_text(field.type), field.codec.value, null, size)
    OUT.print(table)
    if cleaning := found["cleaning"]:
        refused = ", ".join(f"{reason} {count}" for reason, count in cleaning["refused"].items())
        warned = ", ".join(f"{name} {count}" for name, count in cleaning["warned"].items()) or "none"
        OUT.print(
            f"cleaning: {cleaning['found']} found, {cleaning['kept']} kept; refused: {refused}; warnings: {warned}",
            soft_wrap=True,
        )
    OUT.print(f"content {found['fingerprints']['content'] or '–'}  layout {found['fingerprints']['layout']}", soft_wrap=True)


def print_plan(dataset: Dataset, plan: PlanSummary) -> None:
    """Print a plan's summary."""
    name = f"{dataset.url} {dataset.name}" if dataset.name else dataset.url
    OUT.print(name, style="bold", soft_wrap=True)
    last = {
        "drop": f"{plan.dropped:,} rows left out, others each epoch",
        "pad": f"{plan.repeated:,} places filled with repeated rows, marked",
        "exact": f"{plan.repeated:,} places filled with repeated rows of valid 0",
    }
    amplified = (
        "" if plan.read_amplification <= 1.1 else ": few row groups a stream; take fewer streams, or write smaller row groups"
    )
    seeded = f"seed {plan.seed}, epoch {plan.epoch}"
    shuffled = {
        True: seeded,
        False: "not shuffled",
        "groups": f"row groups shuffled, {seeded}",
        "rows": f"rows shuffled, {seeded}",
    }[plan.shuffle]
    mixing, several = plan.mixing, f"; up to {plan.dataloader_reads:,} by {plan.dataloader_workers} processes a rank"
    effective = "all its rows'" if mixing.effective_groups == float("inf") else f"{mixing.effective_groups:,.1f}"
    lines = {
        "rows": f"{plan.rows:,} in {plan.row_groups:,} row groups"
        + (f", by the weights of {plan.weighted_by}, others each epoch" if plan.weighted_by else ""),
        "order": f"{plan.order}, {shuffled}, {plan.streams} streams, window {plan.window:,} rows",
        "steps": f"{plan.steps:,} on every rank, of {plan.global_batch_size:,} rows: {plan.rank_batch_size:,} a rank",
        "remainder": f"{plan.remainder}: {last[plan.remainder]}",
        "world sizes": f"{', '.join(map(str, plan.world_sizes))} read the same global batches; asked for: {plan.world_size}",
        "reads": f"{plan.reads:,} row groups by all ranks{several if plan.dataloader_workers > 1 else ''}, "
        f"{plan.read_amplification:.3f} × their rows{amplified}",
        "rows held": f"{mixing.held_mean:,.0f} a rank on average, {mixing.held_peak:,} at most, "
        f"about {_mebibytes(plan.held_bytes)} (never above {_mebibytes(plan.held_bytes_bound)})",
        "mixing": f"{effective} effective, {mixing.distinct_groups:,.1f} distinct row groups a global batch"
        + ("" if mixing.steps == plan.steps else f" (by {mixing.steps:,} steps)"),
    }
    for title, line in lines.items():
        OUT.print(f"  {title:<12} {line}", soft_wrap=True)


def print_profile(found: dict[str, Any]) -> None:
    """Print a table's profile, as its `to_json` gives it."""
    OUT.print(found["source"], style="bold", soft_wrap=True)
    OUT.print(f"{found['rows']:,} rows, {len(found['columns']):,} columns")
    if found.get("refused"):
        OUT.print(f"{found['refused']:,} rows are refused: {found['first_refused']}", soft_wrap=True)
    table = Table("column", "type", "read as", "nulls", "distinct", "range", "to look at")
    for one in found["columns"]:
        nulls = f"{one['nulls'] / found['rows']:.1%}" if one.get("nulls") else ""
        distinct = f"{one['distinct']:,}" if one.get("distinct") is not None else "many" if "nulls" in one else ""
        known = one.get("least") is not None and one["type"] in ("integer", "number")
        bounds = f"{one['least']:,.6g} to {one['greatest']:,.6g}" if known else ""
        read = "text" if one["inferred"] == "string" else one["inferred"]
        table.add_row(one["name"], one["type"], read, nulls, distinct, bounds, "; ".join(one["suspicions"]))
    OUT.print(table)
    for one in found["columns"]:
        if one["why"]:
            read = "text" if one["inferred"] == "string" else one["inferred"]
            OUT.print(f"  {one['name']}: {read}: {one['why']}", soft_wrap=True)


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB"


def finite(found: dict[str, Any]) -> dict[str, Any]:
    """Return a plan's summary without infinity, which JSON has not."""
    mixing = found["mixing"]
    return {**found, "mixing": {name: None if value == float("inf") else value for name, value in mixing.items()}}


def _file_sizes(dataset: Dataset) -> dict[str, int]:
    table = dataset.row_groups.table
    return dict(zip(table["path"].to_pylist(), table["file_bytes"].to_pylist(), strict=True))


def readable(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with bytes as their number."""
    return {name: f"<{len(value)} bytes>" if isinstance(value, bytes) else value for name, value in row.items()}


def short(value: Any) -> str:
    """Return a value as a table's cell."""
    if isinstance(value, list):
        return f"[{', '.join(map(str, value[:4]))}{', …' if len(value) > 4 else ''}] ({len(value)})"
    return "null" if value is None else str(value)
