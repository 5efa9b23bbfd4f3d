"""A profile of a table: what each column holds and what is suspicious of it, and the rules that it suggests."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from bigdata_ml.prepare.columns import named
from bigdata_ml.prepare.failures import refused_by_spark
from bigdata_ml.prepare.sources.any_source import is_file_source, source_table
from bigdata_ml.prepare.suggestions import ColumnProfile, suggested_yaml
from bigdata_ml.prepare.value_forms import ColumnForms, forms_of

__all__ = ["TableProfile", "profile_table"]

_REPORT = "place int, forms string"
_NESTED = ("array", "struct", "map", "binary", "variant")


@dataclass(frozen=True, slots=True)
class TableProfile:
    """What a table holds, column by column.

    Attributes:
        source: its URL.
        rows: how many.
        columns: their profiles, in order.
    """

    source: str
    rows: int
    columns: tuple[ColumnProfile, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the profile as JSON values."""
        return {"source": self.source, "rows": self.rows, "columns": [one.to_json() for one in self.columns]}

    def rules(self) -> str:
        """Return rules as YAML that hold for these rows: to be read, and corrected where the data is not as it should be."""
        return suggested_yaml(self.source, self.rows, self.columns)


def profile_table(spark: SparkSession, source: str, *, null_value: str = "") -> TableProfile:
    """Return the profile of a table, in one pass over its values (CSV and JSON are read once more for their types).

    Args:
        spark: the session; of Hive's tables one with Hive's catalogue.
        source: as for `any_table`; in the profile without a database's user and password.
        null_value: the text that means null in CSV.

    Raises:
        JobRefused: nothing to read there.
    """
    with refused_by_spark(source):
        # What a job does not read is said, and the other columns are looked at.
        inferred = source_table(spark, source, null_value=null_value, lenient=True).rows
        kinds = {one.name: one.dataType.simpleString() for one in inferred.schema}
        flat = [name for name, kind in kinds.items() if not kind.startswith(_NESTED)]
        rows = source_table(spark, source, null_value=null_value, as_text=flat, lenient=True).rows
        seen = _seen(rows, flat)
        count = next(iter(seen.values())).rows if seen else rows.count()
    columns = tuple(ColumnProfile(name, kind, seen.get(name)) for name, kind in kinds.items())
    return TableProfile(source if is_file_source(source) else source.partition("?")[0], count, columns)


def _seen(rows: DataFrame, columns: list[str]) -> Mapping[str, ColumnForms]:
    if not columns:
        return {}
    texts = rows.select(*(named(name).cast("string").alias(str(place)) for place, name in enumerate(columns)))
    seen = {name: ColumnForms() for name in columns}
    for row in texts.mapInArrow(_forms_of_batches, _REPORT).collect():
        name = columns[row["place"]]
        seen[name] = seen[name].merge(ColumnForms.from_json(json.loads(row["forms"])))
    return seen


def _forms_of_batches(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    seen: dict[int, ColumnForms] = {}
    for batch in batches:
        for place, column in enumerate(batch.columns):
            found = forms_of(column)
            seen[place] = seen[place].merge(found) if place in seen else found
    for place, one in seen.items():
        written = json.dumps(one.to_json())
        yield pa.RecordBatch.from_arrays([pa.array([place], pa.int32()), pa.array([written])], ["place", "forms"])
