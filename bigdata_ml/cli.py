"""The command line: `bigdata-ml inspect | head | validate | plan | report | recipes`. It calls rooms and holds no logic.

Exit codes: 0 ok, 1 something is wrong with the data, 2 the command makes no sense or finds nothing there.
"""

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, TypeVar

import tyro
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from bigdata_ml.dataset import Dataset, first_rows, validate
from bigdata_ml.errors import BigDataMLError, DatasetInvalid
from bigdata_ml.reader import PlanSummary, ReadOptions, RowWeights, summarise_plan
from bigdata_ml.reader.options import Shuffle
from bigdata_ml.schema import type_to_text

__all__ = ["main", "run_job"]

_OUT = Console(highlight=False)
_ERR = Console(stderr=True, highlight=False)
_Job = TypeVar("_Job")


_SHUFFLES: dict[str, Shuffle] = {"all": True, "groups": "groups", "rows": "rows", "none": False}


@dataclass(frozen=True)
class Inspect:
    """Say what a dataset holds: rows, splits, fields, classes, the cleaning's verdict, fingerprints.

    Attributes:
        dataset: URL of the dataset.
        json: print JSON.
    """

    dataset: tyro.conf.Positional[str]
    json: bool = False

    def run(self) -> int:
        """Print it."""
        dataset = Dataset.open(self.dataset)
        if self.json:
            sys.stdout.write(json.dumps(_summary(dataset), indent=1) + "\n")
        else:
            _print_summary(dataset)
        return 0


@dataclass(frozen=True)
class Head:
    """Print the first rows as they are stored.

    Attributes:
        dataset: URL of the dataset.
        rows: how many.
        split: of which split; by default of the whole.
        json: print a line of JSON a row.
    """

    dataset: tyro.conf.Positional[str]
    rows: int = 5
    split: str | None = None
    json: bool = False

    def run(self) -> int:
        """Print them."""
        dataset = Dataset.open(self.dataset)
        dataset = dataset.split(self.split) if self.split else dataset
        rows = [_readable(row) for row in first_rows(dataset, self.rows)]
        if self.json:
            for row in rows:
                sys.stdout.write(json.dumps(row, default=str) + "\n")
            return 0
        table = Table(*map(escape, dataset.schema.names))
        for row in rows:
            table.add_row(*(escape(_short(value)) for value in row.values()))
        _OUT.print(table)
        return 0


@dataclass(frozen=True)
class Validate:
    """Hold a dataset against its manifest, byte by byte; a line per finding.

    Attributes:
        dataset: URL of the dataset.
        json: print a line of JSON a finding.
    """

    dataset: tyro.conf.Positional[str]
    json: bool = False

    def run(self) -> int:
        """Print the findings."""
        with Progress(console=_ERR, transient=True, disable=not sys.stderr.isatty()) as progress:
            bar = progress.add_task("files", total=None)
            findings = validate(self.dataset, on_file=lambda done, total: progress.update(bar, completed=done, total=total))
        for found in findings:
            line = json.dumps({"code": found.code, "place": found.place, "text": found.text}) if self.json else str(found)
            sys.stdout.write(line + "\n")
        if not findings and not self.json:
            _OUT.print(f"{self.dataset}: nothing wrong found", markup=False, soft_wrap=True)
        return 1 if findings else 0


