"""Commands on a dataset: inspect, head, validate, adopt, gc."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import tyro
from rich.progress import Progress
from rich.table import Table

from bigdata_ml.cli.printing import ERR, OUT, print_summary, readable, short, summary_of
from bigdata_ml.dataset import Dataset, adopt, collect_garbage, first_rows, validate
from bigdata_ml.dataset.parquet.group_bytes import GROUP_BYTES
from bigdata_ml.shown import shown

__all__ = ["Adopt", "Gc", "Head", "Inspect", "Validate"]


@dataclass(frozen=True)
class Inspect:
    """Show a dataset's rows, splits, fields, classes, cleaning counts and fingerprints.

    Attributes:
        dataset: URL of the dataset.
        missing_as_null: without a manifest, read columns that some files lack as null instead of failing.
        json: print JSON.
    """

    dataset: tyro.conf.Positional[str]
    missing_as_null: bool = False
    json: bool = False

    def run(self) -> int:
        """Print the summary."""
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
        rows: number of rows.
        split: split to read; default: the whole dataset.
        missing_as_null: without a manifest, read columns that some files lack as null instead of failing.
        json: print one line of JSON per row.
    """

    dataset: tyro.conf.Positional[str]
    rows: int = 5
    split: str | None = None
    missing_as_null: bool = False
    json: bool = False

    def run(self) -> int:
        """Print the rows."""
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
    """Verify a dataset's bytes, counts and schema against its manifest; print one line per finding.

    Attributes:
        dataset: URL of the dataset.
        missing_as_null: without a manifest, accept columns that some files lack.
        json: print one line of JSON per finding.
        group_bytes: largest size of a row group in memory, in bytes.
    """

    dataset: tyro.conf.Positional[str]
    missing_as_null: bool = False
    json: bool = False
    group_bytes: int = GROUP_BYTES

    def run(self) -> int:
        """Print the findings."""
        with _file_progress() as on_file:
            findings = validate(self.dataset, missing_as_null=self.missing_as_null, group_bytes=self.group_bytes, on_file=on_file)
        for finding in findings:
            values = {"code": finding.code, "place": finding.place, "text": finding.text}
            sys.stdout.write((json.dumps(values) if self.json else shown(str(finding))) + "\n")
        if not findings and not self.json:
            OUT.print(f"{self.dataset}: nothing wrong found", soft_wrap=True)
        return 1 if findings else 0


@dataclass(frozen=True)
class Adopt:
    """Add a manifest and checksums to existing Parquet files in place; no data is rewritten.

    Attributes:
        dataset: URL of the directory.
        replace: replace an existing manifest.
        use_unischema: take the field types from Petastorm's schema, if there is one; otherwise encoded columns are bytes.
        missing_as_null: read columns that some files lack as null instead of failing.
        group_bytes: largest size of a row group in memory, in bytes.
    """

    dataset: tyro.conf.Positional[str]
    replace: bool = False
    use_unischema: bool = True
    missing_as_null: bool = False
    group_bytes: int = GROUP_BYTES

    def run(self) -> int:
        """Add the manifest and print the dataset's summary."""
        with _file_progress() as on_file:
            adopt(
                self.dataset,
                replace=self.replace,
                use_unischema=self.use_unischema,
                missing_as_null=self.missing_as_null,
                group_bytes=self.group_bytes,
                on_file=on_file,
            )
        print_summary(Dataset.open(self.dataset))
        return 0


@dataclass(frozen=True)
class Gc:
    """Delete files of older versions and of jobs that died; readers of older versions then fail.

    Attributes:
        dataset: URL of the dataset.
    """

    dataset: tyro.conf.Positional[str]

    def run(self) -> int:
        """Delete the files and print their paths."""
        for path in collect_garbage(self.dataset):
            OUT.print(f"deleted {path}", soft_wrap=True)
        return 0


@contextmanager
def _file_progress() -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar on a terminal; yield the function that takes the files done and the total."""
    with Progress(console=ERR, transient=True, disable=not sys.stderr.isatty()) as progress:
        bar = progress.add_task("files", total=None)
        yield lambda done, total: progress.update(bar, completed=done, total=total)
