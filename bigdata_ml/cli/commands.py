"""The command line: `bigdata-ml inspect | head | validate | adopt | gc | plan | profile | report | recipes`; it holds no logic.

Exit codes: 0 ok, 1 something is wrong with the data, 2 the command makes no sense or finds nothing there.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

import tyro
from rich.progress import Progress
from rich.table import Table

from bigdata_ml.cli.printing import ERR, OUT, finite, print_plan, print_profile, print_summary, readable, short, summary_of
from bigdata_ml.cli.running import guarded
from bigdata_ml.dataset import Dataset, adopt, collect_garbage, first_rows, validate
from bigdata_ml.dataset.parquet.group_bytes import GROUP_BYTES
from bigdata_ml.reader import ReadOptions, RowWeights, summarise_plan
from bigdata_ml.reader.options import Shuffle
from bigdata_ml.shown import printable, shown
from bigdata_ml.storage import locate

__all__ = ["main"]

_SHUFFLES: dict[str, Shuffle] = {"all": True, "groups": "groups", "rows": "rows", "none": False}


@dataclass(frozen=True)
class Inspect:
    """Say what a dataset holds: rows, splits, fields, classes, the cleaning's verdict, fingerprints.

    Attributes:
        dataset: URL of the dataset.
        missing_as_null: without a manifest: have columns that some of the files lack be null there, instead of refused.
        json: print JSON.
    """

    dataset: tyro.conf.Positional[str]
    missing_as_null: bool = False
    json: bool = False

    def run(self) -> int:
        """Print it."""
        dataset = Dataset.open(self.dataset, missing_as_null=self.missing_as_null)
        if self.json:
            sys.stdout.write(json.dumps(summary_of(dataset), indent=1) + "\n")
        else:
            print_summary(dataset)
        return 0


@dataclass(frozen=True)
class Head:
    """Print the first rows as they are stored.

    Attributes:
        dataset: URL of the dataset.
        rows: how many.
        split: of which split; by default of the whole.
        missing_as_null: see `inspect`.
        json: print a line of JSON a row.
    """

    dataset: tyro.conf.Positional[str]
    rows: int = 5
    split: str | None = None
    missing_as_null: bool = False
    json: bool = False

    def run(self) -> int:
        """Print them."""
        dataset = Dataset.open(self.dataset, missing_as_null=self.missing_as_null)
        dataset = dataset.split(self.split) if self.split else dataset
        rows = [readable(row) for row in first_rows(dataset, self.rows)]
        if self.json:
            for row in rows:
                sys.stdout.write(json.dumps(row, default=str) + "\n")
            return 0
        table = Table(*dataset.schema.names)
        for row in rows:
            table.add_row(*(short(value) for value in row.values()))
        OUT.print(table)
        return 0


@dataclass(frozen=True)
class Validate:
    """Hold a dataset against its manifest, byte by byte; a line per finding.

    Attributes:
        dataset: URL of the dataset.
        missing_as_null: see `inspect`; a column that some files lack is then no finding.
        json: print a line of JSON a finding.
        group_bytes: what the rows of a row group may take in memory.
    """

    dataset: tyro.conf.Positional[str]
    missing_as_null: bool = False
    json: bool = False
    group_bytes: int = GROUP_BYTES

    def run(self) -> int:
        """Print the findings."""
        with Progress(console=ERR, transient=True, disable=not sys.stderr.isatty()) as progress:
            bar = progress.add_task("files", total=None)
            findings = validate(
                self.dataset,
                missing_as_null=self.missing_as_null,
                group_bytes=self.group_bytes,
                on_file=lambda done, total: progress.update(bar, completed=done, total=total),
            )
        for found in findings:
            line = json.dumps({"code": found.code, "place": found.place, "text": found.text}) if self.json else shown(str(found))
            sys.stdout.write(line + "\n")
        if not findings and not self.json:
            OUT.print(f"{self.dataset}: nothing wrong found", soft_wrap=True)
        return 1 if findings else 0


@dataclass(frozen=True)
class Adopt:
    """Add a manifest to Parquet files where they lie, Petastorm's or anybody's; no data is written again.

    Attributes:
        dataset: URL of the dataset.
        replace: have a manifest that is there give way to a new one.
        use_unischema: read the fields' types from the schema that Petastorm wrote, if there is one; without it encoded columns
            are bytes.
        missing_as_null: have columns that some of the files lack be null there, instead of refused.
        group_bytes: what the rows of a row group may take in memory.
    """

    dataset: tyro.conf.Positional[str]
    replace: bool = False
    use_unischema: bool = True
    missing_as_null: bool = False
    group_bytes: int = GROUP_BYTES

    def run(self) -> int:
        """Add it and say what it says."""
        with Progress(console=ERR, transient=True, disable=not sys.stderr.isatty()) as progress:
            bar = progress.add_task("files", total=None)
            adopt(
                self.dataset,
                replace=self.replace,
                use_unischema=self.use_unischema,
                missing_as_null=self.missing_as_null,
                group_bytes=self.group_bytes,
                on_file=lambda done, total: progress.update(bar, completed=done, total=total),
            )
        print_summary(Dataset.open(self.dataset))
        return 0


@dataclass(frozen=True)
class Gc:
    """Delete files of older versions of a dataset, and of jobs that died over it; readers of older versions fail from then on.

    Attributes:
        dataset: URL of the dataset.
    """

    dataset: tyro.conf.Positional[str]

    def run(self) -> int:
        """Delete them and say which."""
        for path in collect_garbage(self.dataset):
            OUT.print(f"deleted {path}", soft_wrap=True)
        return 0


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
        missing_as_null: see `inspect`.
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
    missing_as_null: bool = False
    json: bool = False

    def run(self) -> int:
        """Print it."""
        dataset = Dataset.open(self.dataset, missing_as_null=self.missing_as_null)
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
            sys.stdout.write(json.dumps(finite(asdict(found)), indent=1) + "\n")
        else:
            print_plan(dataset, found)
        return 0


@dataclass(frozen=True)
class Profile:
    """Say what a table holds before it is prepared: types, nulls, ranges, what is suspicious; and suggest rules for it.

    Attributes:
        source: URL of the table: a file or a directory of CSV, JSON lines, Parquet or ORC; or `hive:TABLE`, `hive:SELECT …`,
            `jdbc:…#TABLE`.
        null_value: the text that means null in CSV.
        separator: between values in CSV; by default a comma, in `.tsv` a tab.
        quote: around values in CSV.
        encoding: of CSV and JSON files; by default UTF-8, or UTF-16 where a byte order mark says so.
        decimal_comma: whether numbers in CSV have a comma where others have a point.
        thousands: the character between groups of three digits of numbers in CSV.
        suggest: write the suggested rules to this file, for `prepare_table --rules`; nothing may be there yet. By default they
            are printed.
        json: print JSON.
    """

    source: tyro.conf.Positional[str]
    null_value: str = ""
    separator: str = ""
    quote: str = '"'
    encoding: str = ""
    decimal_comma: bool = False
    thousands: str = ""
    suggest: str = ""
    json: bool = False

    def run(self) -> int:
        """Print it."""
        from bigdata_ml.prepare import TextFormat, profile_table, spark_session

        form = TextFormat(
            separator=self.separator,
            quote=self.quote,
            encoding=self.encoding,
            decimal_comma=self.decimal_comma,
            thousands=self.thousands,
            null_value=self.null_value,
        )
        place = locate(self.suggest) if self.suggest else None
        if place is not None and place.exists():
            raise ValueError(f"{place.url} exists already; give --suggest another name, or delete it")
        spark = spark_session("profile", hive=self.source.startswith("hive:"))
        found = profile_table(spark, self.source, form=form)
        if self.json:
            sys.stdout.write(json.dumps(found.to_json(), indent=1) + "\n")
        else:
            print_profile(found.to_json())
        if place is not None:
            place.write_bytes(found.rules().encode())
        elif not self.json:
            sys.stdout.writelines(f"{printable(line)}\n" for line in found.rules().splitlines())
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
        for path in (report.report_path, report.summary_path):
            OUT.print(str(path), soft_wrap=True)
        return 0


@dataclass(frozen=True)
class Recipes:
    """List the training recipes."""

    def run(self) -> int:
        """Print them."""
        from bigdata_ml.train import RECIPES

        for name, recipe in RECIPES.items():
            OUT.print(f"{name}  {(recipe.__doc__ or '').strip().splitlines()[0]}")
        return 0


_Command = (
    Annotated[Inspect, tyro.conf.subcommand("inspect")]
    | Annotated[Head, tyro.conf.subcommand("head")]
    | Annotated[Validate, tyro.conf.subcommand("validate")]
    | Annotated[Adopt, tyro.conf.subcommand("adopt")]
    | Annotated[Gc, tyro.conf.subcommand("gc")]
    | Annotated[Plan, tyro.conf.subcommand("plan")]
    | Annotated[Profile, tyro.conf.subcommand("profile")]
    | Annotated[Report, tyro.conf.subcommand("report")]
    | Annotated[Recipes, tyro.conf.subcommand("recipes")]
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `bigdata-ml` with the given arguments, or the process's own; returns the exit code."""
    command: Any = tyro.cli(_Command, prog="bigdata-ml", args=arguments, description=__doc__)
    return guarded(command.run)