@dataclass(frozen=True)
class Plan:
    """Say how a dataset would be read, before it is: steps, rows dropped or repeated, reads, rows held, mixing, world sizes.

    Attributes:
        dataset: URL of the dataset.
        global_batch_size: rows of a step over all ranks.
        world_size: how many ranks.
        split: which split; by default train, or the whole where there are none.
        remainder: what becomes of the rows that do not fill a last global batch.
        seed: of the order.
        epoch: whose order.
        shuffle: `all`, `groups` (whole row groups, their rows as they lie in the file), `rows` (only rows, inside row groups and
            the window) or `none` (the dataset's order).
        streams: canonical sequences; by default the largest divisor of the global batch up to 16.
        window: rows, over all ranks, among which rows are mixed across row groups; by default those of 256 MiB.
        weights: the field that holds rows' weights.
        balance: the field whose values are to come equally often, by weights.
        dataloader_workers: processes of a torch DataLoader around the loader; 0 where its own threads are used.
        json: print JSON.
    """

    dataset: tyro.conf.Positional[str]
    global_batch_size: int
    world_size: int = 1
    split: str | None = None
    remainder: Literal["drop", "pad", "exact"] = "drop"
    seed: int = 0
    epoch: int = 0
    shuffle: Literal["all", "groups", "rows", "none"] = "all"
    streams: int | None = None
    window: int | None = None
    weights: str | None = None
    balance: str | None = None
    dataloader_workers: int = 0
    json: bool = False

    def run(self) -> int:
        """Print it."""
        dataset = Dataset.open(self.dataset)
        if dataset.splits:
            dataset = dataset.split(self.split or "train")
        elif self.split is not None:
            dataset.split(self.split)
        if self.weights and self.balance:
            raise ValueError(f"give --weights or --balance, not both, got {self.weights} and {self.balance}")
        weights = RowWeights(self.balance, "balanced") if self.balance else RowWeights(self.weights) if self.weights else None
        read = ReadOptions(
            weights=weights,
            remainder=self.remainder,
            seed=self.seed,
            shuffle=_SHUFFLES[self.shuffle],
            streams=self.streams,
            window=self.window,
        )
        found = summarise_plan(
            dataset,
            read,
            global_batch_size=self.global_batch_size,
            world_size=self.world_size,
            epoch=self.epoch,
            dataloader_workers=self.dataloader_workers,
        )
        if self.json:
            sys.stdout.write(json.dumps(_finite(asdict(found)), indent=1) + "\n")
        else:
            _print_plan(dataset, found)
        return 0


@dataclass(frozen=True)
class Report:
    """Write report.html and summary.json of all runs below a directory, from the runs' own files.

    Attributes:
        run_dir: the directory.
    """

    run_dir: tyro.conf.Positional[str]

    def run(self) -> int:
        """Write them and say where."""
        from bigdata_ml.report import write_report

        report = write_report(self.run_dir)
        _OUT.print(f"{report.report_path}\n{report.summary_path}", markup=False, soft_wrap=True)
        return 0


@dataclass(frozen=True)
class Recipes:
    """List the training recipes."""

    def run(self) -> int:
        """Print them."""
        from bigdata_ml.train import RECIPES

        for name, recipe in RECIPES.items():
            _OUT.print(f"[bold]{name}[/bold]  {(recipe.__doc__ or '').strip().splitlines()[0]}")
        return 0


