"""Inspect, verify and plan datasets, profile tables, and report on training runs.

Exit codes: 0 success, 1 the data are invalid, 2 wrong usage or nothing at the URL.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

import tyro

from bigdata_ml.cli.dataset_commands import Adopt, Gc, Head, Inspect, Validate
from bigdata_ml.cli.printing import OUT, finite, print_plan, print_profile
from bigdata_ml.cli.running import guarded
from bigdata_ml.dataset import Dataset
from bigdata_ml.reader import ReadOptions, RowWeights, summarise_plan
from bigdata_ml.reader.options import Shuffle
from bigdata_ml.shown import printable
from bigdata_ml.storage import locate

__all__ = ["main"]

_SHUFFLES: dict[str, Shuffle] = {"all": True, "groups": "groups", "rows": "rows", "none": False}


@dataclass(frozen=True)
class Plan:
    """Show how a dataset would be read: steps, dropped or repeated rows, reads, memory, mixing, world sizes.

    Attributes:
        dataset: URL of the dataset.
        global_batch_size: rows per step, over all ranks.
        world_size: number of ranks.
        split: split to read; default: train, or the whole dataset if it has no splits.
        remainder: how to treat the rows that do not fill the last global batch.
        seed: seed of the order.
        epoch: epoch to plan.
        shuffle: `all`; `groups`: whole row groups, with the rows in file order; `rows`: only the rows, within row groups and
            the window; `none`: the dataset's order.
        streams: number of streams; default: the largest divisor of the global batch up to 16.
        window: rows, over all ranks, that are mixed across row groups; default: as many as fit in 256 MiB.
        weights: field with the rows' weights.
        balance: field whose values are sampled equally often, by weights.
        dataloader_workers: processes of a torch DataLoader around the loader; 0: the loader's own threads.
        missing_as_null: without a manifest, read columns that some files lack as null instead of failing.
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
        """Print the plan."""
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
        plan = summarise_plan(
            dataset,
            read,
            global_batch_size=self.global_batch_size,
            world_size=self.world_size,
            epoch=self.epoch,
            dataloader_workers=self.dataloader_workers,
        )
        if self.json:
            sys.stdout.write(json.dumps(finite(asdict(plan)), indent=1) + "\n")
        else:
            print_plan(dataset, plan)
        return 0


@dataclass(frozen=True)
class Profile:
    """Show a table's types, nulls, ranges and suspicious values, and suggest cleaning rules.

    Attributes:
        source: URL of a file or a directory of CSV, JSON lines, Parquet or ORC; or `hive:TABLE`, `hive:SELECT …`,
            `jdbc:…#TABLE`.
        null_value: text that means null in CSV.
        separator: separator of values in CSV; default: a comma, in `.tsv` a tab.
        quote: quote character in CSV.
        encoding: encoding of CSV and JSON files; default: UTF-8, or UTF-16 if there is a byte order mark.
        decimal_comma: numbers in CSV have a decimal comma.
        thousands: thousands separator of numbers in CSV.
        suggest: new file for the suggested rules, to pass as `prepare_table --rules`; default: print them.
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
        """Print the profile and the rules."""
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
        profile = profile_table(spark, self.source, form=form)
        if self.json:
            sys.stdout.write(json.dumps(profile.to_json(), indent=1) + "\n")
        else:
            print_profile(profile.to_json())
        if place is not None:
            place.write_bytes(profile.rules().encode())
        elif not self.json:
            sys.stdout.writelines(f"{printable(line)}\n" for line in profile.rules().splitlines())
        return 0


@dataclass(frozen=True)
class Report:
    """Write report.html and summary.json for all runs below a directory.

    Attributes:
        run_dir: directory of the runs.
    """

    run_dir: tyro.conf.Positional[str]

    def run(self) -> int:
        """Write the report and print the paths."""
        from bigdata_ml.report import write_report

        report = write_report(self.run_dir)
        for path in (report.report_path, report.summary_path):
            OUT.print(str(path), soft_wrap=True)
        return 0


@dataclass(frozen=True)
class Recipes:
    """List the training recipes."""

    def run(self) -> int:
        """Print the recipes."""
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
    """Run `bigdata-ml` with the given arguments, or the process's own; return the exit code."""
    command: Any = tyro.cli(_Command, prog="bigdata-ml", args=arguments, description=__doc__)
    return guarded(command.run)
