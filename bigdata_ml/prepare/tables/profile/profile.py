"""A profile of a table: what each column holds and what is suspicious of it, and the rules that it suggests."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from bigdata_ml.prepare.session.columns import named
from bigdata_ml.prepare.session.failures import refused_by_spark
from bigdata_ml.prepare.sources.any_source import is_file_source, source_table
from bigdata_ml.prepare.sources.text_files.format import TextFormat
from bigdata_ml.prepare.tables.profile.suggestions import ColumnProfile, suggested_yaml
from bigdata_ml.prepare.tables.profile.value_forms import ColumnForms, forms_of

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
        refused: rows of text files that are none, and the first of them in words.
    """

    source: str
    rows: int
    columns: tuple[ColumnProfile, ...]
    refused: tuple[int, str] = (0, "")

    def to_json(self) -> dict[str, Any]:
        """Return the profile as JSON values."""
        count, first = self.refused
        columns = [one.to_json() for one in self.columns]
        return {"source": self.source, "rows": self.rows, "refused": count, "first_refused": first, "columns": columns}

    def rules(self) -> str:
        """Return rules as YAML that hold for these rows: to be read, and corrected where the data is not as it should be."""
        return suggested_yaml(self.source, self.rows, self.columns)


def profile_table(spark: SparkSession, source: str, *, null_value: str = "", form: TextFormat | None = None) -> TableProfile:
    """Return the profile of a table, in one pass over its values (CSV and JSON are read once more for their types).

    Args:
        spark: the session; of Hive's tables one with Hive's catalogue.
        source: as for `any_table`; in the profile without a database's user and password.
        null_value: the text that means null in CSV.
        form: how CSV and JSON files are written.

    Raises:
        JobRefused: nothing to read there.
    """
    with refused_by_spark(source):
        form = form or TextFormat()
        form = replace(form, null_value=null_value or form.null_value)
        # What a job does not read is said, and the other columns are looked at.
        read = source_table(spark, source, form=form, torn_column="__torn", lenient=True)
        kinds = {one.name: one.dataType.simpleString() for one in read.rows.schema if one.name != "__torn"}
        flat = [name for name, kind in kinds.items() if not kind.startswith(_NESTED)]
        if read.text is not None:
            rows = read.text.read(as_text=flat, torn_column="__torn")
        else:
            rows = source_table(spark, source, form=form, as_text=flat, torn_column="__torn", lenient=True).rows
        seen = _seen(rows.where("__torn is null"), flat)
        count = next(iter(seen.values())).rows if seen else rows.count()
    why = {one.name: one.why for one in read.types}
    columns = tuple(ColumnProfile(name, kind, seen.get(name), why.get(name, "")) for name, kind in kinds.items())
    refused = (0, "") if read.text is None else (read.text.torn, read.text.first_torn)
    return TableProfile(source if is_file_source(source) else source.partition("?")[0], count, columns, refused)


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