_Command = (
    Annotated[Inspect, tyro.conf.subcommand("inspect")]
    | Annotated[Head, tyro.conf.subcommand("head")]
    | Annotated[Validate, tyro.conf.subcommand("validate")]
    | Annotated[Plan, tyro.conf.subcommand("plan")]
    | Annotated[Report, tyro.conf.subcommand("report")]
    | Annotated[Recipes, tyro.conf.subcommand("recipes")]
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `bigdata-ml` with the given arguments, or the process's own; returns the exit code."""
    command: Any = tyro.cli(_Command, prog="bigdata-ml", args=arguments, description=__doc__)
    return _guarded(command.run)


def run_job(config: type[_Job], body: Callable[[_Job], object], arguments: Sequence[str] | None = None) -> int:
    """Parse a job's frozen config from the command line and run it; returns the exit code.

    Args:
        config: dataclass whose fields are the flags.
        body: what runs.
        arguments: the flags; by default the process's own.
    """
    job = tyro.cli(config, args=arguments, config=(tyro.conf.UseAppendAction,))
    return _guarded(lambda: body(job))


def _guarded(body: Callable[[], object]) -> int:
    """Run it; an error of ours is a line on stderr and an exit code.

    With BIGDATA_ML_TRACEBACK set, it shows where it was found.
    """
    try:
        result = body()
    except BigDataMLError as error:
        if os.environ.get("BIGDATA_ML_TRACEBACK"):
            raise
        _ERR.print(f"{type(error).__name__}: {error}", markup=False, soft_wrap=True)
        return 1 if isinstance(error, DatasetInvalid) else 2
    except (ValueError, TypeError) as error:
        if os.environ.get("BIGDATA_ML_TRACEBACK"):
            raise
        _ERR.print(f"error: {error} (BIGDATA_ML_TRACEBACK=1 shows where)", markup=False, soft_wrap=True)
        return 2
    except ModuleNotFoundError as error:
        _ERR.print(f"error: {error}; install the extra of bigdata_ml that has it", markup=False, soft_wrap=True)
        return 2
    return result if isinstance(result, int) else 0


def _summary(dataset: Dataset) -> dict[str, Any]:
    splits = {name: dataset.split(name) for name in dataset.splits}
    manifest = dataset.manifest
    return {
        "url": dataset.url,
        "rows": dataset.rows,
        "row_groups": len(dataset.row_groups),
        "files": len(dataset.row_groups.files),
        "bytes": sum(_file_sizes(dataset).values()),
        "splits": {name: {"rows": split.rows, "row_groups": len(split.row_groups)} for name, split in splits.items()},
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


def _print_summary(dataset: Dataset) -> None:
    found = _summary(dataset)
    _OUT.print(found["url"], style="bold", markup=False, soft_wrap=True)
    _OUT.print(f"{found['rows']} rows in {found['row_groups']} row groups, {found['files']} files, {found['bytes'] / 1e6:.1f} MB")
    if dataset.manifest is None:
        _OUT.print("plain Parquet, no manifest: no vocabularies, statistics or checksums")
    for name, split in found["splits"].items():
        _OUT.print(f"  {name:<12}{split['rows']:>10} rows {split['row_groups']:>6} row groups")
    table = Table("field", "type", "codec", "nulls", "vocabulary")
    for field in dataset.schema:
        size = str(dataset.vocabularies[field.name].size) if field.vocabulary else ""
        name = f"{field.name} (label)" if field.name == dataset.label else field.name
        null = field.null.value if field.nullable else ""
        table.add_row(escape(name), escape(type_to_text(field.type)), field.codec.value, null, size)
    _OUT.print(table)
    if cleaning := found["cleaning"]:
        refused = ", ".join(f"{reason} {count}" for reason, count in cleaning["refused"].items())
        warned = ", ".join(f"{name} {count}" for name, count in cleaning["warned"].items()) or "none"
        _OUT.print(
            f"cleaning: {cleaning['found']} found, {cleaning['kept']} kept; refused: {refused}; warnings: {warned}",
            soft_wrap=True,
        )
    _OUT.print(f"content {found['fingerprints']['content'] or '–'}  layout {found['fingerprints']['layout']}", soft_wrap=True)


def _print_plan(dataset: Dataset, plan: PlanSummary) -> None:
    name = f"{dataset.url} {dataset.name}" if dataset.name else dataset.url
    _OUT.print(name, style="bold", markup=False, soft_wrap=True)
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
        _OUT.print(f"  {title:<12} {line}", markup=False, soft_wrap=True)


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB"


def _finite(found: dict[str, Any]) -> dict[str, Any]:
    """JSON has no infinity."""
    mixing = found["mixing"]
    return {**found, "mixing": {name: None if value == float("inf") else value for name, value in mixing.items()}}


def _file_sizes(dataset: Dataset) -> dict[str, int]:
    table = dataset.row_groups.table
    return dict(zip(table["path"].to_pylist(), table["file_bytes"].to_pylist(), strict=True))


def _readable(row: dict[str, Any]) -> dict[str, Any]:
    return {name: f"<{len(value)} bytes>" if isinstance(value, bytes) else value for name, value in row.items()}


def _short(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(str, value[:4]))}{', …' if len(value) > 4 else ''}] ({len(value)})"
    return "null" if value is None else str(value)


if __name__ == "__main__":
    sys.exit(main())
